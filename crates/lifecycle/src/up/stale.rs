//! Running machines whose files would be others if they were made now, as after a change of this tool or of a key.

use super::{Up, UpPlan};
use crate::Error;
use crate::events::LifecycleWarning;
use crate::files::{self, RenderSources};

/// Warns of running machines outside the plan that were given other files than are rendered now. Nothing is delivered to
/// them: that would restart services of a lab that is in use.
///
/// # Errors
///
/// [`Error::Render`], [`Error::Read`].
pub(super) fn warn(up: &Up<'_>, plan: &UpPlan, sources: &RenderSources<'_>) -> Result<(), Error> {
    let renderer = sources.renderer()?;
    let mut stale = Vec::new();
    for machine in up
        .request
        .wanted
        .iter()
        .filter(|machine| !plan.todo.contains(&machine.name))
        .filter(|machine| !plan.untold.contains(&machine.name))
    {
        let rendered = renderer.guest_files(machine)?;
        let changes = files::changes_since_deployed(up.request.dir, machine, rendered)?;
        if changes.is_some_and(|changes| !changes.is_empty()) {
            stale.push(machine.name.clone());
        }
    }
    if !stale.is_empty() {
        up.run.warn(&LifecycleWarning::StaleMachines {
            lab: up.request.lab.name().to_owned(),
            machines: stale,
        });
    }
    Ok(())
}
