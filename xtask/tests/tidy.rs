//! What a reader would otherwise have to complain about.
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

/// The longest file that is still read in one sitting; a lower cap split single subjects (how kubeconfigs are spliced, the
/// forms of PEM) into files that nobody would look for.
const LONGEST: usize = 520;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files of the workspace that are written by people.
fn files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().expect("a type");
            if kind.is_dir() {
                if !matches!(
                    name.as_str(),
                    ".git" | ".lab" | "target" | "book" | "golden"
                ) {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push((path.display().to_string(), text));
            }
        }
    }
    assert!(
        found.len() > 50,
        "only {} files were looked at",
        found.len()
    );
    found
}

fn is_code(path: &str) -> bool {
    path.ends_with(".rs")
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let words = ["TO", "FIX"].map(|word| match word {
        "TO" => "TODO",
        _ => "FIXME",
    });
    let calls = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    for (path, text) in files()
        .iter()
        .filter(|(path, _)| is_code(path) && !path.ends_with("tidy.rs"))
    {
        for (number, line) in text.lines().enumerate() {
            let left = words.iter().any(|word| line.contains(word))
                || calls.iter().any(|call| line.contains(call.as_str()));
            assert!(!left, "{path}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn files_are_read_in_one_sitting() {
    for (path, text) in files().iter().filter(|(path, _)| is_code(path)) {
        let lines = text.lines().count();
        assert!(
            lines <= LONGEST,
            "{path} has {lines} lines, and {LONGEST} are enough"
        );
    }
}

#[test]
fn the_entry_point_is_thin() {
    let main = fs::read_to_string(root().join("xtask/src/main.rs")).expect("read");
    let lines = main.lines().count();
    assert!(
        lines <= 120,
        "main.rs has {lines} lines: behaviour belongs into a verb's file"
    );
}

#[test]
fn no_file_knows_a_developers_machine() {
    // Homes, and the folder that this workspace lies in, whatever it is; `/home/vagrant` and `/root` are on machines.
    let here = root().canonicalize().expect("there").display().to_string();
    let known = ["/home/", "/Users/", here.as_str()];
    for (path, text) in files()
        .iter()
        .filter(|(path, _)| !path.ends_with("tidy.rs"))
    {
        for (number, line) in text.lines().enumerate() {
            let line = line.replace("/home/vagrant", "");
            let found = known.iter().any(|place| line.contains(place));
            assert!(!found, "{path}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn every_file_ends_with_a_line_end() {
    for (path, text) in files().iter().filter(|(path, _)| is_code(path)) {
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{path}");
    }
}

#[test]
fn messages_name_the_tool_as_it_was_started() {
    // It is compiled under two names, and `TOOL` and `command!` of `error.rs` know which.
    let is_message =
        |line: &str| line.contains("cargo xtask") && !line.trim_start().starts_with("//");
    for (path, text) in files().iter().filter(|(path, _)| {
        is_code(path) && path.contains("xtask/src/") && !path.ends_with("src/error.rs")
    }) {
        for (number, line) in text.lines().enumerate() {
            assert!(!is_message(line), "{path}:{}: {line}", number + 1);
        }
    }
}
