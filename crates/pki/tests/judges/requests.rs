//! Requests that OpenSSL makes: refused where they cannot be read, and signed for keys of other kinds.

use std::fs;

use caravan_pki::{
    Authority, CertificateRequest, CommonName, DnsName, Error, Lifetime, RequestPolicy,
};

use super::run;
use super::workshop::{P256, ROOT, Workshop};

fn name(name: &str) -> CommonName {
    CommonName::try_from(name).unwrap()
}

/// OpenSSL makes a request whose alternative names cannot be read: it is refused, and no certificate without names made.
#[test]
fn a_malformed_name_in_a_request_is_a_refusal() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.root("ca", 100, ROOT);
    let (ca, key) = (workshop.read("store/ca.crt"), workshop.read("store/ca.key"));
    let ca = Authority::load(ca.as_bytes(), key.as_bytes(), workshop.on_day(1)).unwrap();
    workshop.key("x", &P256);
    let key = workshop.shown("store/x.key");
    let policy = RequestPolicy::client().with_common_name(name("x"));
    for (extension, refused) in [
        ("subjectAltName=DER:0500", true),
        ("subjectAltName=DER:30058203666f", true),
        ("subjectAltName=DER:3006870400000001", true),
        ("basicConstraints=DER:300301", true),
        ("keyUsage=digitalSignature", false),
    ] {
        let (made, request) = run(
            &workshop.openssl,
            &[
                "req", "-new", "-key", &key, "-subj", "/CN=x", "-addext", extension,
            ],
            "",
        );
        assert!(made, "{request}");
        let request = CertificateRequest::from_pem(request.as_bytes()).unwrap();
        let result = ca.sign_request(
            &request,
            &policy.clone().with_lifetime(Lifetime::days(5)),
            workshop.on_day(1),
        );
        assert_eq!(result.is_err(), refused, "{extension}: {result:?}");
    }
}

/// Keys that are made elsewhere are certified, if whoever asks has them.
#[test]
fn requests_for_keys_of_other_kinds_are_signed() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.root("ca", 100, ROOT);
    let (ca, key) = (workshop.read("store/ca.crt"), workshop.read("store/ca.key"));
    let ca = Authority::load(ca.as_bytes(), key.as_bytes(), workshop.on_day(1)).unwrap();
    let policy = RequestPolicy::server()
        .with_domain(DnsName::try_from("example.com").unwrap())
        .with_lifetime(Lifetime::days(30));
    let rsa = |bits| ["-algorithm", "RSA", "-pkeyopt", bits];
    let curve = |curve| ["-algorithm", "EC", "-pkeyopt", curve];
    for (id, algorithm, usable) in [
        ("rsa2048", &rsa("rsa_keygen_bits:2048")[..], true),
        ("rsa3072", &rsa("rsa_keygen_bits:3072"), true),
        ("rsa1024", &rsa("rsa_keygen_bits:1024"), false),
        ("p384", &curve("ec_paramgen_curve:P-384"), true),
        ("p521", &curve("ec_paramgen_curve:P-521"), false),
        ("ed25519", &["-algorithm", "ED25519"], true),
    ] {
        workshop.key(id, algorithm);
        let key = workshop.shown(&format!("store/{id}.key"));
        let name = format!("{id}.example.com");
        let names = format!("subjectAltName=DNS:{name}");
        let args = [
            "req",
            "-new",
            "-key",
            &key,
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            &names,
        ];
        let (made, request) = run(&workshop.openssl, &args, "");
        assert!(made, "{request}");
        let request = CertificateRequest::from_pem(request.as_bytes()).unwrap();
        let signed = ca.sign_request(&request, &policy, workshop.on_day(1));
        if !usable {
            assert!(
                matches!(signed, Err(Error::UnsupportedKey { .. })),
                "{id}: {signed:?}"
            );
            continue;
        }
        if !cfg!(feature = "ring") {
            // Whether whoever asks has the key cannot be told, and that is said.
            assert!(
                matches!(signed, Err(Error::UnsupportedSignature { .. })),
                "{id}: {signed:?}"
            );
            continue;
        }
        let file = format!("{id}.crt");
        fs::write(workshop.path(&file), signed.unwrap().to_pem()).unwrap();
        workshop.all_accept("store/ca.crt", &file, "server", &name, 2);
        // A request that was changed on its way proves nothing.
        let mut der = request.as_der().to_vec();
        let at = der.windows(7).position(|part| part == b"example").unwrap();
        der[at] = b'E';
        let changed = CertificateRequest::from_der(&der).unwrap();
        assert!(changed.verify_possession().is_err(), "{id}");
    }
}
