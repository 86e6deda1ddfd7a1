//! What is asked of Vagrant on another computer, over a stand-in for ssh.
#![allow(missing_docs)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use caravan_process::{
    CONNECT_SECONDS, Computer, Pace, Program, SshAccess, SshComputer, UnknownHost,
};
use caravan_vagrant::output::VagrantEvent;
use caravan_vagrant::{Error, MachineState, Up, Vagrant, at_work_on, notes};
use tempfile::TempDir;

struct World {
    folder: TempDir,
    computer: Computer,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("../process/tests/fake/ssh");
        symlink(fake, folder.path().join("ssh")).expect("a link");
        let access = SshAccess {
            identity: None,
            known_hosts: folder.path().join("known_hosts"),
            unknown_host: UnknownHost::Refuse,
            through: None,
            connect_seconds: CONNECT_SECONDS,
            connect_attempts: 1,
            pace: Pace::USUAL,
            shared: None,
        };
        let program = Program::at(folder.path().join("ssh"));
        let computer = Computer::Ssh(SshComputer::new(program, "me@server2", access));
        Self { folder, computer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a program on the search path of the other computer; by another process, for what a thread has just written
    /// cannot always be started.
    fn program(&self, name: &str, script: &str) {
        let path = self.path(name);
        Program::at("/bin/sh")
            .call(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
            .arg(path)
            .stdin(format!("#!/bin/sh\n{script}\n"))
            .run()
            .expect("written");
    }
}

#[test]
fn what_vagrant_says_there_is_heard_here_and_kept() {
    let world = World::new();
    world.program(
        "vagrant",
        "[ \"$1\" = --version ] && { echo Vagrant 2.3.4; exit 0; }\n\
         pwd >\"$FOLDER/cwd\"; env | grep ^VAGRANT >\"$FOLDER/env\"; echo \"$*\" >\"$FOLDER/words\"\n\
         echo '1,one,action,up,start'; echo '2,one,ui,info,hello'; echo '3,one,action,up,end'"
            .replace("$FOLDER", &world.folder.path().display().to_string())
            .as_str(),
    );
    let project = world.path("it's a project");
    fs::create_dir(&project).expect("made");
    let vagrant = Vagrant::on(&world.computer).expect("there is one");
    let vagrant = vagrant.apart(world.path("vagrant.d")).expect("made");
    let log = world.path("log");
    let mut heard = Vec::new();
    let up = Up {
        provider: Some("docker"),
        machines: &["one"],
        provision: true,
    };
    vagrant
        .group(&project)
        .up(&up, &log, &mut |line| heard.push(line.what.clone()))
        .expect("it succeeds");
    assert_eq!(heard.first(), Some(&VagrantEvent::Starts("up".to_owned())));
    assert_eq!(heard.last(), Some(&VagrantEvent::Ends("up".to_owned())));
    assert!(
        fs::read_to_string(&log)
            .expect("kept")
            .contains("one: hello\n")
    );
    let read = |name: &str| fs::read_to_string(world.path(name)).expect("noted");
    assert_eq!(read("cwd").trim(), project.display().to_string());
    assert!(read("words").starts_with("up --machine-readable"));
    let home = format!("VAGRANT_HOME={}", world.path("vagrant.d").display());
    assert!(read("env").contains(&home));
}

#[test]
fn a_vagrant_that_gives_up_there_says_why_here() {
    let world = World::new();
    world.program(
        "vagrant",
        "[ \"$1\" = --version ] && { echo Vagrant 2.3.4; exit 0; }\n\
         echo '1,,error-exit,Vagrant::Errors::VagrantError,it is broken'; exit 1",
    );
    let project = world.path("project");
    fs::create_dir(&project).expect("made");
    let vagrant = Vagrant::on(&world.computer).expect("there is one");
    let error = vagrant
        .group(&project)
        .up(&Up::default(), &world.path("log"), &mut |_| {})
        .expect_err("it gave up");
    assert!(
        matches!(&error, Error::Refused { class, text, .. } if class.ends_with("VagrantError") && text == "it is broken"),
        "{error:?}"
    );
    assert!(error.to_string().contains("ssh me@server2"), "{error}");
}

#[test]
fn machines_that_are_gone_are_forgotten_there() {
    let world = World::new();
    let project = world.path("project");
    for name in ["one", "two"] {
        fs::create_dir_all(project.join(".vagrant/machines").join(name)).expect("made");
    }
    let home = world.path("users");
    fs::create_dir_all(home.join("data/machine-index")).expect("made");
    let index = home.join("data/machine-index/index");
    let entry = |name: &str, state: &str| serde_json::json!({"name": name, "vagrantfile_path": project, "state": state});
    let all = serde_json::json!({"version": 1, "machines": {"a": entry("one", "running"), "b": entry("two", "running")}});
    fs::write(&index, all.to_string()).expect("written");
    // As the user there has it: the stand-in hands its environment on, which this process may not change for all threads.
    world.program(
        "sh",
        &format!(
            "VAGRANT_HOME='{}'; export VAGRANT_HOME; exec /bin/sh \"$@\"",
            home.display()
        ),
    );
    notes::note_state(&world.computer, &project, &["two"], &MachineState::Stopped).expect("noted");
    notes::forget(&world.computer, &project, &["one"]).expect("forgotten");
    let text = fs::read_to_string(&index).expect("read");
    let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(found["machines"].as_object().expect("a table").len(), 1);
    assert_eq!(found["machines"]["b"]["state"], "stopped");
    assert!(!project.join(".vagrant/machines/one").exists());
    assert!(project.join(".vagrant/machines/two").exists());
    let mode = fs::metadata(&index).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn a_vagrant_at_work_there_is_seen() {
    let world = World::new();
    let project = world.path("project");
    fs::create_dir(&project).expect("made");
    assert_eq!(at_work_on(&world.computer, &project).expect("asked"), []);
    // Ends soon after it is killed, whoever holds its output.
    world.program("vagrant", "while :; do sleep 0.1; done");
    let working = Program::at(world.path("vagrant"))
        .call(["up", "--provision", "one"])
        .dir(&project)
        .follow(|_| {})
        .expect("it starts");
    let mut found = Vec::new();
    for _ in 0..100 {
        found = at_work_on(&world.computer, &project).expect("asked");
        if !found.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let commands: Vec<&str> = found.iter().map(|it| it.command.as_str()).collect();
    assert_eq!(commands, ["vagrant up --provision one"]);
    drop(working);
}
