//! The computers that a lab's servers are on, asked before anything is made there: what joins them, who has the lab's
//! addresses, what their clocks say, and what they have for their machines.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, SystemTime};

use caravan_lab::{Lab, Provider, Server};
use caravan_process::Computer;
use serde::Serialize;

use crate::findings::{Finding, Verdict};

mod judge;
mod read;

pub use judge::{ComputerFault, ComputerFaultKind};

/// How long a computer may take for all its answers.
const LIMIT: Duration = Duration::from_secs(60);

/// Prints what is to be known, a line each: a word and its value. Its words are the bridge, then addresses that nobody may
/// have.
const ASK: &str = r#"PATH=$PATH:/usr/sbin:/sbin
bridge=$1; shift
say() { printf '%s %s\n' "$1" "$2"; }
say processor "$(uname -m)"
say cpus "$(getconf _NPROCESSORS_ONLN 2>/dev/null)"
say memory "$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo 2>/dev/null)"
say disk "$(df -Pk "$HOME" | awk 'NR == 2 { print $4 }')"
say links "$(ip -o link show 2>/dev/null | awk -F': ' '{ sub(/@.*/, "", $2); print $2 }' | tr '\n' ' ')"
say link "$(ip -details -oneline link show dev "$bridge" 2>/dev/null)"
if [ -e "/sys/class/net/$bridge/wireless" ] || [ -e "/sys/class/net/$bridge/phy80211" ]; then say wireless yes; fi
say vagrant "$(vagrant --version 2>/dev/null | grep '^Vagrant')"
say docker "$(docker version --format '{{.Server.Version}}' 2>/dev/null)"
say libvirt "$(virsh --connect qemu:///system version --daemon 2>/dev/null | sed -n 's/^Running against daemon: //p')"
if [ -w /dev/kvm ] && { grep -Eq '^flags.* (vmx|svm)( |$)' /proc/cpuinfo || uname -m | grep -Eq '^(aarch|arm)'; }; then say kvm yes; fi
# A datagram to nobody's port: before it can be sent, the kernel asks the LAN who has the address. What it remembers of a
# machine that is gone would be no answer: it is forgotten where we may, and else counts for nothing.
if [ $# -gt 0 ] && command -v bash >/dev/null; then
    for address; do ip -4 neigh del "$address" dev "$bridge" 2>/dev/null; done
    for address; do bash -c ': >"/dev/udp/$1/9" && echo >"/dev/udp/$1/9"' probe "$address" 2>/dev/null; done
    sleep 1
    for address; do say neighbour "$(ip -4 neigh show to "$address" dev "$bridge" 2>/dev/null)"; done
fi
exit 0
"#;

/// What is asked of a computer.
#[derive(Debug, Clone)]
pub struct ComputerInQuestion<'a> {
    /// As the lab file names it; none for this one.
    pub host: Option<&'a str>,
    /// The lab's servers on it.
    pub servers: Vec<&'a Server>,
    /// How it is reached.
    pub computer: Computer,
}

/// The computers of a lab, each with what it told, or why it did not.
#[derive(Debug, Default)]
pub struct ComputerSurvey<'a> {
    answers: Vec<(
        ComputerInQuestion<'a>,
        Result<ComputerFacts, caravan_process::Error>,
    )>,
}

/// What a computer told of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ComputerFacts {
    /// How far its clock is ahead of this computer's, in seconds, and how far that may be off.
    pub clock: Option<(f64, f64)>,
    /// Its processor, as `uname -m` says it.
    pub processor: String,
    /// How many processors it has.
    pub cpus: Option<u32>,
    /// Its memory that is free, in MiB.
    pub memory_mib: Option<u64>,
    /// Its disk that is free where its user's folder is, in MiB.
    pub disk_mib: Option<u64>,
    /// The names of its network interfaces.
    pub links: Vec<String>,
    /// The interface that the lab file names, where it is there.
    pub link: Option<LinkFacts>,
    /// Its Vagrant, such as `2.3.4`.
    pub vagrant: Option<String>,
    /// Its container engine that answers.
    pub docker: Option<String>,
    /// Its libvirt that answers.
    pub libvirt: Option<String>,
    /// Whether virtual machines have its processor's help.
    pub kvm: bool,
    /// Who has addresses of the lab: hardware addresses.
    pub taken: BTreeMap<Ipv4Addr, String>,
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LinkFacts {
    /// Whether it is a bridge.
    pub is_bridge: bool,
    /// Whether it is wireless.
    pub is_wireless: bool,
    /// Whether it is up.
    pub is_up: bool,
    /// Its largest packet, in bytes.
    pub mtu: u32,
}

