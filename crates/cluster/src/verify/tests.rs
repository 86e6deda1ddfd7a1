//! The table as a whole, and runs of a lab that is not there.

use std::collections::BTreeSet;
use std::time::SystemTime;

use caravan_lab::Lab;
use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf};
use caravan_process::Program;
use caravan_vagrant::ssh::Ssh;

use super::*;
use crate::{Access, Certificate, Foreign, PATIENCE, Pair};

/// One of three labs.
pub(crate) fn lab(name: &str) -> Lab {
    let source = match name {
        "ha" => include_str!("../../../../labs/ha.toml"),
        "ha-apps" => include_str!("../../../../labs/ha-apps.toml"),
        "external-etcd" => include_str!("../../../../labs/external-etcd.toml"),
        _ => unreachable!("there are three labs"),
    };
    Lab::parse(name, source).expect("a valid lab")
}

/// A client's certificate of etcd's CA, to be changed as a test needs it.
pub(crate) fn certificate(subject: &str) -> Certificate {
    Certificate {
        subject: subject.to_owned(),
        issuer: "etcd-ca".to_owned(),
        names: Vec::new(),
        server: false,
        client: true,
        public_key_sha256: format!("{subject}-key"),
        not_after: 0,
    }
}

const DOCUMENT: &str = include_str!("../../../../docs/verify.md");

#[test]
fn ids_are_words_and_unique() {
    let mut seen = BTreeSet::new();
    for (id, promise) in list(Depth::Disrupt) {
        assert!(seen.insert(id), "{id} is there twice");
        assert!(
            id.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
            "{id}"
        );
        assert!(!promise.ends_with('.') && promise.len() > 20, "{promise}");
    }
}

#[test]
fn every_check_is_documented_and_no_other() {
    let documented: BTreeSet<&str> = DOCUMENT
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let checks: BTreeSet<&str> = list(Depth::Disrupt).map(|(id, _)| id).collect();
    assert_eq!(documented, checks);
}

#[test]
fn deeper_runs_hold_the_shallower_ones() {
    let of = |depth| list(depth).map(|(id, _)| id).collect::<BTreeSet<_>>();
    assert!(of(Depth::Quick).is_subset(&of(Depth::Full)));
    assert!(of(Depth::Full).is_subset(&of(Depth::Disrupt)));
    assert!(of(Depth::Disrupt).contains("balancer-takes-over"));
    assert!(!of(Depth::Full).contains("balancer-takes-over"));
}

#[test]
fn promises_that_a_lab_does_not_make_are_skipped_with_a_reason() {
    let options = |airgap, image: Option<&str>| Options {
        depth: Depth::Disrupt,
        airgap,
        probe_image: image.map(ToOwned::to_owned),
        volume_image: image.map(ToOwned::to_owned),
        tool: "cargo xtask".to_owned(),
    };
    let skipped = |lab: &Lab, options: &Options| -> Vec<&str> {
        table::rows_of(lab, Depth::Disrupt)
            .filter(|row| (row.unless)(lab, options).is_some())
            .map(|row| row.id)
            .collect()
    };
    let full = options(true, Some("caravan.local/probe:1"));
    assert!(skipped(&lab("ha"), &full).is_empty());
    assert_eq!(
        skipped(&lab("external-etcd"), &full),
        ["vip-owner", "forged-adverts", "balancer-takes-over"]
    );
    assert!(skipped(&lab("ha-apps"), &full).is_empty());
    assert_eq!(
        skipped(&lab("ha-apps"), &options(true, None)),
        [
            "pods-reach-pods",
            "full-packets-fit",
            "pods-reach-service-by-name",
            "pod-service-addresses-stay",
            "claims-get-volumes",
            "service-address-answers"
        ]
    );
    assert_eq!(
        skipped(&lab("ha"), &options(false, None)),
        [
            "no-way-out",
            "pods-reach-pods",
            "full-packets-fit",
            "pods-reach-service-by-name",
            "pod-service-addresses-stay"
        ]
    );
}

