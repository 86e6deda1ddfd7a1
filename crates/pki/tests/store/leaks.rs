//! No key is printed.

use std::fs;
use std::path::Path;

use caravan_pki::Secret;

use super::*;

#[test]
fn debug_output_holds_no_secret() {
    let fixture = Fixture::new();
    let mut plan = plan_of(web());
    plan.key_pair("sa").unwrap();
    plan.secret("token", Secret::Hex(32)).unwrap();
    plan.ssh_key("ssh", "x").unwrap();
    let made = fixture.store.ensure(&plan, now()).unwrap();
    let shown = format!("{made:?} {made:#?} {:?}", fixture.store);
    let pki = made.material();
    let secrets = [
        fixture.read("ca.key"),
        fixture.read("web.key"),
        fixture.read("sa.key"),
        fixture.read("ssh"),
        pki.secret("token").unwrap().to_owned(),
    ];
    for secret in &secrets {
        for line in secret.lines().filter(|line| !line.starts_with("-----")) {
            assert!(!shown.contains(line), "{line}");
        }
    }
    let der = pki.key_pair("sa").unwrap().to_pkcs8_der();
    let scalar = &der[36..68];
    let hex: String = scalar.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{scalar:?}");
    assert!(!shown.to_lowercase().contains(&hex) && !shown.contains(list.trim_matches(['[', ']'])));
    assert!(Path::new(fixture.store.root()).is_dir());
}

/// What is made for machines and people holds keys, and does not show them.
#[test]
fn debug_output_of_files_holds_no_secret() {
    use caravan_pki::kubernetes::{Cluster, Kubeconfig, Node, OPERATOR};
    let cluster = Cluster::new("10.0.0.1:6443")
        .unwrap()
        .with_control_plane(Node::new("one", [10, 0, 0, 1].into()).unwrap());
    let pki = cluster.plan().unwrap().make(now()).unwrap();
    let identity = pki.identity(OPERATOR).unwrap();
    let authority = pki.authority("ca").unwrap();
    let key = identity.key();
    let ca = authority.certificate_pem();
    let request =
        caravan_pki::CertificateRequest::create(key, &caravan_pki::Subject::new(name("x")), None);
    let shown = format!(
        "{:?} {:?} {identity:?} {authority:?} {key:?} {:?} {:?} {pki:#?}",
        cluster.node_files("one", &pki).unwrap(),
        Kubeconfig::new("admin", &ca, identity).unwrap(),
        key.public_key(),
        request.unwrap(),
    );
    for entry in pki.ids() {
        let secret = pki.secret(entry.as_str()).unwrap_or("-----none-----");
        assert!(!shown.contains(secret), "{entry}");
        let Ok(identity) = pki.identity(entry.as_str()) else {
            continue;
        };
        let der = identity.key().to_pkcs8_der();
        let hex: String = der[36..68]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert!(!shown.to_lowercase().contains(&hex), "{entry}");
        for line in identity
            .key_pem()
            .lines()
            .filter(|line| !line.starts_with('-'))
        {
            assert!(!shown.contains(line), "{entry}");
        }
    }
}

/// A key file that cannot be read is named, never quoted.
#[test]
fn errors_quote_no_key() {
    let fixture = Fixture::new();
    let key = fixture.read("web.key");
    let (begin, rest) = key.split_once('\n').unwrap();
    let body: String = rest.lines().filter(|line| !line.starts_with('-')).collect();
    let damaged = [
        format!("{begin}\n{}", &rest[..rest.len() - 40]),
        key.replace('\n', "\r"),
        key.replace('\n', "\\n"),
        key.replace("PRIVATE KEY", "CERTIFICATE"),
        key.replace(&body[..8], "AAAAAAAA"),
        format!("{}{key}", key.trim_end()),
        body.clone(),
    ];
    for text in &damaged {
        fs::write(fixture.path("web.key"), text).unwrap();
        let error = fixture.store.ensure(&plan_of(web()), now()).unwrap_err();
        let mut shown = format!("{error} {error:?} {error:#?} {:?}", error.hint());
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            shown.push_str(&format!("{inner} {inner:?}"));
            cause = inner.source();
        }
        assert!(shown.contains("web.key"), "{shown}");
        for at in 0..body.len() - 12 {
            assert!(!shown.contains(&body[at..at + 12]), "{shown}");
        }
    }
}
