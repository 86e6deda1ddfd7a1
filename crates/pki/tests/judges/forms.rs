//! Files of keys and certificates in every form that OpenSSL writes: what it reads without a passphrase is read here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use caravan_pki::store::load_authority;
use caravan_pki::verify::{Purpose, Verifier};
use caravan_pki::{Certificate, CertificateRequest, inspect, lint};

use super::{judge, run};

/// OpenSSL starts validity when it is run; we must not be earlier.
fn now() -> SystemTime {
    SystemTime::now() + std::time::Duration::from_secs(2)
}

struct Openssl<'a> {
    program: &'a Path,
    folder: &'a Path,
}

impl Openssl<'_> {
    fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// Runs openssl; a word that starts with `@` is a file of the folder.
    fn run(&self, command: &str) -> (bool, String) {
        let args: Vec<String> = command
            .split(' ')
            .map(|word| match word.strip_prefix('@') {
                Some(name) => self.file(name),
                None => word.to_owned(),
            })
            .collect();
        run(
            self.program,
            &args.iter().map(String::as_str).collect::<Vec<_>>(),
            "",
        )
    }

    fn must(&self, command: &str) {
        let (done, said) = self.run(command);
        assert!(done, "{command}: {said}");
    }

    /// A self-signed authority: NAME.pem of the key NAME.key.
    fn authority(&self, name: &str, more: &str) {
        let config = "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=ca\n[ext]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
        fs::write(self.file("ca.cnf"), config).unwrap();
        self.must(&format!(
            "req -x509 -new -key @{name}.key -config @ca.cnf -days 30 -out @{name}.pem{more}"
        ));
    }

    /// Whether it reads the key without being asked for anything.
    fn reads(&self, key: &str) -> bool {
        self.run(&format!("pkey -in @{key} -noout -passin pass:no"))
            .0
    }

    /// Why the two files are no authority; `None` if they are one.
    fn refused(&self, certificate: &str, key: &str) -> Option<String> {
        for name in [certificate, key] {
            let path = self.folder.join(name);
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let (certificate, key) = (self.folder.join(certificate), self.folder.join(key));
        let error = load_authority(certificate, key, now()).err()?;
        let source = std::error::Error::source(&error);
        Some(source.map_or_else(|| error.to_string(), ToString::to_string))
    }
}

