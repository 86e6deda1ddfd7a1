//! What a store does on disk.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caravan_pki::store::{Change, Ensured, Outcome, Reason, Rotation, Store};
use caravan_pki::{
    Authority, AuthoritySpec, CommonName, Error, KeyPolicy, Leaf, Lifetime, Organization, Plan,
    PrivateKey, Sans, Secret,
};

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn name(name: &str) -> CommonName {
    CommonName::try_from(name).unwrap()
}

fn web() -> Leaf {
    Leaf::server(name("web"), Sans::parse(["web.example.com"]).unwrap())
}

fn plan_of(leaf: Leaf) -> Plan {
    let mut plan = Plan::new();
    plan.authority("ca", AuthoritySpec::new(name("ca")))
        .unwrap();
    plan.leaf("ca", "web", leaf).unwrap();
    plan
}

/// The outcome of the one entry that changed, if any.
fn changed(made: &Ensured) -> Option<&Change> {
    let mut changes = made.changes();
    let first = changes.next();
    assert!(changes.next().is_none(), "more than one change");
    first
}

struct Fixture {
    folder: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("pki")).unwrap();
        store.ensure(&plan_of(web()), now()).unwrap();
        Self { folder, store }
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.folder.path().join("pki").join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }
}

#[test]
fn every_difference_is_a_reason() {
    let sans = |names: &[&str]| Sans::parse(names.iter().copied()).unwrap();
    for (leaf, reason) in [
        (
            web().with_sans(sans(&["web.example.com", "10.0.0.1"])),
            Some(Reason::SansChanged),
        ),
        (
            web().with_organization(Organization::try_from("x").unwrap()),
            Some(Reason::SubjectChanged),
        ),
        (
            Leaf::peer(name("web"), sans(&["web.example.com"])),
            Some(Reason::ProfileChanged),
        ),
        (Leaf::client(name("web")), Some(Reason::SansChanged)),
        // A lifetime takes effect at the next renewal.
        (web().with_lifetime(Lifetime::days(30)), None),
        (
            web().with_sans(sans(&["WEB.example.com", "web.example.com"])),
            None,
        ),
    ] {
        let fixture = Fixture::new();
        let key = fixture.read("web.key");
        let made = fixture.store.ensure(&plan_of(leaf), now()).unwrap();
        let expected = reason.map(Outcome::Made);
        assert_eq!(
            changed(&made).map(|change| change.outcome.clone()),
            expected
        );
        assert_eq!(fixture.read("web.key"), key, "the key is kept");
    }
}

#[test]
fn renewal_is_due_at_two_thirds_and_keeps_the_key() {
    let fixture = Fixture::new();
    let (key, before) = (fixture.read("web.key"), fixture.read("web.crt"));
    let ensure = |days: u32| {
        fixture
            .store
            .ensure(&plan_of(web()), now() + DAY * days)
            .unwrap()
    };
    assert_eq!(changed(&ensure(243)), None);
    let made = ensure(244);
    let change = changed(&made).unwrap();
    assert!(matches!(
        change.outcome,
        Outcome::Made(Reason::Expiring { .. })
    ));
    assert!(!change.new_key);
    assert_eq!(fixture.read("web.key"), key);
    assert_ne!(fixture.read("web.crt"), before);
    // Long expired: the same.
    assert!(changed(&ensure(2000)).is_some());
}

#[test]
fn a_new_key_on_renewal_is_announced() {
    let fixture = Fixture::new();
    let key = fixture.read("web.key");
    let leaf = web().with_key_policy(KeyPolicy::New);
    assert_eq!(
        changed(&fixture.store.ensure(&plan_of(leaf.clone()), now()).unwrap()),
        None
    );
    let made = fixture
        .store
        .ensure(&plan_of(leaf), now() + DAY * 300)
        .unwrap();
    assert!(changed(&made).unwrap().new_key);
    assert_ne!(fixture.read("web.key"), key);
}

#[test]
fn what_is_picked_is_made_anew() {
    let fixture = Fixture::new();
    let pick = |id: &caravan_pki::EntryId| (id.as_str() == "web").then_some(KeyPolicy::Keep);
    let made = fixture.store.renew(&plan_of(web()), now(), pick).unwrap();
    assert_eq!(
        changed(&made).unwrap().outcome,
        Outcome::Made(Reason::Requested)
    );
}

