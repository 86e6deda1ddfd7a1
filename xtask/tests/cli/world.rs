//! A workspace of its own for each test.

use std::fs;
use std::path::{Path, PathBuf};

use caravan_process::{Call, Program};
use tempfile::TempDir;

/// A folder with labs, a search path that holds nothing but fakes, and a home.
pub(crate) struct World {
    root: TempDir,
}

/// How a run ended, with what differs from run to run taken out.
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The tool.
const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// The lab of the tests: each role, two servers, a subnet that no real lab here has.
pub(crate) const LAB: &str = r#"domain = "example.com"
kubernetes = "1.36"
subnet = "10.213.7.0/24"

[servers.server1]
[servers.server2]

[[machines]]
name = "etcdone"
role = "etcd"
server = "server2"
ip = "10.213.7.61"
memory_mib = 1024
cpus = 1

[[machines]]
name = "masterone"
role = "control-plane"
server = "server1"
ip = "10.213.7.51"
memory_mib = 2048
cpus = 2

[[machines]]
name = "workerone"
role = "worker"
server = "server2"
ip = "10.213.7.71"
memory_mib = 1024
cpus = 1
"#;

impl World {
    pub(crate) fn new() -> Self {
        let world = Self {
            root: tempfile::tempdir().expect("a folder"),
        };
        for folder in ["labs", "bin", "state", "home", "cache"] {
            fs::create_dir(world.path(folder)).expect("made");
        }
        for fake in ["docker", "ssh", "vagrant"] {
            world.install(fake);
        }
        world.write("labs/small.toml", LAB);
        world
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("made");
        }
        fs::write(path, text).expect("written");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// Puts a fake on the search path.
    pub(crate) fn install(&self, fake: &str) {
        self.install_as(fake, fake);
    }

