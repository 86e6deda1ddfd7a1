//! What strangers do to load balancers: forged announcements of VRRP, and a virtual address that somebody takes away.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use caravan_cluster::status::{LabStatus, VipReport};
use caravan_lab::Role;
use caravan_process::Program;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::Tool;

/// VRRP's protocol number.
const VRRP: i32 = 112;

/// How many announcements are sent to each load balancer: two seconds of them, where an owner that believes one is gone
/// after a fifth of that.
const ADVERTS: u64 = 40;

/// How long the address may stay away: a limit for what never comes back, far above what it takes.
const BACK: Duration = Duration::from_secs(30);

/// Announces the highest priority to both load balancers from the host, which is their neighbour on the lab's network: in its
/// own name, and in the name of the other load balancer. The address stays where it is, and `status` counts each attempt.
///
/// # Panics
///
/// When it does not, or nothing can be sent.
pub fn assert_forged_adverts_are_refused(tool: &Tool, lab: &str) {
    let before = status(tool, lab);
    let owner = owners(&before);
    assert_eq!(owner.len(), 1, "{before:#?}");
    let address = vip(&before).address;
    let balancers: Vec<(String, Ipv4Addr)> = before
        .machines
        .iter()
        .filter(|machine| machine.role == Role::LoadBalancer)
        .map(|machine| (machine.name.clone(), machine.ip))
        .collect();
    let router = address.octets()[3];
    let own_name = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(VRRP))).expect("root");
    own_name.set_ttl_v4(255).expect("set");
    let other_name =
        Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(VRRP))).expect("root");
    other_name.set_header_included_v4(true).expect("set");
    for _ in 0..ADVERTS {
        for (place, (_, to)) in balancers.iter().enumerate() {
            let (_, other) = balancers[(place + 1) % balancers.len()];
            let target = SockAddr::from(SocketAddrV4::new(*to, 0));
            // The kernel chooses the address of the lab's bridge; the balancers know it as the operator's.
            let mine = own_address(*to);
            own_name
                .send_to(&advert(router, address, mine, *to), &target)
                .expect("sent");
            let packet = [
                &header(other, *to)[..],
                &advert(router, address, other, *to),
            ]
            .concat();
            other_name.send_to(&packet, &target).expect("sent");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let after = status(tool, lab);
    assert_eq!(owners(&after), owner, "a forged announcement was believed");
    for (name, _) in &balancers {
        let refused = |status: &LabStatus| vip(status).refused_adverts.get(name).copied();
        let (Some(was), Some(is)) = (refused(&before), refused(&after)) else {
            panic!("{name} does not count: {after:#?}");
        };
        assert!(
            is >= was + 2 * ADVERTS,
            "{name} counted {} of {} forged announcements",
            is - was,
            2 * ADVERTS
        );
    }
}

/// Takes the virtual address from its owner behind Keepalived's back, and its whole interface, as a network manager that is
/// restarted does (<https://github.com/acassen/keepalived/issues/2564>). One load balancer, and only one, has it again.
///
/// # Panics
///
/// When none has, or `status` does not say so.
pub fn assert_a_removed_address_comes_back(tool: &Tool, lab: &str, prefix: u8) {
    for fault in [
        format!("ip address del VIP/{prefix} dev eth0"),
        "ip link set eth0 down; sleep 2; ip link set eth0 up; systemctl restart caravan-network"
            .to_owned(),
    ] {
        let before = status(tool, lab);
        let [owner] = &owners(&before)[..] else {
            panic!("not one owner: {before:#?}");
        };
        let fault = fault.replace("VIP", &vip(&before).address.to_string());
        println!("\n{owner}: {fault}");
        let container = format!("caravan-{lab}-{owner}");
        Program::find("docker")
            .and_then(|docker| docker.call(["exec", &container, "sh", "-c", &fault]).run())
            .unwrap_or_else(|error| panic!("{error}"));
        let began = Instant::now();
        loop {
            let now = status(tool, lab);
            if owners(&now).len() == 1 && now.endpoint.version.is_some() {
                println!(
                    "{} has it after {:.1} s",
                    owners(&now)[0],
                    began.elapsed().as_secs_f32()
                );
                break;
            }
            assert!(began.elapsed() < BACK, "nobody has it: {now:#?}");
        }
    }
}

fn status(tool: &Tool, lab: &str) -> LabStatus {
    tool.run(&["status", lab, "--json"]).read()
}

fn vip(status: &LabStatus) -> &VipReport {
    status.vip.as_ref().expect("a virtual address")
}

fn owners(status: &LabStatus) -> Vec<String> {
    vip(status).owners.clone()
}

/// The address of this computer that leads to `to`.
fn own_address(to: Ipv4Addr) -> Ipv4Addr {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("bound");
    // Sends nothing: the kernel looks up the route.
    socket.connect((to, 9)).expect("a route");
    match socket.local_addr().expect("bound").ip() {
        std::net::IpAddr::V4(address) => address,
        std::net::IpAddr::V6(_) => unreachable!("it was bound to IPv4"),
    }
}

/// An announcement of VRRP version 3 (RFC 5798, section 5.1): one address, 10 hundredths of a second.
fn advert(router: u8, vip: Ipv4Addr, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut advert = vec![0x31, router, 255, 1, 0, 10, 0, 0];
    advert.extend(vip.octets());
    let mut summed: Vec<u8> = [from.octets(), to.octets()].concat();
    summed.extend([0, VRRP as u8, 0, advert.len() as u8]);
    summed.extend(&advert);
    let mut sum: u32 = summed
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    advert[6..8].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    advert
}

/// An IPv4 header with all hops left; the kernel fills in length, identification and checksum.
fn header(from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut header = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 255, VRRP as u8, 0, 0];
    header.extend(from.octets());
    header.extend(to.octets());
    header
}
