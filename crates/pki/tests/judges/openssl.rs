//! OpenSSL judges certificates, in its strict mode.

use std::path::Path;
use std::time::SystemTime;

use caravan_pki::kubernetes::{Cluster, Node};
use caravan_pki::store::Store;
use caravan_pki::{Authority, AuthoritySpec, CommonName, Item, Leaf, Material, Uri, Usage};

use super::ask_openssl::strict;
use super::{judge, run};

pub(crate) fn cluster() -> Cluster {
    Cluster::new("192.168.29.80:6443")
        .unwrap()
        .with_control_plane(Node::new("masterone", [192, 168, 29, 51].into()).unwrap())
        .with_etcd(Node::new("etcdone", [192, 168, 29, 61].into()).unwrap())
}

fn made(folder: &Path) -> Material {
    let store = Store::open(folder.join("pki")).unwrap();
    let plan = cluster().plan().unwrap();
    store
        .ensure(&plan, SystemTime::now())
        .unwrap()
        .into_material()
}

/// One strict verification; `more` are further arguments.
pub(crate) fn verify(
    openssl: &Path,
    folder: &Path,
    ca: &str,
    leaf: &str,
    more: &[&str],
) -> (bool, String) {
    let (ca_file, leaf_file) = (folder.join("ca.pem"), folder.join("leaf.pem"));
    std::fs::write(&ca_file, ca).unwrap();
    std::fs::write(&leaf_file, leaf).unwrap();
    let (ca_file, leaf_file) = (ca_file.to_str().unwrap(), leaf_file.to_str().unwrap());
    run(openssl, &strict(ca_file, leaf_file, more), "")
}

#[test]
fn every_certificate_is_accepted_in_its_role_and_no_other() {
    let Some(openssl) = judge("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let pki = made(folder.path());
    let check =
        |ca: &str, leaf: &str, more: &[&str]| verify(&openssl, folder.path(), ca, leaf, more);
    for entry in cluster().plan().unwrap().entries() {
        let id = entry.id().as_str();
        let (issuer, wanted) = match entry.item() {
            Item::Leaf { issuer, leaf } => (issuer.as_str(), leaf),
            Item::Authority { .. } => {
                let pem = pki.authority(id).unwrap().certificate_pem();
                let (accepted, said) = check(&pem, &pem, &[]);
                assert!(accepted, "{id}: {said}");
                continue;
            }
            _ => continue,
        };
        let ca = pki.authority(issuer).unwrap().certificate_pem();
        let leaf = pki.identity(id).unwrap().chain_pem();
        let usages = [
            ("sslserver", Usage::ServerAuth),
            ("sslclient", Usage::ClientAuth),
        ];
        for (purpose, usage) in usages {
            let (accepted, said) = check(&ca, &leaf, &["-purpose", purpose]);
            assert_eq!(
                accepted,
                wanted.usages().contains(&usage),
                "{id} as {purpose}: {said}"
            );
        }
        let other = if issuer == "ca" { "etcd-ca" } else { "ca" };
        let wrong = pki.authority(other).unwrap().certificate_pem();
        assert!(!check(&wrong, &leaf, &[]).0, "{id} by another authority");
    }
}

#[test]
fn names_and_addresses_are_matched() {
    let Some(openssl) = judge("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let pki = made(folder.path());
    let ca = pki.authority("ca").unwrap().certificate_pem();
    let leaf = pki
        .identity("nodes/masterone/apiserver")
        .unwrap()
        .chain_pem();
    for (flag, name, expected) in [
        ("-verify_hostname", "kubernetes.default.svc", true),
        ("-verify_hostname", "masterone", true),
        ("-verify_hostname", "mastertwo", false),
        ("-verify_ip", "192.168.29.80", true),
        ("-verify_ip", "10.96.0.1", true),
        ("-verify_ip", "192.168.29.52", false),
    ] {
        let more = ["-purpose", "sslserver", flag, name];
        let (accepted, said) = verify(&openssl, folder.path(), &ca, &leaf, &more);
        assert_eq!(accepted, expected, "{name}: {said}");
    }
}

#[test]
fn a_constrained_etcd_authority_is_accepted() {
    let Some(openssl) = judge("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let plan = cluster().with_constrained_etcd().plan().unwrap();
    let store = Store::open(folder.path().join("pki")).unwrap();
    let made = store.ensure(&plan, SystemTime::now()).unwrap();
    let ca = made
        .material()
        .authority("etcd-ca")
        .unwrap()
        .certificate_pem();
    for (id, purpose) in [
        ("nodes/etcdone/etcd-server", "sslserver"),
        ("nodes/etcdone/etcd-peer", "sslclient"),
        ("apiserver-etcd-client", "sslclient"),
    ] {
        let leaf = made.material().identity(id).unwrap().chain_pem();
        let (accepted, said) = verify(&openssl, folder.path(), &ca, &leaf, &["-purpose", purpose]);
        assert!(accepted, "{id}: {said}");
    }
}

#[test]
fn keys_are_read_and_the_discovery_hash_agrees() {
    let Some(openssl) = judge("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let pki = made(folder.path());
    let (accepted, said) = run(
        &openssl,
        &["pkey", "-check", "-noout"],
        &pki.identity("operator").unwrap().key_pem(),
    );
    assert!(accepted && said.contains("Key is valid"), "{said}");

    // The pipeline of kubeadm's documentation.
    let ca = pki.authority("ca").unwrap().certificate_pem();
    let (_, public) = run(&openssl, &["x509", "-pubkey", "-noout"], &ca);
    let der = folder.path().join("public.der");
    let der = der.to_str().unwrap();
    run(
        &openssl,
        &["pkey", "-pubin", "-outform", "der", "-out", der],
        &public,
    );
    let (_, digest) = run(&openssl, &["dgst", "-sha256", "-hex", der], "");
    let hash = cluster().discovery_hash(&pki).unwrap();
    assert!(
        digest.trim().ends_with(&hash["sha256:".len()..]),
        "{digest} {hash}"
    );
}

/// Where the list is, is said in a form that OpenSSL reads, and is kept by what describes the certificate.
#[test]
fn points_of_revocation_lists_are_read() {
    let Some(openssl) = judge("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let name = |name| CommonName::try_from(name).unwrap();
    let ca = Authority::create(&AuthoritySpec::new(name("ca")), now).unwrap();
    let places = [
        "http://one.example.com/ca.crl",
        "http://two.example.com/ca.crl",
    ];
    let leaf = places.iter().fold(Leaf::client(name("x")), |leaf, place| {
        leaf.with_revocation_list(Uri::try_from(*place).unwrap())
    });
    let made = ca.issue(&leaf, now).unwrap();
    let pem = made.certificate_pem();
    let (accepted, said) = verify(
        &openssl,
        folder.path(),
        &ca.certificate_pem(),
        &pem,
        &["-purpose", "sslclient"],
    );
    assert!(accepted, "{said}");
    let args = ["x509", "-noout", "-ext", "crlDistributionPoints"];
    let (_, said) = run(&openssl, &args, &pem);
    for place in places {
        assert!(said.contains(&format!("URI:{place}")), "{said}");
    }
    assert_eq!(Leaf::from_certificate(made.certificate()).unwrap(), leaf);
    // A description that says nothing of lists leaves them.
    let plain = Leaf::client(name("x"));
    let reason = plain.reason_to_renew(made.certificate(), ca.certificate(), now);
    assert_eq!(reason.unwrap(), None);
    let seen = caravan_pki::inspect::Inspection::of(made.certificate(), now);
    assert_eq!(seen.revocation_lists, places);
}