    /// Puts a fake on the search path under the name of the program that it plays.
    pub(crate) fn install_as(&self, fake: &str, program: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = [root.join("tests/fakes"), root.join("../fakes")];
        let from = folders
            .iter()
            .map(|folder| folder.join(fake))
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("no fake `{fake}`"));
        self.executable(program, fs::read(from).expect("read"));
    }

    /// Puts a shell script on the search path, in the place of what has its name.
    pub(crate) fn script(&self, name: &str, text: &str) {
        self.executable(name, format!("#!/bin/sh\n{text}\n"));
    }

    /// By another process: what a thread of this one writes cannot be started while a program that another thread has just
    /// forked still holds the file ("text file busy").
    fn executable(&self, name: &str, content: impl Into<Vec<u8>>) {
        let path = self.path("bin").join(name);
        let path = path.to_str().expect("it is text");
        Program::at("/bin/sh")
            .call([
                "-c",
                "rm -f \"$0\" && cat >\"$0\" && chmod 755 \"$0\"",
                path,
            ])
            .stdin(content)
            .run()
            .expect("written");
    }

    /// A machine that was made by a run of long ago.
    pub(crate) fn has_machine(&self, name: &str, server: &str, state: &str) {
        self.write(
            &format!("state/containers/{name}"),
            &format!("small {server} {state}\n"),
        );
        self.write(
            &format!(".lab/small/{server}/.vagrant/machines/{name}/docker/id"),
            &format!("id-{name}"),
        );
        self.write(&format!(".lab/small/deployed/machines/{name}/etc/x"), "");
    }

    /// All machines of the lab, made long ago and halted.
    pub(crate) fn has_all_halted(&self) {
        for (machine, server) in [
            ("etcdone", "server2"),
            ("masterone", "server1"),
            ("workerone", "server2"),
        ] {
            self.has_machine(machine, server, "exited");
        }
    }

    /// Holds that `status` says what is under way, in these words.
    pub(crate) fn assert_under_way(&self, words: &str) {
        self.has_all_halted();
        let ended = self.run(&["status", "small"]);
        assert_eq!(ended.status, Some(3), "{}", ended.stderr);
        assert!(ended.stdout.contains(words), "{}", ended.stdout);
    }

    /// Holds that `args` are refused while a machine is being replaced.
    pub(crate) fn assert_refused_beside_a_replacement(&self, args: &[&str]) {
        self.write(
            ".lab/small/operation.json",
            r#"{"verb":"replace","machine":"etcdone","host_keys":[],"since":"2026-11-21T12:00:00Z"}"#,
        );
        let ended = self.run(args);
        assert_eq!(ended.status, Some(1));
        let words = "the replacement of `etcdone` has been under way";
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }

    /// Lists the lab's machines in Vagrant's index, beside one of somebody else's; returns the index.
    pub(crate) fn remembers_machines(&self) -> PathBuf {
        let entry = |name: &str, project: &Path| serde_json::json!({"name": name, "vagrantfile_path": project, "state": "running"});
        let ours =
            |server: &str| fs::canonicalize(self.path(".lab/small").join(server)).expect("made");
        let index = serde_json::json!({"version": 1, "machines": {
            "a": entry("etcdone", &ours("server2")),
            "b": entry("masterone", &ours("server1")),
            "c": entry("workerone", &ours("server2")),
            "d": entry("masterone", Path::new("/elsewhere")),
        }});
        let path = "home/.vagrant.d/data/machine-index/index";
        self.write(path, &index.to_string());
        self.path(path)
    }

    /// A volume that a machine of this workspace wrote to; the machine may be gone.
    pub(crate) fn has_volume(&self, machine: &str, holds: &str) {
        let project = self.path(".lab/small/server2");
        self.write(
            &format!("state/volumes/caravan.small.{machine}.{holds}"),
            &format!("small {machine} {holds} {}\n", project.display()),
        );
    }

    /// What the engine was asked by `docker VERB`, oldest first, one a line.
    pub(crate) fn engine_calls(&self, verb: &str) -> String {
        let begin = format!("{verb} ");
        let calls = self.filtered(&self.read("state/docker-calls"));
        let lines = calls.lines().filter(|line| line.starts_with(&begin));
        lines.map(|line| format!("docker {line}\n")).collect()
    }

    /// A machine that another workspace, the one at `folder`, made of a lab with the same name.
    pub(crate) fn has_machine_of(&self, folder: &str, name: &str, server: &str) {
        let project = format!("{folder}/.lab/small/{server}");
        self.write(&format!("{project}/Vagrantfile"), "");
        let project = self.path(&project);
        self.write(
            &format!("state/containers/{name}"),
            &format!("small {server} running {}\n", project.display()),
        );
    }

    /// The lab `small` as `plan --write` and a good `up` leave it.
    pub(crate) fn is_up(&self) {
        let ended = self.run(&[
            "plan",
            "small",
            "--write",
            "--image",
            "caravan-machine:test",
        ]);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        self.has_machine("etcdone", "server2", "running");
        self.has_machine("masterone", "server1", "running");
        self.has_machine("workerone", "server2", "running");
    }

    /// Moves the lab's servers to another computer, which the fake ssh plays too: then no address is dialled here.
    pub(crate) fn is_elsewhere(&self) {
        let text = LAB
            .replace(
                "[servers.server1]",
                "[servers.server1]\nhost = \"ssh://me@other\"\nbridge = \"eth0\"\naddress = \"10.213.7.11\"",
            )
            .replace(
                "[servers.server2]",
                "[servers.server2]\nhost = \"ssh://me@other\"\nbridge = \"eth0\"\naddress = \"10.213.7.11\"",
            )
            .replace(
                "kubernetes =",
                "provider = \"libvirt\"\nemulated = false\nkubernetes =",
            );
        self.write("labs/small.toml", &text);
        let ended = self.run(&["plan", "small", "--write", "--image", "box"]);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }

    pub(crate) fn call(&self, args: &[&str]) -> Call {
        self.dress(Program::at(XTASK).call(args))
    }

    /// Gives `call` the folder and the environment of this world; a shell finds the tool in `$XTASK`.
    pub(crate) fn dress(&self, call: Call) -> Call {
        let mut call = call
            .dir(self.root.path())
            .env("XTASK", XTASK)
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("XDG_STATE_HOME", self.path("home/state"))
            // Not there, so that no connection is shared by a socket whose path would differ from run to run.
            .env("XDG_RUNTIME_DIR", self.path("no-runtime"))
            .env("CARAVAN_CACHE", self.path("cache"))
            .env("FAKE_ROOT", self.root.path())
            .env("FAKE_STATE", self.path("state"))
            .env("FAKE_BIN", self.path("bin"));
        for name in [
            "CARAVAN_ROOT",
            "CARAVAN_SOURCE",
            "CARAVAN_BASE",
            "CARAVAN_AIRGAP",
            "CARAVAN_PROVIDER",
            "CARAVAN_IMAGE",
            "CARAVAN_EMULATED",
            "KUBECONFIG",
            "NO_COLOR",
        ] {
            call = call.env_remove(name);
        }
        call
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        let output = self.call(args).output().expect("the tool starts");
        Ended {
            status: output.status,
            stdout: self.filtered(&output.stdout),
            stderr: self.filtered(&output.stderr),
        }
    }

    /// How the fakes were called, oldest first; forgets it.
    pub(crate) fn calls(&self) -> String {
        let calls = self.filtered(&self.read("state/calls"));
        drop(fs::remove_file(self.path("state/calls")));
        calls
    }

    /// `text` without what differs from run to run: folders, times, process ids.
    pub(crate) fn filtered(&self, text: &str) -> String {
        let root = self.root.path().display().to_string();
        let text = text
            .replace(&format!("{root}/"), "")
            .replace(&root, "[ROOT]");
        let lines: Vec<String> = text.lines().map(without_times).collect();
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// `line` with `[T]` for each number of seconds, and without the time that progress lines begin with.
fn without_times(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let mut kept: Vec<String> = Vec::new();
    for (place, word) in words.iter().enumerate() {
        let is_number = word.contains('.') && word.parse::<f64>().is_ok();
        let then_seconds = words
            .get(place + 1)
            .is_some_and(|next| next.trim_end_matches([';', ',']) == "s");
        if is_number && then_seconds {
            kept.push("[T]".to_owned());
        } else {
            kept.push((*word).to_owned());
        }
    }
    let line = kept.join(" ");
    match line.trim_start().strip_prefix("[T] s  ") {
        Some(rest) => format!("[T] s  {rest}"),
        None => line,
    }
}

/// Status, then both outputs, as one text to compare.
pub(crate) fn shown(ended: &Ended) -> String {
    let mut text = format!("status {:?}\n", ended.status.unwrap_or(-1));
    if !ended.stdout.is_empty() {
        text += &format!("--- stdout\n{}", ended.stdout);
    }
    if !ended.stderr.is_empty() {
        text += &format!("--- stderr\n{}", ended.stderr);
    }
    text
}
