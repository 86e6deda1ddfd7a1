//! The way into a lab that is there: which of its machines run, and the keys to them.

use caravan_cluster::Access;
use caravan_lab::{Lab, Machine};
use caravan_lifecycle::{Keys, LabTarget, reach};

use crate::error::Error;

/// The keys to a lab that this computer reaches.
///
/// # Errors
///
/// [`Error::Lifecycle`] where it does not reach it, or the lab was not made.
pub(crate) fn access(target: &LabTarget, lab: &Lab) -> Result<Access, Error> {
    reach::check(lab)?;
    let keys = Keys::load(lab, &target.dir).ok_or_else(|| Error::not_made(&target.name))?;
    Ok(keys.access(lab, &target.dir, target.pace())?)
}

/// The names of those of `nodes` that run, and the keys to the lab where any does.
///
/// # Errors
///
/// [`Error::Lifecycle`] where nobody tells, or this computer does not reach them.
pub(crate) fn running(
    target: &LabTarget,
    lab: &Lab,
    nodes: &[&Machine],
) -> Result<(Vec<String>, Option<Access>), Error> {
    let (found, _) = target.machines_reached()?;
    let runs = |node: &&&Machine| found.iter().any(|it| it.name == node.name && it.runs());
    let running: Vec<String> = nodes
        .iter()
        .filter(runs)
        .map(|it| it.name.clone())
        .collect();
    if running.is_empty() {
        return Ok((running, None));
    }
    Ok((running, Some(access(target, lab)?)))
}
