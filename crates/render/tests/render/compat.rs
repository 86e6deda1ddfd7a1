//! What `container-compat` leaves in the volume that all nodes share: how the host becomes what it was.

use std::fs;
use std::path::Path;

use caravan_process::Program;
use tempfile::TempDir;

use crate::checkers::checker;

/// What the kernel says of a boot.
const BOOT: &str = "5b7a0c2e-0000-4000-8000-000000000001";

/// The script, as it is written on the volume.
fn put_back() -> String {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/usr/lib/caravan/container-compat");
    let text = fs::read_to_string(script).expect("read");
    let (_, rest) = text
        .split_once("share put-back <<'SCRIPT'\n")
        .expect("its beginning");
    let (script, _) = rest.split_once("\nSCRIPT\n").expect("its end");
    format!("{script}\n")
}

/// A volume with a record in it, and a kernel whose limit is `now`.
fn volume(record: Option<&str>, now: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("put-back", &put_back());
    write("boot", &format!("{BOOT}\n"));
    write("limit", &format!("{now}\n"));
    if let Some(record) = record {
        write("watchers", &format!("{record}\n"));
    }
    folder
}

/// Runs `script` in the volume with `$PUT_BACK`; what the limit is then, and whether the record is still there.
fn run(bash: &Program, volume: &TempDir, script: &str) -> (String, bool) {
    let at = |name: &str| volume.path().join(name);
    let output = bash
        .call(["-c", script])
        .dir(volume.path())
        .env("PUT_BACK", at("put-back"))
        .env("WATCHERS", at("limit"))
        .env("BOOT", at("boot"))
        .output()
        .expect("bash runs");
    assert!(output.success(), "{output:#?}");
    let limit = fs::read_to_string(at("limit")).expect("read");
    (limit.trim().to_owned(), at("watchers").exists())
}

#[test]
fn the_host_becomes_what_it_was() {
    let Some(bash) = checker("bash") else { return };
    let other_boot = BOOT.replace("0001", "0002");
    for (case, record, now, then) in [
        (
            "raised by machines",
            Some(format!("{BOOT} 128 1024")),
            "1024",
            "128",
        ),
        (
            "set by somebody since",
            Some(format!("{BOOT} 128 1024")),
            "512",
            "512",
        ),
        (
            "raised by somebody since",
            Some(format!("{BOOT} 128 1024")),
            "8192",
            "8192",
        ),
        (
            "raised before another boot",
            Some(format!("{other_boot} 128 1024")),
            "1024",
            "1024",
        ),
        (
            "recorded, then killed",
            Some(format!("{BOOT} 128 1024")),
            "128",
            "128",
        ),
        ("never raised", None, "1024", "1024"),
        ("an empty record", Some(String::new()), "1024", "1024"),
    ] {
        let volume = volume(record.as_deref().filter(|it| !it.is_empty()), now);
        if record.as_deref() == Some("") {
            fs::write(volume.path().join("watchers"), "").expect("written");
        }
        let (limit, _) = run(&bash, &volume, "sh \"$PUT_BACK\"");
        assert_eq!(limit, then, "{case}");
        // A second run finds nothing to do.
        let (limit, _) = run(&bash, &volume, "sh \"$PUT_BACK\"");
        assert_eq!(limit, then, "{case}, again");
    }
}

#[test]
fn nothing_is_put_back_while_a_machine_runs() {
    let Some(bash) = checker("bash") else { return };
    let volume = volume(Some(&format!("{BOOT} 128 1024")), "1024");
    let in_use = "exec 8>>in-use; flock --shared 8; sh \"$PUT_BACK\"";
    assert_eq!(run(&bash, &volume, in_use), ("1024".to_owned(), true));
    assert_eq!(
        run(&bash, &volume, "sh \"$PUT_BACK\""),
        ("128".to_owned(), false)
    );
}
