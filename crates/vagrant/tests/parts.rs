//! The script that copies parts of machines and puts copies in their place, on folders of this computer, cut off at every
//! move.
#![allow(missing_docs)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use caravan_process::{BinaryOutput, Program};
use tempfile::TempDir;

const SCRIPT: &str = include_str!("../src/engine/parts.sh");

/// The one part that there is.
const PART: &str = "etcdone.etcd";

struct Parts(TempDir);

impl Parts {
    /// A part that has what `first` writes.
    fn new() -> Self {
        let parts = Self(tempfile::tempdir().expect("a folder"));
        fs::create_dir(parts.path("")).expect("made");
        parts.first();
        parts
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(PART).join(path)
    }

    fn clear(&self) {
        for entry in fs::read_dir(self.path("")).expect("read").flatten() {
            match entry.file_type().expect("a type").is_dir() {
                true => fs::remove_dir_all(entry.path()).expect("removed"),
                false => fs::remove_file(entry.path()).expect("removed"),
            }
        }
    }

    fn first(&self) {
        self.clear();
        fs::create_dir_all(self.path("a/b")).expect("made");
        for (file, text) in [("a/b/x", "first"), ("y", "first"), (".hidden", "")] {
            fs::write(self.path(file), text).expect("written");
        }
        fs::hard_link(self.path("y"), self.path("hard")).expect("linked");
        symlink("y", self.path("soft")).expect("linked");
        let mode = |path: &str, mode| {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(self.path(path), mode).expect("set");
        };
        mode("a/b/x", 0o4751);
        mode("a", 0o1777);
        mode("", 0o710);
    }

    fn second(&self) {
        self.clear();
        for (file, text) in [("y", "second"), ("new", "second"), ("a", "no folder")] {
            fs::write(self.path(file), text).expect("written");
        }
        fs::set_permissions(self.path(""), fs::Permissions::from_mode(0o755)).expect("set");
    }

    /// What there is, a line each; without what lies beside it.
    fn look(&self) -> Vec<String> {
        let mut lines = vec![format!("{:o}", mode(&self.path("")))];
        let mut folders = vec![self.path("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("read").flatten() {
                let path = entry.path();
                if path == self.path(".caravan-checkpoint") {
                    continue;
                }
                let of = fs::symlink_metadata(&path).expect("there");
                let text = match () {
                    () if of.is_dir() => {
                        folders.push(path.clone());
                        String::new()
                    }
                    () if of.is_symlink() => {
                        let to = fs::read_link(&path).expect("a link");
                        to.display().to_string()
                    }
                    () => format!(
                        "{} {}",
                        of.nlink(),
                        fs::read_to_string(&path).expect("read")
                    ),
                };
                let below = path.strip_prefix(self.path("")).expect("below");
                lines.push(format!("{} {:o} {text}", below.display(), of.mode()));
            }
        }
        lines.sort();
        lines
    }

    fn run(&self, args: &[&str], input: &[u8]) -> BinaryOutput {
        let call = Program::at("/bin/sh").call(["-c", SCRIPT, "parts"]);
        let call = call.args(args).arg(PART).stdin(input);
        let call = call.env("PARTS_ROOT", self.0.path());
        call.binary_output().expect("it starts")
    }

    fn ok(&self, args: &[&str]) -> Vec<u8> {
        let ended = self.run(args, b"");
        assert_eq!(ended.status, Some(0), "{args:?}: {}", ended.stderr);
        ended.stdout
    }

    fn stage(&self, archive: &[u8]) {
        let ended = self.run(&["stage", &sum(archive)], archive);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }

    fn standing(&self) -> String {
        let said = String::from_utf8(self.ok(&["standing"])).expect("text");
        let said = said.trim_end().strip_prefix(PART).expect("of the part");
        let word = said.trim().split(' ').next().expect("a word");
        word.to_owned()
    }

