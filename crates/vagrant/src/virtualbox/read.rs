//! What `VBoxManage` prints, read: pure functions.
//!
//! Its formats are those of VirtualBox's own source (`src/VBox/Frontends/VBoxManage`), the same from 6.1 to 7.2.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;

use crate::Version;

/// A network interface of this computer, as VirtualBox lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HostInterface {
    /// Its name as VirtualBox and Vagrant take it: `enp3s0`, `en0: Wi-Fi (AirPort)`, `Intel(R) Ethernet Connection`.
    pub name: String,
    /// Its network, by address and netmask, if it has an address.
    pub network: Option<Ipv4Net>,
    /// Whether it is wireless, as far as VirtualBox tells.
    pub wireless: bool,
    /// Whether it is up: Vagrant offers no other one.
    pub up: bool,
}

/// The machines of `list vms`, each as its name and its UUID.
pub(super) fn machines(said: &str) -> Vec<(String, String)> {
    said.lines()
        .filter_map(|line| {
            let (name, uuid) = line.trim_end().strip_suffix('}')?.rsplit_once(" {")?;
            // `<inaccessible>` stands without quotes.
            let name = name.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
            Some((name.unwrap_or_default().to_owned(), uuid.to_owned()))
        })
        .collect()
}

/// The extra data of `getextradata ... enumerate`, by key.
pub(super) fn extra_data(said: &str) -> BTreeMap<String, String> {
    said.lines()
        .filter_map(|line| line.strip_prefix("Key: ")?.split_once(", Value: "))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The values of `showvminfo --machinereadable`, by key.
pub(super) fn machine_info(said: &str) -> BTreeMap<&str, &str> {
    said.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim_matches('"'), value.trim().trim_matches('"')))
        .collect()
}

/// The UUIDs of the disks that a machine has, of `showvminfo --machinereadable`.
pub(super) fn disks(said: &str) -> Vec<String> {
    machine_info(said)
        .into_iter()
        .filter(|(key, _)| key.contains("-ImageUUID-"))
        .map(|(_, uuid)| uuid.to_owned())
        .collect()
}

/// The disks of `list hdds` that stand on another, with that one.
pub(super) fn parents(said: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut disk = "";
    for (key, value) in said.lines().filter_map(|line| line.split_once(':')) {
        match (key, value.trim()) {
            ("UUID", uuid) => disk = uuid,
            ("Parent UUID", parent) if parent != "base" => {
                found.insert(disk.to_owned(), parent.to_owned());
            }
            _ => {}
        }
    }
    found
}

/// The interfaces of `list bridgedifs` or `list hostonlyifs`.
pub(super) fn interfaces(said: &str) -> Vec<HostInterface> {
    records(said)
        .into_iter()
        .map(|record| {
            let value = |key: &str| record.get(key).copied().unwrap_or_default();
            HostInterface {
                name: value("Name").to_owned(),
                network: network(value("IPAddress"), value("NetworkMask")),
                wireless: value("Wireless") == "Yes",
                up: value("Status") == "Up",
            }
        })
        .collect()
}

/// The networks of `list hostonlynets`, which macOS has from VirtualBox 7 on in the place of interfaces.
pub(super) fn host_only_networks(said: &str) -> Vec<HostInterface> {
    records(said)
        .into_iter()
        .map(|record| {
            let value = |key: &str| record.get(key).copied().unwrap_or_default();
            HostInterface {
                name: value("Name").to_owned(),
                network: network(value("LowerIP"), value("NetworkMask")),
                wireless: false,
                up: value("State") == "Enabled",
            }
        })
        .collect()
}

/// Records of `Key: value` lines; each begins with its name, and some have an empty line inside.
fn records(said: &str) -> Vec<BTreeMap<&str, &str>> {
    let mut found: Vec<BTreeMap<&str, &str>> = Vec::new();
    for (key, value) in said.lines().filter_map(|line| line.split_once(':')) {
        if key == "Name" {
            found.push(BTreeMap::new());
        }
        if let Some(record) = found.last_mut() {
            record.insert(key, value.trim());
        }
    }
    found
}

fn network(address: &str, netmask: &str) -> Option<Ipv4Net> {
    let address: Ipv4Addr = address.parse().ok()?;
    if address.is_unspecified() {
        return None;
    }
    Ipv4Net::with_netmask(address, netmask.parse().ok()?).ok()
}

/// The folder of new machines, of `list systemproperties`.
pub(super) fn machine_folder(said: &str) -> Option<&str> {
    said.lines()
        .find_map(|line| line.strip_prefix("Default machine folder:"))
        .map(str::trim)
        .filter(|folder| !folder.is_empty())
}

