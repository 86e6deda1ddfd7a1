//! The drills there are: what each breaks, how, for how long, and what is allowed meanwhile.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use caravan_lab::{Lab, Machine, Role, failure};

use super::record::ClientName;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DrillKind {
    /// HAProxy on the owner of the virtual address.
    LbProcess,
    /// Keepalived there.
    LbKeepalived,
    /// The machine that has the virtual address.
    LbMachine,
    /// A master.
    Master,
    /// An etcd member that does not lead.
    EtcdFollower,
    /// The one that leads.
    EtcdLeader,
    /// So many members that no majority is left.
    EtcdQuorum,
    /// A worker.
    Worker,
    /// All machines of a server.
    Server,
    /// All machines.
    Power,
}

/// How it is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultMode {
    /// It is told to end, and ends in peace.
    Stop,
    /// It ends at once; others hear that its connections are closed.
    Crash,
    /// It stands still: its connections stay open, and nobody answers.
    Freeze,
    /// It runs, and no packet comes from it or gets there.
    Silence,
}

impl FaultMode {
    /// Its word: `crash`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Crash => "crash",
            Self::Freeze => "freeze",
            Self::Silence => "silence",
        }
    }

    /// In the past tense: `crashed`.
    pub const fn done(self) -> &'static str {
        match self {
            Self::Stop => "stopped",
            Self::Crash => "crashed",
            Self::Freeze => "frozen",
            Self::Silence => "silenced",
        }
    }
}

/// One row of the catalogue.
#[derive(Debug)]
pub struct DrillRow {
    /// What is broken.
    pub kind: DrillKind,
    /// Its word: `lb-process`.
    pub word: &'static str,
    /// What is broken, for people.
    pub what: &'static str,
    /// How it can be broken; the first unless told otherwise.
    pub modes: &'static [FaultMode],
    /// For how long, in seconds.
    pub lasts_s: u64,
}

use FaultMode::{Crash, Freeze, Silence, Stop};

/// All drills, in the order in which `all` runs them.
pub const ROWS: [DrillRow; 10] = [
    DrillRow {
        kind: DrillKind::LbProcess,
        word: "lb-process",
        what: "HAProxy on the owner of the virtual address",
        modes: &[Stop, Crash, Freeze],
        lasts_s: 6,
    },
    DrillRow {
        kind: DrillKind::LbKeepalived,
        word: "lb-keepalived",
        what: "Keepalived on the owner of the virtual address",
        modes: &[Stop, Crash],
        lasts_s: 6,
    },
    DrillRow {
        kind: DrillKind::LbMachine,
        word: "lb-machine",
        what: "the load balancer that has the virtual address",
        modes: &[Silence, Crash, Freeze, Stop],
        lasts_s: 8,
    },
    DrillRow {
        kind: DrillKind::Master,
        word: "master",
        what: "a master",
        modes: &[Silence, Crash, Freeze, Stop],
        lasts_s: 10,
    },
    DrillRow {
        kind: DrillKind::EtcdFollower,
        word: "etcd-follower",
        what: "an etcd member that does not lead",
        modes: &[Freeze, Crash, Silence, Stop],
        lasts_s: 10,
    },
    DrillRow {
        kind: DrillKind::EtcdLeader,
        word: "etcd-leader",
        what: "the etcd member that leads",
        modes: &[Crash, Stop, Freeze, Silence],
        lasts_s: 10,
    },
    DrillRow {
        kind: DrillKind::Worker,
        word: "worker",
        what: "a worker",
        modes: &[Crash, Freeze, Silence, Stop],
        lasts_s: 8,
    },
    DrillRow {
        kind: DrillKind::EtcdQuorum,
        word: "etcd-quorum",
        what: "so many etcd members that no majority is left",
        modes: &[Crash, Freeze, Silence, Stop],
        lasts_s: 20,
    },
    DrillRow {
        kind: DrillKind::Server,
        word: "server",
        what: "all machines of a server whose loss the lab survives",
        modes: &[Crash, Silence, Freeze],
        lasts_s: 15,
    },
    DrillRow {
        kind: DrillKind::Power,
        word: "power",
        what: "all machines",
        modes: &[Crash],
        lasts_s: 5,
    },
];

/// A drill that was asked for: `etcd-leader:crash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrillName {
    /// What is broken.
    pub kind: DrillKind,
    /// How.
    pub mode: FaultMode,
}

