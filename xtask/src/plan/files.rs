//! What machines would be given now, against what they were given.

use std::collections::BTreeSet;

use caravan_lab::Lab;
use caravan_lifecycle::LabDir;
use caravan_lifecycle::files::{FileChange as GivenChange, RenderSources};
use serde::Serialize;
use similar::TextDiff;

use crate::error::Error;

/// What would change on one machine.
#[derive(Debug, Serialize)]
pub(super) struct MachineChange {
    /// The machine.
    pub(super) machine: String,
    /// Whether it was given nothing yet.
    pub(super) new: bool,
    /// How many files it gets.
    pub(super) files: usize,
    /// The files that differ.
    pub(super) changes: Vec<FileChange>,
}

/// What would change in one file.
#[derive(Debug, Serialize)]
pub(super) struct FileChange {
    /// Its path on the machine.
    pub(super) path: String,
    /// Lines that come; none where the file holds a secret, of which no text is kept.
    pub(super) added: Option<usize>,
    /// Lines that go; none where the file holds a secret.
    pub(super) removed: Option<usize>,
    /// The difference, line by line; none where the file holds a secret.
    pub(super) diff: Option<String>,
}

/// Compares all machines of the lab. A machine that is not `there` any more is new, whatever it was given; where nobody
/// could be asked who is there, what was given decides.
///
/// # Errors
///
/// [`Error::Render`], [`Error::Read`].
pub(super) fn compare(
    lab: &Lab,
    dir: &LabDir,
    sources: &RenderSources<'_>,
    there: Option<&BTreeSet<String>>,
) -> Result<Vec<MachineChange>, Error> {
    let renderer = sources.renderer()?;
    lab.machines()
        .iter()
        .map(|machine| {
            let files = renderer.guest_files(machine)?;
            let count = files.len();
            let is_gone = there.is_some_and(|there| !there.contains(&machine.name));
            let changes = match is_gone {
                true => None,
                false => caravan_lifecycle::files::changes_since_deployed(dir, machine, files)?,
            };
            Ok(MachineChange {
                machine: machine.name.clone(),
                new: changes.is_none(),
                files: count,
                changes: changes.unwrap_or_default().iter().map(file).collect(),
            })
        })
        .collect()
}

fn file(change: &GivenChange) -> FileChange {
    let path = change.path.clone();
    let Some((before, after)) = &change.texts else {
        return FileChange {
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
    FileChange {
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

/// One line per machine or group of machines alike, then the changed files; with `diff`, every changed line.
pub(super) fn text(machines: &[MachineChange], diff: bool) -> String {
    let new: Vec<&MachineChange> = machines.iter().filter(|machine| machine.new).collect();
    let changed: Vec<&MachineChange> = machines
        .iter()
        .filter(|machine| !machine.changes.is_empty())
        .collect();
    let mut lines = Vec::new();
    let files: usize = new.iter().map(|machine| machine.files).sum();
    if !new.is_empty() {
        lines.push(format!(
            "{} machines would be made, with {files} files",
            new.len()
        ));
    }
    let same = machines.len() - new.len() - changed.len();
    if same > 0 {
        lines.push(format!("{same} machines have what they should have"));
    }
    for machine in changed {
        lines.push(format!("{} would change:", machine.machine));
        for file in &machine.changes {
            lines.push(match (file.added, file.removed) {
                (Some(added), Some(removed)) => format!("  {}  +{added} -{removed}", file.path),
                _ => format!("  {}  (may hold a secret: not shown)", file.path),
            });
            if let Some(text) = file.diff.as_ref().filter(|_| diff) {
                lines.push(text.trim_end().to_owned());
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(secret: bool) -> MachineChange {
        MachineChange {
            machine: "lbone".to_owned(),
            new: false,
            files: 9,
            changes: vec![file(&GivenChange {
                path: "/etc/x.conf".to_owned(),
                texts: (!secret).then(|| ("one\ntwo\n".to_owned(), "one\n2\nthree\n".to_owned())),
            })],
        }
    }

    #[test]
    fn differences_are_counted_and_shown() {
        expect_test::expect![[r#"
            lbone would change:
              /etc/x.conf  +2 -1
            --- deployed/etc/x.conf
            +++ rendered/etc/x.conf
            @@ -1,2 +1,3 @@
             one
            -two
            +2
            +three"#]]
        .assert_eq(&text(&[change(false)], true));
    }

    #[test]
    fn secrets_are_named_only() {
        let shown = text(&[change(true)], true);
        assert_eq!(
            shown,
            "lbone would change:\n  /etc/x.conf  (may hold a secret: not shown)"
        );
        let json = serde_json::to_string(&change(true)).expect("plain data");
        assert!(!json.contains("three"), "{json}");
    }
}
