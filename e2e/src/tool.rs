//! The tool under test, run as a user runs it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};

use caravan_process::{Call, Following, Program};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::memory;

/// `cargo xtask` in this workspace, and Vagrant beside it.
pub struct Tool {
    root: PathBuf,
    xtask: Program,
    /// What differs from this process's environment.
    env: Vec<(String, PathBuf)>,
}

/// How a run of the tool ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status.
    pub status: Option<i32>,
    /// Standard output: data.
    pub stdout: String,
    /// Standard error: progress.
    pub stderr: String,
}

impl Ended {
    /// Standard output as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}):\n{}\n{}", self.stdout, self.stderr))
    }

    /// What it printed, as the type that it was written from.
    ///
    /// # Panics
    ///
    /// When it is something else.
    pub fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in:\n{}\n{}", self.stdout, self.stderr))
    }
}

impl Tool {
    /// Builds the tool, and has this computer's memory as whole as before that.
    ///
    /// # Panics
    ///
    /// When it does not build.
    pub fn build() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("e2e lies in the workspace")
            .to_owned();
        Program::find("cargo")
            .and_then(|cargo| {
                cargo
                    .call(["build", "--quiet", "--package", "xtask"])
                    .dir(&root)
                    .run()
            })
            .unwrap_or_else(|error| panic!("{error}"));
        memory::put_together();
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |dir| root.join(dir));
        Self {
            xtask: Program::at(target.join("debug/xtask")),
            env: Vec::new(),
            root,
        }
    }

    /// The same tool for a user whose environment has `name` set to a path.
    #[must_use]
    pub fn with_env(&self, name: &str, path: &Path) -> Self {
        let mut env = self.env.clone();
        env.push((name.to_owned(), path.to_owned()));
        Self {
            root: self.root.clone(),
            xtask: self.xtask.clone(),
            env,
        }
    }

    fn dressed(&self, call: Call) -> Call {
        self.env
            .iter()
            .fold(call, |call, (name, path)| call.env(name, path))
    }

    /// The workspace's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The built program.
    pub fn program(&self) -> &Path {
        self.xtask.path()
    }

    /// The state folder of a lab.
    pub fn state(&self, lab: &str) -> PathBuf {
        self.root.join(".lab").join(lab)
    }

    /// Runs a verb to its end, whatever its exit status, and shows what it printed.
    ///
    /// # Panics
    ///
    /// When the tool cannot be started.
    pub fn run(&self, args: &[&str]) -> Ended {
        println!("\n$ cargo xtask {}", args.join(" "));
        let output = self
            .dressed(self.xtask.call(args))
            .dir(&self.root)
            .output()
            .unwrap_or_else(|error| panic!("{error}"));
        println!("{}{}", output.stderr, output.stdout);
        println!("(status {:?})", output.status);
        Ended {
            status: output.status,
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }

    /// Runs a verb that must succeed.
    ///
    /// # Panics
    ///
    /// When it does not exit with status 0.
    pub fn ok(&self, args: &[&str]) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.status, Some(0), "`cargo xtask {}`", args.join(" "));
        ended
    }

    /// Starts a verb in the background; dropping the first value kills the tool as `kill -9` does.
    ///
    /// # Panics
    ///
    /// When the tool cannot be started.
    pub fn start(&self, args: &[&str]) -> (Following, Receiver<String>) {
        println!("\n$ cargo xtask {} &", args.join(" "));
        let (lines, received) = channel();
        let following = self
            .dressed(self.xtask.call(args))
            .dir(&self.root)
            .follow(move |line| {
                println!("{line}");
                // The test may have stopped listening; the tool goes on all the same.
                drop(lines.send(line.to_owned()));
            })
            .unwrap_or_else(|error| panic!("{error}"));
        (following, received)
    }

    /// Runs Vagrant itself in the folder of a lab's server, as a user without this tool does.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn vagrant(&self, lab: &str, server: &str, args: &[&str]) {
        println!("\n$ cd .lab/{lab}/{server} && vagrant {}", args.join(" "));
        let output = Program::find("vagrant")
            .and_then(|vagrant| {
                let call = vagrant.call(args).dir(self.state(lab).join(server));
                self.dressed(call).run()
            })
            .unwrap_or_else(|error| panic!("{error}"));
        println!("{}{}", output.stdout, output.stderr);
    }
}
