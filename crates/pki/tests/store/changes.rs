//! Changes of authorities that must know, before they touch anything, that all which follows can be done.

use std::fs;

use caravan_pki::store::Rotation;
use caravan_pki::{
    Authority, AuthoritySpec, Certificate, Error, Leaf, Lifetime, Plan, Revocation,
    RevocationReason,
};

use super::{DAY, Fixture, Store, name, now, plan_of, web};

/// The content of every file of the store, by its name.
fn files(fixture: &Fixture) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = fs::read_dir(fixture.path(""))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    all.sort();
    all
}

/// A switch whose list cannot follow, or whose leaves cannot be made anew, is refused while everything is as it was.
#[test]
fn a_switch_that_cannot_be_done_whole_touches_nothing() {
    let week = Lifetime::days(7);
    let damage: [fn(&Fixture); 3] = [
        |fixture| fs::write(fixture.path("ca.crl"), "no list").unwrap(),
        |fixture| {
            let other = Authority::create(&AuthoritySpec::new(name("ca")), now()).unwrap();
            let list = other
                .revoke_more(None, [], Lifetime::days(7), now())
                .unwrap();
            fs::write(fixture.path("ca.crl"), list.to_pem()).unwrap();
        },
        |fixture| fs::write(fixture.path("web.crt"), "no certificate").unwrap(),
    ];
    for damage in damage {
        let fixture = Fixture::new();
        let (store, plan) = (&fixture.store, plan_of(web()));
        let lost = Revocation::of_serial("0a", RevocationReason::Superseded).unwrap();
        store.revoke(&plan, "ca", [lost], week, now()).unwrap();
        store.start_rotation(&plan, "ca", now()).unwrap();
        let (list, leaf) = (fixture.read("ca.crl"), fixture.read("web.crt"));
        damage(&fixture);
        let before = files(&fixture);
        for _ in 0..2 {
            assert!(store.switch_rotation(&plan, "ca", now()).is_err());
            assert_eq!(files(&fixture), before);
            assert_eq!(store.rotation(&plan, "ca").unwrap(), Rotation::Started);
        }
        // Mended, it goes on.
        fs::write(fixture.path("ca.crl"), list).unwrap();
        fs::write(fixture.path("web.crt"), leaf).unwrap();
        let made = store.switch_rotation(&plan, "ca", now()).unwrap();
        assert_eq!(made.changes().count(), 1);
        let list = store.revocation_list(&plan, "ca").unwrap().unwrap();
        assert_eq!(list.serials(), ["0a"]);
        store.finish_rotation(&plan, "ca").unwrap();
    }
}

