//! Writes lab files of any size, for tests and measurements.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::machine::Role;

/// How many machines of each role a generated lab has, and on how many servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of etcd members.
    pub etcd: usize,
    /// Number of load balancers; with any, the lab has a virtual address.
    pub load_balancers: usize,
    /// Number of masters.
    pub masters: usize,
    /// Number of workers.
    pub workers: usize,
    /// Number of servers, at least 1; machines are dealt out to them in turn.
    pub servers: usize,
}

impl Shape {
    /// Returns a highly available shape of `machines` machines in all, at least nine, most of them workers.
    pub fn of_machines(machines: usize) -> Shape {
        let etcd = if machines < 50 { 3 } else { 5 };
        let (load_balancers, masters) = (2, 3);
        Shape {
            etcd,
            load_balancers,
            masters,
            workers: machines.max(9) - etcd - load_balancers - masters,
            servers: 3,
        }
    }
}

/// The first address of a generated lab's subnet, a /16.
const SUBNET: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 0);

/// The place of the virtual address in the subnet.
const VIP: u32 = 5;

/// The place of the first machine's address in the subnet.
const FIRST_MACHINE: u32 = 10;

/// Writes the lab file of a shape: nothing but `shape` decides what it says.
///
/// The result is valid if the shape is: an odd number of etcd members, at least one master, load balancers before several masters,
/// at most 20 of them, and no more than 32,768 masters and workers, for each of which there is a pod subnet.
pub fn lab_file(shape: &Shape) -> String {
    let mut text = String::from("# Generated, for tests and measurements.\n\n");
    let mut line = |args: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = text.write_fmt(args);
        text.push('\n');
    };
    let address = |place: u32| Ipv4Addr::from_bits(SUBNET.to_bits() + place);
    line(format_args!("domain = \"example.com\""));
    line(format_args!("kubernetes = \"1.36\""));
    if shape.load_balancers > 0 {
        line(format_args!("vip = \"{}\"", address(VIP)));
    }
    line(format_args!("subnet = \"{SUBNET}/16\""));
    // The default has 256 pod subnets; this has 32,768, and keeps clear of the default service range.
    line(format_args!("pod_cidr = \"10.128.0.0/9\""));
    line(format_args!(""));
    for server in 1..=shape.servers {
        line(format_args!("[servers.server{server}]"));
    }
    let counts = [
        (Role::Etcd, "etcd", shape.etcd),
        (Role::LoadBalancer, "lb", shape.load_balancers),
        (Role::ControlPlane, "master", shape.masters),
        (Role::Worker, "worker", shape.workers),
    ];
    let machines = counts.into_iter().flat_map(|(role, word, count)| {
        (1..=count).map(move |number| (role, format!("{word}{number}")))
    });
    for (place, (role, name)) in (FIRST_MACHINE..).zip(machines) {
        let server = (place - FIRST_MACHINE) as usize % shape.servers + 1;
        line(format_args!(
            "\n[[machines]]\nname = \"{name}\"\nrole = \"{role}\"\nserver = \"server{server}\"\nip = \"{}\"\nmemory_mib = 2048\ncpus = 2",
            address(place)
        ));
    }
    text
}
