//! Whole verbs against stand-ins for `vagrant`, `docker` and `ssh`, found by their program path.
//!
//! The stand-ins are files of the repository and not written by the tests: a program that one thread has just written
//! cannot always be started by another ("text file busy").
#![allow(missing_docs)]

#[path = "fake/programs.rs"]
mod programs;

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use caravan_process::Program;
use caravan_vagrant::output::VagrantEvent;
use caravan_vagrant::ssh::{Remote, Ssh};
use caravan_vagrant::{Error, Up, Vagrant, Version};
use programs::Fake;

const UP: &str = include_str!("samples/up-mr.txt");
const FAIL: &str = include_str!("samples/provision-fail-mr.txt");
const LOCKED: &str = include_str!("samples/locked-mr.txt");
const RACE: &str = "1,,error-exit,VagrantPlugins::DockerProvider::Errors::ExecuteError,Stderr: Error: No such object: 0123\n";

#[test]
fn up_runs_in_the_groups_folder_and_tells_what_happens() {
    let fake = Fake::of("vagrant");
    fake.play(0, UP, 0);
    let told = fake
        .up(&Up {
            provider: Some("docker"),
            machines: &["one", "two"],
            provision: true,
        })
        .expect("it succeeds");
    assert_eq!(told[1], VagrantEvent::Starts("up".to_owned()));
    assert_eq!(told.last(), Some(&VagrantEvent::Ends("up".to_owned())));
    assert_eq!(
        fake.args(0),
        [
            "up",
            "--machine-readable",
            "--no-destroy-on-error",
            "--provider",
            "docker",
            "--provision",
            "one",
            "two"
        ]
    );
    let folder = PathBuf::from(fake.read("calls/0.folder").trim());
    assert!(folder.ends_with("group"), "{}", folder.display());
    let log = fake.read("log");
    assert!(log.contains("one: Machine booted and ready!\n"), "{log}");
    assert!(
        !log.contains("VAGRANT_COMMA") && !log.contains(",ui,"),
        "{log}"
    );
    let left = fs::read_dir(fake.folder.path()).expect("a folder");
    let left: Vec<_> = left
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".vagrant-"))
        .collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn verbs_have_their_arguments() {
    let fake = Fake::of("vagrant");
    let (group, log) = (fake.group(), fake.path("log"));
    group.halt(&["one"], &log, &mut |_| {}).expect("halted");
    group.destroy(&[], &log, &mut |_| {}).expect("destroyed");
    group
        .provision(&["two"], &log, &mut |_| {})
        .expect("provisioned");
    group.validate().expect("valid");
    let all: Vec<String> = (0..4).map(|call| fake.args(call).join(" ")).collect();
    assert_eq!(
        all,
        [
            "halt --machine-readable one",
            "destroy --machine-readable --force --parallel",
            "provision --machine-readable two",
            "validate --machine-readable",
        ]
    );
}

#[test]
fn vagrant_apart_takes_nothing_of_the_users() {
    let fake = Fake::of("vagrant");
    let dir = fake.path("group");
    fs::create_dir_all(&dir).expect("a folder");
    let home = fake.path("own home");
    let vagrant = Vagrant::at(fake.program()).expect("recent enough");
    let log = fake.path("log");
    vagrant
        .group(&dir)
        .halt(&[], &log, &mut |_| {})
        .expect("halted");
    let apart = vagrant.apart(&home).expect("a home is made");
    apart
        .group(&dir)
        .halt(&[], &log, &mut |_| {})
        .expect("halted");
    let environment = |call: usize| -> Vec<String> {
        let text = fake.read(&format!("calls/{call}.env"));
        text.lines()
            .filter(|line| {
                line.starts_with("VAGRANT_HOME=") || line.starts_with("VAGRANT_NO_PLUGINS=")
            })
            .map(ToOwned::to_owned)
            .collect()
    };
    // Plugins of virtual machines are the user's, and stay.
    assert!(
        environment(0)
            .iter()
            .all(|line| !line.starts_with("VAGRANT_NO_PLUGINS="))
    );
    assert_eq!(
        environment(1),
        [
            format!("VAGRANT_HOME={}", home.display()),
            "VAGRANT_NO_PLUGINS=1".to_owned()
        ]
    );
    assert!(home.is_dir() && !home.join("Vagrantfile").exists());
}

