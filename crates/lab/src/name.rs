//! Names that DNS, the kernel and Kubernetes take.

use std::fmt;

/// The longest DNS label (RFC 1035, section 2.3.4).
pub(crate) const LONGEST_LABEL: usize = 63;

/// The longest DNS name in its text form without the final dot (RFC 1035, section 2.3.4: 255 bytes on the wire).
pub(crate) const LONGEST_NAME: usize = 253;

/// The longest name of a Kubernetes node.
///
/// A kubelet's certificate has the common name `system:node:<name>`, and X.509 allows 64 characters there (RFC 5280, `ub-common-name`).
pub(crate) const LONGEST_NODE_NAME: usize = 64 - "system:node:".len();

/// The longest name of a network interface (`IFNAMSIZ` of Linux, less the final zero).
const LONGEST_INTERFACE: usize = 15;

/// More than any driver calls its card.
const LONGEST_LISTED_INTERFACE: usize = 255;

/// Names that a machine cannot have, and why: what already has each of them on every machine or in every cluster.
pub(crate) const RESERVED_MACHINES: [(&str, &str); 9] = [
    ("api", "the name `api` is that of the virtual address"),
    ("ip6-allnodes", IPV6_HOSTS),
    ("ip6-allrouters", IPV6_HOSTS),
    ("ip6-localhost", LOOPBACK),
    ("ip6-localnet", IPV6_HOSTS),
    ("ip6-loopback", LOOPBACK),
    ("ip6-mcastprefix", IPV6_HOSTS),
    (
        "kubernetes",
        "the name `kubernetes` is that of the API's service, in the certificate of each API server",
    ),
    ("localhost", LOOPBACK),
];

const LOOPBACK: &str = "on each machine `/etc/hosts` gives this name to the loopback address";

const IPV6_HOSTS: &str = "`/etc/hosts` of Debian and Ubuntu gives this name to an address of IPv6";

/// What keeps text from being a DNS label in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabelFault {
    Empty,
    TooLong,
    NotAscii,
    Capitals,
    OtherCharacters,
    DashAtAnEnd,
    DigitsOnly,
}

impl fmt::Display for LabelFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LabelFault::Empty => "it is empty",
            LabelFault::TooLong => "it is longer than 63 characters",
            LabelFault::NotAscii => "it has characters outside ASCII",
            LabelFault::Capitals => "it has capital letters",
            LabelFault::OtherCharacters => "it has characters other than `a-z`, `0-9` and `-`",
            LabelFault::DashAtAnEnd => "it starts or ends with `-`",
            LabelFault::DigitsOnly => "it has digits only, which programs take for an address",
        })
    }
}

/// Returns what keeps `text` from being a DNS label in lower case (RFC 1123, section 2.1), if anything does.
pub(crate) fn label_fault(text: &str) -> Option<LabelFault> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        Some(LabelFault::Empty)
    } else if bytes.len() > LONGEST_LABEL {
        Some(LabelFault::TooLong)
    } else if !text.is_ascii() {
        Some(LabelFault::NotAscii)
    } else if bytes.iter().any(u8::is_ascii_uppercase) {
        Some(LabelFault::Capitals)
    } else if !bytes.iter().all(|byte| plain(*byte) || *byte == b'-') {
        Some(LabelFault::OtherCharacters)
    } else if bytes.starts_with(b"-") || bytes.ends_with(b"-") {
        Some(LabelFault::DashAtAnEnd)
    } else if bytes.iter().all(u8::is_ascii_digit) {
        // Resolvers read `10` as the address 0.0.0.10.
        Some(LabelFault::DigitsOnly)
    } else {
        None
    }
}

/// Returns the nearest DNS label to `text`, if one can be made.
pub(crate) fn mend_label(text: &str) -> Option<String> {
    let mended: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|c| if matches!(c, '_' | ' ' | '.') { '-' } else { c })
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    let mended = mended.trim_matches('-').to_owned();
    label_fault(&mended).is_none().then_some(mended)
}

/// Returns what keeps `text` from being the DNS domain of a lab, if anything does.
pub(crate) fn domain_fault(text: &str, cluster_domain: &str) -> Option<String> {
    if let Some(reason) = whole_domain_fault(text, cluster_domain) {
        return Some(reason.to_owned());
    }
    let mut faults = text.split('.').filter_map(label_fault);
    faults.find_map(|fault| match fault {
        LabelFault::Empty => Some("it has an empty label".to_owned()),
        LabelFault::TooLong => Some("it has a label longer than 63 characters".to_owned()),
        LabelFault::DashAtAnEnd => Some("it has a label that starts or ends with `-`".to_owned()),
        LabelFault::NotAscii | LabelFault::Capitals | LabelFault::OtherCharacters => {
            Some(fault.to_string())
        }
        // Beside other labels it is no address.
        LabelFault::DigitsOnly => None,
    })
}

/// Returns what is wrong with a domain beyond its labels.
fn whole_domain_fault(text: &str, cluster_domain: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > LONGEST_NAME {
        return Some("it is longer than 253 characters");
    }
    if text.ends_with('.') {
        return Some("it ends with a dot");
    }
    let inside_cluster = text
        .strip_suffix(cluster_domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if inside_cluster {
        return Some("the cluster's own DNS answers for it");
    }
    let last = text.rsplit('.').next().unwrap_or(text);
    if last == "localhost" {
        return Some("programs take every name in it for the loopback address");
    }
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("its last label has digits only, which programs take for an address");
    }
    None
}

