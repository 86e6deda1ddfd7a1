//! Authorities that others made: renewed so that all below them stays valid, and brought with their chains.

use std::fs;

use caravan_pki::store::Store;
use caravan_pki::verify::{Purpose, Verifier};
use caravan_pki::{
    Authority, AuthoritySpec, CommonName, Error, Item, Leaf, Lifetime, Plan, San, Sans,
};

use super::strangers::{extensions, renew};
use super::workshop::{ROOT, SERVER, Workshop};

fn name(name: &str) -> CommonName {
    CommonName::try_from(name).unwrap()
}

/// easy-rsa's form: issuer and serial number in the authorityKeyIdentifier, of the authority too.
#[test]
fn a_renewed_authority_keeps_the_chains_that_name_its_serial_number() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let both = "authorityKeyIdentifier=keyid:always,issuer:always";
    workshop.root("ca", 100, &format!("{ROOT}\n{both}"));
    let issuing = format!(
        "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n{both}\n"
    );
    let server = SERVER.replace("authorityKeyIdentifier=keyid", both);
    workshop.signed("ca", "web", "/CN=web", 95, &server);
    workshop.signed("ca", "issuing", "/CN=issuing", 95, &issuing);
    workshop.signed("issuing", "deep", "/CN=deep", 94, &server);
    let old_chain = workshop.read("store/deep.crt") + &workshop.read("store/issuing.crt");
    fs::write(workshop.path("old.crt"), &old_chain).unwrap();
    fs::copy(workshop.path("store/web.crt"), workshop.path("old-web.crt")).unwrap();
    let judge_old = |day| {
        workshop.all_accept(
            "store/ca.crt",
            "old-web.crt",
            "server",
            "web.example.com",
            day,
        );
        workshop.all_accept("store/ca.crt", "old.crt", "server", "web.example.com", day);
        let (root, web) = (
            workshop.certificate("store/ca.crt"),
            workshop.certificate("old-web.crt"),
        );
        let purpose = Purpose::Server(San::try_from("web.example.com").unwrap());
        Verifier::new([&root])
            .verify(&[&web], &purpose, workshop.on_day(day))
            .unwrap();
    };
    judge_old(1);
    let store = workshop.store();
    let before = workshop.certificate("store/ca.crt");
    let plan = store.discover().unwrap().plan;
    store
        .renew_authority(&plan, "ca", Lifetime::days(1000), workshop.on_day(80))
        .unwrap();
    let after = workshop.certificate("store/ca.crt");
    assert_ne!(before, after);
    assert_eq!(before.serial(), after.serial());
    assert_eq!(extensions(&before), extensions(&after));
    judge_old(80);
    // The authority between, made again, keeps what it signed too, old and new.
    let mut renewed = renew(&workshop, 80);
    renewed.sort();
    assert_eq!(renewed, ["deep", "issuing", "web"]);
    let chain = workshop.read("old.crt");
    let deep = &chain[..chain.rfind("-----BEGIN").unwrap()];
    fs::write(
        workshop.path("mixed.crt"),
        deep.to_owned() + &workshop.read("store/issuing.crt"),
    )
    .unwrap();
    workshop.all_accept("store/ca.crt", "mixed.crt", "server", "web.example.com", 81);
    // Those between, renewed by a plan that does not name what is below them.
    let whole = store.discover().unwrap().plan;
    let mut part = Plan::new();
    for entry in whole.entries() {
        if matches!(entry.item(), Item::Authority { .. }) {
            part.add(entry.id().as_str(), entry.item().clone()).unwrap();
        }
    }
    let before = workshop.certificate("store/issuing.crt").serial();
    let pick = |id: &caravan_pki::EntryId| {
        (id.as_str() == "issuing").then_some(caravan_pki::KeyPolicy::Keep)
    };
    store.renew(&part, workshop.on_day(82), pick).unwrap();
    assert_eq!(workshop.certificate("store/issuing.crt").serial(), before);
    workshop.all_accept(
        "store/ca.crt",
        "store/deep.fullchain.crt",
        "server",
        "web.example.com",
        81,
    );
    workshop.all_accept(
        "store/ca.crt",
        "store/web.crt",
        "server",
        "web.example.com",
        81,
    );
}

