//! Large files for other computers, over a stand-in for ssh.
#![allow(missing_docs)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use caravan_process::{
    CONNECT_SECONDS, Computer, Error, FileToSend, Pace, Program, SentFile, SshAccess, SshComputer,
    UnknownHost,
};
use tempfile::TempDir;

/// Of 300,000 bytes that count from 0 to 255 again and again, as `sha256sum` has it.
const SHA256: &str = "5576a58a474142a55f619be58eea2c14d7d7937cb99d5ef600a704fcde5ddbd8";

struct World {
    played: TempDir,
    computer: Computer,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let played = tempfile::tempdir().expect("a folder");
        let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/ssh");
        symlink(fake, played.path().join("ssh")).expect("a link");
        let access = SshAccess {
            identity: None,
            known_hosts: played.path().join("known_hosts"),
            unknown_host: UnknownHost::Refuse,
            through: None,
            connect_seconds: CONNECT_SECONDS,
            connect_attempts: 1,
            pace: Pace::USUAL,
            shared: None,
        };
        let program = Program::at(played.path().join("ssh"));
        let computer = Computer::Ssh(SshComputer::new(program, "me@server2", access));
        let world = Self {
            played,
            computer,
            folder: tempfile::tempdir().expect("a folder"),
        };
        fs::write(world.from(), bytes()).expect("written");
        world
    }

    fn from(&self) -> PathBuf {
        self.folder.path().join("from")
    }

    fn to(&self) -> PathBuf {
        self.folder.path().join("it's there/file")
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("it's there/file.part")
    }

    fn send(&self, sha256: &str) -> Result<SentFile, Error> {
        let (from, to) = (self.from(), self.to());
        let file = FileToSend {
            from: &from,
            to: to.to_str().expect("text"),
            mode: 0o600,
            sha256,
        };
        let mut last = 0;
        let sent = self.computer.send(&file, &mut |bytes| last = bytes)?;
        assert_eq!(last, 300_000);
        Ok(sent)
    }
}

fn bytes() -> Vec<u8> {
    (0..=255u8).cycle().take(300_000).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn a_file_arrives_once() {
    let world = World::new();
    assert_eq!(world.send(SHA256).expect("sent").bytes, 300_000);
    assert_eq!(fs::read(world.to()).expect("there"), bytes());
    assert_eq!(mode(&world.to()), 0o600);
    assert_eq!(mode(world.to().parent().expect("a folder")), 0o700);
    assert!(!world.part().exists());
    assert_eq!(world.send(SHA256).expect("there").bytes, 0);
}

#[test]
fn what_has_arrived_is_not_sent_again() {
    let world = World::new();
    fs::create_dir(world.to().parent().expect("a folder")).expect("made");
    fs::write(world.part(), &bytes()[..200_000]).expect("written");
    assert_eq!(world.send(SHA256).expect("sent").bytes, 100_000);
    assert_eq!(fs::read(world.to()).expect("there"), bytes());
}

#[test]
fn a_connection_that_ends_early_is_made_again_where_it_was() {
    let world = World::new();
    // The connection ends once, after so many bytes of the file.
    fs::write(world.played.path().join("cut-add"), "150000").expect("written");
    world.send(SHA256).expect("sent");
    assert_eq!(fs::read(world.to()).expect("there"), bytes());
}

#[test]
fn a_file_that_is_another_one_there_is_not_taken() {
    let world = World::new();
    fs::create_dir(world.to().parent().expect("a folder")).expect("made");
    fs::write(world.part(), vec![7; 1000]).expect("written");
    let error = world.send(SHA256).expect_err("not what was sent");
    assert!(
        matches!(&error, Error::Put { said, .. } if said.starts_with("its SHA-256 is ")),
        "{error:?}"
    );
    assert!(!world.to().exists() && !world.part().exists());
    // The next time it is sent whole.
    assert_eq!(world.send(SHA256).expect("sent").bytes, 300_000);
}

#[test]
fn a_full_disk_is_told_before_anything_is_sent_and_leaves_nothing() {
    let world = World::new();
    let df = world.played.path().join("df");
    let says = "#!/bin/sh\necho Filesystem\necho /dev/sda1 9 4 5 44% /\n";
    fs::write(&df, says).expect("written");
    fs::set_permissions(&df, PermissionsExt::from_mode(0o755)).expect("set");
    let error = world.send(SHA256).expect_err("full");
    let path = world.to().display().to_string();
    assert_eq!(
        error.to_string(),
        format!(
            "the disk of `{path}` on `me@server2` is too full: 65 MiB are needed, 0 MiB are free"
        )
    );
    assert!(!world.part().exists());
}
