//! What machines say when the filter does its work, and when it does not.

use super::*;
use crate::verify::tests::{certificate, lab};

/// What a machine says when the filter does its work.
fn dials(lab: &Lab, machine: &Machine) -> String {
    let mut text = String::from("@@ etcd-ports\n");
    for member in lab.of_role(Role::Etcd).filter(|it| it.name != machine.name) {
        for port in ETCD_PORTS {
            let state = if may_reach_etcd(machine.role, port) {
                "open"
            } else {
                "shut No route to host"
            };
            text.push_str(&format!("{} {port} {state}\n", member.ip));
        }
    }
    text
}

#[test]
fn each_role_reaches_its_ports() {
    for name in ["ha", "external-etcd"] {
        let lab = lab(name);
        let mut open = Vec::new();
        for machine in lab.machines() {
            let text = dials(&lab, machine);
            let (findings, opened) = judge_dials(&lab, machine, &Facts::parse(&text));
            assert!(findings.holds(), "{}", machine.name);
            open.extend(opened);
            let bad = match machine.role {
                Role::Etcd => text.replacen("22 shut No route to host", "22 open", 1),
                Role::ControlPlane => text.replacen("2380 shut No route to host", "2380 open", 1),
                _ => text.replacen("2379 shut No route to host", "2379 open", 1),
            };
            assert_ne!(bad, text);
            assert!(!judge_dials(&lab, machine, &Facts::parse(&bad)).0.holds());
            assert!(!judge_dials(&lab, machine, &Facts::default()).0.holds());
        }
        assert!(
            judge_alive(&lab, &open)
                .verdict()
                .text
                .contains(":22 is open to nobody")
        );
        open.extend(lab.of_role(Role::Etcd).map(|member| (member.ip, 22)));
        let mut alive = judge_alive(&lab, &open);
        alive.right("etcd", "all ports are open to somebody");
        assert!(alive.holds());
        open.retain(|(_, port)| *port != 2380);
        assert!(!judge_alive(&lab, &open).holds());
    }
}

#[test]
fn a_master_that_is_shut_out_is_wrong_too() {
    let lab = lab("ha");
    let master = lab.first_master();
    let text = dials(&lab, master).replace("2379 open", "2379 shut Connection refused");
    assert!(!judge_dials(&lab, master, &Facts::parse(&text)).0.holds());
}

#[test]
fn the_filter_is_there() {
    let lab = lab("ha");
    let judge = |machine: &str, text: &str| {
        judge_filter(lab.machine(machine).expect("there"), &Facts::parse(text))
            .verdict()
            .text
    };
    let loaded = "@@ filter\ntable inet caravan_filter {\n chain input {\n type filter hook input priority filter; policy accept;\n";
    assert!(!judge("etcdone", loaded).contains("no packet filter"));
    assert!(judge("etcdone", "@@ filter\n").contains("no packet filter"));
    assert!(judge("etcdone", "").contains("no packet filter"));
    assert!(!judge("workerone", "").contains("no packet filter"));
}

#[test]
fn no_connection_is_the_only_good_end() {
    let lab = lab("ha");
    let worker = lab.machine("workerone").expect("there");
    let members: Vec<&Machine> = lab.of_role(Role::Etcd).collect();
    let judge = |text: &str| {
        let text = format!("@@ etcd-requests\n{text}");
        judge_requests(worker, &members, &Facts::parse(&text)).holds()
    };
    let good = "192.168.29.61 7 000\n192.168.29.62 28 000\n192.168.29.63 7 000\n";
    assert!(judge(good));
    assert!(!judge(&good.replace("62 28 000", "62 0 200")));
    assert!(
        !judge(&good.replace("62 28 000", "62 56 000")),
        "a TLS alert is a connection"
    );
    assert!(!judge(&good.replace("192.168.29.62 28 000\n", "")));
    assert!(!judge(""));
}

#[test]
fn no_certificate_of_etcd() {
    let mut found = vec![certificate("kubernetes")];
    found[0].issuer = "kubernetes".to_owned();
    let judge = |found: &[Certificate]| judge_certificates("w", "etcd-ca", &["etcd-ca-key"], found);
    assert!(judge(&found).is_ok());
    assert!(judge(&[]).is_err());
    found.push(certificate("kube-apiserver-etcd-client"));
    assert!(judge(&found).is_err(), "issued by it");
    found[1].issuer = "renamed".to_owned();
    assert!(judge(&found).is_ok());
    found[1].public_key_sha256 = "etcd-ca-key".to_owned();
    assert!(judge(&found).is_err(), "its own");
}
