//! What does not fit is explained, with the next step.

use caravan_pki::{CertificateRequest, CommonName, Organization, PrivateKey, Sans, Subject};
use expect_test::expect;

use super::{check, run};

#[test]
fn mistakes_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // A mistyped folder is not made.
    for command in ["issue x --store pki --client", "renew --store pki"] {
        check(
            folder,
            command,
            1,
            expect![[r#"
                error: there is no folder `pki`

                hint: `caravan-pki init --store 'pki' --cn NAME` makes one
            "#]],
        );
    }
    assert!(!folder.join("pki").exists());
    run(folder, &["init", "--store", "pki", "--cn", "example"]);
    check(
        folder,
        "init --store pki --cn other",
        1,
        expect![[r#"
            error: `pki/ca.crt` is there already, for `CN=example`

            hint: another authority needs another name in the store: --id NAME
        "#]],
    );
    check(
        folder,
        "issue x --store pki --client --ca other",
        1,
        expect![[r#"
            error: there is no authority `other` in `pki`

            hint: in it are: ca
        "#]],
    );
    check(
        folder,
        "issue ca --store pki --client",
        1,
        expect![[r#"
            error: `ca` is an authority of `pki`

            hint: a certificate needs another name in the store
        "#]],
    );
    check(
        folder,
        "issue Web --store pki --client",
        1,
        expect![[r#"
            error: invalid entry name `Web`: may hold lower-case letters, digits, `.`, `_`, `-` and `/` only
        "#]],
    );
    check(
        folder,
        "renew --store pki x",
        1,
        expect![[r#"
            error: there is no certificate `x` in `pki` that could be renewed

            hint: in it are: ca
        "#]],
    );
    check(
        folder,
        "inspect pki/ca.key",
        1,
        expect![[r#"
            error: cannot use `pki/ca.key`
              malformed certificate: there is none, but a `PRIVATE KEY` block
        "#]],
    );
    check(
        folder,
        "lint nothing",
        1,
        expect![[r#"
            nothing: not judged: cannot be read: No such file or directory (os error 2)
            0 certificates, 0 findings, 1 not judged
        "#]],
    );
    check(
        folder,
        "verify --ca pki/ca.crt --server a pki/ca.crt",
        1,
        expect![[r#"
            error: certificate of `example` is not trusted as server `a`: it is an authority's own certificate
        "#]],
    );
    check(
        folder,
        "issue x --store pki --server",
        1,
        expect![[r#"
        error: invalid usages of `x`: a server needs subject alternative names: clients ignore the common name
    "#]],
    );
}

#[test]
fn a_refused_request_says_how_it_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, &["init", "--store", "pki", "--cn", "example"]);
    let subject = Subject::new(CommonName::try_from("web").unwrap())
        .with_organization(Organization::try_from("x").unwrap());
    let sans = Sans::parse(["web.example.com"]).unwrap();
    let key = PrivateKey::generate().unwrap();
    let request = CertificateRequest::create(&key, &subject, Some(&sans)).unwrap();
    std::fs::write(folder.join("web.csr"), request.to_pem()).unwrap();
    let mut args = vec![
        "issue",
        "--store",
        "pki",
        "--request",
        "web.csr",
        "--server",
    ];
    for more in [
        ["--san", "web.example.com"],
        ["--cn", "web"],
        ["--organization", "x"],
    ] {
        let (status, output) = run(folder, &args);
        assert_eq!(status, 1);
        let hint = format!("hint: to allow it: {} '{}'\n", more[0], more[1]);
        assert!(output.ends_with(&hint), "{output}");
        args.extend(more);
    }
    let (status, output) = run(folder, &args);
    assert_eq!(status, 0);
    assert!(
        output.starts_with("-----BEGIN CERTIFICATE-----"),
        "{output}"
    );
}

/// As `caravan-pki inspect pki/*.crt | head -1`.
#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, &["init", "--store", "pki", "--cn", "example"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = duct::cmd!(env!("CARGO_BIN_EXE_caravan-pki"), "inspect", "pki/ca.crt")
        .dir(folder)
        .stdout_file(writer)
        .stderr_capture()
        .unchecked()
        .run()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
