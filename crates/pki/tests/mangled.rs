//! No error shows anything of a key, whatever became of its file.

mod mangle;

use std::error::Error as StdError;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caravan_pki::cfssl::{Request, SigningConfig};
use caravan_pki::store::{Store, load_authority};
use caravan_pki::{
    Authority, AuthoritySpec, Certificate, CertificateRequest, CommonName, DnsName, EntryId, Error,
    Organization, Plan, PrivateKey, PublicKey, RevocationList, San, SshKey, Uri, inspect, lint,
};
use mangle::{Secrets, apply, damages};
use proptest::prelude::*;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn authority() -> &'static Authority {
    static AUTHORITY: std::sync::OnceLock<Authority> = std::sync::OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let spec = AuthoritySpec::new(CommonName::try_from("ca").unwrap());
        Authority::create(&spec, now()).unwrap()
    })
}

/// Everything that an error can be asked for.
fn all_of(error: &Error) -> String {
    let mut shown = format!("{error} {error:?} {error:#?} {:?}\n", error.hint());
    let mut cause = StdError::source(error);
    while let Some(inner) = cause {
        shown += &format!("{inner} {inner:?} {inner:#?}\n");
        cause = inner.source();
    }
    shown
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The errors of everything that reads bytes.
fn of_readers(bytes: &[u8]) -> Vec<(&'static str, Option<Error>)> {
    let json = Request::from_json(bytes);
    let config = SigningConfig::from_json(bytes);
    let mut errors = vec![
        ("private key", PrivateKey::from_pem(bytes).err()),
        (
            "private key in DER",
            PrivateKey::from_pkcs8_der(bytes).err(),
        ),
        ("public key", PublicKey::from_pem(bytes).err()),
        ("public key in DER", PublicKey::from_der(bytes).err()),
        ("certificate", Certificate::from_pem(bytes).err()),
        ("certificate in DER", Certificate::from_der(bytes).err()),
        ("bundle", Certificate::all_from_pem(bytes).err()),
        ("request", CertificateRequest::from_pem(bytes).err()),
        ("request in DER", CertificateRequest::from_der(bytes).err()),
        ("revocation list", RevocationList::parse(bytes).err()),
        ("cfssl", config.as_ref().err().map(|_| ()).and(config.err())),
    ];
    match inspect::read(bytes) {
        Ok(found) => errors.extend(
            found
                .faults
                .into_iter()
                .map(|fault| ("inspect", Some(fault))),
        ),
        Err(error) => errors.push(("inspect", Some(error))),
    }
    match json {
        Ok(request) => errors.push(("cfssl request", request.authority().err())),
        Err(error) => errors.push(("cfssl request", Some(error))),
    }
    errors
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_error_shows_anything_of_a_key(form in 0usize..3, damages in damages()) {
        let key = authority().key();
        let (pkcs8, sec1, der) = (key.to_pkcs8_pem(), key.to_sec1_pem(), key.to_pkcs8_der());
        let secrets = Secrets::of(key);
        let file = [pkcs8.as_bytes(), sec1.as_bytes(), &der[..]][form].to_vec();
        let file = apply(file, &damages);

        let mut shown = String::new();
        for (what, error) in of_readers(&file) {
            if let Some(error) = error {
                shown += &format!("{what}: {}", all_of(&error));
            }
        }
        // As a key beside its certificate, as a certificate, in a store and out of it.
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("ca.crt"), authority().certificate_pem()).unwrap();
        write(&path("ca.key"), &file);
        write(&path("other.crt"), &file);
        write(&path("other.conf"), &file);
        let mut plan = Plan::new();
        let spec = AuthoritySpec::new(CommonName::try_from("ca").unwrap());
        plan.authority("ca", spec).unwrap();
        let results = [
            load_authority(path("ca.crt"), path("ca.key"), now()).err(),
            load_authority(path("ca.key"), path("ca.key"), now()).err(),
            Store::open(folder.path()).and_then(|store| store.ensure(&plan, now())).err(),
            Store::open(folder.path()).and_then(|store| store.load(&plan)).err(),
            Store::open(folder.path()).and_then(|store| store.discover()).err(),
        ];
        for error in results.iter().flatten() {
            shown += &all_of(error);
        }
        let report = lint::files([folder.path(), &path("ca.key")], now());
        shown += &format!("{report:?} {}", report.to_json());
        for failure in &report.failures {
            shown += &failure.to_string();
        }
        // The folder's random name is none of the key's.
        let shown = shown.replace(&folder.path().display().to_string(), "FOLDER");
        secrets.must_not_be_in(shown.as_bytes(), &format!("{damages:?}"));
    }
}

/// A key where a name is expected, as after a mistyped `--cn "$(cat ca.key)"`.
#[test]
fn what_may_be_a_key_is_not_quoted_as_a_name() {
    let key = authority().key();
    let pem = key.to_pkcs8_pem();
    let secrets = Secrets::of(key);
    let line = pem.lines().nth(1).unwrap();
    let escaped = pem.replace('\n', "\\n");
    for text in [pem.as_str(), line, &escaped, &pem.replace('\n', "")] {
        let url = format!("https://{text}");
        let token = format!("a b\n{text}");
        for text in [text, &url, &token] {
            let errors = [
                CommonName::try_from(text).err(),
                Organization::try_from(text).err(),
                DnsName::try_from(text).err(),
                San::try_from(text).err(),
                Uri::try_from(text).err(),
                EntryId::try_from(text).err(),
                SshKey::generate(text).err(),
                caravan_pki::kubernetes::Cluster::new(text).err(),
            ];
            for error in errors.iter().flatten() {
                secrets.must_not_be_in(all_of(error).as_bytes(), "name");
            }
        }
    }
}
