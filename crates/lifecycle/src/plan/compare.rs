//! What machines would be given now, against what they were given.

use std::collections::BTreeSet;

use caravan_lab::Lab;
use serde::Serialize;
use similar::TextDiff;

use crate::files::{self, FileChange, RenderSources};
use crate::{Error, LabDir};

/// What would change on one machine.
#[derive(Debug, Serialize)]
pub struct MachineDiff {
    /// The machine.
    pub machine: String,
    /// Whether it was given nothing yet.
    pub new: bool,
    /// How many files it gets.
    pub files: usize,
    /// The files that differ.
    pub changes: Vec<FileDiff>,
}

/// What would change in one file.
#[derive(Debug, Serialize)]
pub struct FileDiff {
    /// Its path on the machine.
    pub path: String,
    /// Lines that come; none where the file holds a secret, of which no text is kept.
    pub added: Option<usize>,
    /// Lines that go; none where the file holds a secret.
    pub removed: Option<usize>,
    /// The difference, line by line; none where the file holds a secret.
    pub diff: Option<String>,
}

/// Compares all machines of the lab. A machine that is not `there` any more is new, whatever it was given; where nobody
/// could be asked who is there, what was given decides.
///
/// # Errors
///
/// [`Error::Render`], [`Error::Read`].
pub fn compare(
    lab: &Lab,
    dir: &LabDir,
    sources: &RenderSources<'_>,
    there: Option<&BTreeSet<String>>,
) -> Result<Vec<MachineDiff>, Error> {
    let renderer = sources.renderer()?;
    lab.machines()
        .iter()
        .map(|machine| {
            let files = renderer.guest_files(machine)?;
            let count = files.len();
            let is_gone = there.is_some_and(|there| !there.contains(&machine.name));
            let changes = match is_gone {
                true => None,
                false => files::changes_since_deployed(dir, machine, files)?,
            };
            Ok(MachineDiff {
                machine: machine.name.clone(),
                new: changes.is_none(),
                files: count,
                changes: changes
                    .unwrap_or_default()
                    .iter()
                    .map(FileDiff::from)
                    .collect(),
            })
        })
        .collect()
}

impl From<&FileChange> for FileDiff {
    fn from(change: &FileChange) -> Self {
        let path = change.path.clone();
        let Some((before, after)) = &change.texts else {
            return Self {
                path,
                added: None,
                removed: None,
                diff: None,
            };
        };
        let diff = TextDiff::from_lines(before, after);
        let count = |tag| {
            diff.iter_all_changes()
                .filter(|line| line.tag() == tag)
                .count()
        };
        Self {
            added: Some(count(similar::ChangeTag::Insert)),
            removed: Some(count(similar::ChangeTag::Delete)),
            diff: Some(
                diff.unified_diff()
                    .context_radius(3)
                    .header(&format!("deployed{path}"), &format!("rendered{path}"))
                    .to_string(),
            ),
            path,
        }
    }
}
