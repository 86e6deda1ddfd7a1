//! Files as editors, shells and other systems leave them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use caravan_pki::{Authority, AuthoritySpec, CommonName, PrivateKey};
use expect_test::expect;
use std::time::SystemTime;

use super::{check, run};

/// What an editor, a shell or another system does to a file.
type Change = fn(&str) -> Vec<u8>;

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).unwrap();
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600)).unwrap();
}

/// A folder with `ca.pem` and `ca.key`.
fn authority(folder: &Path) -> (String, String) {
    let spec = AuthoritySpec::new(CommonName::try_from("example").unwrap());
    let ca = Authority::create(&spec, SystemTime::now()).unwrap();
    let (certificate, key) = (ca.certificate_pem(), ca.key_pem().to_string());
    write(folder, "ca.pem", certificate.as_bytes());
    write(folder, "ca.key", key.as_bytes());
    (certificate, key)
}

fn utf16(text: &str) -> Vec<u8> {
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

#[test]
fn what_openssl_reads_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (certificate, key) = authority(folder);
    let changes: [(&str, Change); 6] = [
        ("bom", |text| format!("\u{feff}{text}").into_bytes()),
        ("crlf", |text| text.replace('\n', "\r\n").into_bytes()),
        ("latin1", |text| {
            [b"Schl\xfcssel\n", text.as_bytes()].concat()
        }),
        ("nul", |text| [b"\x00\x01\n", text.as_bytes()].concat()),
        ("zero", |text| {
            format!("0 s:CN = example\n{text}").into_bytes()
        }),
        ("trailing", |text| text.replace('\n', " \t\n").into_bytes()),
    ];
    for (name, change) in changes {
        let files = [format!("{name}.pem"), format!("{name}.key")];
        write(folder, &files[0], &change(&certificate));
        write(folder, &files[1], &change(&key));
        let import = ["init", "--store", name, "--import", &files[0], &files[1]];
        let (status, output) = run(folder, &import);
        assert_eq!(status, 0, "{name}: {output}");
        let (status, output) = run(folder, &["inspect", "--bundle", &files[0]]);
        assert_eq!(
            (status, output.matches("fingerprint").count()),
            (0, 1),
            "{name}"
        );
    }
    let glued = format!("{certificate}\u{feff}{certificate}");
    write(folder, "glued.pem", glued.as_bytes());
    let (_, output) = run(folder, &["inspect", "--bundle", "glued.pem"]);
    assert_eq!(output.matches("fingerprint").count(), 2);
    let (_, output) = run(folder, &["inspect", "glued.pem"]);
    assert!(
        output.contains("1 more in `glued.pem`: --bundle shows all"),
        "{output}"
    );
}

#[test]
fn what_openssl_does_not_read_is_named_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (certificate, key) = authority(folder);
    let changes: [(Change, &str); 8] = [
        (utf16, "it is UTF-16 text"),
        (
            |text| text.replace('\n', "\r").into_bytes(),
            "no line ends: its lines end in CR alone",
        ),
        (
            |text| text.replace('\n', "\\n").into_bytes(),
            "no line ends: they are written out",
        ),
        (
            |text| text.replace('\n', "").into_bytes(),
            "no line ends: the base64 is on",
        ),
        (
            |text| {
                text.replace('\n', "\n  ")
                    .replacen('-', " -", 1)
                    .into_bytes()
            },
            "is indented",
        ),
        (
            |text| text.to_lowercase().into_bytes(),
            "not in capital letters",
        ),
        (
            |text| text.replace("-----", "----").into_bytes(),
            "five hyphens",
        ),
        (
            |text| {
                text.lines()
                    .skip(1)
                    .collect::<Vec<_>>()
                    .join("\n")
                    .into_bytes()
            },
            "no `BEGIN` line",
        ),
    ];
    for (change, name) in changes {
        write(folder, "odd.pem", &change(&certificate));
        write(folder, "odd.key", &change(&key));
        for command in [
            "inspect --bundle odd.pem",
            "verify --client --ca odd.pem ca.pem",
            "lint odd.pem",
            "init --store new --import odd.pem ca.key",
            "init --store new --import ca.pem odd.key",
        ] {
            let (status, output) = run(folder, &command.split(' ').collect::<Vec<_>>());
            assert_eq!(status, 1, "{command}: {output}");
            assert!(output.contains(name), "{command}: {name}: {output}");
            let named = output.contains("odd.pem") || output.contains("odd.key");
            assert!(named, "{command}: {output}");
        }
    }
    assert!(!folder.join("new").exists());
}

