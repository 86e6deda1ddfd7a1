//! Certificates that others made, in a store of ours: left alone until they are due, and then nothing of them is lost.

use std::fs;

use caravan_pki::store::LeftOutReason;
use caravan_pki::{
    AuthoritySpec, Certificate, CommonName, Error, Leaf, Lifetime, Organization, Plan, San, Sans,
};
use x509_cert::der::{Decode, Encode};

use super::go;
use super::workshop::{ROOT, SERVER, Workshop};

fn name(name: &str) -> CommonName {
    CommonName::try_from(name).unwrap()
}

/// What only others say: must-staple, list points, policies, an extension of their own.
const MORE: &str = "tlsfeature=status_request\ncrlDistributionPoints=URI:http://crl.example.com/ca.crl\n\
     certificatePolicies=1.2.3.4\n1.2.3.4.5=ASN1:UTF8String:hello\nauthorityInfoAccess=OCSP;URI:http://ocsp.example.com\n";

/// The extensions of a certificate by object identifier, in DER.
pub(crate) fn extensions(certificate: &Certificate) -> Vec<(String, Vec<u8>)> {
    let parsed = x509_cert::Certificate::from_der(certificate.as_der()).unwrap();
    let extensions = parsed.tbs_certificate().extensions().unwrap();
    let all = extensions.iter();
    all.map(|one| (one.extn_id.to_string(), one.to_der().unwrap()))
        .collect()
}

fn subject(certificate: &Certificate) -> Vec<u8> {
    let parsed = x509_cert::Certificate::from_der(certificate.as_der()).unwrap();
    parsed.tbs_certificate().subject().to_der().unwrap()
}

/// All that both say is the same, octet for octet.
fn assert_carried(old: &Certificate, new: &Certificate) {
    assert_eq!(extensions(old), extensions(new));
    assert_eq!(subject(old), subject(new));
    assert_ne!(old.serial(), new.serial());
    let length = |one: &Certificate| one.validity().lifetime();
    assert_eq!(length(old), length(new));
}

/// Makes every certificate of the store again that is due on `day`; the identifiers of those that were.
pub(crate) fn renew(workshop: &Workshop, day: u64) -> Vec<String> {
    let store = workshop.store();
    let found = store.discover().unwrap();
    assert_eq!(found.left_out, []);
    let made = store
        .renew(&found.plan, workshop.on_day(day), |_| None)
        .unwrap();
    assert!(made.failures().is_empty(), "{:?}", made.failures());
    made.changes().map(|change| change.id.to_string()).collect()
}

#[test]
fn what_strangers_made_is_left_alone_until_it_is_due_and_carried_when_it_is() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.root("ca", 3650, ROOT);
    workshop.signed(
        "ca",
        "staple",
        "/CN=staple/OU=a unit",
        90,
        &format!("{SERVER}{MORE}"),
    );
    // As SPIFFE has it: no common name, a URI, and the names are critical.
    let spiffe = "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n\
         subjectAltName=critical,URI:spiffe://example.com/ns/x\nauthorityKeyIdentifier=keyid\n";
    workshop.signed("ca", "spiffe", "/", 90, spiffe);
    let odd = "keyUsage=critical,digitalSignature,keyAgreement\nextendedKeyUsage=clientAuth,1.2.3.4.6\n\
         subjectAltName=email:a@example.com,DNS:under_score.example.com,otherName:1.2.3.4;UTF8:x\nauthorityKeyIdentifier=keyid\n";
    workshop.signed("ca", "odd", "/CN=odd", 90, odd);
    workshop.signed(
        "ca",
        "bare",
        "/CN=bare",
        90,
        "subjectAltName=DNS:bare.example.com\nauthorityKeyIdentifier=keyid\n",
    );
    let ids = ["bare", "odd", "spiffe", "staple"];
    let read = || ids.map(|id| workshop.certificate(&format!("store/{id}.crt")));
    let before = read();
    for day in [0, 1, 59] {
        assert_eq!(renew(&workshop, day), Vec::<String>::new(), "day {day}");
    }
    assert_eq!(read(), before);
    let mut renewed = renew(&workshop, 61);
    renewed.sort();
    assert_eq!(renewed, ids);
    for (old, new) in before.iter().zip(&read()) {
        let mut expected = extensions(old);
        // What every certificate of ours has, and OpenSSL writes only when it is told to.
        if !expected.iter().any(|(oid, _)| oid == "2.5.29.14") {
            let added = extensions(new)
                .into_iter()
                .find(|(oid, _)| oid == "2.5.29.14");
            expected.push(added.unwrap());
        }
        assert_eq!(extensions(new), expected);
        assert_eq!(subject(new), subject(old));
    }
    workshop.all_accept(
        "store/ca.crt",
        "store/staple.crt",
        "server",
        "web.example.com",
        62,
    );
    workshop.all_accept("store/ca.crt", "store/spiffe.crt", "client", "", 62);
    assert_eq!(renew(&workshop, 62), Vec::<String>::new());
}

