//! Authorities in a store: replaced, renewed, rotated, below each other.

use std::fs;

use caravan_pki::store::{EntryOutcome, Rotation, Store, load_authority};
use caravan_pki::{
    Authority, AuthoritySpec, Certificate, Error, KeyPolicy, Lifetime, Plan, PrivateKey, Reason,
};

use super::*;

#[test]
fn another_authority_means_other_certificates() {
    let fixture = Fixture::new();
    for file in ["ca.crt", "ca.key"] {
        fs::remove_file(fixture.path(file)).unwrap();
    }
    let foreign = Authority::create(&AuthoritySpec::new(name("elsewhere")), now()).unwrap();
    let mut plan = plan_of(web());
    // Another one than the plan says: nothing is written.
    let error = fixture
        .store
        .import_authority(&plan, "ca", &foreign)
        .unwrap_err();
    assert!(
        matches!(
            &error,
            Error::AuthorityDiffers {
                field: "subject",
                ..
            }
        ),
        "{error}"
    );
    assert!(!fixture.path("ca.key").exists());
    plan.adopt("ca", foreign.certificate()).unwrap();
    let import = |authority| fixture.store.import_authority(&plan, "ca", authority);
    import(&foreign).unwrap();
    // The same again is no mistake, another one is.
    import(&foreign).unwrap();
    fs::remove_file(fixture.path("ca.crt")).unwrap();
    import(&foreign).unwrap();
    let other = Authority::create(&AuthoritySpec::new(name("elsewhere")), now()).unwrap();
    let error = import(&other).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    let made = fixture.store.ensure(&plan, now()).unwrap();
    assert_eq!(
        changed(&made).unwrap().outcome,
        EntryOutcome::Made(Reason::WrongIssuer)
    );
    assert_eq!(
        made.material()
            .authority("ca")
            .unwrap()
            .certificate()
            .common_names(),
        ["elsewhere"]
    );
}

#[test]
fn an_expired_authority_signs_nothing_and_can_be_renewed() {
    let fixture = Fixture::new();
    let later = now() + DAY * 4000;
    let plan = plan_of(web());
    let error = fixture.store.ensure(&plan, later).unwrap_err();
    assert!(
        matches!(&error, Error::InFile { source, .. } if matches!(**source, Error::Expired { .. })),
        "{error:?}"
    );
    let before = fixture.store.load(&plan).unwrap();
    fixture
        .store
        .renew_authority(&plan, "ca", Lifetime::AUTHORITY, later)
        .unwrap();
    let made = fixture.store.ensure(&plan, later).unwrap();
    let (old, new) = (
        before.authority("ca").unwrap(),
        made.material().authority("ca").unwrap(),
    );
    assert_eq!(old.key().public_key().pin(), new.key().public_key().pin());
    assert_ne!(old.certificate().serial(), new.certificate().serial());
    // What the old one signed is good under the new one.
    let web = before.identity("web").unwrap().certificate();
    assert!(web.is_signed_by(new.certificate()).unwrap());
}

#[test]
fn an_authority_is_loaded_from_safe_files_alone() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let fixture = Fixture::new();
    let load = |certificate: &str, key: &str| {
        load_authority(fixture.path(certificate), fixture.path(key), now())
    };
    let loaded = load("ca.crt", "ca.key").unwrap();
    assert_eq!(loaded.certificate_pem(), fixture.read("ca.crt"));
    symlink(fixture.path("ca.key"), fixture.path("link.key")).unwrap();
    let other = PrivateKey::generate().unwrap();
    fs::write(fixture.path("other.key"), other.to_pkcs8_pem().as_bytes()).unwrap();
    let chmod = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(fixture.path("other.key"), mode).unwrap();
    };
    chmod(0o644);
    let error = load("ca.crt", "other.key").unwrap_err();
    assert!(
        matches!(error, Error::InsecurePermissions { .. }),
        "{error}"
    );
    chmod(0o600);
    for (certificate, key, named) in [
        ("ca.crt", "missing", "missing"),
        ("ca.crt", "link.key", "link.key"),
        ("ca.crt", "other.key", "other.key"),
        ("ca.crt", "ca.crt", "ca.crt"),
        ("web.crt", "web.key", "web.crt"),
    ] {
        let error = load(certificate, key).unwrap_err().to_string();
        let path = fixture.path(named).display().to_string();
        assert!(error.contains(&format!("`{path}`")), "{error}");
    }
}