/// What stands above an imported authority is what its last import says, or what still leads on from it.
#[test]
fn what_stood_above_an_earlier_import_does_not_stay() {
    let root = AuthoritySpec::new(name("root")).with_path_length(2);
    let root = Authority::create(&root, now()).unwrap();
    let spec = |path_length, days| {
        AuthoritySpec::new(name("policy"))
            .with_path_length(path_length)
            .with_lifetime(Lifetime::days(days))
    };
    let policy = root.intermediate(&spec(1, 2000), now()).unwrap();
    let other = root.intermediate(&spec(1, 2000), now()).unwrap();
    let own = |days| AuthoritySpec::new(name("ca")).with_lifetime(Lifetime::days(days));
    let first = policy.intermediate(&own(500), now()).unwrap();
    let key = || caravan_pki::PrivateKey::from_pem(first.key_pem().as_bytes()).unwrap();
    let by = |issuer: &Authority, days| issuer.intermediate_with_key(&own(days), key(), now());
    let load = |of: &Authority, chain: &[&Authority]| {
        let pem = (of.certificate_pem(), of.key_pem());
        let loaded = Authority::load(pem.0.as_bytes(), pem.1.as_bytes(), now()).unwrap();
        let chain = chain.iter().map(|one| one.certificate().clone());
        loaded.with_chain(chain).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("pki")).unwrap();
    let chain = folder.path().join("pki/ca.chain.crt");
    let mut plan = Plan::new();
    plan.authority("ca", own(500)).unwrap();
    let mut import = |authority: &Authority| {
        plan.adopt("ca", authority.certificate()).unwrap();
        store.import_authority(&plan, "ca", authority).unwrap();
        let mut with_leaf = plan.clone();
        let leaf = Leaf::client(name("x")).with_lifetime(Lifetime::days(100));
        with_leaf.leaf("ca", "x", leaf).unwrap();
        let made = store.ensure(&with_leaf, now()).unwrap();
        made.material().identity("x").unwrap().chain_pem()
    };
    let sent = import(&load(&first, &[&policy]));
    assert_eq!(sent.matches("BEGIN CERTIFICATE").count(), 3);
    // Renewed by the same issuer, and nothing is said of those above: they still lead on.
    let renewed = by(&policy, 600).unwrap();
    let sent = import(&load(&renewed, &[]));
    assert_eq!(sent.matches("BEGIN CERTIFICATE").count(), 3);
    assert!(chain.exists());
    // Signed by another one: what was above it is not above it now.
    let elsewhere = by(&other, 700).unwrap();
    let sent = import(&load(&elsewhere, &[]));
    assert_eq!(sent.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(!chain.exists());
    let sent = import(&load(&elsewhere, &[&other, &root]));
    assert_eq!(sent.matches("BEGIN CERTIFICATE").count(), 3);
    // Signed by the root itself, which is said: nothing stands between.
    let direct = by(&root, 800).unwrap();
    import(&load(&direct, &[&root]));
    assert!(!chain.exists());
}

/// Another path length is checked as that of a new authority, against what is above and what is below.
#[test]
fn another_path_length_is_checked_as_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("pki")).unwrap();
    let plan = |lengths: [Option<u8>; 3]| {
        let ids = ["root", "policy", "issuing"];
        let mut plan = Plan::new();
        for (at, (id, length)) in ids.iter().zip(lengths).enumerate() {
            let days = 3000 - at as u32 * 1000;
            let spec = AuthoritySpec::new(name(id)).with_lifetime(Lifetime::days(days));
            let spec = match length {
                Some(length) => spec.with_path_length(length),
                None => spec.without_path_length(),
            };
            match at {
                0 => plan.authority(id, spec).unwrap(),
                _ => plan.intermediate(ids[at - 1], id, spec).unwrap(),
            };
        }
        plan.leaf("issuing", "web", web()).unwrap();
        plan
    };
    let good = [Some(3), Some(1), Some(0)];
    store.ensure(&plan(good), now()).unwrap();
    let read = |id: &str| fs::read(folder.path().join(format!("pki/{id}.crt"))).unwrap();
    let all = || ["root", "policy", "issuing", "web"].map(read);
    let before = all();
    for wrong in [
        [Some(3), Some(3), Some(0)],
        [Some(3), None, Some(0)],
        [Some(3), Some(0), Some(0)],
        [Some(3), Some(1), Some(1)],
        [Some(3), Some(1), None],
    ] {
        let error = store.ensure(&plan(wrong), now()).unwrap_err();
        let Error::InFile { source, .. } = &error else {
            panic!("{error}");
        };
        assert!(matches!(**source, Error::NotACa { .. }), "{source}");
        assert_eq!(all(), before, "{wrong:?}");
    }
    // A root, which is changed by name alone.
    let renew =
        |lengths| store.renew_authority(&plan(lengths), "root", Lifetime::days(3000), now());
    assert!(renew([Some(1), Some(1), Some(0)]).is_err());
    assert!(
        store
            .start_rotation(&plan([Some(1), Some(1), Some(0)]), "root", now())
            .is_err()
    );
    assert_eq!(all(), before);
    renew([Some(2), Some(1), Some(0)]).unwrap();
    let made = store
        .ensure(&plan([Some(2), Some(1), Some(0)]), now())
        .unwrap();
    assert_eq!(made.changes().count(), 0);
    let root = Certificate::from_pem(&read("root")).unwrap();
    assert_eq!(root.path_length(), Some(2));
    store
        .ensure(&plan([Some(2), Some(1), Some(0)]), now() + DAY)
        .unwrap();
}