#[test]
fn a_refusal_has_its_class_and_the_last_words() {
    let fake = Fake::of("vagrant");
    fake.play(0, FAIL, 1);
    let error = fake.up(&Up::default()).expect_err("it fails");
    let Error::Refused {
        class,
        text,
        said,
        log,
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(class, "Vagrant::Errors::VagrantError");
    assert!(text.starts_with("The SSH command responded with a non-zero exit status."));
    assert!(
        said.contains(&"two: Running: inline script".to_owned()),
        "{said:?}"
    );
    assert_eq!(log.as_deref(), Some(fake.path("log").as_path()));
    assert!(error.hint("the tool").expect("a hint").contains("log"));
}

#[test]
fn a_failure_without_a_word_of_vagrants_own_keeps_what_was_said() {
    let fake = Fake::of("vagrant");
    fake.play(0, "/usr/bin/ruby: cannot load such file\n", 1);
    let error = fake.up(&Up::default()).expect_err("it fails");
    assert!(
        error.to_string().contains("cannot load such file"),
        "{error}"
    );
    let log = fake.path("log").display().to_string();
    assert!(
        error
            .hint("the tool")
            .expect("a hint")
            .contains(&format!("`{log}`"))
    );
}

#[test]
fn a_lock_is_waited_for_and_a_race_is_run_again() {
    for trouble in [LOCKED, RACE] {
        let fake = Fake::of("vagrant");
        fake.play(0, trouble, 1);
        fake.play(1, UP, 0);
        fake.up(&Up::default()).expect("the second one succeeds");
        assert!(fake.path("calls/1.args").exists());
        assert!(!fake.path("calls/2.args").exists());
    }
}

#[test]
fn a_race_that_does_not_end_is_an_error() {
    let fake = Fake::of("vagrant");
    fake.play(0, RACE, 1);
    let error = fake.up(&Up::default()).expect_err("it never succeeds");
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(fake.path("calls/2.args").exists() && !fake.path("calls/3.args").exists());
}

#[test]
fn other_refusals_are_not_tried_again() {
    let fake = Fake::of("vagrant");
    fake.play(0, FAIL, 1);
    fake.up(&Up::default()).expect_err("it fails");
    assert!(!fake.path("calls/1.args").exists());
}

#[test]
fn an_old_or_strange_vagrant_is_refused() {
    let fake = Fake::of("vagrant");
    fake.write("version", "Vagrant 2.2.19\n");
    let error = Vagrant::at(fake.program()).expect_err("too old");
    assert!(
        matches!(error, Error::TooOld { found } if found == Version::new(2, 2, 19)),
        "{error:?}"
    );
    fake.write("version", "hello\n");
    let error = Vagrant::at(fake.program()).expect_err("no version");
    assert!(matches!(error, Error::NoVersion { .. }), "{error:?}");
    let error = Vagrant::at(fake.path("missing")).expect_err("nothing there");
    assert!(matches!(error, Error::Process(_)), "{error:?}");
}

#[test]
fn what_vagrant_remembers_is_read_from_its_folder() {
    let fake = Fake::of("vagrant");
    let group = fake.group();
    assert_eq!(group.remembers("one", "docker"), None);
    let note = group.dir().join(".vagrant/machines/one/docker");
    fs::create_dir_all(&note).expect("a folder");
    fs::write(note.join("id"), "0123\n").expect("written");
    assert_eq!(group.remembers("one", "docker").as_deref(), Some("0123"));
    assert_eq!(group.remembers("one", "libvirt"), None);
}

/// Runs one test of this file in a process of its own, whose environment misleads.
#[test]
fn the_users_environment_is_not_used() {
    let own = std::env::current_exe().expect("a path");
    let output = Program::at(own)
        .call([
            "--exact",
            "inner_up_in_a_misleading_environment",
            "--ignored",
        ])
        .env("VAGRANT_CWD", "/nowhere")
        .env("VAGRANT_DOTFILE_PATH", "/nowhere")
        .env("VAGRANT_VAGRANTFILE", "Other")
        .env("VAGRANT_DEFAULT_PROVIDER", "virtualbox")
        .env("VAGRANT_FORCE_COLOR", "1")
        .env("RUBYOPT", "-w")
        .env("LC_ALL", "de_DE.UTF-8")
        .run();
    let output = output.unwrap_or_else(|error| panic!("{error}"));
    assert!(output.stdout.contains("1 passed"), "{}", output.stdout);
}

#[test]
#[ignore = "run by the_users_environment_is_not_used"]
fn inner_up_in_a_misleading_environment() {
    assert_eq!(std::env::var("VAGRANT_CWD").as_deref(), Ok("/nowhere"));
    let fake = Fake::of("vagrant");
    fake.up(&Up::default()).expect("it succeeds");
    let seen = fake.read("calls/0.env");
    let ours: Vec<&str> = seen
        .lines()
        .filter(|line| {
            ["VAGRANT_", "RUBYOPT", "LC_ALL"]
                .iter()
                .any(|name| line.starts_with(name))
        })
        .collect();
    assert_eq!(
        ours,
        [
            "LC_ALL=C.UTF-8",
            "VAGRANT_BOX_UPDATE_CHECK_DISABLE=1",
            "VAGRANT_CHECKPOINT_DISABLE=1",
            "VAGRANT_NO_COLOR=1",
        ]
    );
}

fn remote(fake: &Fake) -> Remote {
    Ssh::with(Program::at(fake.program()), "id", "known").to(Ipv4Addr::LOCALHOST, None)
}

#[test]
fn a_script_goes_through_the_input() {
    let fake = Fake::of("ssh");
    fake.write("out", "answer\n");
    fake.write("status", "3");
    let output = remote(&fake)
        .script("secret=1", Duration::from_secs(10))
        .expect("it runs");
    assert_eq!(
        (output.stdout.as_str(), output.status),
        ("answer\n", Some(3))
    );
    assert_eq!(fake.read("input"), "{\nsecret=1\n} </dev/null\n");
    let args = fake.read("args");
    assert!(!args.contains("secret"), "{args}");
    assert!(
        args.ends_with("vagrant@127.0.0.1\n--\nsudo\n-n\nbash\n-s\n"),
        "{args}"
    );
}

#[test]
fn a_machine_that_does_not_let_us_in_is_not_an_answer() {
    let fake = Fake::of("ssh");
    fake.write("err", "vagrant@127.0.0.1: Permission denied (publickey).\n");
    fake.write("status", "255");
    let error = remote(&fake)
        .run(&["true"], Duration::from_secs(10))
        .expect_err("refused");
    assert!(
        matches!(&error, Error::NotReached { said, .. } if said.contains("Permission denied")),
        "{error:?}"
    );
}

#[test]
fn a_way_that_cannot_be_opened_is_an_error_and_not_a_wait() {
    let fake = Fake::of("ssh");
    fake.write(
        "err",
        "ssh: connect to host 127.0.0.1 port 22: Connection refused\n",
    );
    fake.write("status", "255");
    let error = remote(&fake).forward("127.0.0.1:1").err().expect("no way");
    assert!(matches!(error, Error::NotReached { .. }), "{error:?}");
}
