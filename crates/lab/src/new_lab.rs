//! Writes a lab file for a user to go on from.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::machine::Role;
use crate::network::nth_address;

/// What a new lab is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewLab<'a> {
    /// Its name, as its file is to have it.
    pub name: &'a str,
    /// The command whose verbs are named, such as `cargo xtask`.
    pub tool: &'a str,
    /// The minor version of Kubernetes, such as `1.36`.
    pub kubernetes: &'a str,
    /// Its subnet, a /24.
    pub subnet: Ipv4Net,
    /// How many etcd members.
    pub etcd: u8,
    /// How many masters.
    pub masters: u8,
    /// How many load balancers.
    pub balancers: u8,
    /// How many workers.
    pub workers: u8,
}

/// What a machine of a role is called, its place in the subnet, its memory in MiB, its CPUs, and what is said of it.
const MACHINES: [(Role, &str, u32, u32, u8, &str); 4] = [
    (
        Role::Etcd,
        "etcd",
        10,
        1024,
        1,
        "holds the cluster's state; an odd number, of which a majority must run",
    ),
    (
        Role::LoadBalancer,
        "balancer",
        20,
        1024,
        1,
        "HAProxy and Keepalived; one at a time holds `vip`",
    ),
    (
        Role::ControlPlane,
        "master",
        30,
        2048,
        2,
        "API server, scheduler and controller manager; the first makes the cluster",
    ),
    (Role::Worker, "worker", 100, 1024, 1, "runs your pods"),
];

/// The place of the virtual address in the subnet.
const VIP: u32 = 5;

/// The places of the first and the last address for services, behind all that machines can have.
const SERVICES: [u32; 2] = [200, 219];

/// Writes the lab file, with a word on each key. Nothing but `lab` decides what it says.
///
/// The result is valid if the shape is: an odd number of etcd members, at least one master, and load balancers where there are
/// several masters, at most nine of each and 99 workers.
pub fn new_lab_file(lab: &NewLab<'_>) -> String {
    let NewLab {
        name,
        tool,
        kubernetes,
        subnet,
        ..
    } = lab;
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = text.write_fmt(args);
        text.push('\n');
    };
    let counts = [lab.etcd, lab.balancers, lab.masters, lab.workers];
    let all: u32 = counts.iter().map(|count| u32::from(*count)).sum();
    line(format_args!(
        "# Lab `{name}`: {all} machines on this computer."
    ));
    line(format_args!(
        "# `{tool} plan {name}` shows what this makes and what each failure costs; `{tool} up {name}` makes it."
    ));
    line(format_args!("# Every key there is: docs/lab-file.md.\n"));
    line(format_args!(
        "domain = \"example.com\" # The machines' full names end in it."
    ));
    line(format_args!(
        "kubernetes = \"{kubernetes}\" # Its minor version."
    ));
    if lab.balancers > 0 {
        let vip: Ipv4Addr = nth_address(*subnet, VIP);
        line(format_args!(
            "vip = \"{vip}\" # The load balancers share it: the API is at {vip}:6443."
        ));
    }
    line(format_args!(
        "subnet = \"{subnet}\" # Nobody else here used it when this file was written."
    ));
    line(format_args!("# airgap = true # Nothing leaves the lab."));
    line(format_args!(
        "# pod_network = \"flannel\" # Or `calico`, in place of the built-in `vxlan`.\n"
    ));
    if lab.workers > 0 {
        let [first, last] = SERVICES.map(|place| nth_address(*subnet, place));
        for text in [
            "[cluster] # What workloads need beyond Kubernetes itself.",
            "storage = \"local-path\" # Volumes for claims.",
            "metrics = true # `kubectl top`.",
            &format!("load_balancer = \"{first}-{last}\" # For services of the type LoadBalancer."),
        ] {
            line(format_args!("# {text}"));
        }
        line(format_args!(""));
    }
    line(format_args!(
        "# A server is a physical computer: this one, where it has no `host`."
    ));
    line(format_args!("[servers.server1]"));
    for ((role, word, first, memory_mib, cpus, what), count) in MACHINES.into_iter().zip(counts) {
        for number in 1..=u32::from(count) {
            line(format_args!("\n[[machines]]"));
            line(format_args!("name = \"{word}{number}\""));
            match number {
                1 => line(format_args!("role = \"{role}\" # {what}")),
                _ => line(format_args!("role = \"{role}\"")),
            }
            line(format_args!("server = \"server1\""));
            line(format_args!(
                "ip = \"{}\"",
                nth_address(*subnet, first + number)
            ));
            line(format_args!("memory_mib = {memory_mib}"));
            line(format_args!("cpus = {cpus}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddOn, Lab};

    #[test]
    fn each_shape_that_may_be_asked_for_is_a_lab() {
        for (etcd, masters, balancers, workers) in [
            (1, 1, 0, 0),
            (3, 3, 2, 2),
            (5, 9, 9, 99),
            (7, 1, 1, 1),
            (1, 1, 0, 1),
        ] {
            let new = NewLab {
                name: "mine",
                tool: "the tool",
                kubernetes: "1.36",
                subnet: "192.168.40.0/24".parse().unwrap(),
                etcd,
                masters,
                balancers,
                workers,
            };
            let text = new_lab_file(&new);
            let lab = Lab::parse("mine", &text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
            assert_eq!(lab.warnings(), []);
            let count = |role| lab.of_role(role).count();
            assert_eq!(count(Role::Etcd), usize::from(etcd));
            assert_eq!(count(Role::ControlPlane), usize::from(masters));
            assert_eq!(count(Role::LoadBalancer), usize::from(balancers));
            assert_eq!(count(Role::Worker), usize::from(workers));
            // What it offers is taken as it stands.
            let asked = text.replace("# [cluster]", "[cluster]");
            let asked = AddOn::ALL.iter().fold(asked, |text, add_on| {
                let key = add_on.key();
                text.replace(&format!("# {key} ="), &format!("{key} ="))
            });
            let lab =
                Lab::parse("mine", &asked).unwrap_or_else(|faults| panic!("{faults}\n{asked}"));
            let count = lab.add_ons().iter().count();
            assert_eq!(count, if workers > 0 { AddOn::ALL.len() } else { 0 });
        }
    }
}
