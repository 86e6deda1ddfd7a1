//! Who answers this computer for names.

use std::net::Ipv4Addr;

/// The resolvers of this computer that machines can ask too: not those that listen on its own loopback.
///
/// SoftwareSource: `/etc/resolv.conf`, or where systemd-resolved shows its own stub there, `/run/systemd/resolve/resolv.conf`.
pub fn nameservers() -> Vec<Ipv4Addr> {
    ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|text| parse(&text))
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

fn parse(text: &str) -> Vec<Ipv4Addr> {
    text.lines()
        .filter_map(|line| line.strip_prefix("nameserver"))
        .filter_map(|rest| rest.trim().parse().ok())
        .filter(|address: &Ipv4Addr| !address.is_loopback() && !address.is_unspecified())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_resolvers_are_no_use_to_machines() {
        let text = "# x\nnameserver 127.0.0.53\nnameserver 192.168.1.1\nnameserver fe80::1\noptions edns0\n";
        assert_eq!(parse(text), [Ipv4Addr::new(192, 168, 1, 1)]);
        assert_eq!(parse(""), [] as [Ipv4Addr; 0]);
    }
}
