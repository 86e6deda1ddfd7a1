//! How long a certificate takes: new P-256 key, leaf with six names, both in PEM; the authority is loaded.
//!
//! `cargo bench -p caravan-pki` measures the p256 backend, `--features ring` the other one; rcgen stands beside both.
//! `benches/compare/run` adds Go, OpenSSL and cfssl.

#![allow(missing_docs)]

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use caravan_pki::store::Store;
use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf, Plan, PrivateKey, Sans};
use divan::{Bencher, black_box};
use rustix::fs::{CWD, RenameFlags};

const NAMES: [&str; 6] = [
    "etcdone",
    "etcdone.example.com",
    "localhost",
    "192.168.29.61",
    "127.0.0.1",
    "::1",
];

/// Where files are written.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

fn main() {
    let folder = tempfile::tempdir().unwrap();
    FOLDER.set(folder.path().to_owned()).unwrap();
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

/// Issues `count` certificates, shared out to threads, and forgets them.
fn issue_by(threads: usize, count: usize) {
    let (ca, now) = (authority(), SystemTime::now());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for index in 0..count / threads {
                    let identity = ca.issue(&leaf(index), now).unwrap();
                    black_box((identity.certificate_pem(), identity.key_pem()));
                }
            });
        }
    });
}

/// 200 certificates by one thread, and by two: the second must take little more than half as long.
#[divan::bench(args = [1, 2], sample_count = 20, sample_size = 1)]
fn two_hundred_by_threads(threads: usize) {
    issue_by(threads, 200);
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

/// A new folder, which stays until the end of the run: ext4 hands out no inode that was freed within the last minutes, so
/// whoever deletes thousands of files makes the next thousands slow, and measures that.
fn folder() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let index = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = FOLDER.get().unwrap().join(index.to_string());
    std::fs::create_dir(&folder).unwrap();
    folder
}

/// A thousand certificates and keys by all cores, kept in memory: what the store cannot be faster than.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn thousand_in_memory() {
    issue_by(std::thread::available_parallelism().unwrap().get(), 1000);
}

/// A thousand certificates and keys into an empty store, on disk when it returns.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn thousand_into_a_store(bencher: Bencher) {
    let plan = plan(1000);
    bencher.with_inputs(folder).bench_refs(|folder| {
        let store = Store::open(folder.join("pki")).unwrap();
        store.ensure(&plan, SystemTime::now()).unwrap()
    });
}

/// The disk's own limit beside it: a store's files with its names, bytes and modes, by the calls that are the least for
/// as much care: new files under other names, one sync, renames that replace nothing, and a sync of the folder after
/// the keys and after the certificates.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn thousand_pairs_of_plain_files(bencher: Bencher) {
    let made = folder().join("pki");
    let store = Store::open(&made).unwrap();
    store.ensure(&plan(1000), SystemTime::now()).unwrap();
    let read = |extension: &str| -> Vec<(String, Vec<u8>)> {
        let name = |index: usize| format!("nodes/{index}.{extension}");
        let names = (0..1000).map(name).chain([format!("ca.{extension}")]);
        names
            .map(|name| (name.clone(), std::fs::read(made.join(name)).unwrap()))
            .collect()
    };
    let files = [(0o600, read("key")), (0o644, read("crt"))];
    let sync = |folder: &Path| std::fs::File::open(folder).unwrap().sync_all().unwrap();
    bencher.with_inputs(folder).bench_refs(|folder| {
        std::fs::create_dir(folder.join("nodes")).unwrap();
        let hidden = |name: &str| folder.join(format!("{name}.new"));
        for (mode, files) in &files {
            for (name, bytes) in files {
                let mut file = std::fs::File::options();
                let file = file.write(true).create_new(true).mode(*mode);
                file.open(hidden(name)).unwrap().write_all(bytes).unwrap();
            }
        }
        rustix::fs::syncfs(std::fs::File::open(&folder).unwrap()).unwrap();
        for (_, files) in &files {
            for (name, _) in files {
                let (from, to) = (hidden(name), folder.join(name));
                rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).unwrap();
            }
            sync(folder);
            sync(&folder.join("nodes"));
        }
    });
}

/// The same store again: everything is read and checked, nothing written.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn thousand_checked_again(bencher: Bencher) {
    let plan = plan(1000);
    let store = Store::open(folder().join("pki")).unwrap();
    store.ensure(&plan, SystemTime::now()).unwrap();
    bencher.bench(|| store.ensure(&plan, SystemTime::now()).unwrap());
}
