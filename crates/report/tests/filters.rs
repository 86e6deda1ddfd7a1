//! Who may talk to whom, as the report has it, and what machines let in: both ways round.
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use caravan_lab::{Role, ports};
use caravan_report::flows::{FLOWS, Flow, Party, Ports};

/// Who is let in, and where: a port by TCP, or a protocol.
type LetIn = BTreeSet<(Party, String)>;

/// Every machine of the golden labs that has this file, with its role.
fn golden(file: &str) -> Vec<(Role, PathBuf)> {
    let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../render/tests/golden");
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("golden files").flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let labs = below(&labs);
    let machines = labs
        .iter()
        .filter(|it| it.is_dir())
        .flat_map(|it| below(it));
    let found = machines.filter_map(|machine| {
        let name = machine.file_name()?.to_str()?.to_owned();
        let roles = [
            ("etcd", Role::Etcd),
            ("lb", Role::LoadBalancer),
            ("master", Role::ControlPlane),
            ("worker", Role::Worker),
        ];
        let (_, role) = roles
            .into_iter()
            .find(|(begin, _)| name.starts_with(begin))?;
        let path = machine.join("etc/caravan").join(file);
        path.exists().then_some((role, path))
    });
    found.collect()
}

/// What a line of a packet filter lets in; none where it is about no port of the machine's own.
fn let_in(line: &str) -> LetIn {
    let words: Vec<&str> = line.split([' ', ',', '{', '}']).collect();
    let after = |word: &str| {
        let place = words.iter().position(|it| *it == word)?;
        words[place + 1..].iter().find(|it| !it.is_empty()).copied()
    };
    let from = match after("saddr") {
        Some("@masters") => Party::Role(Role::ControlPlane),
        Some("@members") => Party::Role(Role::Etcd),
        Some("@operators") => Party::Operator,
        Some(address) if address.parse::<std::net::Ipv4Addr>().is_ok() => {
            assert!(line.contains("l4proto 112"), "{line}");
            return [(Party::Role(Role::LoadBalancer), "VRRP".to_owned())].into();
        }
        // Everybody who comes by the address that load balancers share.
        None => Party::Endpoint,
        Some(other) => panic!("nobody knows who `{other}` is: {line}"),
    };
    let ports = words.iter().filter(|it| it.parse::<u16>().is_ok());
    ports.map(|port| (from, (*port).to_owned())).collect()
}

/// The same of all lines; what answers, what a machine says to itself and its way in by another interface are no ports.
fn filtered(text: &str) -> LetIn {
    let ordinary = [
        "iif \"lo\"",
        "ct state established,related",
        "meta l4proto { icmp, ipv6-icmp }",
        "ip daddr !=",
    ];
    let lines = text.lines().map(str::trim);
    let accepts = lines.filter(|line| line.ends_with(" accept"));
    let opens = accepts.filter(|line| !ordinary.iter().any(|it| line.starts_with(it)));
    let all: Vec<LetIn> = opens.map(let_in).collect();
    assert!(all.iter().all(|it| !it.is_empty()), "{text}");
    all.into_iter().flatten().collect()
}

/// The flows that may go to a role in every lab. What comes with an add-on listens in a pod, and is none of the machine's own.
fn flows(role: Role) -> impl Iterator<Item = &'static Flow> {
    let to_it = move |flow: &&Flow| {
        flow.allowed && flow.add_on.is_none() && flow.to.roles().contains(&role)
    };
    FLOWS.iter().filter(to_it)
}

fn drawn(role: Role) -> LetIn {
    let each = |flow: &Flow| -> Vec<(Party, String)> {
        match flow.ports {
            Ports::Tcp(ports) => (ports.iter())
                .map(|port| (flow.from, port.to_string()))
                .collect(),
            Ports::Vrrp => vec![(flow.from, "VRRP".to_owned())],
            Ports::Overlay => Vec::new(),
            Ports::All => panic!("{}: a filter names what it opens", flow.id),
        }
    };
    flows(role).flat_map(each).collect()
}

#[test]
fn what_a_packet_filter_opens_is_a_flow_and_no_flow_is_shut_out() {
    let mut seen = BTreeSet::new();
    for (role, path) in golden("filter.nft") {
        let text = fs::read_to_string(&path).expect("text");
        assert_eq!(filtered(&text), drawn(role), "{}", path.display());
        seen.insert(role);
    }
    assert_eq!(
        seen,
        BTreeSet::from([Role::Etcd, Role::LoadBalancer]),
        "who else has a filter of its own ports is to be compared too"
    );
}

#[test]
fn pods_packets_come_from_nodes_where_a_filter_says_so() {
    let filters = golden("overlay.nft");
    let nodes: BTreeSet<Role> = filters.iter().map(|(role, _)| *role).collect();
    let all: BTreeSet<Role> = Party::Nodes.roles().iter().copied().collect();
    assert_eq!(nodes, all);
    for (role, path) in filters {
        let text = fs::read_to_string(&path).expect("text");
        let ports = [ports::VXLAN, ports::VXLAN_FLANNEL].map(|port| port.to_string());
        let jump = format!("udp dport {{ {} }} jump overlay", ports.join(", "));
        assert!(text.contains(&jump), "{}", path.display());
        let is_overlay = |flow: &Flow| matches!(flow.ports, Ports::Overlay);
        let from: Vec<Party> = (flows(role).filter(|it| is_overlay(it)))
            .map(|it| it.from)
            .collect();
        assert_eq!(from, [Party::Nodes], "{role}");
    }
}

/// Nodes have no filter of their own ports, so whatever listens there is open: each has a flow, whoever it is for.
#[test]
fn what_machines_listen_on_is_a_flow() {
    for role in Role::ALL {
        let drawn: BTreeSet<u16> = (drawn(role).into_iter())
            .filter_map(|(_, port)| port.parse().ok())
            .collect();
        let listened: BTreeSet<u16> = ports::listened(role).iter().copied().collect();
        assert_eq!(drawn, listened, "{role}");
    }
}

#[test]
fn a_filter_is_read_whole() {
    let text = "iif \"lo\" accept\nip saddr @members tcp dport { 2379, 2380 } accept\ntcp dport 6443 accept\n";
    let open = |party, port: u16| (party, port.to_string());
    assert_eq!(
        filtered(text),
        BTreeSet::from([
            open(Party::Role(Role::Etcd), 2379),
            open(Party::Role(Role::Etcd), 2380),
            open(Party::Endpoint, 6443),
        ])
    );
}
