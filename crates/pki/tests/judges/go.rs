//! Go's crypto/x509 and crypto/tls, which is what Kubernetes and etcd judge with.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use caravan_pki::store::Store;
use caravan_pki::{Authority, AuthoritySpec, CommonName, Item, Leaf, Lifetime, Sans, Usage};

use super::openssl::cluster;
use super::{judge, missing};

/// Go, if it is installed and new enough for the judge's program (1.20).
pub(crate) fn go() -> Option<PathBuf> {
    let go = judge("go")?;
    let said = duct::cmd!(&go, "env", "GOVERSION")
        .env("GOTOOLCHAIN", "local")
        .read()
        .unwrap_or_default();
    if new_enough(&said) {
        return Some(go);
    }
    missing(&format!("go 1.20 or newer (there is `{}`)", said.trim()));
    None
}

/// Whether what `go env GOVERSION` says, such as `go1.26.8`, is 1.20 or newer. A development version says `devel ...`.
fn new_enough(said: &str) -> bool {
    let minor = said.trim().strip_prefix("go1.").and_then(|rest| {
        rest.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    });
    minor.map_or(said.starts_with("devel"), |minor: u32| minor >= 20)
}

#[test]
fn versions_of_go() {
    for (said, is) in [
        ("go1.26.8\n", true),
        ("go1.20rc1", true),
        ("devel go1.27-abc", true),
        ("go1.19.8", false),
        ("", false),
    ] {
        assert_eq!(new_enough(said), is, "{said}");
    }
}

/// Runs the cases through one Go process; one verdict per case.
pub(crate) fn verdicts(go: &Path, cases: &[String]) -> Vec<String> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/go/main.go");
    let output = duct::cmd!(go, "run", program)
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .stdin_bytes(cases.join("\n"))
        .stdout_capture()
        .run()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn rows_roles_handshakes_and_negatives() {
    let Some(go) = go() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("pki");
    let store = Store::open(&root).unwrap();
    let plan = cluster().plan().unwrap();
    store.ensure(&plan, SystemTime::now()).unwrap();
    let path = |id: &str| root.join(id).to_str().unwrap().to_owned();
    let mut cases = Vec::new();
    let mut expected: Vec<(String, &str)> = Vec::new();
    let mut case = |line: Vec<&str>, verdict: &'static str| {
        cases.push(line.join("\t"));
        expected.push((line.join(" "), verdict));
    };

    for entry in plan.entries() {
        let Item::Leaf {
            issuer,
            leaf: wanted,
        } = entry.item()
        else {
            continue;
        };
        let id = entry.id().as_str();
        let node = id.split('/').nth(1).unwrap_or("masterone");
        let (ca, leaf) = (path(&format!("{issuer}.crt")), path(&format!("{id}.crt")));
        let bad =
            "x509.CertificateInvalidError: x509: certificate specifies an incompatible key usage";
        let verdict = |usage| {
            if wanted.usages().contains(&usage) {
                "ok"
            } else {
                bad
            }
        };
        let (client, server) = (verdict(Usage::ClientAuth), verdict(Usage::ServerAuth));
        case(vec!["verify", &ca, &leaf, "client", ""], client);
        // A client has no names: judged for none, so that its purposes decide.
        let name = wanted.sans().map_or("", |_| node);
        case(vec!["verify", &ca, &leaf, "server", name], server);
        let other = if issuer.as_str() == "etcd-ca" {
            "ca.crt"
        } else {
            "etcd-ca.crt"
        };
        let usage = if client == "ok" { "client" } else { "server" };
        case(
            vec!["verify", &path(other), &leaf, usage, ""],
            "x509.UnknownAuthorityError",
        );
    }
    let (ca, etcd_ca) = (path("ca.crt"), path("etcd-ca.crt"));
    let apiserver = path("nodes/masterone/apiserver.crt");
    for (name, verdict) in [
        ("10.96.0.1", "ok"),
        ("192.168.29.80", "ok"),
        ("kubernetes.default.svc.cluster.local", "ok"),
        ("mastertwo", "x509.HostnameError"),
        ("192.168.29.99", "x509.HostnameError"),
    ] {
        case(vec!["verify", &ca, &apiserver, "server", name], verdict);
    }
    for version in ["1.2", "1.3"] {
        let server = path("nodes/etcdone/etcd-server");
        let peer = path("nodes/etcdone/etcd-peer");
        let client = path("apiserver-etcd-client");
        // etcd's gateway dials itself with its server certificate.
        case(
            vec![
                "handshake",
                &etcd_ca,
                &server,
                &server,
                "127.0.0.1",
                version,
            ],
            "ok",
        );
        case(
            vec!["handshake", &etcd_ca, &server, &client, "etcdone", version],
            "ok",
        );
        case(
            vec![
                "handshake",
                &etcd_ca,
                &peer,
                &peer,
                "192.168.29.61",
                version,
            ],
            "ok",
        );
        case(
            vec!["handshake", &etcd_ca, &client, &peer, "etcdone", version],
            "*tls.CertificateVerificationError",
        );
        let admin = path("operator");
        case(
            vec![
                "handshake",
                &ca,
                &path("nodes/masterone/apiserver"),
                &admin,
                "192.168.29.80",
                version,
            ],
            "ok",
        );
    }

    let found = verdicts(&go, &cases);
    assert_eq!(found.len(), expected.len());
    for (found, (case, verdict)) in found.iter().zip(&expected) {
        assert!(
            found.starts_with(verdict),
            "{case}\n  expected {verdict}\n  found    {found}"
        );
    }
}

