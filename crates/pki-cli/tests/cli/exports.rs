//! What leaves a store in other forms, judged by OpenSSL, and what comes in from a running server.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::{check, done, run};
use expect_test::expect;

/// OpenSSL, if it is installed, or must be.
fn openssl() -> Option<PathBuf> {
    let found = which::which("openssl").ok();
    let required = std::env::var_os("CARAVAN_REQUIRE_CHECKERS").is_some_and(|value| value == "1");
    assert!(found.is_some() || !required, "`openssl` is not installed");
    found
}

fn ask(openssl: &Path, folder: &Path, command: &str) -> (bool, String) {
    let output = duct::cmd(openssl, command.split(' '))
        .dir(folder)
        .stderr_to_stdout()
        .stdout_capture()
        .unchecked()
        .run()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said)
}

/// A root, an authority below it, a certificate of that, and a passphrase.
fn store(folder: &Path) {
    done(
        folder,
        "init --store pki --id root --cn root --path-length 1",
    );
    done(
        folder,
        "init --store pki --id issuing --issuer root --cn issuing --days 900",
    );
    done(
        folder,
        "issue web --store pki --ca issuing --server --san localhost --crl-url http://ca.example.com/issuing.crl",
    );
    fs::write(folder.join("passphrase"), "correct horse\nbattery\n").unwrap();
}

#[test]
fn keys_leave_encrypted_and_openssl_reads_them() {
    let Some(openssl) = openssl() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    store(folder);
    done(
        folder,
        "bundle --store pki web --key --passphrase-file passphrase --out web.pem",
    );
    let text = fs::read_to_string(folder.join("web.pem")).unwrap();
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(text.contains("BEGIN ENCRYPTED PRIVATE KEY"));
    assert!(!text.contains("BEGIN PRIVATE KEY"));
    let public = |file: &str, secret: &str| {
        let command = format!("pkey -in {file} -passin pass:{secret} -pubout");
        let words: Vec<String> = command
            .split(' ')
            .map(|word| word.replace('_', " "))
            .collect();
        let output = duct::cmd(&openssl, words)
            .dir(folder)
            .stderr_null()
            .stdout_capture()
            .unchecked()
            .run()
            .unwrap();
        (output.status.success(), output.stdout)
    };
    let (read, key) = public("web.pem", "correct_horse");
    assert!(read);
    assert_eq!(key, public("pki/web.key", "").1);
    assert!(!public("web.pem", "wrong").0);

    // PKCS#12: certificate, chain and key.
    done(
        folder,
        "bundle --store pki web --format pkcs12 --passphrase-file passphrase --out web.p12",
    );
    fs::write(folder.join("line"), "correct horse\n").unwrap();
    let (read, said) = ask(
        &openssl,
        folder,
        "pkcs12 -in web.p12 -passin file:line -nodes",
    );
    assert!(read, "{said}");
    assert_eq!(said.matches("BEGIN CERTIFICATE").count(), 2, "{said}");
    assert!(said.contains("friendlyName: web"), "{said}");
    let own = fs::read_to_string(folder.join("pki/web.key")).unwrap();
    fs::write(folder.join("read.pem"), said).unwrap();
    assert_eq!(public("read.pem", "").1, public("pki/web.key", "").1);
    assert!(own.contains("BEGIN PRIVATE KEY"));
    let (read, _) = ask(
        &openssl,
        folder,
        "pkcs12 -in web.p12 -passin pass:wrong -nodes",
    );
    assert!(!read);
    use std::os::unix::fs::PermissionsExt;
    for file in ["web.pem", "web.p12"] {
        let mode = fs::metadata(folder.join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    // Not without a passphrase, and none of an authority.
    let (status, _) = run(
        folder,
        &["bundle", "--store", "pki", "web", "--format", "pkcs12"],
    );
    assert_eq!(status, 2);
    fs::write(folder.join("empty"), "\n").unwrap();
    for (command, said) in [
        (
            "bundle --store pki web --key --passphrase-file empty",
            "holds no passphrase",
        ),
        (
            "bundle --store pki root --format pkcs12 --passphrase-file passphrase",
            "is an authority, whose key is for nobody else",
        ),
    ] {
        let (status, output) = run(folder, &command.split(' ').collect::<Vec<_>>());
        assert_eq!(status, 1);
        assert!(output.contains(said), "{output}");
    }
}

/// What a running server shows is inspected and judged like a file.
#[test]
fn a_server_is_asked_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    store(folder);
    use rustls::pki_types::pem::PemObject;
    let chain =
        rustls::pki_types::CertificateDer::pem_file_iter(folder.join("pki/web.fullchain.crt"));
    let chain = chain.unwrap().map(Result::unwrap).collect();
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(folder.join("pki/web.key")).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = std::sync::Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut connection = rustls::ServerConnection::new(config.clone()).unwrap();
            // The client leaves when it has seen enough.
            let _ = connection.complete_io(&mut stream);
        }
        // And a server that speaks something else.
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 no TLS here\r\n").unwrap();
    });
    let seen = done(folder, &format!("inspect --bundle localhost:{port}"));
    assert!(
        seen.contains("CN=web") && seen.contains("CN=issuing"),
        "{seen}"
    );
    assert!(seen.contains("http://ca.example.com/issuing.crl"), "{seen}");
    done(
        folder,
        &format!("verify --ca pki/root.crt --server localhost localhost:{port}"),
    );
    let other = format!("verify --ca pki/root.crt --server example.com 127.0.0.1:{port}");
    let (status, output) = run(folder, &other.split(' ').collect::<Vec<_>>());
    assert_eq!(status, 1);
    assert!(
        output.contains("it is for other names (localhost)"),
        "{output}"
    );
    let (status, output) = run(folder, &["inspect", &format!("127.0.0.1:{port}")]);
    assert_eq!(status, 1);
    assert!(
        output.contains("cannot speak TLS with `127.0.0.1"),
        "{output}"
    );
    serving.join().unwrap();
    check(
        folder,
        "inspect none.crt",
        1,
        expect![[r#"
            error: cannot read `none.crt`
              No such file or directory (os error 2)
        "#]],
    );
}
