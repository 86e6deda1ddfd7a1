//! Certificates inside kubeconfigs, in every shape that kubectl reads.

#![cfg(feature = "yaml")]

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use base64ct::{Base64, Encoding};
use caravan_pki::{Authority, AuthoritySpec, CommonName, Error, Identity, Leaf, inspect, lint};

fn admin() -> Identity {
    let now = SystemTime::now();
    let name = |name| CommonName::try_from(name).unwrap();
    let ca = Authority::create(&AuthoritySpec::new(name("kubernetes")), now).unwrap();
    ca.issue(&Leaf::client(name("admin")), now).unwrap()
}

/// `admin`'s certificate as the value of `client-certificate-data`.
fn data(admin: &Identity) -> String {
    Base64::encode_string(admin.chain_pem().as_bytes())
}

const HEAD: &str = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: {server: \"https://192.0.2.1:6443\"}\ncontexts:\n- name: c\n  context: {cluster: c, user: admin}\nusers:\n- name: admin\n  user:";

fn folded(data: &str, width: usize, pad: &str) -> String {
    let lines = data.as_bytes().chunks(width);
    lines
        .map(|line| format!("{pad}{}\n", std::str::from_utf8(line).unwrap()))
        .collect()
}

/// Who the certificates of `text` are for, in a folder with `admin.pem`.
fn found(folder: &Path, text: &str) -> Result<Vec<(Option<String>, String)>, String> {
    let file = folder.join("kube.conf");
    fs::write(&file, text).unwrap();
    let causes = |error: Error| {
        let inner = std::error::Error::source(&error).map(ToString::to_string);
        inner.unwrap_or_else(|| error.to_string())
    };
    let contents = inspect::read_file(&file).map_err(causes)?;
    let mut all: Vec<(Option<String>, String)> = Vec::new();
    for chain in contents.chains {
        let names = chain.certificates[0].common_names();
        all.push((chain.user, names.join(",")));
    }
    for fault in contents.faults {
        all.push((None, causes(fault)));
    }
    Ok(all)
}

#[test]
fn every_shape_that_kubectl_reads() {
    let admin = admin();
    let crt = data(&admin);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("admin.pem"), admin.chain_pem()).unwrap();
    // As kubelets keep it: certificate and key in one file.
    let both = admin.chain_pem() + &admin.key_pem();
    fs::write(folder.join("both.pem"), both).unwrap();
    let absolute = folder.join("admin.pem").display().to_string();
    let plain = format!("{HEAD}\n    client-certificate-data: {crt}\n    client-key-data: AA==\n");
    let json = |pretty: bool| {
        let value = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "users": [{"name": "admin", "user": {"client-certificate-data": crt, "client-key-data": "AA=="}}],
        });
        if pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        }
    };
    let shapes = [
        ("plain", plain.clone()),
        (
            "double-quoted",
            format!("{HEAD}\n    client-certificate-data: \"{crt}\"\n"),
        ),
        (
            "single-quoted",
            format!("{HEAD}\n    client-certificate-data: '{crt}'\n"),
        ),
        (
            "quoted key",
            format!("{HEAD}\n    \"client-certificate-data\": {crt}\n"),
        ),
        (
            "single-quoted key",
            format!("{HEAD}\n    'client-certificate-data' : {crt}\n"),
        ),
        (
            "explicit key",
            format!("{HEAD}\n    ? client-certificate-data\n    : {crt}\n"),
        ),
        (
            "comment",
            format!("{HEAD}\n    client-certificate-data: {crt} # until spring\n"),
        ),
        (
            "literal",
            format!(
                "{HEAD}\n    client-certificate-data: |\n{}",
                folded(&crt, 64, "      ")
            ),
        ),
        (
            "literal, kept",
            format!(
                "{HEAD}\n    client-certificate-data: |+ # why\n{}\n",
                folded(&crt, 76, "        ")
            ),
        ),
        (
            "literal, indented",
            format!(
                "{HEAD}\n    client-certificate-data: |2-\n{}",
                folded(&crt, 64, "      ")
            ),
        ),
        (
            "folded",
            format!("{HEAD}\n    client-certificate-data: >-\n      {crt}\n"),
        ),
        (
            "folded, clipped",
            format!("{HEAD}\n    client-certificate-data: >\n      {crt}\n    note: x\n"),
        ),
        (
            "next line",
            format!("{HEAD}\n    client-certificate-data:\n      {crt}\n"),
        ),
        (
            "escaped",
            format!(
                "{HEAD}\n    client-certificate-data: \"{}\\\n      {}\"\n",
                &crt[..20],
                &crt[20..]
            ),
        ),
        (
            "escaped line ends",
            format!(
                "{HEAD}\n    client-certificate-data: \"{}\\n{}\"\n",
                &crt[..20],
                &crt[20..]
            ),
        ),
        (
            "flow",
            format!("{HEAD} {{client-certificate-data: {crt}, client-key-data: AA==}}\n"),
        ),
        (
            "tagged",
            format!("{HEAD}\n    client-certificate-data: !!str {crt}\n"),
        ),
        ("json", json(false)),
        ("pretty json", json(true)),
        ("json, tabs", json(true).replace("  ", "\t")),
        ("json, escaped", json(false).replace('/', "\\/")),
        ("crlf", plain.replace('\n', "\r\n")),
        ("cr", plain.replace('\n', "\r")),
        ("byte order mark", format!("\u{feff}{plain}")),
        ("document marks", format!("---\n{plain}...\n")),
        ("directive", format!("%YAML 1.1\n---\n{plain}")),
        ("empty second document", format!("{plain}---\n")),
        (
            "file",
            format!("{HEAD}\n    client-certificate: {absolute}\n    client-key: x\n"),
        ),
        (
            "relative file",
            format!("{HEAD}\n    client-certificate: admin.pem\n"),
        ),
        (
            "relative file above",
            format!("{HEAD}\n    client-certificate: ./a/../admin.pem\n").replace("a/../", ""),
        ),
        (
            "file with its key",
            format!("{HEAD}\n    client-certificate: both.pem\n    client-key: both.pem\n"),
        ),
        (
            "data before file",
            format!(
                "{HEAD}\n    client-certificate: none.pem\n    client-certificate-data: {crt}\n"
            ),
        ),
        (
            "empty data, then file",
            format!(
                "{HEAD}\n    client-certificate-data: \"\"\n    client-certificate: admin.pem\n"
            ),
        ),
        (
            "anchor",
            format!("x: &x\n  client-certificate-data: {crt}\n{HEAD} *x\n"),
        ),
        (
            "merge key",
            format!(
                "x: &x\n  client-certificate-data: {crt}\n{HEAD}\n    <<: *x\n    username: me\n"
            ),
        ),
        (
            "twice, the last counts",
            format!(
                "{HEAD}\n    client-certificate-data: AAAA\n    client-certificate-data: {crt}\n"
            ),
        ),
        (
            "no kind",
            format!("users:\n- user: {{client-certificate-data: {crt}}}\n  name: admin\n"),
        ),
    ];
    for (shape, text) in shapes {
        let expected = (Some("admin".to_owned()), "admin".to_owned());
        assert_eq!(found(folder, &text), Ok(vec![expected]), "{shape}\n{text}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let crt = data(&admin());
    let folder = tempfile::tempdir().unwrap();
    let user = |text: &str| format!("{HEAD}{text}");
    for (text, expected) in [
        (
            user("\n    exec: {apiVersion: client.authentication.k8s.io/v1, command: get-token}\n"),
            "its user has no certificate, but a command",
        ),
        (
            user(
                "\n    exec:\n      command: aws\n      args: [eks, get-token]\n    client-certificate-data: ''\n",
            ),
            "its user has no certificate, but a command",
        ),
        (
            user("\n    auth-provider: {name: gcp}\n"),
            "its user has no certificate, but a plugin",
        ),
        (
            user(" {token: abc}\n"),
            "its user has no certificate, but a token",
        ),
        (
            user(" {tokenFile: /var/x}\n"),
            "its user has no certificate, but a token",
        ),
        (
            user(" {username: a, password: b}\n"),
            "its user has no certificate, but a password",
        ),
        (user(" {}\n"), "its user has no certificate"),
        (user("\n"), "its user has no certificate"),
        (
            user(" x\n"),
            "malformed kubeconfig: `user` of user `admin` is not a mapping",
        ),
        (
            user(" {client-certificate-data: 'a b'}\n"),
            "malformed kubeconfig: `client-certificate-data` of user `admin` is not base64",
        ),
        (
            user(&format!(
                "\n    client-certificate-data: >-\n{}",
                folded(&crt, 64, "      ")
            )),
            "malformed kubeconfig: `client-certificate-data` of user `admin` is not base64",
        ),
        (
            user(" {client-certificate-data: AAAA}\n"),
            "malformed kubeconfig: `client-certificate-data` of user `admin` holds no certificate in PEM",
        ),
        (
            user(" {client-certificate-data: YQ==}\n"),
            "malformed kubeconfig: `client-certificate-data` of user `admin` holds no certificate in PEM",
        ),
        (
            user(" {client-certificate-data: 12}\n"),
            "malformed kubeconfig: `client-certificate-data` of user `admin` is a number to kubectl, which wants text: put it in quotes",
        ),
        (
            user(" {}\n- name: no\n  user: {}\n"),
            "malformed kubeconfig: the name of a user is a truth value to kubectl, which wants text: put it in quotes",
        ),
        (
            user(" {}\n- name: 1e3\n"),
            "malformed kubeconfig: the name of a user is a number to kubectl, which wants text: put it in quotes",
        ),
        (
            user(" {}\n- name: admin\n  user: {}\n"),
            "malformed kubeconfig: its user `admin` is there twice, which kubectl refuses",
        ),
        (
            user(" {}\n- x\n"),
            "malformed kubeconfig: an entry of its `users` is not a mapping",
        ),
        (
            user(&format!(
                " {{client-certificate-data: {crt}}}\n---\nkind: Config\n"
            )),
            "malformed kubeconfig: it holds several YAML documents, of which kubectl reads the first alone",
        ),
        (
            user("\n    client-certificate-data: [\n"),
            "malformed kubeconfig: line 13: it is not YAML",
        ),
        (
            "kind: Config\nusers: {}\n".to_owned(),
            "malformed kubeconfig: its `users` are not a list",
        ),
        (
            "kind: Config\napiVersion: v2\nusers: []\n".to_owned(),
            "malformed kubeconfig: its apiVersion is not `v1`",
        ),
        (
            "kind: Config\nusers: null\n".to_owned(),
            "malformed certificate: there is none: no PEM block and no DER",
        ),
        (
            "kind: Pod\nusers:\n- name: x\n".to_owned(),
            "malformed certificate: there is none: no PEM block and no DER",
        ),
        (
            "[req]\nusers = 1\n".to_owned(),
            "malformed certificate: there is none: no PEM block and no DER",
        ),
    ] {
        let problem = match found(folder.path(), &text) {
            Err(problem) => problem,
            Ok(all) => all
                .into_iter()
                .map(|(user, said)| user.unwrap_or(said))
                .collect(),
        };
        assert_eq!(problem, expected, "{text}");
    }
    let missing = found(folder.path(), &user(" {client-certificate: none.pem}\n")).unwrap();
    assert!(missing[0].1.starts_with("No such file"), "{missing:?}");
    // Bytes alone have no folder.
    let found = inspect::read(user(" {client-certificate: a.pem}\n").as_bytes()).unwrap();
    assert_eq!(found.chains.len(), 0);
    let error = found.faults[0].to_string();
    assert!(error.contains("`a.pem`, which is not read here"), "{error}");
}

#[test]
fn all_users_of_one_file_are_judged_and_named() {
    let (one, two) = (data(&admin()), data(&admin()));
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{HEAD} {{client-certificate-data: {one}}}\n\
         - name: \"b\\tc\"\n  user: {{exec: {{command: x}}}}\n\
         - name: two\n  user: {{client-certificate-data: {two}}}\n\
         - name: bad\n  user: {{client-certificate-data: \"*\"}}\n"
    );
    let admin = || "admin".to_owned();
    let expected = [
        (Some(admin()), admin()),
        (Some("two".to_owned()), admin()),
        (
            None,
            "its user `b\\tc` has no certificate, but a command".to_owned(),
        ),
        (
            None,
            "malformed kubeconfig: `client-certificate-data` of user `bad` is not base64"
                .to_owned(),
        ),
    ];
    assert_eq!(found(folder.path(), &text), Ok(expected.to_vec()));
    let read = inspect::read(text.as_bytes()).unwrap();
    assert_eq!((read.chains.len(), read.faults.len()), (2, 2));
    let good = text.split("- name: bad").next().unwrap();
    assert_eq!(inspect::read(good.as_bytes()).unwrap().chains.len(), 2);
    fs::write(folder.path().join("kube.conf"), good).unwrap();
    let report = lint::files([folder.path()], SystemTime::now());
    assert_eq!(report.certificates.len(), 2);
}
