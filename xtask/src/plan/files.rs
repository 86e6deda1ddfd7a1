//! What machines would be given now, against what they were given.

use caravan_lab::Lab;
use serde::Serialize;
use similar::TextDiff;

use crate::error::Error;
use crate::files::{Change, Sources};
use crate::lab_dir::LabDir;

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
    /// Lines that come.
    pub(super) added: usize,
    /// Lines that go.
    pub(super) removed: usize,
    /// The difference, line by line; none where the file holds a secret.
    pub(super) diff: Option<String>,
}

/// Compares all machines of the lab.
///
/// # Errors
///
/// [`Error::Render`], [`Error::Read`].
pub(super) fn compare(
    lab: &Lab,
    dir: &LabDir,
    sources: &Sources<'_>,
) -> Result<Vec<MachineChange>, Error> {
    let renderer = sources.renderer()?;
    lab.machines()
        .iter()
        .map(|machine| {
            let files = renderer.guest_files(machine)?;
            let count = files.len();
            let changes = crate::files::changes_since_deployed(dir, machine, files)?;
            Ok(MachineChange {
                machine: machine.name.clone(),
                new: changes.is_none(),
                files: count,
                changes: changes.unwrap_or_default().iter().map(file).collect(),
            })
        })
        .collect()
}

fn file(change: &Change) -> FileChange {
    let before = change.before.as_deref().unwrap_or_default();
    let after = change.after.as_deref().unwrap_or_default();
    let diff = TextDiff::from_lines(before, after);
    let count = |tag| {
        diff.iter_all_changes()
            .filter(|line| line.tag() == tag)
            .count()
    };
    FileChange {
        path: change.path.clone(),
        added: count(similar::ChangeTag::Insert),
        removed: count(similar::ChangeTag::Delete),
        diff: (!change.secret).then(|| {
            diff.unified_diff()
                .context_radius(3)
                .header(
                    &format!("deployed{}", change.path),
                    &format!("rendered{}", change.path),
                )
                .to_string()
        }),
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
            lines.push(format!(
                "  {}  +{} -{}",
                file.path, file.added, file.removed
            ));
            match &file.diff {
                Some(text) if diff => lines.push(text.trim_end().to_owned()),
                None if diff => lines.push("  (secret: its lines are not shown)".to_owned()),
                _ => {}
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
            changes: vec![file(&Change {
                path: "/etc/x.conf".to_owned(),
                before: Some("one\ntwo\n".to_owned()),
                after: Some("one\n2\nthree\n".to_owned()),
                secret,
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
    fn secrets_are_counted_only() {
        let shown = text(&[change(true)], true);
        assert!(
            shown.contains("+2 -1") && !shown.contains("three"),
            "{shown}"
        );
        let json = serde_json::to_string(&change(true)).expect("plain data");
        assert!(!json.contains("three"), "{json}");
    }
}
