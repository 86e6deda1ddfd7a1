//! What a store does on disk.

mod authorities;
mod changes;
mod disk;
mod leaks;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caravan_pki::store::{Change, Ensured, EntryOutcome, LeftOutReason, Store};
use caravan_pki::{
    AuthoritySpec, CommonName, KeyPolicy, Leaf, Lifetime, Organization, Plan, Reason, Sans, Uri,
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
        (
            web().with_revocation_list(Uri::try_from("http://ca.example.com/ca.crl").unwrap()),
            Some(Reason::RevocationListsChanged),
        ),
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
        let expected = reason.map(EntryOutcome::Made);
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
        EntryOutcome::Made(Reason::Expiring { .. })
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
        EntryOutcome::Made(Reason::Requested)
    );
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
    assert_eq!(found.plan.to_string().lines().count(), 3);
    for entry in plan.entries() {
        assert_eq!(found.plan.entry(entry.id().as_str()), Some(entry));
    }
    assert_eq!(found.left_out, []);
    assert_eq!(
        store.ensure(&found.plan, now()).unwrap().changes().count(),
        0
    );

    // Without the key above, nothing below can be made again, and that is said.
    fs::remove_file(folder.path().join("a/issuing.key")).unwrap();
    let found = store.discover().unwrap();
    assert_eq!(found.plan.entries().len(), 1);
    let issuer = "issuing".to_owned();
    assert_eq!(
        found.left_out[0].reason,
        LeftOutReason::IssuerMissing { issuer }
    );
    assert!(found.left_out[0].to_string().contains("web.crt`"));
}

/// An authority whose issuer is elsewhere signs all the same, and is its issuer's to renew.
#[test]
fn an_authority_of_a_foreign_root_is_the_top_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let path = |name: &str| folder.path().join(name);
    let root = AuthoritySpec::new(name("root")).with_path_length(1);
    let root = caravan_pki::Authority::create(&root, now()).unwrap();
    let spec = AuthoritySpec::new(name("below")).with_lifetime(Lifetime::days(900));
    let below = root.intermediate(&spec, now()).unwrap();
    fs::write(path("ca.crt"), below.certificate_pem()).unwrap();
    fs::write(path("ca.key"), below.key_pem().as_bytes()).unwrap();
    fs::set_permissions(path("ca.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut plan = store.discover().unwrap().plan;
    plan.leaf("ca", "web", web()).unwrap();
    let made = store.ensure(&plan, now()).unwrap();
    let chain = made.material().identity("web").unwrap().chain_pem();
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
    let found = store.discover().unwrap();
    assert_eq!((found.plan.entries().len(), found.left_out.len()), (2, 0));
    assert_eq!(
        store.ensure(&found.plan, now()).unwrap().changes().count(),
        0
    );
    let error = store
        .renew_authority(&found.plan, "ca", Lifetime::days(900), now())
        .unwrap_err();
    assert!(
        error.to_string().contains("its issuer must renew it"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_kept_is_left_out() {
    let fixture = Fixture::new();
    let made = fixture.store.load(&plan_of(web())).unwrap();
    let other = AuthoritySpec::new(name("other"));
    // A certificate of an authority that is not here: no plan may say that, and no other entry suffers for it.
    let other = caravan_pki::Authority::create(&other, now()).unwrap();
    let stray = other.issue(&web(), now()).unwrap();
    fs::write(fixture.path("stray.crt"), stray.certificate_pem()).unwrap();
    fs::write(fixture.path("stray.key"), stray.key_pem().as_bytes()).unwrap();
    let found = fixture.store.discover().unwrap();
    assert_eq!(found.plan.entries().len(), made.ids().count());
    assert_eq!(found.left_out.len(), 1);
}
