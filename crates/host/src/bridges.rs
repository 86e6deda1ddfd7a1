//! Whether the bridges that a lab file names are on this computer, and machines can be put on them. Asked before anything is
//! made: what runs machines says it later, in other words, or not at all.

use std::fmt;
use std::fs;
use std::path::Path;

use caravan_lab::{Lab, Provider, Server};

use crate::Error;

/// Where Linux shows network interfaces. Elsewhere nobody can be asked, and VirtualBox names its interfaces itself.
const INTERFACES: &str = "/sys/class/net";

/// A bridge of a lab file that machines cannot be put on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeFault {
    /// Where the lab file names it, such as `labs/ha.toml:12`.
    pub place: String,
    /// Its name.
    pub bridge: String,
    /// What is wrong with it.
    pub kind: BridgeFaultKind,
    /// The names that would do, sorted.
    pub there: Vec<String>,
}

/// Why machines cannot be put on an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BridgeFaultKind {
    /// This computer has none of that name.
    Unknown,
    /// It is wireless: an access point takes packets of this computer's hardware address alone.
    Wireless,
    /// It is no bridge, and containers can be on nothing else.
    NoBridge,
    /// It is a port of the bridge of this name.
    Port(String),
}

impl fmt::Display for BridgeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, bridge, .. } = self;
        match &self.kind {
            BridgeFaultKind::Unknown => write!(
                f,
                "{place}: this computer has no network interface `{bridge}`"
            ),
            BridgeFaultKind::Wireless => write!(
                f,
                "{place}: `{bridge}` is wireless, and a wireless network takes no packets of machines behind this computer"
            ),
            BridgeFaultKind::NoBridge => write!(
                f,
                "{place}: `{bridge}` is a network interface and no bridge, and containers need a bridge"
            ),
            BridgeFaultKind::Port(of) => write!(
                f,
                "{place}: `{bridge}` is a port of the bridge `{of}`, and machines are put on the bridge itself"
            ),
        }
    }
}

impl BridgeFault {
    /// What to do about it.
    pub fn hint(&self) -> String {
        if let BridgeFaultKind::Port(of) = &self.kind {
            return format!("write `bridge = \"{of}\"`");
        }
        let names: Vec<String> = self.there.iter().map(|it| format!("`{it}`")).collect();
        match names.is_empty() {
            true => "there is none that would do; `ip link add br0 type bridge && ip link set br0 up` makes a bridge, and \
                     `ip link set INTERFACE master br0` joins it to a LAN by cable"
                .to_owned(),
            false => format!("there are {}", names.join(", ")),
        }
    }
}

/// Machines on an interface that is no bridge, by macvtap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BareInterface {
    /// Where the lab file names it, such as `labs/ha.toml:12`.
    pub place: String,
    /// Its name.
    pub interface: String,
}

impl fmt::Display for BareInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, interface } = self;
        write!(
            f,
            "{place}: `{interface}` is no bridge, so its machines share it by macvtap, over which this computer cannot reach \
             them: `up` here cannot watch them, nor can `ssh`, `status` and `verify` from here"
        )
    }
}

impl BareInterface {
    /// What to do about it.
    pub fn hint(&self) -> String {
        format!(
            "make a bridge that has `{}` as a port, and name that; or run these verbs on another computer of the LAN",
            self.interface
        )
    }
}

/// Looks at the bridges of the servers of this computer; `provider` says what runs a server's machines. Returns those on which
/// machines are out of this computer's reach.
///
/// # Errors
///
/// [`Error::Bridges`], with all of them that machines cannot be put on.
pub fn check(
    lab: &Lab,
    provider: impl Fn(&Server) -> Provider,
) -> Result<Vec<BareInterface>, Error> {
    check_in(Path::new(INTERFACES), lab, provider)
}

