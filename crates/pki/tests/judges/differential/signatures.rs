//! Signatures of other algorithms, by authorities that OpenSSL makes: RSA is kubeadm's default.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use caravan_pki::lint::{self, Severity};
use caravan_pki::verify::{Purpose, Verifier};
use caravan_pki::{Certificate, San};

use super::model::HOST;
use crate::{go, judge, run};

struct Kind {
    name: &'static str,
    key: &'static [&'static str],
    digest: &'static str,
    go: bool,
    webpki: bool,
    /// Whether `verify` refuses it without and with the feature `ring`.
    ours: (bool, bool),
    why: &'static str,
}

const fn rsa(bits: &'static str) -> [&'static str; 4] {
    ["-algorithm", "RSA", "-pkeyopt", bits]
}

const RSA: [&str; 4] = rsa("rsa_keygen_bits:2048");
const RSA_1024: [&str; 4] = rsa("rsa_keygen_bits:1024");
const P256: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const P521: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"];
const ED25519: [&str; 2] = ["-algorithm", "ED25519"];

const WITH_RING: &str = "with `ring`, all; without it, only P-256 can be checked, and that is said";

const fn kind(
    name: &'static str,
    key: &'static [&'static str],
    digest: &'static str,
    (go, webpki): (bool, bool),
    ours: (bool, bool),
    why: &'static str,
) -> Kind {
    Kind {
        name,
        key,
        digest,
        go,
        webpki,
        ours,
        why,
    }
}

const KINDS: [Kind; 11] = [
    kind(
        "P-256, SHA-256",
        &P256,
        "sha256",
        (false, false),
        (false, false),
        "",
    ),
    kind(
        "P-256, SHA-384",
        &P256,
        "sha384",
        (false, false),
        (false, false),
        "",
    ),
    kind(
        "P-256, SHA-512",
        &P256,
        "sha512",
        (false, true),
        (false, false),
        "OpenSSL and Go: it is a good signature; rustls takes it with aws-lc-rs, not with ring",
    ),
    kind(
        "P-384, SHA-384",
        &P384,
        "sha384",
        (false, false),
        (true, false),
        WITH_RING,
    ),
    kind(
        "P-384, SHA-256",
        &P384,
        "sha256",
        (false, false),
        (true, false),
        WITH_RING,
    ),
    kind(
        "P-521, SHA-512",
        &P521,
        "sha512",
        (false, true),
        (true, true),
        "webpki with ring: it cannot be checked here either, and that is said",
    ),
    kind(
        "RSA 2048, SHA-256",
        &RSA,
        "sha256",
        (false, false),
        (true, false),
        WITH_RING,
    ),
    kind(
        "RSA 2048, SHA-512",
        &RSA,
        "sha512",
        (false, false),
        (true, false),
        WITH_RING,
    ),
    kind(
        "Ed25519",
        &ED25519,
        "none",
        (false, false),
        (true, false),
        WITH_RING,
    ),
    kind(
        "RSA 2048, SHA-1",
        &RSA,
        "sha1",
        (true, true),
        (true, true),
        "Go and webpki: SHA-1 is broken; OpenSSL accepts it unless `-auth_level` is given",
    ),
    kind(
        "RSA 1024, SHA-256",
        &RSA_1024,
        "sha256",
        (false, true),
        (true, true),
        "webpki: 1024 bits are too few; OpenSSL and Go 1.26 accept such a root",
    ),
];

