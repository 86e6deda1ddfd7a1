//! What is wrong with the computers of a lab's servers.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use caravan_lab::{Lab, Provider, Role, Server};
use serde::Serialize;

use super::{ComputerFacts, ComputerInQuestion};

/// How far clocks may be apart, in seconds: certificates begin now, and a lease is short.
const CLOCKS_APART: f64 = 2.0;

/// The disk that machines of one computer use, in MiB, besides what is sent there.
const DISK_MIB: u64 = 8 * 1024;

/// Something that is wrong with one computer, or between two.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComputerFault {
    /// The computer, for people.
    pub computer: String,
    /// What is wrong.
    #[serde(flatten)]
    pub kind: ComputerFaultKind,
}

/// What is wrong with a computer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum ComputerFaultKind {
    /// It does not answer.
    Silent {
        /// What ssh says.
        said: String,
    },
    /// It has no such interface.
    NoInterface {
        /// As the lab file names it.
        bridge: String,
        /// The names of those that it has.
        there: Vec<String>,
    },
    /// Containers can be on a bridge alone.
    NoBridge {
        /// The interface.
        bridge: String,
    },
    /// A wireless network takes no packets of machines behind a computer.
    Wireless {
        /// The interface.
        bridge: String,
    },
    /// The interface is down.
    Down {
        /// The interface.
        bridge: String,
    },
    /// Its largest packet is not that of the others.
    MtuDiffers {
        /// Its own, in bytes.
        mtu: u32,
        /// Another one's, in bytes.
        others: u32,
        /// Which computer that is.
        other: String,
    },
    /// Somebody on the LAN has an address of the lab.
    Taken {
        /// The address.
        address: Ipv4Addr,
        /// The machine that is to have it; none for the shared address.
        machine: Option<String>,
        /// The hardware address of who has it.
        mac: String,
    },
    /// Its clock is far off.
    Clock {
        /// How far it is ahead of this computer's, in seconds.
        ahead: f64,
    },
    /// It has too little of something.
    Scarce {
        /// Such as `memory`.
        what: &'static str,
        /// In MiB, or a count.
        needed: u64,
        /// Likewise.
        free: u64,
        /// Such as ` MiB`.
        unit: &'static str,
    },
    /// It lacks what runs machines.
    Lacks {
        /// Its name.
        program: &'static str,
        /// The packages that bring it on Debian and Ubuntu.
        packages: &'static str,
    },
    /// Its processor is not the one that images are made for.
    Processor {
        /// Its own.
        found: String,
        /// That of this computer.
        here: String,
    },
}

impl ComputerFaultKind {
    /// Whether machines cannot be made there because of it.
    pub fn forbids(&self) -> bool {
        !matches!(
            self,
            Self::Clock { .. } | Self::MtuDiffers { .. } | Self::Scarce { .. } | Self::Down { .. }
        )
    }
}

impl fmt::Display for ComputerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ComputerFaultKind as Kind;
        write!(f, "{}: ", self.computer)?;
        match &self.kind {
            Kind::Silent { said } => f.write_str(said),
            Kind::NoInterface { bridge, there } => {
                let names: Vec<String> = there.iter().map(|it| format!("`{it}`")).collect();
                write!(
                    f,
                    "there is no network interface `{bridge}`; there are {}",
                    names.join(", ")
                )
            }
            Kind::NoBridge { bridge } => write!(
                f,
                "`{bridge}` is a network interface and no bridge, and containers need a bridge"
            ),
            Kind::Wireless { bridge } => write!(
                f,
                "`{bridge}` is wireless, and a wireless network takes no packets of machines behind a computer"
            ),
            Kind::Down { bridge } => write!(f, "`{bridge}` is down"),
            Kind::MtuDiffers { mtu, others, other } => write!(
                f,
                "the largest packet of its bridge is {mtu} bytes, and that of {other} {others} bytes"
            ),
            Kind::Taken {
                address,
                machine,
                mac,
            } => {
                let whose = match machine {
                    Some(machine) => format!("of `{machine}`"),
                    None => "that load balancers share".to_owned(),
                };
                write!(f, "the address `{address}` {whose} is taken by `{mac}`")
            }
            Kind::Clock { ahead } => {
                let (off, word) = (
                    ahead.abs(),
                    if *ahead > 0.0 { "ahead of" } else { "behind" },
                );
                write!(f, "its clock is {off:.1} s {word} this computer's")
            }
            Kind::Scarce {
                what,
                needed,
                free,
                unit,
            } => write!(
                f,
                "{needed}{unit} of {what} are needed, {free}{unit} are free"
            ),
            Kind::Lacks { program, .. } => {
                write!(f, "`{program}` is not installed, or does not answer")
            }
            Kind::Processor { found, here } => write!(
                f,
                "its processor is `{found}`, and images are made for `{here}`, this computer's"
            ),
        }
    }
}