fn check_in(
    interfaces: &Path,
    lab: &Lab,
    provider: impl Fn(&Server) -> Provider,
) -> Result<Vec<BareInterface>, Error> {
    let (mut bare, mut faults) = (Vec::new(), Vec::new());
    let here = lab.servers().iter().filter(|it| it.host.is_none());
    for server in here.filter(|it| lab.machines_on(it).next().is_some()) {
        let (Some(bridge), Some(known)) = (&server.bridge, names(interfaces)) else {
            continue;
        };
        let kind = provider(server);
        if kind == Provider::VirtualBox {
            continue;
        }
        let place = (lab.places().server(&server.name))
            .and_then(|it| it.value("bridge"))
            .map_or_else(String::new, |it| format!(":{}", it.line));
        let place = format!("labs/{}.toml{place}", lab.name());
        let of = |name: &str| Interface::of(interfaces, name);
        let fault = match of(bridge) {
            None => Some(BridgeFaultKind::Unknown),
            Some(Interface::Bridge) => None,
            Some(Interface::Wireless) => Some(BridgeFaultKind::Wireless),
            Some(Interface::Port(of)) => Some(BridgeFaultKind::Port(of)),
            Some(Interface::Wire | Interface::Other) if kind == Provider::Docker => {
                Some(BridgeFaultKind::NoBridge)
            }
            Some(Interface::Wire | Interface::Other) => {
                let interface = bridge.clone();
                let place = place.clone();
                bare.push(BareInterface { place, interface });
                None
            }
        };
        let does = |name: &&String| match of(name) {
            Some(Interface::Bridge) => !is_engines(name),
            Some(Interface::Wire) => kind != Provider::Docker,
            _ => false,
        };
        faults.extend(fault.map(|kind| BridgeFault {
            place,
            bridge: bridge.clone(),
            kind,
            there: known.iter().filter(does).cloned().collect(),
        }));
    }
    match faults.is_empty() {
        true => Ok(bare),
        false => Err(Error::Bridges { faults }),
    }
}

/// What an interface is to machines that are to be put on it.
enum Interface {
    Bridge,
    Wireless,
    /// A port of the bridge of this name.
    Port(String),
    /// Leads out of this computer, or into a part of a LAN.
    Wire,
    /// Leads nowhere: the loopback, the end of somebody's tunnel.
    Other,
}

impl Interface {
    fn of(interfaces: &Path, name: &str) -> Option<Self> {
        let folder = interfaces.join(name);
        if !folder.is_dir() {
            return None;
        }
        let has = |what: &str| folder.join(what).exists();
        let kind = fs::read_to_string(folder.join("uevent")).unwrap_or_default();
        let is_of = |kinds: &[&str]| {
            let said = kind.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
            said.is_some_and(|said| kinds.contains(&said))
        };
        Some(if has("bridge") {
            Self::Bridge
        } else if has("wireless") || has("phy80211") {
            Self::Wireless
        } else if let Ok(master) = fs::read_link(folder.join("brport/bridge")) {
            let master = master.file_name().unwrap_or_default();
            Self::Port(master.to_string_lossy().into_owned())
        } else if has("device") || is_of(&["vlan", "bond"]) {
            Self::Wire
        } else {
            Self::Other
        })
    }
}

/// The names of all interfaces, sorted; none where there is nobody to tell them.
fn names(interfaces: &Path) -> Option<Vec<String>> {
    let entries = fs::read_dir(interfaces).ok()?.flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Some(names)
}