/// Makes a root of the kind and a leaf of P-256 below it; both in PEM.
fn make(openssl: &Path, folder: &Path, kind: &Kind) -> (String, String) {
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let must = |args: &[&str]| {
        let (made, said) = run(openssl, args, "");
        assert!(made, "{}: {said}", kind.name);
    };
    let (root_key, root, leaf_key) = (file("root.key"), file("root.crt"), file("leaf.key"));
    let (request, leaf, extensions) = (file("leaf.csr"), file("leaf.crt"), file("ext"));
    let digest = format!("-{}", kind.digest);
    must(&[&["genpkey", "-out", &root_key], kind.key].concat());
    must(&[&["genpkey", "-out", &leaf_key], &P256[..]].concat());
    let mut args = vec![
        "req", "-x509", "-new", "-key", &root_key, "-subj", "/CN=root", "-days", "9",
    ];
    args.extend([
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        "-out",
        &root,
    ]);
    if kind.key != ED25519 {
        args.push(&digest);
    }
    must(&args);
    must(&[
        "req", "-new", "-key", &leaf_key, "-subj", "/CN=leaf", "-out", &request,
    ]);
    std::fs::write(
        &extensions,
        format!(
            "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:{HOST}\n\
             subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        ),
    )
    .unwrap();
    let mut args = vec![
        "x509", "-req", "-in", &request, "-CA", &root, "-CAkey", &root_key,
    ];
    args.extend([
        "-days",
        "5",
        "-set_serial",
        "0x1234567890abcdef12",
        "-extfile",
        &extensions,
        "-out",
        &leaf,
    ]);
    if kind.key != ED25519 {
        args.push(&digest);
    }
    must(&args);
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    (read(&root), read(&leaf))
}

#[test]
fn signatures_of_every_kind() {
    let Some(openssl) = judge("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    for (index, kind) in KINDS.iter().enumerate() {
        let (root, leaf) = make(&openssl, folder.path(), kind);
        // Certificates of OpenSSL begin now.
        let now = SystemTime::now() + std::time::Duration::from_secs(2);
        let seconds = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (accepted, said) = crate::openssl::verify(
            &openssl,
            folder.path(),
            &root,
            &leaf,
            &["-purpose", "sslserver", "-verify_hostname", HOST],
        );
        assert!(accepted, "{}: {said}", kind.name);
        let file = |name: &str, text: &str| {
            let path = folder.path().join(format!("{index}.{name}"));
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (root_file, leaf_file) = (file("root", &root), file("leaf", &leaf));
        lines.push(format!(
            "judge\t{root_file}\t{leaf_file}\tserver\t{HOST}\t{seconds}"
        ));
        let root = Certificate::from_pem(root.as_bytes()).unwrap();
        let leaf = Certificate::from_pem(leaf.as_bytes()).unwrap();
        let webpki = by_webpki(&root, &leaf, seconds);
        assert_eq!(webpki.is_err(), kind.webpki, "{}: {webpki:?}", kind.name);
        let purpose = Purpose::Server(San::try_from(HOST).unwrap());
        let ours = Verifier::new([&root]).verify(&[&leaf], &purpose, now);
        let refuses = if cfg!(feature = "ring") {
            kind.ours.1
        } else {
            kind.ours.0
        };
        assert_eq!(ours.is_err(), refuses, "{}: {ours:?}", kind.name);
        // Nothing wrong is claimed of what cannot be checked, and what is weak is said.
        let errors: Vec<&str> = lint::certificates(&[root, leaf], now)
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| finding.rule)
            .collect();
        let expected: &[&str] = match kind.name {
            "RSA 2048, SHA-1" => &["weak-hash", "weak-hash"],
            "RSA 1024, SHA-256" => &["weak-key"],
            _ => &[],
        };
        assert_eq!(errors, expected, "{}", kind.name);
        println!(
            "{:<20} - {} {} {}  {}",
            kind.name,
            super::mark(kind.go),
            super::mark(kind.webpki),
            super::mark(refuses),
            kind.why
        );
    }
    let Some(go) = go::go() else {
        return;
    };
    for (kind, said) in KINDS.iter().zip(go::verdicts(&go, &lines)) {
        assert_eq!(said != "ok", kind.go, "{}: {said}", kind.name);
    }
}

fn by_webpki(root: &Certificate, leaf: &Certificate, seconds: u64) -> Result<(), webpki::Error> {
    use rustls_pki_types::{CertificateDer, UnixTime};
    let (root, leaf) = (
        CertificateDer::from(root.as_der()),
        CertificateDer::from(leaf.as_der()),
    );
    let anchors = [webpki::anchor_from_trusted_cert(&root)?];
    let leaf = webpki::EndEntityCert::try_from(&leaf)?;
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let usage = webpki::KeyUsage::server_auth();
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    leaf.verify_for_usage(algorithms, &anchors, &[], time, usage, None, None)?;
    Ok(())
}
