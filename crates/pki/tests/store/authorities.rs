//! Authorities in a store: replaced, renewed, rotated, below each other.

use std::fs;

use caravan_pki::store::{EntryOutcome, Rotation, Store, load_authority};
use caravan_pki::{Authority, AuthoritySpec, Error, KeyPolicy, Lifetime, Plan, PrivateKey, Reason};

use super::*;

#[test]
fn another_authority_means_other_certificates() {
    let fixture = Fixture::new();
    for file in ["ca.crt", "ca.key"] {
        fs::remove_file(fixture.path(file)).unwrap();
    }
    let foreign = Authority::create(&AuthoritySpec::new(name("elsewhere")), now()).unwrap();
    let plan = plan_of(web());
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
    let change = changed(&renewed).unwrap();
    assert_eq!(change.outcome, EntryOutcome::Made(Reason::Requested));
    assert!(!change.new_key);

    // An authority of path length 0 signs no authority.
    let mut deeper = plan.clone();
    deeper.intermediate("issuing", "deeper", issuing).unwrap();
    let error = store.ensure(&deeper, now()).unwrap_err().to_string();
    assert!(error.contains("path length 0"), "{error}");
}