    /// Moves the entry that comes first from one folder of the part to another, as the script does.
    fn move_one(&self, from: &str, to: &str) {
        let mut entries: Vec<PathBuf> = fs::read_dir(self.path(from))
            .expect("read")
            .map(|entry| entry.expect("read").path())
            .filter(|path| !path.ends_with(".caravan-checkpoint"))
            .collect();
        entries.sort();
        let name = entries[0].file_name().expect("a name");
        fs::rename(&entries[0], self.path(to).join(name)).expect("moved");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").mode() & 0o7777
}

fn sum(archive: &[u8]) -> String {
    let call = Program::find("sha256sum").expect("there").call([""; 0]);
    let said = call.stdin(archive).run().expect("summed").stdout;
    said.split(' ').next().expect("a sum").to_owned()
}

const NEW: &str = ".caravan-checkpoint/new";
const OLD: &str = ".caravan-checkpoint/old";
const STATE: &str = ".caravan-checkpoint/state";

/// Leaves a part, whose copy is staged, as a swap leaves it that was cut off at some place.
fn cut_off(parts: &Parts, at: usize, archive: &[u8]) {
    let say = |word: &str| {
        let text = format!("{word} {}\n", sum(archive));
        fs::write(parts.path(STATE), text).expect("written");
    };
    match at {
        0 => {}
        1 => parts.move_one("", OLD),
        _ => {
            for _ in 0..3 {
                parts.move_one("", OLD);
            }
            fs::set_permissions(parts.path(OLD), fs::Permissions::from_mode(0o755)).expect("set");
            say("emptied");
            for _ in 2..at {
                parts.move_one(NEW, "");
            }
        }
    }
}

#[test]
fn what_is_cut_off_anywhere_is_gone_on_with_or_taken_back() {
    for at in 0..=7 {
        let parts = Parts::new();
        let first = parts.look();
        let archive = parts.ok(&["copy"]);
        parts.second();
        let second = parts.look();
        parts.stage(&archive);
        assert_eq!(parts.look(), second, "nobody sees what is staged");
        assert_eq!(parts.standing(), "staged");

        cut_off(&parts, at, &archive);
        parts.ok(&["take-back"]);
        assert_eq!(parts.look(), second, "cut off at {at}");
        assert_eq!(parts.standing(), "untouched");

        parts.stage(&archive);
        cut_off(&parts, at, &archive);
        parts.ok(&["swap"]);
        assert_eq!(parts.look(), first, "cut off at {at}");
        assert_eq!(parts.standing(), "swapped");
        parts.ok(&["swap"]);
        assert_eq!(parts.look(), first, "a second time nothing is moved");
        parts.ok(&["clean"]);
        assert_eq!(parts.look(), first);
        assert!(!parts.path(".caravan-checkpoint").exists());
        parts.ok(&["clean"]);
        parts.ok(&["take-back"]);
        assert_eq!(
            parts.look(),
            first,
            "there is nothing to take back any more"
        );
    }
}

#[test]
fn a_copy_that_does_not_arrive_whole_is_not_staged() {
    let parts = Parts::new();
    let archive = parts.ok(&["copy"]);
    parts.second();
    let second = parts.look();
    // Between two entries, where tar sees nothing wrong; within one; and with another byte.
    let mut flipped = archive.clone();
    flipped[archive.len() - 1] ^= 1;
    for damaged in [&archive[..2048], &archive[..2000], &[], &flipped[..]] {
        let ended = parts.run(&["stage", &sum(&archive)], damaged);
        assert_ne!(ended.status, Some(0));
        assert_eq!(parts.standing(), "untouched");
        assert_eq!(parts.look(), second);
        let ended = parts.run(&["swap"], b"");
        assert_ne!(ended.status, Some(0), "nothing is staged");
    }
    parts.stage(&archive);
    let ended = parts.run(&["clean"], b"");
    assert_ne!(ended.status, Some(0), "what is staged is not in its place");
    let ended = parts.run(&["copy"], b"");
    assert_ne!(ended.status, Some(0), "something is under way");
    assert_eq!(parts.look(), second);
}

#[test]
fn how_much_room_there_is() {
    let said = String::from_utf8(Parts::new().ok(&["space"])).expect("text");
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!((words.len(), words[0]), (3, PART));
    for word in &words[1..] {
        assert!(word.parse::<u64>().is_ok_and(|it| it > 0), "{said}");
    }
}
