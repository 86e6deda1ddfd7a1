//! Whether VirtualBox, as it is here, can run a lab's machines: all that keeps it from that, before any is made.

mod networks_conf;

use std::fmt;
use std::fs;

use caravan_lab::{Ipv4Net, Lab, Server};
use caravan_process::Program;
use caravan_vagrant::virtualbox::{
    HostFacts, HostInterface, InstalledVirtualBox, VirtualBox, remedies_against_kvm,
};
use caravan_vagrant::{Error as VagrantError, UnfitVirtualBox, Vagrant, Version};

use crate::Error;
use crate::probe::told;
use networks_conf::NetworksConf;

/// Where VirtualBox is told which host-only networks it may make.
const NETWORKS_CONF: &str = "/etc/vbox/networks.conf";

/// Since this version it may make only certain ones.
const RANGES_SINCE: Version = Version::new(6, 1, 28);

/// Since this version it has host-only networks on macOS in the place of interfaces, of any range.
const NETWORKS_ON_MACOS: Version = Version::new(7, 0, 0);

/// Where its makers offer it.
const VIRTUALBOX_PAGE: &str = "https://www.virtualbox.org/wiki/Downloads";

/// The first Vagrant that knows a version of VirtualBox, by its changelog.
const KNOWN_SINCE: &[(Version, Version)] = &[
    (Version::new(7, 2, 0), Version::new(2, 4, 9)),
    (Version::new(7, 1, 0), Version::new(2, 4, 2)),
    (Version::new(7, 0, 0), Version::new(2, 3, 2)),
];

/// Something that keeps VirtualBox from running a lab's machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualBoxFault {
    /// What was seen, and what was expected.
    pub found: String,
    /// What helps.
    pub remedy: String,
}

impl fmt::Display for VirtualBoxFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.found)
    }
}

/// Holds that there is a VirtualBox that answers.
///
/// # Errors
///
/// [`Error::VirtualBox`].
pub fn hold_installed() -> Result<(), Error> {
    installed().map(drop).map_err(|fault| Error::VirtualBox {
        faults: vec![fault],
    })
}

/// Holds that VirtualBox can run machines of `servers`, which are of `lab` and on this computer.
///
/// # Errors
///
/// [`Error::VirtualBox`].
pub fn hold(lab: &Lab, servers: &[&Server]) -> Result<(), Error> {
    if servers.is_empty() {
        return Ok(());
    }
    let held = faults(lab, servers).map(drop);
    held.map_err(|faults| Error::VirtualBox { faults })
}

/// All that keeps VirtualBox from running machines of `servers`, which are of `lab` and on this computer, or what was seen
/// of it where nothing does.
///
/// # Errors
///
/// Each [`VirtualBoxFault`].
pub fn faults(lab: &Lab, servers: &[&Server]) -> Result<String, Vec<VirtualBoxFault>> {
    let (virtualbox, installed) = installed().map_err(|fault| vec![fault])?;
    let version = installed.version;
    let mut faults: Vec<VirtualBoxFault> = Vec::new();
    faults.extend(unfit_for_vagrant(version));
    // Vagrant says the same of a module that is not loaded, in fewer words.
    if !installed.warning.is_empty() {
        faults.retain(|fault| !fault.found.contains("kernel module"));
        faults.push(VirtualBoxFault {
            found: format!("VirtualBox {version} warns: {}", installed.warning),
            remedy: "do as it says; with Secure Boot its modules must be signed besides".to_owned(),
        });
    }
    faults.extend(held_by_kvm(&HostFacts::here(Some(version))));
    if servers.iter().any(|server| server.bridge.is_none()) && has_range_rule(version) {
        let text = fs::read_to_string(NETWORKS_CONF).ok();
        faults.extend(range_fault(
            lab.subnet(),
            &NetworksConf::read(text.as_deref()),
        ));
    }
    if servers.iter().any(|server| server.bridge.is_some()) {
        match virtualbox.bridges() {
            Ok(interfaces) => faults.extend(
                servers
                    .iter()
                    .filter_map(|server| bridge_fault(lab, server, &interfaces)),
            ),
            Err(error) => faults.push(does_not_work(&error)),
        }
    }
    match faults.is_empty() {
        true => Ok(format!("VirtualBox {version}")),
        false => Err(faults),
    }
}