fn with(test: impl FnOnce(&Openssl<'_>)) {
    let Some(program) = judge("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let openssl = Openssl {
        program: &program,
        folder: folder.path(),
    };
    openssl.must("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out @ca.key");
    openssl.authority("ca", "");
    test(&openssl);
}

#[test]
fn every_key_that_openssl_reads_without_a_passphrase_works() {
    with(|openssl| {
        for command in [
            "ec -in @ca.key -out @sec1.key",
            "ec -in @ca.key -conv_form compressed -out @compressed.key",
            "ec -in @ca.key -conv_form hybrid -out @hybrid.key",
            "ec -in @ca.key -param_enc explicit -out @explicit.key",
            "ec -in @ca.key -param_enc explicit -conv_form compressed -out @explicit-compressed.key",
            "pkcs8 -topk8 -nocrypt -in @explicit.key -out @explicit-pkcs8.key",
            "ec -in @ca.key -no_public -out @no-public.key",
            "pkey -in @ca.key -outform DER -out @der.key",
            "ec -in @ca.key -outform DER -out @sec1-der.key",
        ] {
            openssl.must(command);
        }
        let text = fs::read_to_string(openssl.file("ca.key")).unwrap();
        let sec1 = fs::read_to_string(openssl.file("sec1.key")).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        let long: String = rest.lines().filter(|line| !line.starts_with('-')).collect();
        let der = fs::read(openssl.file("der.key")).unwrap();
        let latin: &[u8] = b"Schl\xfcssel \x01\n";
        for (name, bytes) in [
            ("bom.key", format!("\u{feff}{text}").into_bytes()),
            (
                "bom-twice.key",
                format!("\u{feff}\u{feff}{text}").into_bytes(),
            ),
            ("crlf.key", text.replace('\n', "\r\n").into_bytes()),
            ("trailing.key", text.replace('\n', " \t\n").into_bytes()),
            (
                "nbsp.key",
                text.replace("-----\n", "-----\u{a0}\n").into_bytes(),
            ),
            ("empty-line.key", format!("{first}\n\n{rest}").into_bytes()),
            (
                "long-line.key",
                format!("{first}\n{long}\n-----END PRIVATE KEY-----").into_bytes(),
            ),
            (
                "indented-body.key",
                format!("{first}\n  {rest}").into_bytes(),
            ),
            ("latin1.key", [latin, text.as_bytes()].concat()),
            ("zero.key", format!("0 text\n{text}").into_bytes()),
            ("twice.key", text.repeat(2).into_bytes()),
            (
                "with-certificate.key",
                (fs::read_to_string(openssl.file("ca.pem")).unwrap() + &text).into_bytes(),
            ),
            (
                "label-sec1.key",
                text.replace("PRIVATE", "EC PRIVATE").into_bytes(),
            ),
            (
                "label-rsa.key",
                text.replace("PRIVATE", "RSA PRIVATE").into_bytes(),
            ),
            (
                "label-pkcs8.key",
                sec1.replace("EC PRIVATE", "PRIVATE").into_bytes(),
            ),
            ("trailing-octets.key", [&der[..], b"more"].concat()),
            ("cr.key", text.replace('\n', "\r").into_bytes()),
            (
                "indented.key",
                text.replace('\n', "\n ")
                    .replacen('-', " -", 1)
                    .into_bytes(),
            ),
            ("one-line.key", text.replace('\n', "").into_bytes()),
            (
                "lower.key",
                text.replace("PRIVATE KEY", "private key").into_bytes(),
            ),
            (
                "headers.key",
                format!("{first}\nComment: x\n\n{rest}").into_bytes(),
            ),
            (
                "gap.key",
                text.replacen(
                    &long[..64],
                    &format!(
                        "{}
",
                        &long[..64]
                    ),
                    1,
                )
                .into_bytes(),
            ),
            (
                "four.key",
                text.replace("-----BEGIN", "----BEGIN").into_bytes(),
            ),
            (
                "end-text.key",
                text.trim_end()
                    .to_owned()
                    .into_bytes()
                    .into_iter()
                    .chain(*b" text\n")
                    .collect(),
            ),
        ] {
            fs::write(openssl.file(name), bytes).unwrap();
        }
        let mut names: Vec<String> = fs::read_dir(openssl.folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".key"))
            .collect();
        names.sort();
        let (mut both, mut neither) = (0, 0);
        for name in names {
            let refused = openssl.refused("ca.pem", &name);
            assert_eq!(
                openssl.reads(&name),
                refused.is_none(),
                "{name}: {refused:?}"
            );
            *(if refused.is_none() {
                &mut both
            } else {
                &mut neither
            }) += 1;
        }
        assert!(both > 20 && neither > 5, "{both} {neither}");
    });
}

#[test]
fn other_keys_are_called_what_they_are() {
    with(|openssl| {
        for command in [
            "ec -in @ca.key -aes256 -passout pass:secret -out @legacy.key",
            "pkcs8 -topk8 -in @ca.key -v2 aes256 -passout pass:secret -out @pkcs8.key",
            "pkcs8 -topk8 -in @ca.key -v2 aes256 -passout pass:secret -outform DER -out @pkcs8-der.key",
            "pkcs12 -export -in @ca.pem -inkey @ca.key -passout pass:secret -out @pkcs12.key",
            "pkey -in @ca.key -pubout -out @public.key",
            "pkey -in @ca.key -pubout -outform DER -out @public-der.key",
            "genpkey -algorithm RSA -out @rsa.key",
            "genpkey -algorithm ed25519 -out @ed25519.key",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out @p384.key",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out @p521.key",
            "ecparam -name secp256k1 -genkey -noout -out @k256.key",
            "ecparam -name brainpoolP256r1 -genkey -noout -out @brainpool.key",
            "ecparam -name secp384r1 -param_enc explicit -genkey -noout -out @explicit.key",
        ] {
            openssl.must(command);
        }
        for (name, said) in [
            ("legacy", "it is encrypted with a passphrase"),
            ("pkcs8", "it is encrypted with a passphrase"),
            ("pkcs8-der", "it is encrypted with a passphrase"),
            ("pkcs12", "it is PKCS#12"),
            ("public", "there is none, but a `PUBLIC KEY` block"),
            ("public-der", "it is a public key"),
            ("rsa", "cannot use RSA keys"),
            ("ed25519", "cannot use Ed25519 keys"),
            ("p384", "cannot use ECDSA P-384 keys"),
            ("p521", "cannot use ECDSA P-521 keys"),
            ("k256", "cannot use ECDSA secp256k1 keys"),
            ("brainpool", "cannot use ECDSA brainpoolP256r1 keys"),
            ("explicit", "cannot use ECDSA explicit-parameter keys"),
        ] {
            let found = openssl.refused("ca.pem", &format!("{name}.key")).unwrap();
            assert!(found.contains(said), "{name}: {found}");
        }
        for name in ["rsa", "ed25519", "p384", "k256"] {
            openssl.authority(name, "");
            let found = openssl
                .refused(&format!("{name}.pem"), &format!("{name}.key"))
                .unwrap();
            assert!(
                found.starts_with("cannot use ") && found.ends_with(" keys for signing"),
                "{found}"
            );
        }
    });
}

