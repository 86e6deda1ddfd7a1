//! The pictures: elements are the `svg` crate's, which also escapes; where what stands is decided here.

mod draw;
mod drill;
mod edges;
mod layout;
mod topology;

pub use drill::drill_chart;
pub(crate) use topology::STYLE;
pub use topology::topology;

/// Where a picture is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureUse {
    /// In a page that has the styles, and the checks that edges lead to.
    Page,
    /// As a file of its own.
    File,
}

/// How wide a picture may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureWidth {
    /// That of a desk.
    Wide,
    /// That of a telephone: one machine stands below the other.
    Narrow,
}