#[test]
fn rotation_in_three_steps() {
    let fixture = Fixture::new();
    let (store, plan) = (&fixture.store, plan_of(web()));
    let trust = || {
        let text = store.load(&plan).unwrap().trust_pem("ca").unwrap();
        caravan_pki::Certificate::all_from_pem(text.as_bytes()).unwrap()
    };
    let old = trust().remove(0);
    assert!(store.switch_rotation(&plan, "ca", now()).is_err());
    assert!(store.finish_rotation(&plan, "ca").is_err());

    store.start_rotation(&plan, "ca", now()).unwrap();
    store.start_rotation(&plan, "ca", now()).unwrap();
    assert_eq!(store.rotation(&plan, "ca").unwrap(), Rotation::Started);
    assert_eq!(trust().len(), 2);
    assert_eq!(trust()[0], old);
    let web = store
        .load(&plan)
        .unwrap()
        .identity("web")
        .unwrap()
        .certificate()
        .clone();
    assert!(web.is_signed_by(&old).unwrap());
    assert_eq!(store.ensure(&plan, now()).unwrap().changes().count(), 0);

    let made = store.switch_rotation(&plan, "ca", now()).unwrap();
    assert_eq!(
        changed(&made).unwrap().outcome,
        EntryOutcome::Made(Reason::WrongIssuer)
    );
    assert_eq!(store.rotation(&plan, "ca").unwrap(), Rotation::Switched);
    assert_eq!(trust().len(), 2);
    assert_eq!(trust()[1], old);
    assert_eq!(trust()[0].subject_shown(), old.subject_shown());
    assert!(store.start_rotation(&plan, "ca", now()).is_err());

    store.finish_rotation(&plan, "ca").unwrap();
    assert_eq!(store.rotation(&plan, "ca").unwrap(), Rotation::Idle);
    assert_eq!(trust().len(), 1);
    assert_eq!(store.ensure(&plan, now()).unwrap().changes().count(), 0);
}

#[test]
fn intermediates_make_chains() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut plan = Plan::new();
    plan.authority("root", AuthoritySpec::new(name("root")).with_path_length(1))
        .unwrap();
    let issuing = AuthoritySpec::new(name("issuing")).with_lifetime(Lifetime::days(1000));
    plan.intermediate("root", "issuing", issuing.clone())
        .unwrap();
    plan.leaf("issuing", "web", web()).unwrap();
    let made = store.ensure(&plan, now()).unwrap();
    let chain = made.material().identity("web").unwrap().chain_pem();
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(store.ensure(&plan, now()).unwrap().changes().count(), 0);
    assert_eq!(
        store
            .load(&plan)
            .unwrap()
            .identity("web")
            .unwrap()
            .chain_pem(),
        chain
    );

    // Picked, it gets another certificate, its key stays whatever is said, and what it signed stays good.
    let pick = |id: &caravan_pki::EntryId| (id.as_str() == "issuing").then_some(KeyPolicy::New);
    let renewed = store.renew(&plan, now(), pick).unwrap();
    let changes: Vec<_> = renewed.changes().collect();
    assert_eq!(changes[0].outcome, EntryOutcome::Made(Reason::Requested));
    assert!(!changes[0].new_key);
    // What a server sends has the new one in it.
    assert_eq!(changes[1].outcome, EntryOutcome::Made(Reason::ChainChanged));
    assert_eq!(changes.len(), 2);

    // An authority of path length 0 signs no authority.
    let mut deeper = plan.clone();
    deeper.intermediate("issuing", "deeper", issuing).unwrap();
    let error = store.ensure(&deeper, now()).unwrap_err().to_string();
    assert!(error.contains("path length 0"), "{error}");
}