/// By a plan of one's own, too: what it says is there, in other words.
#[test]
fn meaning_is_compared_and_not_encoding() {
    let (Some(workshop), Some(go)) = (Workshop::new(), go::go()) else {
        return;
    };
    workshop.root("ca", 3650, ROOT);
    let path = |file: &str| workshop.shown(file);
    let line = format!(
        "leaf\t{}\t{}\t{}\t{}\t{}",
        path("store/ca.crt"),
        path("store/ca.key"),
        path("store/web.crt"),
        path("store/web.key"),
        workshop.start
    );
    assert_eq!(go::verdicts(&go, &[line]), ["ok"]);
    let old = workshop.certificate("store/web.crt");
    let organization = |name| Organization::try_from(name).unwrap();
    let leaf = |sans: &[&str]| {
        Leaf::server(name("web"), Sans::parse(sans.iter().copied()).unwrap())
            .with_organization(organization("a"))
            .with_organization(organization("b"))
            .with_lifetime(Lifetime::days(90))
    };
    let plan = |leaf: Leaf| {
        let mut plan = Plan::new();
        plan.authority("ca", AuthoritySpec::new(name("ca")))
            .unwrap();
        plan.adopt("ca", &workshop.certificate("store/ca.crt"))
            .unwrap();
        plan.leaf("ca", "web", leaf).unwrap();
        plan
    };
    let store = workshop.store();
    let same = plan(leaf(&["10.0.0.7", "a.example.com", "web.example.com"]));
    let made = store.ensure(&same, workshop.on_day(0)).unwrap();
    assert_eq!(made.changes().count(), 0);
    assert_eq!(workshop.certificate("store/web.crt"), old);
    // Due: all of it is carried, also what no plan of ours says.
    store.ensure(&same, workshop.on_day(70)).unwrap();
    let new = workshop.certificate("store/web.crt");
    let parsed = |one: &Certificate| {
        extensions(one)
            .into_iter()
            .filter(|(oid, _)| oid != "2.5.29.14")
    };
    assert!(parsed(&old).eq(parsed(&new)));
    assert_eq!(subject(&old), subject(&new));
    workshop.all_accept(
        "store/ca.crt",
        "store/web.crt",
        "server",
        "a.example.com",
        70,
    );
    // Other names are other names, and the rest is carried.
    let other = plan(leaf(&["web.example.com"]));
    store.ensure(&other, workshop.on_day(70)).unwrap();
    let newer = workshop.certificate("store/web.crt");
    assert_eq!(newer.sans(), [San::try_from("web.example.com").unwrap()]);
    let rest = |one: &Certificate| {
        parsed(one)
            .filter(|(oid, _)| oid != "2.5.29.17")
            .collect::<Vec<_>>()
    };
    assert_eq!(rest(&newer), rest(&old));
}

#[test]
fn the_constraints_of_intermediates_are_carried() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.root("root", 3650, ROOT);
    let constrained = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n\
         subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nextendedKeyUsage=serverAuth\n\
         nameConstraints=critical,permitted;DNS:example.com,excluded;DNS:secret.example.com,permitted;email:example.com\n\
         certificatePolicies=1.2.3.4\nissuerAltName=URI:http://issuer.example.com\n";
    workshop.signed("root", "issuing", "/C=DE/CN=issuing", 90, constrained);
    workshop.signed("issuing", "web", "/CN=web", 30, SERVER);
    let before = workshop.certificate("store/issuing.crt");
    // The chain that a server sends is not there yet; nothing else is missing.
    let web = workshop.read("store/web.crt");
    assert_eq!(renew(&workshop, 0), ["web"]);
    assert_eq!(workshop.read("store/web.crt"), web);
    assert_eq!(renew(&workshop, 0), Vec::<String>::new());
    let renewed = renew(&workshop, 61);
    assert_eq!(renewed, ["issuing", "web"]);
    let after = workshop.certificate("store/issuing.crt");
    assert_carried(&before, &after);
    workshop.all_accept(
        "store/root.crt",
        "store/web.fullchain.crt",
        "server",
        "web.example.com",
        62,
    );
    // What they forbid is still refused.
    let store = workshop.store();
    let mut plan = store.discover().unwrap().plan;
    let outside = Sans::parse(["web.example.org"]).unwrap();
    plan.leaf(
        "issuing",
        "out",
        Leaf::server(name("out"), outside).with_lifetime(Lifetime::days(5)),
    )
    .unwrap();
    let error = store
        .ensure(&plan, workshop.on_day(62))
        .unwrap_err()
        .to_string();
    assert!(error.contains("not among what `issuing`"), "{error}");
}

