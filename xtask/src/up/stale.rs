//! Running machines whose files would be others if they were made now, as after a change of this tool or of a key.

use super::Up;
use crate::error::Error;
use crate::files::{self, Sources};

/// Warns of running machines outside `todo` that were given other files than are rendered now. Nothing is delivered to
/// them: that would restart services of a lab that is in use.
///
/// # Errors
///
/// [`Error::Render`], [`Error::Read`].
pub(super) fn warn(up: &Up<'_>, todo: &[String], sources: &Sources<'_>) -> Result<(), Error> {
    let renderer = sources.renderer()?;
    let mut stale = Vec::new();
    for machine in up
        .wanted
        .iter()
        .filter(|machine| !todo.contains(&machine.name))
    {
        let rendered = renderer.guest_files(machine)?;
        let changes = files::changes_since_deployed(up.dir, machine, rendered)?;
        if changes.is_some_and(|changes| !changes.is_empty()) {
            stale.push(machine.name.as_str());
        }
    }
    if let Some(&first) = stale.first() {
        let lab = up.lab.name();
        let whose = match stale.len() {
            1 => format!("machine `{first}` runs"),
            count => format!("{count} machines, `{first}` the first of them, run"),
        };
        up.run.screen.warn(&format!(
            "{whose} with other files than would be made now: `cargo xtask plan {lab}` shows them, `cargo xtask halt {lab}` \
             and `cargo xtask up {lab}` deliver them"
        ));
    }
    Ok(())
}
