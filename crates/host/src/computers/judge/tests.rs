use std::collections::BTreeMap;

use caravan_process::Computer;

use super::super::LinkFacts;
use super::*;

const HA: &str = include_str!("../../../../../labs/ha.toml");

fn lab() -> Lab {
    let text = HA
        .replace(
            "[servers.server1]",
            "[servers.server1]\nhost = \"ssh://me@one\"\nbridge = \"br0\"\naddress = \"192.168.29.11\"",
        )
        .replace(
            "[servers.server2]",
            "[servers.server2]\nhost = \"ssh://me@two\"\nbridge = \"br0\"\naddress = \"192.168.29.12\"",
        );
    Lab::parse("ha", &text).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn well() -> ComputerFacts {
    ComputerFacts {
        clock: Some((0.1, 0.1)),
        processor: "x86_64".to_owned(),
        cpus: Some(4),
        memory_mib: Some(32_000),
        disk_mib: Some(100_000),
        links: ["lo", "enp3s0", "br0"].map(str::to_owned).into(),
        link: Some(LinkFacts {
            is_bridge: true,
            is_wireless: false,
            is_up: true,
            mtu: 1500,
        }),
        vagrant: Some("2.3.4".to_owned()),
        docker: Some("20.10.24".to_owned()),
        libvirt: None,
        kvm: true,
        taken: BTreeMap::new(),
    }
}

/// What is said where the second computer told `facts`.
fn said(facts: Result<ComputerFacts, caravan_process::Error>, there: &[&str]) -> Vec<String> {
    let lab = lab();
    let of = |server: &str| {
        let server = lab.server(server).expect("in the lab");
        ComputerInQuestion {
            host: server.host.as_deref(),
            servers: vec![server],
            computer: Computer::Here,
        }
    };
    let asked = [(of("server1"), Ok(well())), (of("server2"), facts)];
    let there = there.iter().copied().collect();
    let faults = judge(&lab, &asked, |_| Provider::Docker, &there, "x86_64");
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_is_said_of_computers_that_are_well() {
    assert_eq!(said(Ok(well()), &[]), [""; 0]);
}

#[test]
fn each_fault_says_what_was_found_and_what_was_expected() {
    let link = |change: fn(&mut LinkFacts)| {
        let mut facts = well();
        change(facts.link.as_mut().expect("there"));
        facts
    };
    let but = |change: fn(&mut ComputerFacts)| {
        let mut facts = well();
        change(&mut facts);
        facts
    };
    for (facts, text) in [
        (
            but(|it| it.link = None),
            "there is no network interface `br0`; there are `lo`, `enp3s0`, `br0`",
        ),
        (
            link(|it| it.is_bridge = false),
            "`br0` is a network interface and no bridge, and containers need a bridge",
        ),
        (
            link(|it| it.is_wireless = true),
            "`br0` is wireless, and a wireless network takes no packets of machines behind a computer",
        ),
        (link(|it| it.is_up = false), "`br0` is down"),
        (
            link(|it| it.mtu = 1400),
            "the largest packet of its bridge is 1400 bytes, and that of `server1` on `ssh://me@one` 1500 bytes",
        ),
        (
            but(|it| it.clock = Some((3.2, 0.2))),
            "its clock is 3.2 s ahead of this computer's",
        ),
        (
            but(|it| it.clock = Some((-61.0, 0.5))),
            "its clock is 61.0 s behind this computer's",
        ),
        (
            but(|it| it.memory_mib = Some(1000)),
            "6144 MiB of memory are needed, 1000 MiB are free",
        ),
        (
            but(|it| it.disk_mib = Some(1000)),
            "8192 MiB of disk are needed, 1000 MiB are free",
        ),
        (
            but(|it| it.vagrant = None),
            "`vagrant` is not installed, or does not answer",
        ),
        (
            but(|it| it.docker = None),
            "`docker` is not installed, or does not answer",
        ),
        (
            but(|it| it.processor = "aarch64".to_owned()),
            "its processor is `aarch64`, and images are made for `x86_64`, this computer's",
        ),
    ] {
        let whole = format!("`server2` on `ssh://me@two`: {text}");
        assert_eq!(said(Ok(facts), &[]), [whole]);
    }
}

#[test]
fn a_clock_that_may_be_right_is_not_wrong() {
    let mut facts = well();
    facts.clock = Some((2.4, 0.5));
    assert_eq!(said(Ok(facts), &[]), [""; 0]);
}

#[test]
fn whoever_has_an_address_is_named_unless_it_is_the_labs_own() {
    let mut facts = well();
    for address in ["192.168.29.61", "192.168.29.80"] {
        let address = address.parse().expect("an address");
        facts.taken.insert(address, "52:54:00:12:34:56".to_owned());
    }
    assert_eq!(
        said(Ok(facts.clone()), &["workerone"]),
        [
            "`server2` on `ssh://me@two`: the address `192.168.29.61` of `etcdone` is taken by `52:54:00:12:34:56`",
            "`server2` on `ssh://me@two`: the address `192.168.29.80` that load balancers share is taken by `52:54:00:12:34:56`",
        ]
    );
    assert_eq!(said(Ok(facts), &["etcdone", "lbtwo"]), [""; 0]);
}

#[test]
fn a_computer_that_is_silent_is_not_well() {
    let error = caravan_process::Error::NotReached {
        host: "ssh://me@two".to_owned(),
        said: "no route".to_owned(),
    };
    assert_eq!(
        said(Err(error), &[]),
        ["`server2` on `ssh://me@two`: cannot get into `ssh://me@two` by ssh: no route"]
    );
}
