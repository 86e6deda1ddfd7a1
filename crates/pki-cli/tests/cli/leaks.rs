//! Nothing of a key is printed, whatever became of its file.

#[path = "../../../pki/tests/mangle/mod.rs"]
mod mangle;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use caravan_pki::PrivateKey;
use mangle::{Secrets, apply, damages};
use proptest::prelude::*;

use super::run;

const COMMANDS: [&str; 15] = [
    "inspect file.crt",
    "inspect --json --bundle file.crt pki/ca.crt",
    "lint file.crt",
    "lint --json .",
    "verify --client --ca pki/ca.crt file.crt",
    "verify --client --ca file.crt pki/ca.crt",
    "verify --client --ca pki/ca.crt --crl file.crt pki/ca.crt",
    "init --store new --import pki/ca.crt file.crt",
    "init --store new --import file.crt file.crt",
    "issue --store pki --client --request file.crt",
    "renew --store broken",
    "csr --key file.crt --cn x",
    "bundle --store pki ca --passphrase-file file.crt",
    "cfssl x --store pki --request file.crt",
    "cfssl x --store pki --request file.crt --config file.crt --profile x",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_of_a_key_is_printed(sec1 in any::<bool>(), damages in damages()) {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let key = PrivateKey::generate().unwrap();
        let (pkcs8, old) = (key.to_pkcs8_pem(), key.to_sec1_pem());
        let secrets = Secrets::of(&key);
        let file = if sec1 { &old } else { &pkcs8 };
        let file = apply(file.as_bytes().to_vec(), &damages);
        run(folder, &["init", "--store", "pki", "--cn", "example"]);
        run(folder, &["init", "--store", "broken", "--cn", "example"]);
        for name in ["file.crt", "broken/ca.key"] {
            fs::write(folder.join(name), &file).unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        for command in COMMANDS {
            let (_, output) = run(folder, &command.split(' ').collect::<Vec<_>>());
            secrets.must_not_be_in(output.as_bytes(), command);
        }
    }
}
