//! What scripts of cfssl and kubeadm's users ask for.

use std::fs;

use super::{check, done, run};
use expect_test::expect;

#[test]
fn cfssl_files_become_what_they_describe() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
    write(
        "ca-csr.json",
        r#"{"CN": "example ca", "names": [{"O": "Example", "C": "DE"}], "ca": {"expiry": "87600h", "pathlen": 1}}"#,
    );
    write(
        "ca-config.json",
        r#"{"signing": {"default": {"expiry": "8760h"}, "profiles": {
            "server": {"expiry": "2160h", "usages": ["signing", "key encipherment", "server auth"]},
            "issuing": {"expiry": "43800h", "usages": ["cert sign"], "ca_constraint": {"is_ca": true, "max_path_len": 0, "max_path_len_zero": true}}}}}"#,
    );
    write(
        "web.json",
        r#"{"CN": "web", "hosts": ["web.example.com", "10.0.0.7"], "key": {"algo": "ecdsa", "size": 256}}"#,
    );
    write("issuing.json", r#"{"CN": "issuing"}"#);
    let output = done(folder, "cfssl ca --store pki --request ca-csr.json");
    assert!(
        output.contains("made pki/ca.crt: was not there"),
        "{output}"
    );
    assert!(output.contains("note: "), "{output}");
    let output = done(
        folder,
        "cfssl issuing --store pki --request issuing.json --config ca-config.json --profile issuing",
    );
    assert!(output.contains("made pki/issuing.crt"), "{output}");
    let web = "cfssl web --store pki --request web.json --config ca-config.json --profile server --ca issuing";
    let output = done(folder, web);
    assert!(
        output.contains("note: usage `key encipherment` is left out"),
        "{output}"
    );
    assert!(
        output.ends_with("made pki/web.crt: was not there\n"),
        "{output}"
    );
    let output = done(folder, web);
    assert!(output.ends_with("kept pki/web.crt\n"), "{output}");
    done(
        folder,
        "verify --ca pki/ca.crt --server web.example.com pki/web.fullchain.crt",
    );
    check(
        folder,
        "cfssl x --store pki --request web.json --config ca-config.json --profile none",
        1,
        expect![[r#"
            error: no profile in the cfssl configuration named `none`
        "#]],
    );
}

#[test]
fn a_cluster_is_made_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let cluster = "kubernetes --store pki --endpoint 10.0.0.10:6443 --control-plane one=10.0.0.11 --etcd store=10.0.0.21,10.1.0.21 --worker last=10.0.0.31";
    let plan = done(folder, &format!("{cluster} --dry-run"));
    assert!(plan.contains("CN=kube-apiserver; serverAuth"), "{plan}");
    assert!(!folder.join("pki").exists());
    let output = done(folder, &format!("{cluster} --out files"));
    assert!(
        output.contains("join with: --discovery-token-ca-cert-hash sha256:"),
        "{output}"
    );
    for file in [
        "files/one/etc/kubernetes/pki/apiserver.crt",
        "files/one/etc/kubernetes/admin.conf",
        "files/store/etc/etcd/pki/server.key",
        "files/admin.conf",
    ] {
        assert!(
            output.contains(&format!("wrote {file}\n")),
            "{file}: {output}"
        );
        assert!(folder.join(file).exists(), "{file}");
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = |file: &str| {
        fs::metadata(folder.join(file))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("files/store/etc/etcd/pki/server.key"), 0o600);
    assert_eq!(mode("files/admin.conf"), 0o600);
    assert_eq!(mode("files"), 0o700);
    done(
        folder,
        "verify --ca files/one/etc/kubernetes/pki/ca.crt --server 10.0.0.10 files/one/etc/kubernetes/pki/apiserver.crt",
    );
    // A second run changes nothing.
    let again = done(folder, &format!("{cluster} --out files"));
    assert!(again.starts_with("nothing to make\njoin with"), "{again}");
    let (status, output) = run(
        folder,
        &"kubernetes --store pki --endpoint x:6443 --control-plane one"
            .split(' ')
            .collect::<Vec<_>>(),
    );
    assert_eq!(status, 2, "{output}");
}
