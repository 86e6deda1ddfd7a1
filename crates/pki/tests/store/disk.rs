//! Files that are halves, damaged, or open to others.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use caravan_pki::store::{EntryOutcome, Store};
use caravan_pki::{Error, Plan, PrivateKey, Reason, Secret};

use super::*;

#[test]
fn half_pairs() {
    let fixture = Fixture::new();
    let key = fixture.read("web.key");
    // A key alone is an interrupted run.
    fs::remove_file(fixture.path("web.crt")).unwrap();
    let made = fixture.store.ensure(&plan_of(web()), now()).unwrap();
    assert_eq!(
        changed(&made).unwrap().outcome,
        EntryOutcome::Made(Reason::Interrupted)
    );
    assert_eq!(fixture.read("web.key"), key);
    // A certificate of another key is an interrupted change of key.
    let other = PrivateKey::generate().unwrap();
    fs::write(fixture.path("web.key"), other.to_pkcs8_pem().as_bytes()).unwrap();
    let made = fixture.store.ensure(&plan_of(web()), now()).unwrap();
    assert_eq!(
        changed(&made).unwrap().outcome,
        EntryOutcome::Made(Reason::KeyMismatch)
    );
    assert_eq!(fixture.read("web.key"), *other.to_pkcs8_pem());
    // An authority's mismatch is never repaired.
    let ca_key = fixture.read("ca.key");
    fs::write(fixture.path("ca.key"), other.to_pkcs8_pem().as_bytes()).unwrap();
    let error = fixture.store.ensure(&plan_of(web()), now()).unwrap_err();
    assert!(error.to_string().contains("ca.crt"), "{error}");
    fs::write(fixture.path("ca.key"), ca_key).unwrap();
    // A certificate alone has lost its key.
    fs::remove_file(fixture.path("web.key")).unwrap();
    let error = fixture.store.ensure(&plan_of(web()), now()).unwrap_err();
    assert!(matches!(error, Error::KeyMissing { .. }), "{error}");
    assert!(error.hint().unwrap().contains("backup"));
}

#[test]
fn files_that_others_can_touch_are_refused() {
    let fixture = Fixture::new();
    let chmod = |file: &str, mode| {
        fs::set_permissions(fixture.path(file), fs::Permissions::from_mode(mode)).unwrap();
    };
    let ensure = || fixture.store.ensure(&plan_of(web()), now());
    for (file, bad, good) in [("web.key", 0o640, 0o600), ("web.crt", 0o664, 0o644)] {
        chmod(file, bad);
        let error = ensure().unwrap_err();
        assert!(
            matches!(error, Error::InsecurePermissions { .. }),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("chmod"));
        chmod(file, good);
        ensure().unwrap();
    }
    fs::rename(fixture.path("web.key"), fixture.path("elsewhere")).unwrap();
    symlink(fixture.path("elsewhere"), fixture.path("web.key")).unwrap();
    assert!(ensure().is_err(), "a symbolic link is not followed");

    chmod("", 0o777);
    assert!(Store::open(fixture.path("")).is_err());
}

#[test]
fn secrets_cut_short_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut plan = Plan::new();
    plan.secret("token", Secret::BootstrapToken).unwrap();
    let made = store.ensure(&plan, now()).unwrap();
    let token = made.material().secret("token").unwrap().to_owned();
    assert_eq!(store.load(&plan).unwrap().secret("token").unwrap(), token);
    fs::write(folder.path().join("token.secret"), &token[..10]).unwrap();
    let error = store.ensure(&plan, now()).unwrap_err();
    assert!(!format!("{error:?}").contains(&token[..10]), "{error:?}");
}

/// Modes do not depend on the umask, which is the process's: a child each.
#[test]
fn under_any_umask() {
    const FOLDER: &str = "CARAVAN_PKI_UMASK_FOLDER";
    if let Ok(folder) = std::env::var(FOLDER) {
        let mut plan = plan_of(web());
        plan.key_pair("deep/er/sa").unwrap();
        plan.secret("secrets/token", Secret::Hex(8)).unwrap();
        Store::open(folder).unwrap().ensure(&plan, now()).unwrap();
        return;
    }
    for umask in ["000", "077", "022"] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("pki");
        let script = format!("umask {umask}; exec \"$0\" --exact disk::under_any_umask");
        duct::cmd(
            "sh",
            [
                "-c",
                &script,
                std::env::current_exe().unwrap().to_str().unwrap(),
            ],
        )
        .env(FOLDER, &root)
        .stdout_null()
        .run()
        .unwrap();
        let mode = |file: &str| root.join(file).metadata().unwrap().mode() & 0o777;
        for folder in ["", "deep", "deep/er", "secrets"] {
            assert_eq!(mode(folder), 0o700, "{umask} {folder}");
        }
        for private in [
            "ca.key",
            "web.key",
            "deep/er/sa.key",
            "secrets/token.secret",
            ".lock",
        ] {
            assert_eq!(mode(private), 0o600, "{umask} {private}");
        }
        for public in ["ca.crt", "web.crt", "deep/er/sa.pub"] {
            assert_eq!(mode(public), 0o644, "{umask} {public}");
        }
    }
}