impl ComputerFault {
    /// What to do about it.
    pub fn hint(&self) -> String {
        use ComputerFaultKind as Kind;
        match &self.kind {
            Kind::Silent { .. } => "`ssh` to it by hand shows more".to_owned(),
            Kind::NoInterface { bridge, .. } | Kind::NoBridge { bridge } => format!(
                "`ip link add br0 type bridge && ip link set br0 up` makes a bridge there, and `ip link set INTERFACE master br0` \
                 joins it to the LAN by cable; then write its name in the place of `{bridge}`"
            ),
            Kind::Wireless { .. } => "join the computers by cable".to_owned(),
            Kind::Down { bridge } => format!("`sudo ip link set {bridge} up` there"),
            Kind::MtuDiffers { others, .. } => format!(
                "give all bridges the same, such as `sudo ip link set BRIDGE mtu {others}`: larger packets are lost between them"
            ),
            Kind::Taken { .. } => {
                "give the machine another address, or the other one its own".to_owned()
            }
            Kind::Clock { .. } => {
                "let both take the time from one source, such as `sudo timedatectl set-ntp true`"
                    .to_owned()
            }
            Kind::Scarce { .. } => "move machines to another server, or free some".to_owned(),
            Kind::Lacks { packages, .. } => {
                format!("`sudo apt install {packages}` there, where it is Debian or Ubuntu")
            }
            Kind::Processor { .. } => {
                "run the lab from a computer with that processor, and servers of one kind"
                    .to_owned()
            }
        }
    }
}

/// What is wrong with the computers of a lab, of which each told its facts, or why it did not, while `there` of the lab's
/// machines run.
pub(super) fn judge(
    lab: &Lab,
    asked: &[(
        ComputerInQuestion<'_>,
        Result<ComputerFacts, caravan_process::Error>,
    )],
    provider: impl Fn(&Server) -> Provider,
    there: &BTreeSet<&str>,
    processor: &str,
) -> Vec<ComputerFault> {
    let mut faults = Vec::new();
    let mut first_mtu: Option<(u32, String)> = None;
    for (computer, facts) in asked {
        let name = computer.name();
        let mut fault = |kind| {
            faults.push(ComputerFault {
                computer: name.clone(),
                kind,
            });
        };
        let facts = match facts {
            Ok(facts) => facts,
            Err(error) => {
                fault(ComputerFaultKind::Silent {
                    said: error.to_string(),
                });
                continue;
            }
        };
        let providers: BTreeSet<Provider> =
            computer.servers.iter().map(|it| provider(it)).collect();
        network(computer, &providers, facts)
            .into_iter()
            .for_each(&mut fault);
        if let Some(link) = &facts.link {
            match &first_mtu {
                Some((mtu, other)) if *mtu != link.mtu => fault(ComputerFaultKind::MtuDiffers {
                    mtu: link.mtu,
                    others: *mtu,
                    other: other.clone(),
                }),
                Some(_) => {}
                None => first_mtu = Some((link.mtu, name.clone())),
            }
        }
        taken(lab, facts, there).into_iter().for_each(&mut fault);
        if let Some((ahead, unsure)) = facts.clock
            && ahead.abs() - unsure > CLOCKS_APART
        {
            fault(ComputerFaultKind::Clock { ahead });
        }
        room(lab, computer, facts, there)
            .into_iter()
            .for_each(&mut fault);
        programs(&providers, facts).into_iter().for_each(&mut fault);
        if facts.processor != processor && !facts.processor.is_empty() {
            fault(ComputerFaultKind::Processor {
                found: facts.processor.clone(),
                here: processor.to_owned(),
            });
        }
    }
    faults
}