/// Returns what keeps `text` from being `ssh://[user@]host[:port]`, if anything does.
pub(crate) fn host_fault(text: &str) -> Option<&'static str> {
    let Some(rest) = text.strip_prefix("ssh://") else {
        return Some("it does not start with `ssh://`");
    };
    if rest.contains('/') {
        return Some("it has a path");
    }
    let (user, place) = match rest.split_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    if let Some(user) = user {
        if user.contains(':') {
            return Some("it has a password, which belongs into no file");
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        // A leading `-` would be read as an option by ssh.
        if user.is_empty() || user.starts_with('-') || !user.chars().all(fits) {
            return Some("its user is no user name");
        }
    }
    let (host, port) = match place.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (place, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return Some("its port is no number from 1 to 65535");
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if host.is_empty() || host.starts_with('-') || !host.chars().all(fits) {
        return Some("its host is no host name or IPv4 address");
    }
    None
}

/// Returns what keeps `text` from being the name of a network interface of Linux, if anything does.
pub(crate) fn interface_fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > LONGEST_INTERFACE {
        Some("it is longer than 15 characters")
    } else if matches!(text, "." | "..") {
        Some("it is a path")
    } else if !text.chars().all(|c| c.is_ascii_graphic() && c != '/') {
        Some("it has blanks, slashes or characters outside ASCII")
    } else if text == "lo" {
        Some("it is the loopback interface, which reaches nobody")
    } else {
        None
    }
}

/// Returns what keeps `text` from being the name of an interface as VirtualBox lists it, if anything does: on macOS
/// `en0: Wi-Fi (AirPort)`, on Windows the words of the card's driver, on Linux as [`interface_fault`] has it.
pub(crate) fn listed_interface_fault(text: &str) -> Option<&'static str> {
    if interface_fault(text).is_none() {
        None
    } else if text.is_empty() {
        Some("it is empty")
    } else if text == "lo" {
        interface_fault(text)
    } else if text.trim() != text {
        Some("it begins or ends with a blank")
    } else if text.chars().any(char::is_control) {
        Some("it has a line end or another control character")
    } else if text.chars().count() > LONGEST_LISTED_INTERFACE {
        Some("it is longer than 255 characters")
    } else if text.contains('/') {
        Some("it has a slash")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for good in ["a", "masterone", "m-1", "1a", &"a".repeat(63)] {
            assert_eq!(label_fault(good), None, "{good}");
        }
        let bad = [
            "",
            "-a",
            "a-",
            "A",
            "a_b",
            "a.b",
            "ü",
            "10",
            "a b",
            &"a".repeat(64),
        ];
        for bad in bad {
            assert!(label_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn mended_labels_are_labels() {
        let check = |from, to: Option<&str>| assert_eq!(mend_label(from).as_deref(), to);
        check("Master_One", Some("master-one"));
        check("lb 1.", Some("lb-1"));
        check("müller", Some("mller"));
        check("_", None);
        check("12", None);
    }

    #[test]
    fn domains() {
        for good in [
            "example.com",
            "lab",
            "a-b.c1",
            "10.example",
            "local",
            "mycluster.local",
        ] {
            assert_eq!(domain_fault(good, "cluster.local"), None, "{good}");
        }
        let bad = [
            "",
            "example.com.",
            ".com",
            "a..b",
            "a.-b",
            "Example.com",
            "192.168.1.1",
            "cluster.local",
            "x.cluster.local",
            "localhost",
            "lab.localhost",
            "a b.c",
            &"a.".repeat(130),
        ];
        for bad in bad {
            assert!(domain_fault(bad, "cluster.local").is_some(), "{bad}");
        }
    }

    #[test]
    fn hosts() {
        for good in [
            "ssh://user@host",
            "ssh://host",
            "ssh://10.0.0.1:2222",
            "ssh://a.b-c@h.example",
        ] {
            assert_eq!(host_fault(good), None, "{good}");
        }
        let bad = [
            "",
            "host",
            "user@host",
            "http://host",
            "ssh://",
            "ssh://@host",
            "ssh://u:p@host",
            "ssh://host/",
            "ssh://host:0",
            "ssh://host:x",
            "ssh://-oProxyCommand=x",
            "ssh://-u@host",
            "ssh://a b",
        ];
        for bad in bad {
            assert!(host_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn interfaces_as_virtualbox_lists_them() {
        for good in [
            "enp3s0",
            "en0: Wi-Fi (AirPort)",
            "en12: USB 10 LAN",
            "Intel(R) Ethernet Connection (2) I219-V",
            "Intel(R) Wi-Fi 6 AX200 160MHz #2",
            "Broadcom \"NetXtreme\" Gigabit",
            "Netzwerkkarte für Büro",
        ] {
            assert_eq!(listed_interface_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "lo",
            " en0",
            "en0 ",
            "en0\nx",
            "/dev/net",
            &"a".repeat(256),
        ] {
            assert!(listed_interface_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn interfaces() {
        for good in ["eth0", "enp3s0", "br-lan", "eth0.10"] {
            assert_eq!(interface_fault(good), None, "{good}");
        }
        for bad in ["", "lo", "..", "a/b", "a b", "abcdefghijklmnop"] {
            assert!(interface_fault(bad).is_some(), "{bad}");
        }
    }
}
