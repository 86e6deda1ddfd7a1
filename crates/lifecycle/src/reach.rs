//! Whether this computer has a network of the lab's.
//!
//! Before the first machine is made there is none, and a lab address would be dialled by way of the default route: out
//! of this computer, to whoever has the same address there. So nobody dials before this says yes.

use std::net::Ipv4Addr;

use caravan_lab::{Ipv4Net, Lab};

use crate::Error;

/// Whether a network of this computer holds the lab's subnet, so that its addresses are dialled there and nowhere else.
pub fn is_near(lab: &Lab) -> bool {
    match std::fs::read_to_string("/proc/net/route") {
        Ok(table) => holds(&table, lab.subnet()),
        // Where the kernel has no such table, nothing can be said against it.
        Err(_) => true,
    }
}

/// Refuses to dial where [`is_near`] says no, unless all machines are reached through other computers.
///
/// # Errors
///
/// [`Error::NotNear`].
pub fn check(lab: &Lab) -> Result<(), Error> {
    let elsewhere = lab.servers().iter().all(|server| server.host.is_some());
    if elsewhere || is_near(lab) {
        return Ok(());
    }
    Err(Error::NotNear {
        lab: lab.name().to_owned(),
        subnet: lab.subnet(),
    })
}

/// Whether a row of `/proc/net/route` without a gateway covers all of `subnet`.
fn holds(table: &str, subnet: Ipv4Net) -> bool {
    table.lines().skip(1).any(|row| {
        let columns: Vec<&str> = row.split_ascii_whitespace().collect();
        let [_, to, gateway, _, _, _, _, mask, ..] = columns.as_slice() else {
            return false;
        };
        let net = address(to)
            .zip(address(mask))
            .and_then(|(to, mask)| Ipv4Net::with_netmask(to, mask).ok());
        address(gateway) == Some(Ipv4Addr::UNSPECIFIED)
            && net.is_some_and(|net| net.prefix_len() > 0 && net.contains(&subnet))
    })
}

/// An address as the kernel prints it: a hexadecimal number in the byte order of this computer.
fn address(hex: &str) -> Option<Ipv4Addr> {
    let number = u32::from_str_radix(hex, 16).ok()?;
    Some(Ipv4Addr::from(number.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(device: &str, to: [u8; 4], gateway: [u8; 4], mask: [u8; 4]) -> String {
        let hex = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        format!(
            "{device}\t{}\t{}\t0001\t0\t0\t0\t{}\t0\t0\t0\n",
            hex(to),
            hex(gateway),
            hex(mask)
        )
    }

    #[test]
    fn only_a_network_of_ones_own_is_near() {
        let head =
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
        let default = row("eth0", [0; 4], [192, 0, 2, 1], [0; 4]);
        let bridge = row("br-1", [192, 168, 29, 0], [0; 4], [255, 255, 255, 0]);
        let routed = row(
            "eth0",
            [192, 168, 29, 0],
            [192, 0, 2, 9],
            [255, 255, 255, 0],
        );
        let half = row("br-1", [192, 168, 29, 0], [0; 4], [255, 255, 255, 128]);
        let subnet: Ipv4Net = "192.168.29.0/24".parse().expect("a subnet");
        for (rows, expected) in [
            (format!("{head}{default}{bridge}"), true),
            (format!("{head}{default}"), false),
            (format!("{head}{routed}"), false),
            (format!("{head}{half}"), false),
            (String::new(), false),
            ("one\ntwo three\n".to_owned(), false),
        ] {
            assert_eq!(holds(&rows, subnet), expected, "{rows}");
        }
    }
}