/// A switch takes nothing from the working pair unless the coming one is whole.
#[test]
fn a_rotation_without_its_next_key_is_refused_before_anything_is_touched() {
    let fixture = Fixture::new();
    let (store, plan) = (&fixture.store, plan_of(web()));
    store.start_rotation(&plan, "ca", now()).unwrap();
    let key = fixture.read("ca.next.key");
    let files =
        || ["ca.crt", "ca.key", "ca.next.crt", "web.crt", "web.key"].map(|file| fixture.read(file));
    let before = files();
    fs::remove_file(fixture.path("ca.next.key")).unwrap();
    for _ in 0..2 {
        let error = store.switch_rotation(&plan, "ca", now()).unwrap_err();
        assert!(matches!(error, Error::KeyMissing { .. }), "{error}");
        assert!(error.to_string().contains("ca.next.key"), "{error}");
        // To start again would leave a pair of halves.
        let error = store.start_rotation(&plan, "ca", now()).unwrap_err();
        assert!(matches!(error, Error::KeyMissing { .. }), "{error}");
    }
    assert_eq!(files(), before);
    assert!(!fixture.path("ca.previous.crt").exists());
    // Nor with a key of something else.
    let private = |text: &str| {
        use std::os::unix::fs::PermissionsExt;
        fs::write(fixture.path("ca.next.key"), text).unwrap();
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(fixture.path("ca.next.key"), mode).unwrap();
    };
    private(&PrivateKey::generate().unwrap().to_pkcs8_pem());
    let error = store.switch_rotation(&plan, "ca", now()).unwrap_err();
    assert!(error.to_string().contains("ca.next.crt"), "{error}");
    assert_eq!(files(), before);
    private(&key);
    store.switch_rotation(&plan, "ca", now()).unwrap();
    assert_eq!(store.rotation(&plan, "ca").unwrap(), Rotation::Switched);
}

#[test]
fn an_authority_that_another_signed_is_not_rotated_here() {
    let fixture = Fixture::new();
    for file in ["ca.crt", "ca.key"] {
        fs::remove_file(fixture.path(file)).unwrap();
    }
    let root = AuthoritySpec::new(name("root elsewhere")).with_path_length(1);
    let root = Authority::create(&root, now()).unwrap();
    let own = AuthoritySpec::new(name("issuing")).with_lifetime(Lifetime::days(1000));
    let own = root.intermediate(&own, now()).unwrap();
    let mut plan = plan_of(web());
    plan.adopt("ca", own.certificate()).unwrap();
    fixture.store.import_authority(&plan, "ca", &own).unwrap();
    let before = fixture.read("ca.crt");
    let error = fixture
        .store
        .start_rotation(&plan, "ca", now())
        .unwrap_err();
    assert!(matches!(error, Error::NotACa { .. }), "{error}");
    assert!(!fixture.path("ca.next.crt").exists() && !fixture.path("ca.next.key").exists());
    assert_eq!(fixture.read("ca.crt"), before);
}