/// The VirtualBox that is here.
fn installed() -> Result<(VirtualBox, InstalledVirtualBox), VirtualBoxFault> {
    let virtualbox = VirtualBox::find().map_err(|_| VirtualBoxFault {
        found: "VirtualBox is not here: there is no `VBoxManage` on the search path".to_owned(),
        remedy: format!(
            "install it ({VIRTUALBOX_PAGE}); Debian has it in `contrib` of sid alone, Ubuntu as `virtualbox`; \
             `--provider docker` needs none"
        ),
    })?;
    match virtualbox.installed() {
        Ok(installed) => Ok((virtualbox, installed)),
        Err(error) => Err(does_not_work(&error)),
    }
}

fn does_not_work(error: &VagrantError) -> VirtualBoxFault {
    let place = Program::find("VBoxManage").map(|it| it.path().display().to_string());
    VirtualBoxFault {
        found: format!(
            "`{}` does not work: {}",
            place.unwrap_or_else(|_| "VBoxManage".to_owned()),
            told(error)
        ),
        remedy: format!("repair VirtualBox, or install it anew: {VIRTUALBOX_PAGE}"),
    }
}

/// What Vagrant itself makes of it. A Vagrant that is not there or does not work is a need of its own.
fn unfit_for_vagrant(version: Version) -> Option<VirtualBoxFault> {
    let vagrant = Vagrant::find().ok()?;
    let trouble = vagrant.virtualbox_trouble().ok().flatten()?;
    Some(vagrant_fault(&trouble, vagrant.version(), version))
}

fn vagrant_fault(
    trouble: &UnfitVirtualBox,
    vagrant: Version,
    virtualbox: Version,
) -> VirtualBoxFault {
    let UnfitVirtualBox { class, text } = trouble;
    if !class.ends_with("VirtualBoxInvalidVersion") {
        return VirtualBoxFault {
            found: format!(
                "Vagrant {vagrant} cannot use VirtualBox {virtualbox}: {text} ({class})"
            ),
            remedy: "`VBoxManage --version` shows more".to_owned(),
        };
    }
    let known = KNOWN_SINCE.iter().find(|(since, _)| virtualbox >= *since);
    let is_version = |word: &&str| word.starts_with(|it: char| it.is_ascii_digit());
    let supported: Vec<&str> = text.split_whitespace().filter(is_version).collect();
    VirtualBoxFault {
        found: format!(
            "Vagrant {vagrant} does not know VirtualBox {virtualbox}, but {}",
            supported.join(" ")
        ),
        remedy: match known {
            Some((since, first)) if vagrant < *first => format!(
                "Vagrant {first} is the first that knows VirtualBox {}.{}: {}; or install an older VirtualBox",
                since.major(),
                since.minor(),
                crate::needs::VAGRANT_PAGE
            ),
            _ => format!("install a VirtualBox that it knows: {VIRTUALBOX_PAGE}"),
        },
    }
}

fn held_by_kvm(host: &HostFacts) -> Option<VirtualBoxFault> {
    let (module, code) = host.held_by_kvm()?;
    Some(VirtualBoxFault {
        found: format!(
            "KVM has VT-x or AMD-V to itself: `{module}` is loaded, Linux {} gives it that at once, and VirtualBox would be \
             refused it ({code})",
            host.kernel?
        ),
        remedy: remedies_against_kvm(code, host).join("; "),
    })
}