/// Whether a bridge is one that a container engine or a lab made for a network of its own.
fn is_engines(name: &str) -> bool {
    let is_sum = |rest: &str| rest.len() == 12 && rest.bytes().all(|it| it.is_ascii_hexdigit());
    name == "docker0"
        || ["br-", "cv-"]
            .iter()
            .any(|prefix| name.strip_prefix(prefix).is_some_and(is_sum))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// A computer with a bridge and its port, a free wire, a VLAN, a wireless interface and what Linux and an engine add.
    fn computer() -> TempDir {
        let home = tempfile::tempdir().expect("a folder");
        let make = |path: &str| fs::create_dir_all(home.path().join(path)).expect("made");
        for path in [
            "lo",
            "br0/bridge",
            "docker0/bridge",
            "br-0123456789ab/bridge",
            "cv-8693873cd8f8/bridge",
            "enp3s0/brport",
            "enp3s0/device",
            "enp4s0/device",
            "enp4s0.7",
            "wlan0/wireless",
            "wlan0/device",
            "wlp2s0/phy80211",
            "tun0",
        ] {
            make(path);
        }
        symlink("../../br0", home.path().join("enp3s0/brport/bridge")).expect("linked");
        let uevent = home.path().join("enp4s0.7/uevent");
        fs::write(uevent, "DEVTYPE=vlan\nINTERFACE=enp4s0.7\n").expect("written");
        home
    }

    /// Of this computer, on the bridge.
    const ADDRESS: &str = "address = \"192.168.29.11\"";

    fn lab(bridge: &str) -> Lab {
        let source = include_str!("../../../labs/ha.toml")
            .replace(
                "[servers.server1]",
                &format!("[servers.server1]\nbridge = \"{bridge}\"\n{ADDRESS}"),
            )
            .replace(
                "[servers.server2]",
                &format!("[servers.server2]\nbridge = \"{bridge}\"\n{ADDRESS}"),
            );
        Lab::parse("ha", &source).unwrap_or_else(|faults| panic!("{faults}"))
    }

    /// What is said of a bridge for one provider; two servers name it.
    fn said(bridge: &str, provider: Provider) -> Vec<String> {
        let home = computer();
        match check_in(home.path(), &lab(bridge), |_| provider) {
            Ok(bare) => bare
                .iter()
                .map(|it| format!("warning: {it}; {}", it.hint()))
                .collect(),
            Err(error) => vec![format!(
                "{error}; {}",
                error.hint("caravan").expect("a hint")
            )],
        }
    }

    #[test]
    fn a_bridge_is_good_for_all() {
        for provider in Provider::ALL {
            assert_eq!(said("br0", provider), [""; 0]);
        }
        // VirtualBox has its own names for interfaces, and says itself which it knows.
        assert_eq!(said("en0: Wi-Fi (AirPort)", Provider::VirtualBox), [""; 0]);
    }

    #[test]
    fn one_that_is_not_there_is_told_with_those_that_are() {
        assert_eq!(
            said("br9", Provider::Docker),
            [
                "labs/ha.toml:12: this computer has no network interface `br9`\n\
                 labs/ha.toml:15: this computer has no network interface `br9`; there are `br0`"
            ]
        );
        assert_eq!(
            said("br9", Provider::Libvirt),
            [
                "labs/ha.toml:12: this computer has no network interface `br9`\n\
                 labs/ha.toml:15: this computer has no network interface `br9`; there are `br0`, `enp4s0`, `enp4s0.7`"
            ]
        );
        let empty = tempfile::tempdir().expect("a folder");
        let error = check_in(empty.path(), &lab("br9"), |_| Provider::Docker);
        let hint = error.expect_err("none").hint("caravan").expect("a hint");
        assert!(
            hint.starts_with("there is none that would do; `ip link add br0"),
            "{hint}"
        );
        // A computer that is not asked.
        let nowhere = empty.path().join("nowhere");
        assert_eq!(
            check_in(&nowhere, &lab("br9"), |_| Provider::Docker).expect("unknown"),
            []
        );
    }

    #[test]
    fn one_that_carries_no_machines_is_refused() {
        for (bridge, provider, text) in [
            (
                "wlan0",
                Provider::Libvirt,
                "`wlan0` is wireless, and a wireless network takes no packets of machines behind this computer",
            ),
            (
                "wlp2s0",
                Provider::Docker,
                "`wlp2s0` is wireless, and a wireless network takes no packets of machines behind this computer",
            ),
            (
                "enp4s0",
                Provider::Docker,
                "`enp4s0` is a network interface and no bridge, and containers need a bridge",
            ),
        ] {
            let said = said(bridge, provider);
            assert!(said[0].contains(text), "{said:?}");
            assert!(said[0].contains("there are `br0`"), "{said:?}");
        }
        let said = said("enp3s0", Provider::Libvirt);
        let text =
            "`enp3s0` is a port of the bridge `br0`, and machines are put on the bridge itself";
        assert!(said[0].contains(text), "{said:?}");
        assert!(said[0].ends_with("; write `bridge = \"br0\"`"), "{said:?}");
    }

    #[test]
    fn a_bare_interface_keeps_machines_from_this_computer() {
        let said = said("enp4s0", Provider::Libvirt);
        assert_eq!(said.len(), 2, "{said:?}");
        let text =
            "warning: labs/ha.toml:12: `enp4s0` is no bridge, so its machines share it by macvtap";
        assert!(said[0].starts_with(text), "{said:?}");
    }

    #[test]
    fn a_server_elsewhere_is_not_looked_at() {
        let source = include_str!("../../../labs/ha.toml")
            .replace(
                "[servers.server1]",
                &format!("[servers.server1]\nbridge = \"br0\"\n{ADDRESS}"),
            )
            .replace(
                "[servers.server2]",
                "[servers.server2]\nhost = \"ssh://there\"\nbridge = \"br9\"\naddress = \"192.168.29.12\"",
            );
        let lab = Lab::parse("ha", &source).unwrap_or_else(|faults| panic!("{faults}"));
        let home = computer();
        assert_eq!(
            check_in(home.path(), &lab, |_| Provider::Docker).expect("good"),
            []
        );
    }
}