/// What a plan says otherwise of an authority is done or refused, and never passed over.
#[test]
fn a_plans_changes_to_authorities_are_done_or_refused() {
    use caravan_pki::{DnsName, Subtree};
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let root = || AuthoritySpec::new(name("root")).with_path_length(1);
    let below = || AuthoritySpec::new(name("issuing")).with_lifetime(Lifetime::days(1000));
    let plan = |root: AuthoritySpec, below: AuthoritySpec| {
        let mut plan = Plan::new();
        plan.authority("root", root).unwrap();
        plan.intermediate("root", "issuing", below).unwrap();
        plan.leaf("issuing", "web", web()).unwrap();
        plan
    };
    store.ensure(&plan(root(), below()), now()).unwrap();
    let com = || [Subtree::Domain(DnsName::try_from("example.com").unwrap())];
    let read = |file: &str| fs::read(folder.path().join(file)).unwrap();
    let files = || ["root.crt", "issuing.crt", "web.crt"].map(read);
    let before = files();
    for (changed, field) in [
        (root().with_path_length(2), "path length"),
        (root().without_path_length(), "path length"),
        (root().with_permitted(com()), "name constraints"),
        (root().with_excluded(com()), "name constraints"),
        (
            AuthoritySpec::new(name("other")).with_path_length(1),
            "subject",
        ),
    ] {
        let error = store.ensure(&plan(changed, below()), now()).unwrap_err();
        let Error::InFile { path, source } = &error else {
            panic!("{error}");
        };
        assert_eq!(path, &folder.path().join("root.crt"));
        assert!(
            matches!(&**source, Error::AuthorityDiffers { field: found, .. } if *found == field),
            "{source}"
        );
        assert!(error.hint().is_some());
    }
    // A lifetime takes effect at the next renewal.
    let longer = plan(root().with_lifetime(Lifetime::days(4000)), below());
    assert_eq!(store.ensure(&longer, now()).unwrap().changes().count(), 0);
    assert_eq!(files(), before);

    // Said by name, it is done, with the same key.
    let constrained = plan(root().with_permitted(com()), below());
    store
        .renew_authority(&constrained, "root", Lifetime::AUTHORITY, now())
        .unwrap();
    assert_eq!(
        store.ensure(&constrained, now()).unwrap().changes().count(),
        0
    );
    let after = Certificate::from_pem(&read("root.crt")).unwrap();
    let old = Certificate::from_pem(&before[0]).unwrap();
    assert_eq!(after.public_key().unwrap(), old.public_key().unwrap());
    let web_now = Certificate::from_pem(&read("web.crt")).unwrap();
    let issuing = Certificate::from_pem(&read("issuing.crt")).unwrap();
    assert!(web_now.is_signed_by(&issuing).unwrap());

    // Of an authority below, it is done at once: its issuer is here, and its key stays.
    let narrow = plan(
        root().with_permitted(com()),
        below().with_excluded([Subtree::Domain(
            DnsName::try_from("secret.example.com").unwrap(),
        )]),
    );
    let made = store.ensure(&narrow, now()).unwrap();
    let changes: Vec<(String, EntryOutcome)> = made
        .changes()
        .map(|change| (change.id.to_string(), change.outcome.clone()))
        .collect();
    assert_eq!(
        changes,
        [
            (
                "issuing".to_owned(),
                EntryOutcome::Made(Reason::ProfileChanged)
            ),
            ("web".to_owned(), EntryOutcome::Made(Reason::ChainChanged)),
        ]
    );
    assert_eq!(store.ensure(&narrow, now()).unwrap().changes().count(), 0);
    // Another subject would make all that it signed worthless.
    let renamed = plan(
        root().with_permitted(com()),
        AuthoritySpec::new(name("else")),
    );
    assert!(store.ensure(&renamed, now()).is_err());
    // What the plan forbids, what it signs is measured by.
    let mut outside = narrow.clone();
    let sans = Sans::parse(["a.secret.example.com"]).unwrap();
    outside
        .leaf("issuing", "out", Leaf::server(name("out"), sans))
        .unwrap();
    let error = store.ensure(&outside, now()).unwrap_err();
    assert!(matches!(error, Error::Unverifiable { .. }), "{error}");
}

/// A folder that cannot be written to is read, and what is in it signs requests.
#[test]
fn a_read_only_store_is_read_and_signs() {
    use caravan_pki::{CertificateRequest, RequestPolicy, Subject};
    use std::os::unix::fs::{PermissionsExt, chown};
    const FOLDER: &str = "CARAVAN_PKI_READ_ONLY";
    /// Nobody's.
    const USER: u32 = 65_534;
    if let Ok(folder) = std::env::var(FOLDER) {
        let store = Store::open(folder).unwrap();
        let plan = plan_of(web());
        assert!(store.ensure(&plan, now()).is_err(), "it can be written to");
        let material = store.load(&plan).unwrap();
        assert_eq!(store.discover().unwrap().plan.entries().len(), 2);
        assert_eq!(store.rotation(&plan, "ca").unwrap(), Rotation::Idle);
        let key = PrivateKey::generate().unwrap();
        let request = CertificateRequest::create(&key, &Subject::new(name("x")), None).unwrap();
        let policy = RequestPolicy::client().with_common_name(name("x"));
        let authority = material.authority("ca").unwrap();
        authority.sign_request(&request, &policy, now()).unwrap();
        return;
    }
    let is_root = rustix::process::geteuid().is_root();
    let Ok(setpriv) = which::which("setpriv") else {
        eprintln!("skipped: `setpriv` is not installed");
        return;
    };
    for with_lock in [true, false] {
        let fixture = Fixture::new();
        if !with_lock {
            fs::remove_file(fixture.path(".lock")).unwrap();
        }
        // Root writes everywhere, so it becomes somebody else.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(fixture.path("").parent().unwrap().parent().unwrap(), open).unwrap();
        for entry in fs::read_dir(fixture.path("")).unwrap() {
            let path = entry.unwrap().path();
            let mode = path.metadata().unwrap().permissions().mode() & 0o444;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            if is_root {
                chown(&path, Some(USER), Some(USER)).unwrap();
            }
        }
        if is_root {
            chown(fixture.path(""), Some(USER), Some(USER)).unwrap();
        }
        fs::set_permissions(fixture.path(""), fs::Permissions::from_mode(0o500)).unwrap();
        // The program may lie where that user cannot look.
        let program = fixture.folder.path().join("test");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let user = USER.to_string();
        let args = vec![
            "--exact",
            "authorities::a_read_only_store_is_read_and_signs",
        ];
        let ids = ["--reuid", &user, "--regid", &user, "--clear-groups"];
        let run = match is_root {
            true => {
                let program = program.to_str().unwrap();
                let all = [&ids[..], &[program], &args[..]].concat();
                duct::cmd(setpriv.clone(), all)
            }
            false => duct::cmd(&program, args),
        };
        let output = run
            .env(FOLDER, fixture.path(""))
            .stdout_capture()
            .stderr_to_stdout()
            .unchecked()
            .run()
            .unwrap();
        fs::set_permissions(fixture.path(""), fs::Permissions::from_mode(0o700)).unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
    }
}

