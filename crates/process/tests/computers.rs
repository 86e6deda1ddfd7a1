//! What is done on a computer, here and over a stand-in for ssh: the same each time.
#![allow(missing_docs)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use caravan_process::{
    CONNECT_SECONDS, Computer, Error, Pace, Program, SshAccess, SshComputer, UnknownHost,
};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// A computer over ssh, and the folder of what plays it.
fn over_ssh() -> (TempDir, Computer) {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/ssh");
    symlink(fake, folder.path().join("ssh")).expect("a link");
    let access = SshAccess {
        identity: None,
        known_hosts: folder.path().join("known hosts"),
        unknown_host: UnknownHost::Refuse,
        through: None,
        connect_seconds: CONNECT_SECONDS,
        connect_attempts: 3,
        pace: Pace::USUAL,
        shared: None,
    };
    let program = Program::at(folder.path().join("ssh"));
    let computer = SshComputer::new(program, "ssh://me@server2:2222", access);
    (folder, Computer::Ssh(computer))
}

/// Runs `check` on this computer and on one over ssh, each with an empty folder for its files.
fn on_each(check: impl Fn(&Computer, &Path)) {
    let (_played, remote) = over_ssh();
    for computer in [Computer::Here, remote] {
        let folder = tempfile::tempdir().expect("a folder");
        check(&computer, folder.path());
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn each_word_arrives_as_it_is() {
    let words = [
        "a b",
        "it's",
        "$HOME",
        "*",
        "",
        "-n",
        "`x`;exit 9",
        "two\nlines",
        "é",
    ];
    on_each(|computer, _| {
        let call = [&["printf", "%s|"], &words[..]].concat();
        let output = computer.run(&call, "", LIMIT).expect("it runs");
        assert_eq!(output.stdout, format!("{}|", words.join("|")), "{computer}");
    });
}

#[test]
fn input_and_status_are_the_programs() {
    on_each(|computer, _| {
        let script = "cat; echo bad >&2; exit 3";
        let output = computer
            .run(&["sh", "-c", script], "in", LIMIT)
            .expect("it runs");
        assert_eq!(
            (
                output.stdout.as_str(),
                output.stderr.as_str(),
                output.status
            ),
            ("in", "bad\n", Some(3)),
            "{computer}"
        );
    });
}

#[test]
fn lines_are_followed() {
    on_each(|computer, _| {
        let (send, lines) = mpsc::channel();
        let following = computer
            .follow(
                &["sh", "-c", "echo one; echo two >&2; exec sleep 600"],
                move |line| {
                    drop(send.send(line.to_owned()));
                },
            )
            .expect("it starts");
        let mut seen = [(); 2].map(|()| lines.recv_timeout(LIMIT).expect("a line"));
        seen.sort();
        assert_eq!(seen, ["one", "two"], "{computer}");
        assert!(!following.ended());
    });
}

#[test]
fn a_line_is_answered_with_a_line() {
    on_each(|computer, _| {
        let echo = "while read -r line; do echo \"<$line>\"; done; echo end; exec sleep 600";
        let mut talk = computer.converse(&["sh", "-c", echo]).expect("it starts");
        for said in ["one", "", "two words"] {
            let reply = talk.ask(said, LIMIT).expect("an answer");
            assert_eq!(reply.line, format!("<{said}>"), "{computer}");
            assert!(reply.asked <= reply.heard);
        }
    });
}

#[test]
fn who_ends_or_is_silent_gives_no_answer() {
    on_each(|computer, _| {
        let mut ended = computer
            .converse(&["sh", "-c", "echo last words >&2"])
            .expect("it starts");
        let reply = ended.ask("one", LIMIT).expect("last words");
        assert_eq!(reply.line, "last words", "{computer}");
        assert_eq!(ended.ask("two", LIMIT), None, "{computer}");
        let mut silent = computer.converse(&["sleep", "600"]).expect("it starts");
        assert_eq!(silent.ask("one", Duration::from_millis(20)), None);
    });
}

#[test]
fn files_arrive_byte_by_byte_with_their_mode() {
    let bytes: Vec<u8> = (0..=255u8).cycle().take(100_000).collect();
    on_each(|computer, folder| {
        let path = folder.join("it's a file");
        let shown = path.to_str().expect("text");
        computer
            .put(shown, 0o600, bytes.clone(), LIMIT)
            .expect("written");
        assert_eq!(fs::read(&path).expect("read"), bytes, "{computer}");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(
            computer.get(shown, LIMIT).expect("read"),
            bytes,
            "{computer}"
        );
        // From a file, over what is there.
        let other = folder.join("other");
        computer
            .put_file(&path, other.to_str().expect("text"), 0o755, LIMIT)
            .expect("copied");
        computer
            .put_file(&path, other.to_str().expect("text"), 0o640, LIMIT)
            .expect("again");
        assert_eq!(
            (fs::read(&other).expect("read"), mode(&other)),
            (bytes.clone(), 0o640)
        );
        // And back, in the place of what is there.
        let back = folder.join("back");
        fs::write(&back, "longer than nothing").expect("written");
        computer
            .get_file_by(&["env"], shown, &back, LIMIT)
            .expect("copied");
        assert_eq!(fs::read(&back).expect("read"), bytes, "{computer}");
        fs::remove_file(&back).expect("removed");
        computer
            .put_file_by(&["env"], &path, other.to_str().expect("text"), 0o600, LIMIT)
            .expect("by another program");
        assert_eq!(mode(&other), 0o600);
        assert_eq!(
            names(folder),
            ["it's a file", "other"],
            "nothing half is left"
        );
    });
}

#[test]
fn what_cannot_be_read_or_written_names_file_and_computer() {
    on_each(|computer, folder| {
        let path = folder.join("none/file");
        let shown = path.to_str().expect("text");
        let error = computer
            .put(shown, 0o600, "x", LIMIT)
            .expect_err("no folder");
        assert!(matches!(error, Error::Put { .. }), "{error:?}");
        let start = format!("cannot write `{shown}` on {computer}: ");
        assert!(error.to_string().starts_with(&start), "{error}");
        let error = computer.get(shown, LIMIT).expect_err("no file");
        let start = format!("cannot read `{shown}` on {computer}: ");
        assert!(error.to_string().starts_with(&start), "{error}");
        assert!(error.to_string().contains("No such file"), "{error}");
        let to = folder.join("to");
        let error = computer
            .get_file_by(&[], shown, &to, LIMIT)
            .expect_err("no file");
        assert!(error.to_string().starts_with(&start), "{error}");
        let error = computer
            .put_file(&path, folder.to_str().expect("text"), 0o600, LIMIT)
            .expect_err("nothing to copy");
        assert!(error.to_string().contains("on this computer"), "{error}");
    });
}

#[test]
fn a_connection_that_ends_early_leaves_the_file_that_was_there() {
    let (played, computer) = over_ssh();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    fs::write(&path, "old").expect("written");
    fs::write(played.path().join("cut"), "1000").expect("written");
    let error = computer
        .put(path.to_str().expect("text"), 0o600, vec![7; 5000], LIMIT)
        .expect_err("cut");
    assert!(
        matches!(&error, Error::NotReached { said, .. } if said.contains("1000 of 5000 bytes arrived")),
        "{error:?}"
    );
    assert_eq!(fs::read(&path).expect("read"), b"old");
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn a_link_that_comes_back_is_waited_for() {
    let (played, computer) = over_ssh();
    let refuse = |times: &str| fs::write(played.path().join("refused"), times).expect("written");
    let calls =
        || fs::read_to_string(played.path().join("pids")).map_or(0, |it| it.lines().count());
    refuse("2");
    let output = computer.run(&["cat"], "said", LIMIT).expect("reached");
    assert_eq!((output.stdout.as_str(), calls()), ("said", 3));
    refuse("2");
    let program = computer.program("sh").expect("found");
    assert_eq!(calls(), 6);
    refuse("3");
    let error = program.call(["-c", "true"]).run().expect_err("refused");
    assert!(
        matches!(&error, Error::NotReached { said, .. } if said.ends_with("No route to host")),
        "{error:?}"
    );
    assert_eq!(calls(), 9);
    // What has been started there may have done its work: it is not started twice.
    let output = computer.run(&["sh", "-c", "echo x >&2; exit 255"], "", LIMIT);
    assert!(
        matches!(output, Err(Error::NotReached { .. })),
        "{output:?}"
    );
    assert_eq!(calls(), 10);
}

#[test]
fn a_computer_that_is_not_reached_is_not_a_program_that_failed() {
    let (played, computer) = over_ssh();
    let say = |text: &str| fs::write(played.path().join("err"), text).expect("written");
    say("ssh: connect to host server2 port 2222: Connection refused\n");
    let error = computer.run(&["true"], "", LIMIT).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "cannot get into `ssh://me@server2:2222` by ssh: ssh: connect to host server2 port 2222: Connection refused"
    );
    let error = computer.get("/etc/hostname", LIMIT).expect_err("refused");
    assert!(matches!(error, Error::NotReached { .. }), "{error:?}");
    say("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.\n");
    let error = computer
        .put("/nowhere", 0o600, "secret", LIMIT)
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        "the host key of `ssh://me@server2:2222` is another one than before: nothing was sent to it"
    );
    let list = played.path().join("known hosts");
    assert_eq!(
        error.hint("the tool").expect("a hint"),
        format!(
            "if you have made it anew: `ssh-keygen -R '[server2]:2222' -f '{}'`",
            list.display()
        )
    );
    let args = fs::read_to_string(played.path().join("args")).expect("noted");
    assert!(!args.contains("secret"), "{args}");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error = Computer::Here
        .run(&["caravan-no-such-program"], "", LIMIT)
        .expect_err("not there");
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    assert_eq!(
        error.hint("the tool").expect("a hint"),
        "`the tool doctor` lists what is missing, `the tool setup` installs it"
    );
}