/// All certificates in `bytes`.
fn certificates(bytes: &[u8]) -> Vec<Certificate> {
    let found = inspect::read(bytes).unwrap();
    let chains = found.chains.into_iter();
    chains.flat_map(|chain| chain.certificates).collect()
}

#[test]
fn certificates_in_other_forms_are_read_or_named() {
    with(|openssl| {
        for command in [
            "x509 -in @ca.pem -trustout -addtrust serverAuth -out @trusted.pem",
            "x509 -in @ca.pem -outform DER -out @der.pem",
            "crl2pkcs7 -nocrl -certfile @ca.pem -out @pkcs7.pem",
            "crl2pkcs7 -nocrl -certfile @ca.pem -outform DER -out @pkcs7-der.pem",
            "pkcs12 -export -in @ca.pem -inkey @ca.key -passout pass:secret -out @pkcs12.pem",
        ] {
            openssl.must(command);
        }
        let read = |name: &str| fs::read(openssl.file(name)).unwrap();
        let text = String::from_utf8(read("ca.pem")).unwrap();
        let trusted = String::from_utf8(read("trusted.pem")).unwrap();
        let ca = Certificate::from_pem(text.as_bytes()).unwrap();
        for (name, bytes) in [
            ("trusted", trusted.clone().into_bytes()),
            ("appended", trusted.replace("TRUSTED ", "").into_bytes()),
            (
                "old label",
                text.replace("CERTIFICATE", "X509 CERTIFICATE").into_bytes(),
            ),
            ("DER", read("der.pem")),
            (
                "DER and a line end",
                [read("der.pem"), b"\n".to_vec()].concat(),
            ),
        ] {
            fs::write(openssl.file("it"), &bytes).unwrap();
            assert!(openssl.run("x509 -in @it -noout").0, "{name}");
            assert_eq!(certificates(&bytes), std::slice::from_ref(&ca), "{name}");
        }
        // More than OpenSSL would find, and none of them lost.
        let both = [read("der.pem"), read("der.pem")].concat();
        assert_eq!(certificates(&both).len(), 2);
        for (bytes, said) in [
            (read("pkcs7.pem"), "PKCS#7"),
            (read("pkcs7-der.pem"), "PKCS#7"),
            (
                [text.clone().into_bytes(), read("pkcs7.pem")].concat(),
                "PKCS#7",
            ),
            (
                String::from_utf8(read("pkcs7.pem"))
                    .unwrap()
                    .replace("PKCS7", "CERTIFICATE")
                    .into_bytes(),
                "PKCS#7",
            ),
            (read("pkcs12.pem"), "PKCS#12"),
            (
                [text.clone().into_bytes(), read("der.pem")].concat(),
                "DER stands among",
            ),
            (
                text.replace("CERTIFICATE", "Certificate").into_bytes(),
                "label is unknown",
            ),
            (read("ca.key"), "`PRIVATE KEY` block"),
            (read("der.pem")[..200].to_vec(), "malformed certificate"),
        ] {
            let error = inspect::read(&bytes).unwrap_err().to_string();
            assert!(error.contains(said), "{said}: {error}");
        }
    });
}

#[test]
fn an_authority_with_a_compressed_point_works() {
    with(|openssl| {
        openssl.must("ec -in @ca.key -conv_form compressed -out @small.key");
        openssl.authority("small", "");
        let text = fs::read(openssl.file("small.pem")).unwrap();
        let ca = Certificate::from_pem(&text).unwrap();
        assert_eq!(openssl.refused("small.pem", "small.key"), None);
        assert_eq!(openssl.refused("small.pem", "ca.key"), None);
        assert!(ca.is_signed_by(&ca).unwrap());
    });
}

