//! Every seed of the fuzz targets goes through the parser it is for; `UPDATE_EXPECT=1` writes the seeds anew.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caravan_pki::cfssl::{Request, SigningConfig};
use caravan_pki::{
    Authority, AuthoritySpec, Certificate, CertificateRequest, CommonName, Leaf, Lifetime,
    Organization, PrivateKey, PublicKey, RevocationList, Sans, Subject, inspect, lint,
};

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/seeds")
        .join(target)
}

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(folder(target))
        .unwrap_or_else(|error| panic!("{target}: {error}; UPDATE_EXPECT=1 writes the seeds"))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    all.sort();
    assert!(all.len() > 1, "{target} has too few seeds");
    all
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn write_seeds() {
    let name = |name| CommonName::try_from(name).unwrap();
    let write = |target: &str, file: &str, bytes: &[u8]| {
        std::fs::create_dir_all(folder(target)).unwrap();
        std::fs::write(folder(target).join(file), bytes).unwrap();
    };
    let ca = Authority::create(&AuthoritySpec::new(name("ca")), now()).unwrap();
    let sans = Sans::parse([
        "web.example.com",
        "*.example.com",
        "10.0.0.1",
        "::1",
        "spiffe://x/y",
    ])
    .unwrap();
    let group = Organization::try_from("system:masters").unwrap();
    let server = ca
        .issue(&Leaf::peer(name("web"), sans.clone()), now())
        .unwrap();
    let client = ca
        .issue(&Leaf::client(name("x")).with_organization(group), now())
        .unwrap();
    for (file, certificate) in [
        ("authority", ca.certificate()),
        ("server", server.certificate()),
        ("client", client.certificate()),
    ] {
        write("certificate", file, certificate.as_der());
        write("pem", file, certificate.to_pem().as_bytes());
    }
    write(
        "pem",
        "public-key",
        ca.key().public_key().to_pem().as_bytes(),
    );
    write(
        "pem",
        "crlf-and-text",
        format!("text\r\n{}", ca.certificate_pem().replace('\n', "\r\n")).as_bytes(),
    );
    let key = PrivateKey::generate().unwrap();
    let subject = Subject::new(name("web"));
    for (file, sans) in [("with-names", Some(&sans)), ("without-names", None)] {
        let request = CertificateRequest::create(&key, &subject, sans).unwrap();
        write("request", file, request.as_der());
    }
    let week = Lifetime::days(7);
    let list = ca.revoke([server.certificate()], 1, week, now()).unwrap();
    write("revocation_list", "one", list.as_der());
    write("revocation_list", "one-pem", list.to_pem().as_bytes());
    write(
        "revocation_list",
        "none",
        ca.revoke([], 2, week, now()).unwrap().as_der(),
    );
    write("cfssl", "config", br#"{"signing":{"default":{"expiry":"8760h"},"profiles":{"server":{"usages":["signing","key encipherment","server auth"],"expiry":"1h30m"},"ca":{"usages":["cert sign"],"ca_constraint":{"is_ca":true,"max_path_len":0,"max_path_len_zero":true}}}},"CN":"x","hosts":["a","10.0.0.1"]}"#);
    write("cfssl", "request", br#"{"CN":"ca","key":{"algo":"rsa","size":2048},"names":[{"C":"DE","O":"Example"}],"ca":{"expiry":"87600h","pathlen":1}}"#);
}

#[test]
fn every_seed_is_read() {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        write_seeds();
    }
    for (path, bytes) in seeds("certificate") {
        let certificate =
            Certificate::from_der(&bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(certificate.as_der(), bytes, "{path}");
        let _ = lint::certificates(std::slice::from_ref(&certificate), now());
        assert!(
            inspect::Inspection::of(&certificate, now())
                .to_json()
                .contains(&certificate.serial())
        );
    }
    for (path, bytes) in seeds("pem") {
        let read = inspect::read(&bytes).is_ok() || PublicKey::from_pem(&bytes).is_ok();
        assert!(read, "{path}");
        assert!(
            !String::from_utf8_lossy(&bytes).contains("PRIVATE"),
            "{path} holds a key"
        );
    }
    for (path, bytes) in seeds("request") {
        let request =
            CertificateRequest::from_der(&bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
        request.verify_possession().unwrap();
    }
    for (path, bytes) in seeds("revocation_list") {
        RevocationList::parse(&bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    for (path, bytes) in seeds("cfssl") {
        assert!(
            Request::from_json(&bytes).is_ok() || SigningConfig::from_json(&bytes).is_ok(),
            "{path}"
        );
    }
}
