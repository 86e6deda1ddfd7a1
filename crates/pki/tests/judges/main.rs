//! Other implementations judge what this crate makes.
//!
//! A judge that is not installed is skipped, unless `CARAVAN_REQUIRE_CHECKERS=1` makes all of them mandatory.

#[path = "../openssl/mod.rs"]
mod ask_openssl;

mod differential;
mod etcd;
mod foreign;
mod forge;
mod forms;
mod go;
mod kubeadm;
mod openssh;
mod openssl;
mod pkilint;
mod python;
mod requests;
mod strange_authorities;
mod strangers;
mod workshop;

use std::path::{Path, PathBuf};

/// The program's path, if it is installed; panics if it is not but must be.
fn judge(program: &str) -> Option<PathBuf> {
    let found = which::which(program).ok();
    if found.is_none() {
        missing(program);
    }
    found
}

/// Says that a judge is not there; panics if it must be.
fn missing(program: &str) {
    let required = std::env::var_os("CARAVAN_REQUIRE_CHECKERS").is_some_and(|value| value == "1");
    assert!(
        !required,
        "`{program}` is not installed, and CARAVAN_REQUIRE_CHECKERS=1 requires it"
    );
    eprintln!("skipped: `{program}` is not installed");
}

/// A program of a Kubernetes bundle: on the search path, or in the folder that `CARAVAN_JUDGES` names, where it must be.
fn bundled(program: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("CARAVAN_JUDGES") {
        let path = PathBuf::from(folder).join(program);
        assert!(path.is_file(), "`{}` is missing", path.display());
        return Some(path);
    }
    let found = which::which(program).ok();
    if found.is_none() {
        eprintln!("skipped: `{program}` is not installed, and CARAVAN_JUDGES names no folder");
    }
    found
}

/// What a program answered: whether it exited with 0, and both outputs.
fn run(program: &Path, args: &[&str], input: &str) -> (bool, String) {
    let output = duct::cmd(program, args)
        .stdin_bytes(input.as_bytes())
        .env("LC_ALL", "C")
        .stderr_to_stdout()
        .stdout_capture()
        .unchecked()
        .run()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}