/// What there is to say of a computer with which nothing is wrong.
pub(super) fn praise(facts: &ComputerFacts) -> String {
    let mut parts = Vec::new();
    parts.extend(
        facts
            .link
            .as_ref()
            .map(|link| format!("packets of {} bytes", link.mtu)),
    );
    parts.extend(facts.clock.map(|(ahead, _)| format!("clock {ahead:+.1} s")));
    parts.extend(
        facts
            .memory_mib
            .map(|free| format!("{free} MiB of memory free")),
    );
    parts.extend(
        facts
            .disk_mib
            .map(|free| format!("{free} MiB of disk free")),
    );
    parts.extend(facts.vagrant.as_ref().map(|it| format!("Vagrant {it}")));
    parts.extend(facts.docker.as_ref().map(|it| format!("Docker {it}")));
    parts.extend(facts.libvirt.as_ref().map(|it| format!("libvirt {it}")));
    parts.join(", ")
}

/// Who has addresses of machines that are not there, or the shared one while no load balancer is.
fn taken(lab: &Lab, facts: &ComputerFacts, there: &BTreeSet<&str>) -> Vec<ComputerFaultKind> {
    let mut balancers = lab.of_role(Role::LoadBalancer);
    let is_shared = balancers.any(|it| there.contains(it.name.as_str()));
    let taken = facts.taken.iter().filter_map(|(address, mac)| {
        let machine = lab.machines().iter().find(|it| it.ip == *address);
        let is_ours = machine.map_or(is_shared, |it| there.contains(it.name.as_str()));
        (!is_ours).then(|| ComputerFaultKind::Taken {
            address: *address,
            machine: machine.map(|it| it.name.clone()),
            mac: mac.clone(),
        })
    });
    taken.collect()
}

fn network(
    computer: &ComputerInQuestion<'_>,
    providers: &BTreeSet<Provider>,
    facts: &ComputerFacts,
) -> Vec<ComputerFaultKind> {
    let Some(bridge) = computer.servers.iter().find_map(|it| it.bridge.clone()) else {
        return Vec::new();
    };
    // Where nobody could be asked for interfaces, nothing is said against one.
    if facts.links.is_empty() {
        return Vec::new();
    }
    let Some(link) = &facts.link else {
        let there = facts.links.clone();
        return vec![ComputerFaultKind::NoInterface { bridge, there }];
    };
    let mut found = Vec::new();
    if link.is_wireless {
        found.push(ComputerFaultKind::Wireless {
            bridge: bridge.clone(),
        });
    }
    if !link.is_bridge && providers.contains(&Provider::Docker) {
        found.push(ComputerFaultKind::NoBridge {
            bridge: bridge.clone(),
        });
    }
    if !link.is_up {
        found.push(ComputerFaultKind::Down { bridge });
    }
    found
}

fn room(
    lab: &Lab,
    computer: &ComputerInQuestion<'_>,
    facts: &ComputerFacts,
    there: &BTreeSet<&str>,
) -> Vec<ComputerFaultKind> {
    let machines = || {
        let all = computer
            .servers
            .iter()
            .flat_map(|server| lab.machines_on(server));
        // What runs already has what it needs.
        all.filter(|machine| !there.contains(machine.name.as_str()))
    };
    if machines().next().is_none() {
        return Vec::new();
    }
    let memory: u64 = machines().map(|it| u64::from(it.memory_mib)).sum();
    let cpus = machines().map(|it| u64::from(it.cpus)).max().unwrap_or(0);
    let scarce = |what, needed, free: Option<u64>, unit| {
        free.filter(|free| *free < needed)
            .map(|free| ComputerFaultKind::Scarce {
                what,
                needed,
                free,
                unit,
            })
    };
    [
        scarce("memory", memory, facts.memory_mib, " MiB"),
        scarce("disk", DISK_MIB, facts.disk_mib, " MiB"),
        // A machine's processors are a share of the computer's, so they may add up to more.
        scarce("processors", cpus, facts.cpus.map(u64::from), ""),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn programs(providers: &BTreeSet<Provider>, facts: &ComputerFacts) -> Vec<ComputerFaultKind> {
    let wants = |provider| providers.contains(&provider);
    let lacks = |is_there: bool, program, packages| {
        (!is_there).then_some(ComputerFaultKind::Lacks { program, packages })
    };
    [
        lacks(facts.vagrant.is_some(), "vagrant", "vagrant"),
        lacks(
            facts.docker.is_some() || !wants(Provider::Docker),
            "docker",
            "docker.io",
        ),
        lacks(
            facts.libvirt.is_some() || !wants(Provider::Libvirt),
            "virsh",
            "libvirt-daemon-system libvirt-clients qemu-system vagrant-libvirt",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests;
