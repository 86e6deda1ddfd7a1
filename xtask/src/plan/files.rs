//! What machines would be given now, against what they were given.

use caravan_lifecycle::plan::MachineDiff;

/// One line per machine or group of machines alike, then the changed files; with `diff`, every changed line.
pub(super) fn text(machines: &[MachineDiff], diff: bool) -> String {
    let new: Vec<&MachineDiff> = machines.iter().filter(|machine| machine.new).collect();
    let changed: Vec<&MachineDiff> = machines
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
    use caravan_lifecycle::files::FileChange;
    use caravan_lifecycle::plan::FileDiff;

    use super::*;

    fn change(secret: bool) -> MachineDiff {
        MachineDiff {
            machine: "lbone".to_owned(),
            new: false,
            files: 9,
            changes: vec![FileDiff::from(&FileChange {
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
