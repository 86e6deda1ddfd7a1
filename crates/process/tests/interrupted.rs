//! What an interrupt does to calls. It is noted for the whole process, so one test has it to itself.
#![allow(missing_docs)]

use std::os::unix::fs::PermissionsExt;

use caravan_process::{Error, Program, interrupt};

#[test]
fn asked_to_stop_and_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let script = |name: &str, body: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Program::at(path).call([""; 0])
    };
    let fails = script("fails", "exit 1");
    let error = fails.clone().run().unwrap_err();
    assert!(matches!(error, Error::Failed(_)), "{error}");

    // A child that ends badly now was most likely interrupted itself.
    interrupt::raise();
    assert!(interrupt::raised() && !interrupt::urgent());
    let error = fails.run().unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    // It may end in its own way.
    let (log, mut lines) = (dir.path().join("log"), Vec::new());
    let error = script("ends", "trap '' INT; sleep 0.3; echo ended")
        .logged(&log, &mut |line| lines.push(line.to_owned()))
        .unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    assert_eq!(lines, ["ended"]);

    // Asked again, it is not waited for.
    interrupt::raise();
    assert!(interrupt::urgent());
    let error = script("deaf", "trap '' INT; sleep 600")
        .logged(&log, &mut |_| {})
        .unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
}
