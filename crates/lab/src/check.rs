//! The rules that a lab's values keep together.
//!
//! Each rule skips what could not be read: that has its own fault already.

mod add_ons;
mod addresses;
mod marks;
mod names;
mod ranges;
mod roles;
mod servers;

use crate::draft::Draft;
use crate::fault::FaultSink;

/// Notes every broken rule of a lab.
pub(crate) fn check(name: &str, draft: &Draft, sink: &mut FaultSink) {
    names::check(name, draft, sink);
    roles::check(draft, sink);
    servers::check(draft, sink);
    ranges::check(draft, sink);
    addresses::check(draft, sink);
    add_ons::check(draft, sink);
    marks::check(draft, sink);
}
