//! How long a certificate takes: new P-256 key, leaf with six names, both in PEM; the authority is loaded.
//!
//! `cargo bench -p caravan-pki` measures the p256 backend, `--features ring` the other one; rcgen stands beside both.
//! `benches/compare/run` adds Go, OpenSSL and cfssl.

#![allow(missing_docs)]

use std::time::SystemTime;

use caravan_pki::store::Store;
use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf, Plan, PrivateKey, Sans};
use divan::{Bencher, black_box};

const NAMES: [&str; 6] = [
    "etcdone",
    "etcdone.example.com",
    "localhost",
    "192.168.29.61",
    "127.0.0.1",
    "::1",
];

fn main() {
    divan::main();
}

fn name(name: &str) -> CommonName {
    CommonName::try_from(name).unwrap()
}

fn authority() -> Authority {
    Authority::create(&AuthoritySpec::new(name("ca")), SystemTime::now()).unwrap()
}

fn leaf(index: usize) -> Leaf {
    Leaf::peer(name(&format!("node-{index}")), Sans::parse(NAMES).unwrap())
}

#[divan::bench(sample_count = 200, sample_size = 10)]
fn key_leaf_and_pem(bencher: Bencher) {
    let (ca, leaf, now) = (authority(), leaf(0), SystemTime::now());
    bencher.bench(|| {
        let identity = ca.issue(black_box(&leaf), now).unwrap();
        (identity.certificate_pem(), identity.key_pem())
    });
}

/// 200 certificates by one thread, and by two: the second must take little more than half as long.
#[divan::bench(args = [1, 2], sample_count = 20, sample_size = 1)]
fn two_hundred_by_threads(threads: usize) {
    let (ca, now) = (authority(), SystemTime::now());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for index in 0..200 / threads {
                    let identity = ca.issue(&leaf(index), now).unwrap();
                    black_box((identity.certificate_pem(), identity.key_pem()));
                }
            });
        }
    });
}

#[divan::bench(sample_count = 200, sample_size = 10)]
fn new_key() -> PrivateKey {
    PrivateKey::generate().unwrap()
}

#[divan::bench(sample_count = 200, sample_size = 10)]
fn rcgen_with_ring(bencher: Bencher) {
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
        KeyUsagePurpose,
    };
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let issuer = Issuer::new(ca, ca_key);
    bencher.bench(|| {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        leaf.use_authority_key_identifier_extension = true;
        let certificate = leaf.signed_by(&key, &issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    });
}

fn plan(count: usize) -> Plan {
    let mut plan = Plan::new();
    plan.authority("ca", AuthoritySpec::new(name("ca")))
        .unwrap();
    for index in 0..count {
        plan.leaf("ca", &format!("nodes/{index}"), leaf(index))
            .unwrap();
    }
    plan
}

/// A thousand certificates and keys into an empty store, on disk when it returns.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn thousand_into_a_store(bencher: Bencher) {
    let plan = plan(1000);
    bencher
        .with_inputs(|| tempfile::tempdir().unwrap())
        .bench_refs(|folder| {
            let store = Store::open(folder.path().join("pki")).unwrap();
            store.ensure(&plan, SystemTime::now()).unwrap()
        });
}

/// The disk's own limit beside it: the same 2,001 files and bytes, one sync, renames.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn thousand_pairs_of_plain_files(bencher: Bencher) {
    bencher
        .with_inputs(|| tempfile::tempdir().unwrap())
        .bench_refs(|folder| {
            for index in 0..1000 {
                for (extension, length) in [("crt", 900), ("key", 241)] {
                    let path = folder.path().join(format!(".{index}.{extension}"));
                    std::fs::write(path, vec![b'x'; length]).unwrap();
                }
            }
            rustix::fs::syncfs(std::fs::File::open(folder.path()).unwrap()).unwrap();
            for index in 0..1000 {
                for extension in ["crt", "key"] {
                    let file = format!("{index}.{extension}");
                    let hidden = folder.path().join(format!(".{file}"));
                    std::fs::rename(hidden, folder.path().join(file)).unwrap();
                }
            }
            std::fs::File::open(folder.path())
                .unwrap()
                .sync_all()
                .unwrap();
        });
}

/// The same store again: everything is read and checked, nothing written.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn thousand_checked_again(bencher: Bencher) {
    let (plan, folder) = (plan(1000), tempfile::tempdir().unwrap());
    let store = Store::open(folder.path().join("pki")).unwrap();
    store.ensure(&plan, SystemTime::now()).unwrap();
    bencher.bench(|| store.ensure(&plan, SystemTime::now()).unwrap());
}