#[test]
fn half_pairs() {
    let fixture = Fixture::new();
    let key = fixture.read("web.key");
    // A key alone is an interrupted run.
    fs::remove_file(fixture.path("web.crt")).unwrap();
    let made = fixture.store.ensure(&plan_of(web()), now()).unwrap();
    assert_eq!(
        changed(&made).unwrap().outcome,
        Outcome::Made(Reason::Interrupted)
    );
    assert_eq!(fixture.read("web.key"), key);
    // A certificate of another key is an interrupted change of key.
    let other = PrivateKey::generate().unwrap();
    fs::write(fixture.path("web.key"), other.to_pkcs8_pem().as_bytes()).unwrap();
    let made = fixture.store.ensure(&plan_of(web()), now()).unwrap();
    assert_eq!(
        changed(&made).unwrap().outcome,
        Outcome::Made(Reason::KeyMismatch)
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
fn another_authority_means_other_certificates() {
    let fixture = Fixture::new();
    for file in ["ca.crt", "ca.key"] {
        fs::remove_file(fixture.path(file)).unwrap();
    }
    let foreign = Authority::create(&AuthoritySpec::new(name("elsewhere")), now()).unwrap();
    let plan = plan_of(web());
    fixture
        .store
        .import_authority(&plan, "ca", &foreign)
        .unwrap();
    let error = fixture
        .store
        .import_authority(&plan, "ca", &foreign)
        .unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    let made = fixture.store.ensure(&plan, now()).unwrap();
    assert_eq!(
        changed(&made).unwrap().outcome,
        Outcome::Made(Reason::WrongIssuer)
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
        Outcome::Made(Reason::WrongIssuer)
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

    // An authority of path length 0 signs no authority.
    let mut deeper = plan.clone();
    deeper.intermediate("issuing", "deeper", issuing).unwrap();
    let error = store.ensure(&deeper, now()).unwrap_err().to_string();
    assert!(error.contains("path length 0"), "{error}");
}

#[test]
fn a_folder_describes_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut plan = Plan::new();
    plan.authority("root", AuthoritySpec::new(name("root")).with_path_length(1))
        .unwrap();
    plan.intermediate(
        "root",
        "a/issuing",
        AuthoritySpec::new(name("issuing")).with_lifetime(Lifetime::days(1000)),
    )
    .unwrap();
    plan.leaf("a/issuing", "web", web()).unwrap();
    store.ensure(&plan, now()).unwrap();
    store.start_rotation(&plan, "root", now()).unwrap();
    let found = store.discover().unwrap();
    assert_eq!(found.to_string().lines().count(), 3);
    for entry in plan.entries() {
        assert_eq!(found.entry(entry.id().as_str()), Some(entry));
    }
    assert_eq!(store.ensure(&found, now()).unwrap().changes().count(), 0);
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
        let script = format!("umask {umask}; exec \"$0\" --exact under_any_umask");
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

#[test]
fn debug_output_holds_no_secret() {
    let fixture = Fixture::new();
    let mut plan = plan_of(web());
    plan.key_pair("sa").unwrap();
    plan.secret("token", Secret::Hex(32)).unwrap();
    plan.ssh_key("ssh", "x").unwrap();
    let made = fixture.store.ensure(&plan, now()).unwrap();
    let shown = format!("{made:?} {made:#?} {:?}", fixture.store);
    let pki = made.material();
    let secrets = [
        fixture.read("ca.key"),
        fixture.read("web.key"),
        fixture.read("sa.key"),
        fixture.read("ssh"),
        pki.secret("token").unwrap().to_owned(),
    ];
    for secret in &secrets {
        for line in secret.lines().filter(|line| !line.starts_with("-----")) {
            assert!(!shown.contains(line), "{line}");
        }
    }
    let der = pki.key_pair("sa").unwrap().to_pkcs8_der();
    let scalar = &der[36..68];
    let hex: String = scalar.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{scalar:?}");
    assert!(!shown.to_lowercase().contains(&hex) && !shown.contains(list.trim_matches(['[', ']'])));
    assert!(Path::new(fixture.store.root()).is_dir());
}

/// A key file that cannot be read is named, never quoted.
#[test]
fn errors_quote_no_key() {
    let fixture = Fixture::new();
    let key = fixture.read("web.key");
    let (begin, rest) = key.split_once('\n').unwrap();
    let body: String = rest.lines().filter(|line| !line.starts_with('-')).collect();
    let damaged = [
        format!("{begin}\n{}", &rest[..rest.len() - 40]),
        key.replace("PRIVATE KEY", "RSA PRIVATE KEY"),
        key.replace("PRIVATE KEY", "EC PRIVATE KEY"),
        key.replace(&body[..8], "AAAAAAAA"),
        format!("{key}{key}"),
        body.clone(),
    ];
    for text in &damaged {
        fs::write(fixture.path("web.key"), text).unwrap();
        let error = fixture.store.ensure(&plan_of(web()), now()).unwrap_err();
        let mut shown = format!("{error} {error:?} {error:#?} {:?}", error.hint());
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            shown.push_str(&format!("{inner} {inner:?}"));
            cause = inner.source();
        }
        assert!(shown.contains("web.key"), "{shown}");
        for at in 0..body.len() - 12 {
            assert!(!shown.contains(&body[at..at + 12]), "{shown}");
        }
    }
}
