//! What does a lab look like? Records in; a page, pictures and tables out.
//!
//! | module | question |
//! |---|---|
//! | [`records`] | what is it made from? |
//! | [`LabReport`] | what does that amount to? The JSON twin of the page: whatever the page says is in it |
//! | [`verdict`], [`topology`], [`what_if`], [`drills`], [`up`], [`certificates`], [`difference`] | its sections |
//! | [`flows`] | who may connect to whom, who may not, and which promise of `verify` shows it? |
//! | [`page`], [`svg`], [`mermaid`] | how is it drawn? |
//! | [`junit`] | what does a CI system read of a verification? |
//!
//! Nothing here reads a clock, a file or the environment: the same records give the same bytes.

mod axis;
pub mod certificates;
pub mod difference;
pub mod drills;
pub mod flows;
pub mod junit;
pub mod mermaid;
pub mod page;
pub mod records;
mod report;
pub mod svg;
mod time;
pub mod topology;
pub mod up;
pub mod verdict;
pub mod what_if;

pub use records::LabRecords;
pub use report::LabReport;

/// Why a report was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A template of this crate failed, which is a defect of it.
    #[error("the template of the report failed, which is a defect of Caravan")]
    Template(#[source] Box<handlebars::RenderError>),
    /// What a CI system is to read could not be written.
    #[error("cannot write JUnit's XML")]
    Junit(#[source] quick_junit::SerializeError),
}