/// Where nothing names it, the serial number is a new one.
#[test]
fn a_renewed_authority_has_a_new_serial_number_unless_something_names_the_old_one() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.root("ca", 100, ROOT);
    workshop.signed("ca", "web", "/CN=web", 95, SERVER);
    let store = workshop.store();
    let renewed = |days| {
        let plan = store.discover().unwrap().plan;
        let before = workshop.certificate("store/ca.crt").serial();
        store
            .renew_authority(&plan, "ca", Lifetime::days(days), workshop.on_day(1))
            .unwrap();
        (before, workshop.certificate("store/ca.crt").serial())
    };
    let (before, after) = renewed(200);
    assert_ne!(before, after);
    // A leaf names it, the authority itself does not.
    let both = "authorityKeyIdentifier=keyid:always,issuer:always";
    let server = SERVER.replace("authorityKeyIdentifier=keyid", both);
    workshop.signed("ca", "web", "/CN=web", 95, &server);
    let (before, after) = renewed(300);
    assert_eq!(before, after);
    // A plan of the authority alone says nothing of the leaf, which is there all the same.
    let mut alone = Plan::new();
    alone
        .authority(
            "ca",
            AuthoritySpec::from_certificate(&workshop.certificate("store/ca.crt")),
        )
        .unwrap();
    store
        .renew_authority(&alone, "ca", Lifetime::days(400), workshop.on_day(1))
        .unwrap();
    assert_eq!(workshop.certificate("store/ca.crt").serial(), before);
    workshop.all_accept(
        "store/ca.crt",
        "store/web.crt",
        "server",
        "web.example.com",
        2,
    );
}

/// A subordinate authority, its root's key elsewhere: what it issues comes with its chain.
#[test]
fn what_an_imported_subordinate_issues_comes_with_its_chain() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.root("root", 3650, ROOT);
    let below = |length: u8| {
        format!(
            "basicConstraints=critical,CA:TRUE,pathlen:{length}\nkeyUsage=critical,keyCertSign,cRLSign\n\
             subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
    };
    workshop.signed("root", "policy", "/CN=policy", 2000, &below(1));
    workshop.signed("policy", "issuing", "/CN=issuing", 1000, &below(0));
    let mine = Store::open(workshop.path("mine")).unwrap();
    let load = |chain: &[&str]| -> Result<Authority, Error> {
        let authority = caravan_pki::store::load_authority(
            workshop.path("store/issuing.crt"),
            workshop.path("store/issuing.key"),
            workshop.on_day(1),
        )?;
        authority.with_chain(
            chain
                .iter()
                .map(|id| workshop.certificate(&format!("store/{id}.crt"))),
        )
    };
    // Not in order, or of somebody else.
    for wrong in [&["root"][..], &["root", "policy"], &["policy", "policy"]] {
        let error = load(wrong).unwrap_err().to_string();
        assert!(error.contains("did not sign"), "{error}");
    }
    let authority = load(&["policy", "root"]).unwrap();
    let mut plan = Plan::new();
    plan.authority("ca", AuthoritySpec::new(name("ca")))
        .unwrap();
    let error = mine.import_authority(&plan, "ca", &authority).unwrap_err();
    assert!(matches!(error, Error::AuthorityDiffers { .. }), "{error}");
    plan.adopt("ca", authority.certificate()).unwrap();
    mine.import_authority(&plan, "ca", &authority).unwrap();
    let sans = Sans::parse(["web.example.com"]).unwrap();
    plan.leaf("ca", "web", Leaf::server(name("web"), sans))
        .unwrap();
    let made = mine.ensure(&plan, workshop.on_day(1)).unwrap();
    let chain = made.material().identity("web").unwrap().chain_pem();
    // Without the root.
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 3);
    assert_eq!(workshop.read("mine/web.fullchain.crt"), chain);
    workshop.all_accept(
        "store/root.crt",
        "mine/web.fullchain.crt",
        "server",
        "web.example.com",
        2,
    );
    // A second run changes nothing; the folder alone says it all; what is lost of the chain is made again.
    assert_eq!(
        mine.ensure(&plan, workshop.on_day(1))
            .unwrap()
            .changes()
            .count(),
        0
    );
    let found = mine.discover().unwrap();
    assert_eq!((found.plan.entries().len(), found.left_out.len()), (2, 0));
    assert!(matches!(
        found.plan.entries()[0].item(),
        Item::Authority { issuer: None, .. }
    ));
    fs::remove_file(workshop.path("mine/web.fullchain.crt")).unwrap();
    let before = workshop.read("mine/web.crt");
    let made = mine.ensure(&found.plan, workshop.on_day(1)).unwrap();
    let changes: Vec<String> = made
        .changes()
        .map(|one| format!("{:?}", one.outcome))
        .collect();
    assert_eq!(changes, ["Made(ChainChanged)"]);
    assert_eq!(workshop.read("mine/web.crt"), before);
    assert_eq!(workshop.read("mine/web.fullchain.crt"), chain);

    // Its issuer renews it: the same key, later dates; nothing else changes but the chains.
    workshop.signed("policy", "issuing", "/CN=issuing", 1500, &below(0));
    let again = load(&["policy"]).unwrap();
    mine.import_authority(&plan, "ca", &again).unwrap();
    let made = mine.ensure(&plan, workshop.on_day(1)).unwrap();
    assert_eq!(made.changes().count(), 1);
    assert_eq!(workshop.read("mine/web.crt"), before);
    workshop.all_accept(
        "store/root.crt",
        "mine/web.fullchain.crt",
        "server",
        "web.example.com",
        2,
    );
}