/// A drill that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no drill `{asked}`: {why}")]
pub struct UnknownDrill {
    asked: String,
    why: String,
}

impl DrillKind {
    /// Its row.
    pub fn row(self) -> &'static DrillRow {
        let row = ROWS.iter().find(|row| row.kind == self);
        row.expect("each kind has a row")
    }
}

impl fmt::Display for DrillName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.row().word, self.mode.word())
    }
}

impl FromStr for DrillName {
    type Err = UnknownDrill;

    fn from_str(asked: &str) -> Result<Self, UnknownDrill> {
        let unknown = |why: String| UnknownDrill {
            asked: asked.to_owned(),
            why,
        };
        let (word, mode) = match asked.split_once(':') {
            Some((word, mode)) => (word, Some(mode)),
            None => (asked, None),
        };
        let row = ROWS.iter().find(|row| row.word == word).ok_or_else(|| {
            let words: Vec<&str> = ROWS.iter().map(|row| row.word).collect();
            unknown(format!("there are {}", words.join(", ")))
        })?;
        let Some(mode) = mode else {
            return Ok(row.usual());
        };
        let found = row.modes.iter().find(|it| it.word() == mode);
        let found = found.ok_or_else(|| {
            let words: Vec<&str> = row.modes.iter().map(|it| it.word()).collect();
            unknown(format!("`{word}` can be done by {}", words.join(", ")))
        })?;
        Ok(DrillName {
            kind: row.kind,
            mode: *found,
        })
    }
}

impl DrillRow {
    /// The drill as it is done unless told otherwise.
    pub fn usual(&self) -> DrillName {
        DrillName {
            kind: self.kind,
            mode: self.modes[0],
        }
    }

    /// Whether the lab has what is broken, and can be without it.
    pub fn applies(&self, lab: &Lab) -> bool {
        let several = |role| lab.of_role(role).count() > 1;
        match self.kind {
            DrillKind::LbProcess | DrillKind::LbKeepalived | DrillKind::LbMachine => {
                several(Role::LoadBalancer)
            }
            DrillKind::Master => several(Role::ControlPlane),
            DrillKind::EtcdFollower | DrillKind::EtcdLeader => lab.of_role(Role::Etcd).count() > 2,
            DrillKind::EtcdQuorum | DrillKind::Power => true,
            DrillKind::Worker => lab.of_role(Role::Worker).next().is_some(),
            DrillKind::Server => survivable_server(lab).is_some(),
        }
    }
}

/// A server whose loss the lab survives, if there is one that has machines.
pub fn survivable_server(lab: &Lab) -> Option<&str> {
    let analysis = failure::analyse(lab);
    let survived = lab.servers().iter().zip(&analysis.servers);
    let mut survived = survived.filter(|(_, loss)| loss.cluster_survives());
    survived
        .find(|(server, _)| lab.machines_on(server).next().is_some())
        .map(|(server, _)| server.name.as_str())
}

impl DrillName {
    /// For how long it is broken.
    pub fn lasts(self) -> Duration {
        Duration::from_secs(self.kind.row().lasts_s)
    }

    /// The longest time without a good answer that is allowed, in milliseconds, by client.
    pub fn budgets(self) -> Vec<(ClientName, u64)> {
        use DrillKind as Kind;
        let reads = |ms| vec![(ClientName::Reads, ms)];
        let both = |ms| vec![(ClientName::Reads, ms), (ClientName::Creates, ms)];
        match (self.kind, self.mode) {
            // HAProxy is asked each second whether it answers, twice.
            (Kind::LbProcess, FaultMode::Freeze) => reads(2500),
            (Kind::LbProcess | Kind::LbKeepalived, _) => reads(300),
            (Kind::LbMachine, _) => reads(650),
            // Of three requests two go to others; those that do not are counted: see `failed_percent`.
            (Kind::Master, FaultMode::Silence | FaultMode::Freeze) => Vec::new(),
            (Kind::Master, _) => reads(100),
            (Kind::EtcdFollower, FaultMode::Crash | FaultMode::Stop) => both(200),
            (Kind::EtcdLeader, FaultMode::Crash | FaultMode::Stop) => both(1500),
            (Kind::EtcdFollower | Kind::EtcdLeader, _) => both(3000),
            (Kind::Worker, _) => both(200),
            (Kind::EtcdQuorum | Kind::Server | Kind::Power, _) => Vec::new(),
        }
    }

