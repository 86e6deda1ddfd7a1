//! Authorities made by other tools, used as they are.

use std::path::Path;
use std::time::SystemTime;

use caravan_pki::verify::{Purpose, Verifier};
use caravan_pki::{Authority, Certificate, CommonName, Error, Leaf, Sans, lint};

use super::ask_openssl::{strict, verify};
use super::{judge, run};

/// An authority made by OpenSSL: certificate and key in PEM.
fn openssl_ca(openssl: &Path, folder: &Path, algorithm: &[&str], config: &str) -> (String, String) {
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (key, certificate, config_file) = (file("ca.key"), file("ca.crt"), file("ca.cnf"));
    std::fs::write(&config_file, config).unwrap();
    let generate = [&["genpkey", "-out", &key], algorithm].concat();
    let (made, said) = run(openssl, &generate, "");
    assert!(made, "{said}");
    let request = [
        "req",
        "-x509",
        "-new",
        "-key",
        &key,
        "-config",
        &config_file,
        "-days",
        "30",
        "-out",
        &certificate,
    ];
    let (made, said) = run(openssl, &request, "");
    assert!(made, "{said}");
    let read = |file: &str| std::fs::read_to_string(file).unwrap();
    (read(&certificate), read(&key))
}

const EC: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn config(more: &str) -> String {
    format!(
        "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n{more}\n[dn]\nC=DE\nO=Some Company, Inc.\nCN=a foreign CA\n\
         [ext]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
    )
}

fn now() -> SystemTime {
    // OpenSSL starts validity now; we must not be earlier.
    SystemTime::now() + std::time::Duration::from_secs(2)
}

/// Issues under the authority, and has webpki, OpenSSL and our lint judge the result.
fn issue_and_judge(openssl: &Path, folder: &Path, certificate: &str, key: &str) {
    let authority = Authority::load(certificate.as_bytes(), key.as_bytes(), now()).unwrap();
    let name = CommonName::try_from("web").unwrap();
    let sans = Sans::parse(["web.example.com"]).unwrap();
    let leaf = Leaf::server(name, sans.clone()).with_lifetime(caravan_pki::Lifetime::days(7));
    let identity = authority.issue(&leaf, now()).unwrap();
    assert!(
        identity
            .certificate()
            .is_signed_by(authority.certificate())
            .unwrap()
    );

    let name = sans.iter().next().unwrap().clone();
    Verifier::new([authority.certificate()])
        .verify(&[identity.certificate()], &Purpose::Server(name), now())
        .unwrap();
    let all = [
        authority.certificate().clone(),
        identity.certificate().clone(),
    ];
    let findings = lint::certificates(&all, now());
    let of_ours: Vec<_> = findings
        .iter()
        .filter(|finding| finding.subject == "web")
        .collect();
    assert!(of_ours.is_empty(), "{of_ours:?}");

    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (ca_file, leaf_file) = (file("foreign.pem"), file("leaf.pem"));
    std::fs::write(&ca_file, certificate).unwrap();
    std::fs::write(&leaf_file, identity.chain_pem()).unwrap();
    let args = verify(&ca_file, &leaf_file, &["-purpose", "sslserver"]);
    let (accepted, said) = run(openssl, &args, "");
    assert!(accepted, "{said}");
}

#[test]
fn authorities_of_openssl() {
    let Some(openssl) = judge("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for more in ["string_mask=utf8only", "string_mask=nombstr"] {
        let (certificate, key) = openssl_ca(&openssl, folder.path(), EC, &config(more));
        issue_and_judge(&openssl, folder.path(), &certificate, &key);
        // Files that went through other hands.
        let crlf = certificate.replace('\n', "\r\n");
        issue_and_judge(&openssl, folder.path(), &crlf, &key.replace('\n', "\r\n"));
        let (_, text) = run(&openssl, &["x509", "-text"], &certificate);
        assert!(text.starts_with("Certificate:"));
        issue_and_judge(&openssl, folder.path(), &text, &key);
        // The SEC1 form, with its parameters before it.
        let (_, sec1) = run(&openssl, &["ec"], &key);
        let sec1 = &sec1[sec1.find("-----BEGIN").unwrap()..];
        assert!(sec1.contains("EC PRIVATE KEY"), "{sec1}");
        let parameters =
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        issue_and_judge(
            &openssl,
            folder.path(),
            &certificate,
            &format!("{parameters}{sec1}"),
        );
    }
}