/// A client-only certificate with a server's names is refused for its purposes alone, and dates are judged.
#[test]
fn purposes_and_dates() {
    let Some(go) = go() else {
        return;
    };
    let now = SystemTime::now();
    let day = std::time::Duration::from_secs(86_400);
    let name = |name| CommonName::try_from(name).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let sans = Sans::parse(["web.example.com"]).unwrap();
    let client = Leaf::client(name("web")).with_sans(sans.clone());
    let server = Leaf::server(name("web"), sans).with_lifetime(Lifetime::days(2));
    let ca = Authority::create(&AuthoritySpec::new(name("ca")), now - 10 * day).unwrap();
    let made = |leaf: &Leaf, at| ca.issue(leaf, at).unwrap().certificate_pem();
    let ca_file = file("ca.crt", &ca.certificate_pem());
    let cases = [
        (
            file("client.crt", &made(&client, now)),
            "x509.CertificateInvalidError",
        ),
        (file("good.crt", &made(&server, now)), "ok"),
        (
            file("expired.crt", &made(&server, now - 5 * day)),
            "x509.CertificateInvalidError: x509: certificate has expired",
        ),
        (
            file("early.crt", &made(&server, now + 5 * day)),
            "x509.CertificateInvalidError: x509: certificate has expired or is not yet valid",
        ),
    ];
    let lines: Vec<String> = cases
        .iter()
        .map(|(leaf, _)| format!("verify\t{ca_file}\t{leaf}\tserver\tweb.example.com"))
        .collect();
    for (found, (leaf, verdict)) in verdicts(&go, &lines).iter().zip(&cases) {
        assert!(found.starts_with(verdict), "{leaf}: {found}");
    }
}

#[test]
fn authorities_of_go() {
    let Some(go) = go() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let made = verdicts(
        &go,
        &[format!("authority\t{}\t{}", path("ca.crt"), path("ca.key"))],
    );
    assert_eq!(made, ["ok"]);
    let read = |name: &str| std::fs::read(path(name)).unwrap();
    let ca = Authority::load(&read("ca.crt"), &read("ca.key"), SystemTime::now()).unwrap();
    let leaf = Leaf::client(CommonName::try_from("x").unwrap()).with_lifetime(Lifetime::days(7));
    let identity = ca.issue(&leaf, SystemTime::now()).unwrap();
    assert!(
        identity
            .certificate()
            .is_signed_by(ca.certificate())
            .unwrap()
    );
    std::fs::write(path("x.crt"), identity.certificate_pem()).unwrap();
    let line = format!("verify\t{}\t{}\tclient\t", path("ca.crt"), path("x.crt"));
    assert_eq!(verdicts(&go, &[line]), ["ok"]);
    if let Some(openssl) = judge("openssl") {
        let (ca, leaf) = (path("ca.crt"), path("x.crt"));
        let args = super::ask_openssl::strict(&ca, &leaf, &["-purpose", "sslclient"]);
        let (accepted, said) = super::run(&openssl, &args, "");
        assert!(accepted, "{said}");
    }
}