/// Whether this system's VirtualBox asks which host-only networks it may make.
fn has_range_rule(version: Version) -> bool {
    match std::env::consts::OS {
        "windows" => false,
        "macos" => (RANGES_SINCE..NETWORKS_ON_MACOS).contains(&version),
        _ => version >= RANGES_SINCE,
    }
}

fn range_fault(subnet: Ipv4Net, conf: &NetworksConf) -> Option<VirtualBoxFault> {
    if let Some((line, word)) = &conf.unreadable {
        return Some(VirtualBoxFault {
            found: format!(
                "`{NETWORKS_CONF}:{line}` has `{word}`, which is no range of addresses: VirtualBox ignores it, and Vagrant gives up"
            ),
            remedy: "correct it: a line is `*` and ranges such as `192.168.29.0/24`, with blanks between".to_owned(),
        });
    }
    if conf.allows(subnet) {
        return None;
    }
    let allowed: Vec<String> = conf
        .ranges
        .iter()
        .map(|range| format!("`{range}`"))
        .collect();
    let allowed = match (conf.exists, allowed.is_empty()) {
        (false, _) => format!(
            "without `{NETWORKS_CONF}` only {} is allowed",
            allowed.join(", ")
        ),
        (true, true) => format!("`{NETWORKS_CONF}` allows none"),
        (true, false) => format!("`{NETWORKS_CONF}` allows {}", allowed.join(", ")),
    };
    // A file takes the place of what is allowed without one.
    let lines = match conf.exists {
        true => format!("* {subnet}\\n"),
        false => format!("* {}\\n* {subnet}\\n", networks_conf::DEFAULT),
    };
    Some(VirtualBoxFault {
        found: format!(
            "VirtualBox may not make the lab's host-only network: `{subnet}` is in no range that is allowed; {allowed}"
        ),
        remedy: format!(
            "write the line `* {subnet}` into `{NETWORKS_CONF}`: `sudo mkdir -p /etc/vbox && printf '{lines}' | sudo tee -a \
             {NETWORKS_CONF}`; or give the lab a `subnet` in a range that is allowed"
        ),
    })
}

/// What keeps a server's bridge from being one, by the names that VirtualBox has for interfaces.
fn bridge_fault(
    lab: &Lab,
    server: &Server,
    interfaces: &[HostInterface],
) -> Option<VirtualBoxFault> {
    let bridge = server.bridge.as_deref()?;
    // Vagrant compares them without regard to capitals.
    let same = |it: &&HostInterface| it.name.to_lowercase() == bridge.to_lowercase();
    let trouble = match interfaces.iter().find(same) {
        None => "VirtualBox knows no such interface",
        Some(it) if it.wireless => {
            "it is wireless, and such an interface carries no hardware address but its own, so the lab's virtual address could not move"
        }
        Some(it) if !it.up => "it is down, and Vagrant would ask for another one",
        Some(_) => return None,
    };
    let fit = |it: &&HostInterface| it.up && !it.wireless;
    let names = |of: &dyn Fn(&&HostInterface) -> bool| {
        let names = interfaces.iter().filter(of);
        names
            .map(|it| format!("`{}`", it.name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (fit, wireless) = (names(&fit), names(&|it| it.wireless));
    let mut remedy = match fit.is_empty() {
        true => "no interface here is up and wired".to_owned(),
        false => format!("take one of these, as `VBoxManage list bridgedifs` has them: {fit}"),
    };
    if !wireless.is_empty() {
        remedy += &format!("; wireless, and unfit: {wireless}");
    }
    let place = lab.places().server(&server.name);
    let place = place.and_then(|it| it.value("bridge"));
    let place = place.map_or_else(String::new, |it| format!(":{}", it.line));
    Some(VirtualBoxFault {
        found: format!(
            "labs/{}.toml{place}: the bridge `{bridge}` of server `{}` cannot be used: {trouble}",
            lab.name(),
            server.name
        ),
        remedy,
    })
}

#[cfg(test)]
mod tests;