#[test]
fn one_stranger_is_named_and_the_others_are_renewed() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.root("ca", 100, ROOT);
    for id in ["good", "chained", "damaged", "stamped"] {
        workshop.signed("ca", id, &format!("/CN={id}"), 10, SERVER);
    }
    // Due on day 80, and as long as the authority was: made again, it would outlive it.
    workshop.signed("ca", "long", "/CN=long", 99, SERVER);
    workshop.key(
        "rsa",
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    );
    workshop.signed("ca", "rsa", "/CN=rsa", 10, SERVER);
    let timestamps = "1.3.6.1.4.1.11129.2.4.2=DER:040100\n";
    workshop.signed(
        "ca",
        "stamped",
        "/CN=stamped",
        10,
        &format!("{SERVER}{timestamps}"),
    );
    let chain = workshop.read("store/chained.crt") + &workshop.read("store/ca.crt");
    fs::write(workshop.path("store/chained.crt"), chain).unwrap();
    let damaged = workshop.read("store/damaged.crt").replacen("MI", "AA", 1);
    fs::write(workshop.path("store/damaged.crt"), damaged).unwrap();

    let store = workshop.store();
    let found = store.discover().unwrap();
    let left: Vec<String> = found
        .left_out
        .iter()
        .map(|one| {
            assert!(matches!(one.reason, LeftOutReason::Foreign { .. }), "{one}");
            one.to_string()
        })
        .collect();
    for (shown, (id, problem)) in left.iter().zip([
        ("chained", "2 certificates where one is expected"),
        ("damaged", "malformed certificate"),
        ("rsa", "cannot use RSA keys"),
    ]) {
        assert!(
            shown.contains(&format!("{id}.crt`")) && shown.contains(problem),
            "{shown}"
        );
    }
    assert_eq!(left.len(), 3, "{left:?}");
    let untouched = |id: &str| workshop.read(&format!("store/{id}.crt"));
    let before = ["chained", "damaged", "rsa", "long", "stamped"].map(untouched);
    let made = store
        .renew(&found.plan, workshop.on_day(80), |_| None)
        .unwrap();
    let changed = |made: &caravan_pki::store::Ensured| -> Vec<String> {
        made.changes().map(|change| change.id.to_string()).collect()
    };
    assert_eq!(changed(&made), ["good"]);
    let problems = ["longer than its issuer", "signedCertificateTimestampList"];
    assert_eq!(made.failures().len(), 2, "{:?}", made.failures());
    for (failure, (id, problem)) in made
        .failures()
        .iter()
        .zip(["long", "stamped"].iter().zip(problems))
    {
        let Error::InFile { path, source } = &failure.error else {
            panic!("{failure}");
        };
        assert_eq!(failure.id.as_str(), *id);
        assert_eq!(path, &workshop.path(&format!("store/{id}.crt")));
        assert!(source.to_string().contains(problem), "{source}");
    }
    assert_eq!(
        ["chained", "damaged", "rsa", "long", "stamped"].map(untouched),
        before
    );
    // With room above, the rest is renewed, and new ones are issued beside the strangers.
    store
        .renew_authority(&found.plan, "ca", Lifetime::days(1000), workshop.on_day(80))
        .unwrap();
    let mut plan = store.discover().unwrap().plan;
    plan.leaf("ca", "new", Leaf::client(name("new"))).unwrap();
    let made = store.renew(&plan, workshop.on_day(80), |_| None).unwrap();
    assert_eq!(changed(&made), ["long", "new"]);
    let failed: Vec<&str> = made.failures().iter().map(|one| one.id.as_str()).collect();
    assert_eq!(failed, ["stamped"]);
    workshop.all_accept(
        "store/ca.crt",
        "store/good.crt",
        "server",
        "web.example.com",
        81,
    );
    workshop.all_accept("store/ca.crt", "store/new.crt", "client", "", 81);
}