/// A leaf NAME.pem below `ca`, signed with `hash`.
fn leaf(openssl: &Openssl<'_>, name: &str, ca: &str, hash: &str) -> Certificate {
    let extensions = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
    fs::write(openssl.file("leaf.ext"), extensions).unwrap();
    openssl.must("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out @leaf.key");
    openssl.must(&format!(
        "req -new -key @leaf.key -subj /CN={name} -config @ca.cnf -out @leaf.csr -{hash}"
    ));
    openssl.must(&format!(
        "x509 -req -in @leaf.csr -CA @{ca}.pem -CAkey @{ca}.key -set_serial 0x5123456789abcdef{}1234 -days 9 -{hash} -extfile @leaf.ext -out @{name}.pem",
        name.len()
    ));
    Certificate::from_pem(&fs::read(openssl.file(&format!("{name}.pem"))).unwrap()).unwrap()
}

#[test]
fn signatures_with_longer_hashes_are_checked() {
    with(|openssl| {
        for (hash, number) in [
            ("sha224", 224),
            ("sha256", 256),
            ("sha384", 384),
            ("sha512", 512),
        ] {
            openssl.authority("ca", &format!(" -{hash}"));
            let ca = Certificate::from_pem(&fs::read(openssl.file("ca.pem")).unwrap()).unwrap();
            let web = leaf(openssl, "web", "ca", hash);
            assert!(ca.is_signed_by(&ca).unwrap(), "{number}");
            Verifier::new([&ca])
                .verify(&[&web], &Purpose::Client, now())
                .unwrap();
            let findings = lint::certificates(&[ca.clone(), web], now());
            let bad: Vec<_> = findings
                .iter()
                .filter(|found| found.rule.contains("signature"))
                .collect();
            assert!(bad.is_empty(), "{bad:?}");
            assert_eq!(openssl.refused("ca.pem", "ca.key"), None);
            let request = fs::read(openssl.file("leaf.csr")).unwrap();
            CertificateRequest::from_pem(&request)
                .unwrap()
                .verify_possession()
                .unwrap();
            // Another authority of the same name did not sign it, and that is still said.
            openssl.must("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out @other.key");
            openssl.authority("other", "");
            let other =
                Certificate::from_pem(&fs::read(openssl.file("other.pem")).unwrap()).unwrap();
            let web = Certificate::from_pem(&fs::read(openssl.file("web.pem")).unwrap()).unwrap();
            let findings = lint::certificates(&[other.clone(), web.clone()], now());
            assert!(
                findings
                    .iter()
                    .any(|found| found.rule == "issuer-signature")
            );
            assert!(
                Verifier::new([&other])
                    .verify(&[&web], &Purpose::Client, now())
                    .is_err()
            );
        }
    });
}

#[test]
#[cfg(not(feature = "ring"))]
fn what_cannot_be_checked_is_named_and_not_denied() {
    with(|openssl| {
        for (name, algorithm, said) in [
            ("rsa", "RSA", "RSA with SHA-384, key RSA"),
            (
                "p384",
                "EC -pkeyopt ec_paramgen_curve:P-384",
                "ECDSA with SHA-384, key ECDSA P-384",
            ),
            (
                "p521",
                "EC -pkeyopt ec_paramgen_curve:P-521",
                "ECDSA with SHA-384, key ECDSA P-521",
            ),
        ] {
            openssl.must(&format!("genpkey -algorithm {algorithm} -out @{name}.key"));
            openssl.authority(name, "");
            let web = leaf(openssl, "web", name, "sha384");
            let ca = fs::read(openssl.file(&format!("{name}.pem"))).unwrap();
            let ca = Certificate::from_pem(&ca).unwrap();
            let error = Verifier::new([&ca])
                .verify(&[&web], &Purpose::Client, now())
                .unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("unsupported algorithm") && error.contains(said),
                "{error}"
            );
            // One of the same name that can be checked, and did not sign it, changes nothing.
            let own = Certificate::from_pem(&fs::read(openssl.file("ca.pem")).unwrap()).unwrap();
            for all in [vec![ca.clone(), web.clone()], vec![own, ca, web]] {
                let findings = lint::certificates(&all, now());
                let rules: Vec<_> = findings.iter().map(|found| found.rule).collect();
                assert!(!rules.contains(&"issuer-signature"), "{rules:?}");
                assert!(rules.contains(&"signature-unchecked"), "{rules:?}");
            }
        }
    });
}
