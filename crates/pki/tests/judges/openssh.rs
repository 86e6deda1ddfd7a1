//! OpenSSH and Ruby's OpenSSL binding (which net-ssh reads keys with) judge ssh keys.

use std::os::unix::fs::OpenOptionsExt;

use std::io::Write;

use caravan_pki::SshKey;

use super::{judge, run};

#[test]
fn ssh_keygen_derives_the_same_public_line() {
    let Some(ssh_keygen) = judge("ssh-keygen") else {
        return;
    };
    let key = SshKey::generate("operator@example").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(key.private_pem().as_bytes()))
        .unwrap();
    let (accepted, line) = run(&ssh_keygen, &["-y", "-f", path.to_str().unwrap()], "");
    assert!(accepted, "{line}");
    let words = |line: &str| {
        line.split_whitespace()
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&line), words(&key.public_line()));
}

#[test]
fn ruby_reads_the_private_key() {
    let Some(ruby) = judge("ruby") else {
        return;
    };
    let key = SshKey::generate("").unwrap();
    let script = "require 'openssl'; key = OpenSSL::PKey::EC.new(STDIN.read); print key.group.curve_name, key.check_key";
    let (accepted, answer) = run(&ruby, &["-e", script], &key.private_pem());
    assert!(accepted, "{answer}");
    assert_eq!(answer, "prime256v1true");
}