#[test]
fn keys_are_called_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_, key) = authority(folder);
    let der = PrivateKey::from_pem(key.as_bytes()).unwrap().to_pkcs8_der();
    write(folder, "der.key", &der);
    symlink("ca.key", folder.join("link.key")).unwrap();
    fs::create_dir(folder.join("folder.key")).unwrap();
    write(folder, "empty.key", b"");
    let encrypted = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
    write(folder, "it's.key", encrypted.as_bytes());
    let import = |key: &str| {
        let args = ["init", "--store", "new", "--import", "ca.pem", key];
        let (status, output) = run(folder, &args);
        assert_eq!(status, 1, "{output}");
        assert!(!folder.join("new").exists());
        output
    };
    expect![[r#"
        error: `link.key` is a symbolic link, where a regular file is expected

        hint: links are not followed: give the file itself, `readlink -f 'link.key'` names it
    "#]]
    .assert_eq(&import("link.key"));
    expect![[r#"
        error: `folder.key` is a folder, where a regular file is expected
    "#]]
    .assert_eq(&import("folder.key"));
    expect![[r#"
        error: cannot use `empty.key`
          malformed private key: there is none: it is empty
    "#]]
    .assert_eq(&import("empty.key"));
    expect![[r#"
        error: cannot use `it's.key`
          unreadable private key: it is encrypted with a passphrase, which cannot be asked for here

        hint: openssl pkey -in 'it'\''s.key' -out 'it'\''s.key'.plain: it asks for the passphrase; keep the result from others (umask 077)
    "#]]
    .assert_eq(&import("it's.key"));
    // OpenSSL reads DER without being told.
    check(
        folder,
        "init --store new --import ca.pem der.key",
        0,
        expect![[r#"
            imported new/ca.crt
        "#]],
    );
}

#[test]
fn one_bad_file_does_not_end_the_judging() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (certificate, key) = authority(folder);
    write(folder, "b-utf16.pem", &utf16(&certificate));
    write(folder, "c-key.crt", key.as_bytes());
    check(
        folder,
        "lint .",
        1,
        expect![[r#"
            ./b-utf16.pem: not judged: unreadable PEM: it is UTF-16 text, where UTF-8 or ASCII is expected
              hint: iconv -f UTF-16 -t UTF-8 './b-utf16.pem' > './b-utf16.pem'.new
            ./c-key.crt: not judged: malformed certificate: there is none, but a `PRIVATE KEY` block
            1 certificates, 0 findings, 2 not judged
        "#]],
    );
    let (status, output) = run(folder, &["inspect", "missing", "b-utf16.pem", "ca.pem"]);
    assert_eq!(status, 1);
    for part in ["cannot read `missing`", "UTF-16", "CN=example"] {
        assert!(output.contains(part), "{output}");
    }
    let (status, output) = run(folder, &["inspect", "--json", "b-utf16.pem", "ca.pem"]);
    assert_eq!(status, 1);
    // Errors are told on standard error too, before the list.
    let json: serde_json::Value =
        serde_json::from_str(&output[output.find("[\n").unwrap()..]).unwrap();
    assert_eq!(json[0]["certificate"]["subject"], "CN=example");
    assert_eq!(json[1]["file"], "b-utf16.pem");
}