#[test]
fn what_a_lab_asks_for_has_its_promise_there_alone() {
    let all: BTreeSet<_> = list(Depth::Disrupt).map(|(id, _)| id).collect();
    let lacking = |lab: &Lab| -> Vec<&str> {
        let of: BTreeSet<_> = list_of(lab, Depth::Disrupt).map(|(id, _)| id).collect();
        all.difference(&of).copied().collect()
    };
    let add_ons = [
        "claims-get-volumes",
        "metrics-of-every-node",
        "service-address-answers",
    ];
    let settings = [
        "audit-log",
        "feature-gates",
        "kubelet-settings",
        "node-marks",
        "secrets-encrypted",
    ];
    let of_cluster =
        "feature_gates = { A = true }\naudit = \"metadata\"\nencryption = \"secretbox\"\n";
    let kubelet = "[kubelet]\nconfig = { maxPods = 9 }\n";
    let name = "name = \"workerone\"\n";
    let with_settings = |source: &str| {
        let source = (source.replacen("[cluster]\n", &format!("[cluster]\n{of_cluster}"), 1))
            .replacen("[servers.", &format!("{kubelet}[servers."), 1)
            .replace(name, &format!("{name}labels = {{ disk = \"ssd\" }}\n"));
        Lab::parse("ha", &source).expect("valid")
    };
    assert!(
        lacking(&with_settings(include_str!(
            "../../../../labs/ha-apps.toml"
        )))
        .is_empty()
    );
    assert_eq!(lacking(&lab("ha-apps")), settings);
    let ha = include_str!("../../../../labs/ha.toml");
    let ha = ha.replacen("[servers.", "[cluster]\n[servers.", 1);
    assert_eq!(lacking(&with_settings(&ha)), add_ons);
    assert_eq!(lacking(&lab("ha")).len(), add_ons.len() + settings.len());
}

/// Keys that open nothing; who is asked over ssh with them is not reached.
pub(crate) fn access() -> Access {
    let now = SystemTime::now();
    let name = |text| CommonName::try_from(text).expect("a name");
    let ca = Authority::create(&AuthoritySpec::new(name("ca")), now).expect("a CA");
    let client = ca
        .issue(&Leaf::client(name("client")), now)
        .expect("a client");
    let pair = Pair {
        certificate: client.chain_pem(),
        key: client.key_pem().to_string(),
    };
    let authority = ca.certificate_pem();
    Access {
        way: crate::NetworkWay::default(),
        ssh: Ssh::with(Program::at("/bin/false"), "none", "none"),
        kubernetes_ca: authority.clone(),
        etcd_ca: authority.clone(),
        operator: pair.clone(),
        etcd_client: pair.clone(),
        apiserver_etcd_client: pair.clone(),
        foreign: Foreign {
            ca: authority,
            client: pair,
        },
        insecure_key: None,
        inspect: |_| Some(certificate("ca")),
        patience: PATIENCE,
    }
}

#[test]
fn scripts_pass_shellcheck() {
    let Ok(shellcheck) = Program::find("shellcheck") else {
        let required = std::env::var_os("CARAVAN_REQUIRE_CHECKERS").is_some();
        assert!(!required, "shellcheck is required and not installed");
        return;
    };
    let mut scripts: Vec<_> = ["verify", "disturb"]
        .iter()
        .flat_map(|module| {
            let folder = format!("{}/src/{module}/scripts", env!("CARGO_MANIFEST_DIR"));
            std::fs::read_dir(folder).expect("the scripts' folder")
        })
        .map(|entry| entry.expect("a script").path())
        .collect();
    scripts.sort();
    assert!(scripts.len() > 5, "{scripts:?}");
    let judged = shellcheck.call(&scripts).output().expect("it runs");
    assert!(judged.success(), "{}", judged.stdout);
}