#[test]
fn unusable_authorities_are_refused_clearly() {
    let Some(openssl) = judge("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let load = |certificate: &str, key: &str| {
        Authority::load(certificate.as_bytes(), key.as_bytes(), now())
            .unwrap_err()
            .to_string()
    };
    let rsa = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let (certificate, key) = openssl_ca(&openssl, folder.path(), rsa, &config(""));
    assert_eq!(load(&certificate, &key), "cannot use RSA keys for signing");
    // It can be looked at all the same.
    let parsed = Certificate::from_pem(certificate.as_bytes()).unwrap();
    assert_eq!(parsed.key_algorithm(), "RSA");
    match parsed.is_signed_by(&parsed) {
        Ok(true) if cfg!(feature = "ring") => {}
        Err(Error::UnsupportedSignature { .. }) if !cfg!(feature = "ring") => {}
        other => panic!("{other:?}"),
    }
    let p384 = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
    let (certificate, key) = openssl_ca(&openssl, folder.path(), p384, &config(""));
    assert_eq!(
        load(&certificate, &key),
        "cannot use ECDSA P-384 keys for signing"
    );

    for (from, to, problem) in [
        (
            "basicConstraints=critical,CA:TRUE\n",
            "",
            "basicConstraints do not say cA",
        ),
        (
            "keyUsage=critical,keyCertSign,cRLSign\n",
            "",
            "it has no keyUsage",
        ),
        ("keyCertSign,", "", "keyUsage lacks keyCertSign"),
        (
            "subjectKeyIdentifier=hash",
            "subjectKeyIdentifier=none",
            "it has no subjectKeyIdentifier",
        ),
    ] {
        let config = config("").replace(from, to);
        let (certificate, key) = openssl_ca(&openssl, folder.path(), EC, &config);
        let error = load(&certificate, &key);
        assert!(error.contains(problem), "{error}");
        if problem.starts_with("it has no") {
            let findings = lint::certificates(
                &[Certificate::from_pem(certificate.as_bytes()).unwrap()],
                now(),
            );
            assert!(!findings.is_empty(), "{problem}");
        }
    }
    let (certificate, key) = openssl_ca(&openssl, folder.path(), EC, &config(""));
    let (_, other) = openssl_ca(&openssl, folder.path(), EC, &config(""));
    assert!(load(&certificate, &other).contains("does not belong"));
    assert!(load(&format!("{certificate}{certificate}"), &key).contains("2 certificates"));
    assert!(load(&format!("{certificate}{key}"), &key).contains("`PRIVATE KEY` block"));
    let late = SystemTime::now() + std::time::Duration::from_secs(40 * 86_400);
    let error = Authority::load(certificate.as_bytes(), key.as_bytes(), late).unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
}

#[test]
fn requests_of_openssl() {
    use caravan_pki::{AuthoritySpec, CertificateRequest, DnsName, RequestPolicy};
    let Some(openssl) = judge("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let key = file("key.pem");
    run(&openssl, &[&["genpkey", "-out", &key], EC].concat(), "");
    let (made, request) = run(
        &openssl,
        &[
            "req",
            "-new",
            "-key",
            &key,
            "-subj",
            "/CN=web.example.com",
            "-addext",
            "subjectAltName=DNS:web.example.com",
        ],
        "",
    );
    assert!(made, "{request}");
    let spec = AuthoritySpec::new(CommonName::try_from("ca").unwrap());
    let ca = Authority::create(&spec, now()).unwrap();
    let request = CertificateRequest::from_pem(request.as_bytes()).unwrap();
    let policy = RequestPolicy::server().with_domain(DnsName::try_from("example.com").unwrap());
    let certificate = ca.sign_request(&request, &policy, now()).unwrap();
    assert_eq!(certificate.sans().len(), 1);
    assert!(
        ca.sign_request(&request, &RequestPolicy::server(), now())
            .is_err()
    );

    // And the other way round: OpenSSL reads ours.
    let key = caravan_pki::PrivateKey::generate().unwrap();
    let subject = caravan_pki::Subject::new(CommonName::try_from("web").unwrap());
    let sans = Sans::parse(["web.example.com", "10.0.0.1"]).unwrap();
    let ours = CertificateRequest::create(&key, &subject, Some(&sans)).unwrap();
    let (accepted, said) = run(
        &openssl,
        &["req", "-verify", "-noout", "-text"],
        &ours.to_pem(),
    );
    assert!(
        accepted && said.contains("DNS:web.example.com, IP Address:10.0.0.1"),
        "{said}"
    );
}

#[test]
fn openssl_reads_revocation_lists() {
    use caravan_pki::{AuthoritySpec, Lifetime};
    let Some(openssl) = judge("openssl") else {
        return;
    };
    let spec = AuthoritySpec::new(CommonName::try_from("ca").unwrap()).with_path_length(1);
    let root = Authority::create(&spec, SystemTime::now()).unwrap();
    let below = AuthoritySpec::new(CommonName::try_from("below").unwrap())
        .with_lifetime(Lifetime::days(900));
    let ca = root.intermediate(&below, SystemTime::now()).unwrap();
    let leaf = ca
        .issue(
            &Leaf::client(CommonName::try_from("x").unwrap()),
            SystemTime::now(),
        )
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let trust = file(
        "ca.pem",
        &format!("{}{}", root.certificate_pem(), ca.certificate_pem()),
    );
    let leaf_file = file("leaf.pem", &leaf.certificate_pem());
    for (revoked, expected) in [(vec![], true), (vec![leaf.certificate()], false)] {
        let list = ca
            .revoke(revoked, 7, Lifetime::days(7), SystemTime::now())
            .unwrap();
        let list = file("crl.pem", &list.to_pem());
        let args = strict(&trust, &leaf_file, &["-crl_check", "-CRLfile", &list]);
        let (accepted, said) = run(&openssl, &args, "");
        assert_eq!(accepted, expected, "{said}");
        assert!(expected || said.contains("certificate revoked"), "{said}");
    }
}
