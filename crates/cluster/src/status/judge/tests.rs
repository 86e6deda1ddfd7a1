use std::net::SocketAddrV4;

use super::*;
use crate::Certificate;

const NOW: i64 = 1_800_000_000;

fn lab() -> Lab {
    Lab::parse("ha", include_str!("../../../../../labs/ha.toml")).expect("a valid lab")
}

/// A certificate that ends as many days from now as its one byte says.
fn inspect(der: &[u8]) -> Option<Certificate> {
    Some(Certificate {
        subject: "someone".to_owned(),
        issuer: "etcd-ca".to_owned(),
        names: Vec::new(),
        server: true,
        client: true,
        public_key_sha256: String::new(),
        not_after: NOW + i64::from(*der.first()?) * 86_400,
    })
}

const TERMS: Terms<'_> = Terms {
    inspect,
    now_s: NOW,
    tool: "cargo xtask",
};

fn served(machine: &Machine) -> Served {
    Served {
        machine: machine.name.clone(),
        at: SocketAddrV4::new(machine.ip, 1),
        why: None,
        spoke: true,
        shown: Some(vec![200]),
    }
}

fn member_status(member_id: u64) -> Status {
    Status {
        cluster_id: 7,
        member_id,
        leader: 1,
        revision: 10,
        version: "3.6.14".to_owned(),
        term: 2,
        db_size: 1024,
        learner: false,
        errors: Vec::new(),
    }
}

fn all_well(lab: &Lab) -> (BTreeMap<String, MachineState>, StatusAnswers) {
    let states = lab
        .machines()
        .iter()
        .map(|machine| (machine.name.clone(), MachineState::Running))
        .collect();
    let nodes = lab.machines().iter().filter(|it| it.role.is_node());
    let found = StatusAnswers {
        endpoint: EndpointReport {
            address: lab.api_endpoint(),
            version: Some("v1.36.3".to_owned()),
            why: None,
        },
        nodes: nodes
            .map(|machine| Node {
                name: machine.name.clone(),
                ready: true,
                address: Some(machine.ip),
                version: "v1.36.3".to_owned(),
                message: "no network".to_owned(),
            })
            .collect(),
        members: lab
            .of_role(Role::Etcd)
            .zip(1..)
            .map(|(machine, id)| (served(machine), Some(member_status(id))))
            .collect(),
        masters: lab.of_role(Role::ControlPlane).map(served).collect(),
        balancers: lab
            .of_role(Role::LoadBalancer)
            .zip(["192.168.29.80", "192.168.29.99"])
            .map(|(machine, more)| {
                let text = format!(
                    "@@ addresses\n1: lo inet 127.0.0.1/8 x\n2: eth0 inet {more}/24 x\n@@ adverts\n\tcounter adverts {{\n\t\tpackets 7 bytes 280\n@@ versions\nhaproxy 2.6.12\n"
                );
                (machine.name.clone(), Ok(Facts::parse(&text)))
            })
            .collect(),
    };
    (states, found)
}

/// The problems after something was changed.
fn after(
    change: impl FnOnce(&mut BTreeMap<String, MachineState>, &mut StatusAnswers),
) -> Vec<String> {
    let lab = lab();
    let (mut states, mut found) = all_well(&lab);
    change(&mut states, &mut found);
    report(&lab, &states, found, &TERMS).problems
}

#[test]
fn a_lab_that_is_well_has_no_problem() {
    assert_eq!(after(|_, _| {}), [""; 0]);
    let lab = lab();
    let (states, found) = all_well(&lab);
    let status = report(&lab, &states, found, &TERMS);
    assert_eq!(status.etcd.leader.as_deref(), Some("etcdone"));
    assert!(status.etcd.quorum);
    let vip = status.vip.expect("ha has one");
    assert_eq!(vip.owners, ["lbone"]);
    assert_eq!(
        vip.refused_adverts,
        BTreeMap::from([("lbone".to_owned(), 7), ("lbtwo".to_owned(), 7)])
    );
    let version = |name: &str, what: &str| {
        let machine = status.machines.iter().find(|it| it.name == name)?;
        machine.versions.get(what).cloned()
    };
    assert_eq!(version("lbtwo", "haproxy").as_deref(), Some("2.6.12"));
    assert_eq!(version("etcdtwo", "etcd").as_deref(), Some("3.6.14"));
    assert_eq!(version("workerone", "kubelet").as_deref(), Some("v1.36.3"));
    assert_eq!(status.certificates.len(), 6);
    assert_eq!(status.certificates[0].days_left, 200);
}