/// The version of `--version`, such as `7.0.20r163906`, `6.1.50_Ubuntur161033` or `7.1.0_BETA1r163425`; warnings may stand
/// before it.
pub(super) fn version(said: &str) -> Option<Version> {
    said.lines()
        .rev()
        .find(|line| line.starts_with(|first: char| first.is_ascii_digit()))
        .and_then(Version::leading)
}

/// What `--version` warns of, on one line; empty where all is well. Debian's and Ubuntu's packages, Oracle's own and those
/// of others use words of their own, and all begin with `WARNING`.
pub(super) fn warning(said: &str) -> String {
    let words = said
        .lines()
        .skip_while(|line| !line.starts_with("WARNING"))
        .filter(|line| !line.starts_with(|first: char| first.is_ascii_digit()))
        .flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_with_names_of_any_kind() {
        let said = "\"caravan-ha-etcdone\" {0f2c-1}\n\"my \"odd\" {box}\" {0f2c-2}\n<inaccessible> {0f2c-3}\n\nnoise\n";
        let found = machines(said);
        let of = |name: &str, uuid: &str| (name.to_owned(), uuid.to_owned());
        assert_eq!(
            found,
            [
                of("caravan-ha-etcdone", "0f2c-1"),
                of("my \"odd\" {box}", "0f2c-2"),
                of("", "0f2c-3"),
            ]
        );
    }

    #[test]
    fn labels_among_other_extra_data() {
        let said = "Key: GUI/LastCloseAction, Value: PowerOff\nKey: caravan/lab, Value: ha\nKey: caravan/folder, Value: /vm/a, Value: b\n";
        let found = extra_data(said);
        assert_eq!(found["caravan/lab"], "ha");
        assert_eq!(found["caravan/folder"], "/vm/a, Value: b");
        assert!(extra_data("").is_empty());
    }

    #[test]
    fn interfaces_of_three_systems() {
        let found = interfaces(include_str!("../../tests/samples/bridgedifs.txt"));
        let seen: Vec<_> = found
            .iter()
            .map(|it| (it.name.as_str(), it.wireless, it.up))
            .collect();
        assert_eq!(
            seen,
            [
                ("eno1", false, true),
                ("en0: Wi-Fi (AirPort)", true, true),
                ("Intel(R) Ethernet Connection (2) I219-V", false, true),
                ("en2: Thunderbolt 1", false, false),
            ]
        );
        assert_eq!(
            found[0].network.map(|it| it.to_string()).as_deref(),
            Some("10.143.72.133/27")
        );
        assert_eq!(found[3].network, None);
    }

    #[test]
    fn host_only_networks_of_macos() {
        let found = host_only_networks(include_str!("../../tests/samples/hostonlynets.txt"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "vagrantnet-vbox1");
        assert_eq!(
            found[0].network.map(|it| it.trunc().to_string()).as_deref(),
            Some("192.168.56.0/24")
        );
    }

    #[test]
    fn states() {
        let said = "name=\"x\"\nEncryption:     disabled\nVMState=\"poweroff\"\nhostonlyadapter2=\"vboxnet3\"\n\"SCSI-0-0\"=\"/vm/d.vmdk\"\nmemory=2048\n";
        let info = machine_info(said);
        assert_eq!(info["VMState"], "poweroff");
        assert_eq!(info["hostonlyadapter2"], "vboxnet3");
        assert_eq!(info["SCSI-0-0"], "/vm/d.vmdk");
        assert_eq!(info["memory"], "2048");
    }

    #[test]
    fn versions_and_warnings() {
        let check = |said: &str, wanted: (u16, u16, u16)| {
            let wanted = Version::new(wanted.0, wanted.1, wanted.2);
            assert_eq!(version(said), Some(wanted), "{said}");
        };
        check("7.0.20r163906\n", (7, 0, 20));
        check("6.1.50_Ubuntur161033\n", (6, 1, 50));
        check("7.1.0_BETA1r163425\n", (7, 1, 0));
        let broken = "WARNING: The vboxdrv kernel module is not loaded. Either there is no module\n         available for the current kernel (6.1.0-30-amd64) or it failed to\n         load. Please recompile the kernel module and install it by\n\n           sudo /sbin/vboxconfig\n\n         You will not be able to start VMs until this problem is fixed.\n7.0.20r163906\n";
        check(broken, (7, 0, 20));
        assert!(warning(broken).starts_with("WARNING: The vboxdrv kernel module is not loaded."));
        assert!(warning(broken).ends_with("until this problem is fixed."));
        assert_eq!(warning("7.0.20r163906\n"), "");
        assert_eq!(version("VBoxManage: not a version"), None);
    }

    #[test]
    fn the_folder_of_machines() {
        let said = "API version:                     7_0\nDefault machine folder:          /vm/VirtualBox VMs\nRaw-mode Supported:              no\n";
        assert_eq!(machine_folder(said), Some("/vm/VirtualBox VMs"));
        assert_eq!(machine_folder("Default machine folder:\n"), None);
    }
}