impl ComputerInQuestion<'_> {
    /// Asks it, also for who has `addresses`.
    fn ask(&self, addresses: &[String]) -> Result<ComputerFacts, caravan_process::Error> {
        let bridge = self.servers.iter().find_map(|it| it.bridge.as_deref());
        let mut words = vec!["sh", "-c", ASK, "ask", bridge.unwrap_or_default()];
        // Without a bridge the lab's network is not there yet, and the question would go elsewhere.
        if bridge.is_some() {
            words.extend(addresses.iter().map(String::as_str));
        }
        let facts = self.computer.run(&words, "", LIMIT)?;
        let mut facts = read::facts(&facts.stdout);
        // Last, over the connection that is there by now: the quicker the answer, the surer the clock.
        let asked = SystemTime::now();
        let clock = self.computer.run(&["date", "+%s.%N"], "", LIMIT)?;
        let took = asked.elapsed().unwrap_or_default();
        facts.clock = read::clock(clock.stdout.trim(), asked, took);
        Ok(facts)
    }

    /// What people call it.
    pub fn name(&self) -> String {
        let names: Vec<String> = (self.servers.iter())
            .map(|server| format!("`{}`", server.name))
            .collect();
        match self.host {
            Some(host) => format!("{} on `{host}`", names.join(", ")),
            None => format!("{} on this computer", names.join(", ")),
        }
    }
}

impl<'a> ComputerSurvey<'a> {
    /// Asks the computers of a lab that spans several, all at once; none of a lab that is on this computer alone. `computer`
    /// says how a host is reached.
    pub fn of(lab: &'a Lab, computer: impl Fn(Option<&str>) -> Computer) -> Self {
        if lab.servers().iter().all(|server| server.host.is_none()) {
            return Self::default();
        }
        let mut found: Vec<ComputerInQuestion<'a>> = Vec::new();
        for server in lab.servers() {
            let host = server.host.as_deref();
            match found.iter_mut().find(|it| it.host == host) {
                Some(known) => known.servers.push(server),
                None => found.push(ComputerInQuestion {
                    host,
                    servers: vec![server],
                    computer: computer(host),
                }),
            }
        }
        let machines = lab.machines().iter().map(|machine| machine.ip);
        let addresses: Vec<String> = (machines.chain(lab.vip()))
            .map(|address| address.to_string())
            .collect();
        let addresses = &addresses;
        let answers = thread::scope(|scope| {
            let threads: Vec<_> = (found.into_iter())
                .map(|asked| {
                    scope.spawn(move || {
                        let answer = asked.ask(addresses);
                        (asked, answer)
                    })
                })
                .collect();
            let ended = threads.into_iter().map(|thread| {
                (thread.join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            ended.collect()
        });
        Self { answers }
    }

    /// The computers, as the lab file names them, that told that virtual machines have no help of their processor.
    pub fn without_kvm(&self) -> BTreeSet<String> {
        let without = self.answers.iter().filter(|(computer, facts)| {
            computer.host.is_some() && facts.as_ref().is_ok_and(|facts| !facts.kvm)
        });
        without
            .filter_map(|(computer, _)| computer.host.map(str::to_owned))
            .collect()
    }

    /// What is wrong with the computers, while `there` of the lab's machines run; `provider` says what runs a server's
    /// machines.
    pub fn faults(
        &self,
        lab: &Lab,
        provider: impl Fn(&Server) -> Provider,
        there: &BTreeSet<&str>,
    ) -> Vec<ComputerFault> {
        judge::judge(lab, &self.answers, provider, there, std::env::consts::ARCH)
    }

    /// One finding for each computer on which nothing is wrong, and one for each fault.
    pub fn findings(&self, faults: &[ComputerFault]) -> Vec<Finding> {
        let is_well = |name: &str| !faults.iter().any(|fault| fault.computer == name);
        let well = self.answers.iter().filter_map(|(computer, facts)| {
            let name = computer.name();
            let facts = facts.as_ref().ok().filter(|_| is_well(&name))?;
            Some(Finding {
                name: "server",
                verdict: Verdict::Good,
                evidence: format!("{name}: {}", judge::praise(facts)),
                remedy: None,
            })
        });
        let wrong = faults.iter().map(|fault| Finding {
            name: "server",
            verdict: match fault.kind.forbids() {
                true => Verdict::Missing,
                false => Verdict::Weak,
            },
            evidence: fault.to_string(),
            remedy: Some(fault.hint()),
        });
        well.chain(wrong).collect()
    }
}