/// Revocation that lasts: the file is the record, dates and reasons are kept, and the next key signs it too.
#[test]
fn what_is_revoked_stays_revoked() {
    use caravan_pki::{Revocation, RevocationReason};
    let fixture = Fixture::new();
    let (store, plan) = (&fixture.store, plan_of(web()));
    assert_eq!(store.revocation_list(&plan, "ca").unwrap(), None);
    let serial = store
        .load(&plan)
        .unwrap()
        .identity("web")
        .unwrap()
        .certificate()
        .clone();
    let week = Lifetime::days(7);
    let revocation = Revocation::of(&serial, RevocationReason::KeyCompromise);
    let first = store
        .revoke(&plan, "ca", [revocation], week, now())
        .unwrap();
    assert_eq!(
        (first.serials(), first.number()),
        (vec![serial.serial()], Some(1))
    );
    // A certificate that is no longer there, by its number; the same again changes nothing.
    let lost = || Revocation::of_serial("0b0c", RevocationReason::Superseded).unwrap();
    let later = now() + DAY * 3;
    store.revoke(&plan, "ca", [lost()], week, later).unwrap();
    let third = store
        .revoke(&plan, "ca", [lost()], week, later + DAY)
        .unwrap();
    assert_eq!(
        store.revocation_list(&plan, "ca").unwrap(),
        Some(third.clone())
    );
    assert_eq!(third.number(), Some(3));
    let entries: Vec<(String, RevocationReason)> = third
        .revocations()
        .iter()
        .map(|one| (one.serial(), one.reason()))
        .collect();
    assert!(entries.contains(&(serial.serial(), RevocationReason::KeyCompromise)));
    assert!(entries.contains(&("0b0c".to_owned(), RevocationReason::Superseded)));
    for one in third.revocations() {
        let expected = if one.serial() == "0b0c" { later } else { now() };
        let since = one.date().unwrap();
        assert!(since <= expected && expected < since + DAY, "{one:?}");
    }
    // Another key: the list is its own, and that of the old key is kept as long as it is trusted.
    store.start_rotation(&plan, "ca", later).unwrap();
    store.switch_rotation(&plan, "ca", later).unwrap();
    let next = store.revocation_list(&plan, "ca").unwrap().unwrap();
    let material = store.load(&plan).unwrap();
    assert!(
        next.is_signed_by(material.authority("ca").unwrap().certificate())
            .unwrap()
    );
    assert_eq!(next.revocations(), third.revocations());
    assert_eq!(fixture.read("ca.previous.crl"), third.to_pem());
    store.finish_rotation(&plan, "ca").unwrap();
    assert!(!fixture.path("ca.previous.crl").exists());
    // One that somebody else signed is not carried on under the authority's name.
    let other = Authority::create(&AuthoritySpec::new(name("ca")), later).unwrap();
    let forged = other.revoke_more(None, [], week, later).unwrap();
    fs::write(fixture.path("ca.crl"), forged.to_pem()).unwrap();
    let error = store
        .revoke(&plan, "ca", [], week, later)
        .unwrap_err()
        .to_string();
    assert!(error.contains("ca.crl"), "{error}");
}