#[test]
fn a_status_is_read_as_it_was_written() {
    let lab = lab();
    let (mut states, found) = all_well(&lab);
    states.insert("lbtwo".to_owned(), MachineState::Stopped);
    states.insert(
        "workerone".to_owned(),
        MachineState::Other("paused".to_owned()),
    );
    let status = report(&lab, &states, found, &TERMS);
    let text = serde_json::to_string(&status).expect("plain data");
    for word in [
        r#""state":"paused""#,
        r#""state":"stopped""#,
        r#""role":"control-plane""#,
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let read: LabStatus = serde_json::from_str(&text).expect("what was written");
    assert_eq!(read, status);
}

#[test]
fn each_thing_that_is_wrong_is_told_once() {
    let one = |problems: Vec<String>, wanted: &str| assert_eq!(problems, [wanted]);
    one(
        after(|states, found| {
            states.insert("workerone".to_owned(), MachineState::Stopped);
            found.nodes.last_mut().expect("nodes").ready = false;
        }),
        "`workerone` is stopped",
    );
    one(
        after(|_, found| {
            found.nodes.pop();
        }),
        "`workerone` is no node of the cluster",
    );
    one(
        after(|_, found| found.nodes[3].ready = false),
        "`workerone`: no network",
    );
    one(
        after(|_, found| found.nodes[0].ready = false),
        "node `masterone` is not ready: no network",
    );
    one(
        after(|_, found| found.masters[1].why = Some("no connection".to_owned())),
        "`mastertwo`: no connection",
    );
    one(
        after(|_, found| found.members[2].1.as_mut().expect("a status").cluster_id = 8),
        "the etcd members belong to 2 different clusters",
    );
    one(
        after(|_, found| found.members[0].0.shown = Some(vec![29])),
        "the certificate of `etcdone` at 192.168.29.61:1 ends in 29 days: `cargo xtask certs renew ha` makes it anew",
    );
    one(
        after(|_, found| found.balancers[0].1 = found.balancers[1].1.clone()),
        "no load balancer has 192.168.29.80",
    );
    one(
        after(|_, found| found.balancers[1].1 = found.balancers[0].1.clone()),
        "192.168.29.80 is on lbone and on lbtwo",
    );
}

#[test]
fn without_quorum_that_is_said_too() {
    let problems = after(|states, found| {
        for name in ["etcdone", "etcdtwo"] {
            states.insert(name.to_owned(), MachineState::Absent);
        }
        found.members.drain(..2);
    });
    assert_eq!(
        problems,
        [
            "`etcdone` is absent",
            "`etcdtwo` is absent",
            "etcd has no quorum, so nothing can be written"
        ]
    );
}

#[test]
fn an_alarm_is_no_lost_quorum() {
    let alarmed = |name: &str, why: Option<&str>| {
        after(|_, found| {
            for (served, status) in &mut found.members {
                served.why = why.map(ToOwned::to_owned);
                let status = status.as_mut().expect("a status");
                status.errors = vec![format!("memberID:2 alarm:{name} ")];
            }
        })
    };
    let full = alarmed("NOSPACE", None);
    assert_eq!(full.len(), 1, "{full:?}");
    assert!(full[0].starts_with("etcd's alarm NOSPACE of `etcdtwo`: all writes are refused"));
    assert!(full[0].contains(" etcd defrag "), "{full:?}");
    let corrupt = alarmed("CORRUPT", Some("etcdserver: corrupt cluster"));
    assert_eq!(corrupt.len(), 4, "{corrupt:?}");
    assert!(!corrupt.iter().any(|it| it.contains("quorum")));
    assert!(corrupt[3].contains("cargo xtask destroy ha etcdtwo"));
}

#[test]
fn a_certificate_that_has_ended_has_negative_days() {
    let lab = lab();
    let (states, found) = all_well(&lab);
    let later = Terms {
        now_s: NOW + 201 * 86_400,
        ..TERMS
    };
    let status = report(&lab, &states, found, &later);
    assert_eq!(status.certificates[0].days_left, -1);
}