    /// How many reads of a hundred may fail.
    pub fn failed_percent(self) -> Option<u64> {
        let is_silent = matches!(self.mode, FaultMode::Silence | FaultMode::Freeze);
        (self.kind == DrillKind::Master && is_silent).then_some(10)
    }

    /// How long after the repair the API may be away at most, in milliseconds.
    pub fn back_ms(self) -> Option<u64> {
        match self.kind {
            DrillKind::EtcdQuorum => Some(6000),
            DrillKind::Power => Some(31_000),
            _ => None,
        }
    }
}

/// The machines that are broken, where it does not matter which: the last of their role, so that the first master, which is
/// like the others and named first everywhere, is not always the one. `leader` is the etcd member that leads, and `owner` the
/// machine that has the virtual address.
pub fn machines<'a>(
    lab: &'a Lab,
    kind: DrillKind,
    leader: Option<&str>,
    owner: Option<&str>,
) -> Vec<&'a Machine> {
    let named = |name: Option<&str>| name.and_then(|name| lab.machine(name));
    let last = |role| lab.of_role(role).last();
    match kind {
        DrillKind::LbProcess | DrillKind::LbKeepalived | DrillKind::LbMachine => {
            named(owner).into_iter().collect()
        }
        DrillKind::Master => last(Role::ControlPlane).into_iter().collect(),
        DrillKind::EtcdLeader => named(leader).into_iter().collect(),
        DrillKind::EtcdFollower => {
            let followers = lab
                .of_role(Role::Etcd)
                .filter(|it| Some(it.name.as_str()) != leader);
            followers.last().into_iter().collect()
        }
        DrillKind::EtcdQuorum => {
            let all = lab.of_role(Role::Etcd).count();
            let lost = all - lab.etcd_quorum() + 1;
            lab.of_role(Role::Etcd).take(lost).collect()
        }
        DrillKind::Worker => last(Role::Worker).into_iter().collect(),
        DrillKind::Server => {
            let server = survivable_server(lab);
            let server = server.and_then(|name| lab.server(name));
            server.map_or_else(Vec::new, |server| lab.machines_on(server).collect())
        }
        DrillKind::Power => lab.machines().iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::lab;

    #[test]
    fn drills_are_read_as_they_are_shown() {
        for row in &ROWS {
            for mode in row.modes {
                let name = DrillName {
                    kind: row.kind,
                    mode: *mode,
                };
                assert_eq!(name.to_string().parse(), Ok(name));
            }
            assert_eq!(row.word.parse(), Ok(row.usual()));
            assert_eq!(row.kind.row().word, row.word);
        }
        let unknown = |text: &str| {
            let read: Result<DrillName, _> = text.parse();
            read.expect_err(text).to_string()
        };
        assert_eq!(
            unknown("power:freeze"),
            "there is no drill `power:freeze`: `power` can be done by crash"
        );
        assert!(unknown("lbmachine").contains("there are lb-process, lb-keepalived, lb-machine"));
    }

    #[test]
    fn what_is_broken() {
        let ha = lab("ha");
        let names = |kind| -> Vec<&str> {
            let found = machines(&ha, kind, Some("etcdthree"), Some("lbone"));
            found
                .into_iter()
                .map(|machine| machine.name.as_str())
                .collect()
        };
        assert_eq!(names(DrillKind::LbMachine), ["lbone"]);
        assert_eq!(names(DrillKind::EtcdLeader), ["etcdthree"]);
        assert_eq!(names(DrillKind::EtcdFollower), ["etcdtwo"]);
        assert_eq!(names(DrillKind::EtcdQuorum), ["etcdone", "etcdtwo"]);
        assert_eq!(names(DrillKind::Master), ["masterthree"]);
        assert_eq!(names(DrillKind::Worker), ["workerone"]);
        assert_eq!(names(DrillKind::Power).len(), 9);
        // Neither server of ha can be lost.
        assert_eq!(names(DrillKind::Server), [""; 0]);
    }

    #[test]
    fn what_a_lab_does_not_have_is_not_drilled() {
        let words = |lab: &Lab| -> Vec<&str> {
            let rows = ROWS.iter().filter(|row| row.applies(lab));
            rows.map(|row| row.word).collect()
        };
        assert_eq!(
            words(&lab("external-etcd")),
            [
                "etcd-follower",
                "etcd-leader",
                "worker",
                "etcd-quorum",
                "power"
            ]
        );
        assert_eq!(words(&lab("ha")).len(), 9, "all but `server`");
    }
}
