//! Drills by their names, and what a lab file allows them. What they do to machines is not known here.

use std::fmt;
use std::str::FromStr;

use crate::suggest::nearest;

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DrillKind {
    /// HAProxy on the owner of the virtual address.
    LbProcess,
    /// Keepalived there.
    LbKeepalived,
    /// The machine that has the virtual address.
    LbMachine,
    /// What load balancers hear of each other.
    LbPartition,
    /// Keepalived or HAProxy on whoever has the virtual address, again and again.
    VipFlap,
    /// Nothing, where the lab's protection holds: announcements of the virtual address are forged.
    VrrpForged,
    /// A master.
    Master,
    /// A master's way to etcd.
    MasterEtcdPartition,
    /// An etcd member that does not lead.
    EtcdFollower,
    /// The one that leads.
    EtcdLeader,
    /// The speed of the disk of the one that leads.
    SlowDisk,
    /// The speed of its network.
    SlowNet,
    /// A worker.
    Worker,
    /// So many members that no majority is left.
    EtcdQuorum,
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

use FaultMode::{Crash, Freeze, Silence, Stop};

/// A kind's word, and how it can be done, the usual way first; none where there is one way that needs no word.
type DrillWord = (DrillKind, &'static str, &'static [FaultMode]);

/// All kinds, in the order in which all of them are run: what costs most comes last.
#[rustfmt::skip]
const WORDS: [DrillWord; 16] = [
    (DrillKind::LbProcess, "lb-process", &[Stop, Crash, Freeze]),
    (DrillKind::LbKeepalived, "lb-keepalived", &[Stop, Crash]),
    (DrillKind::LbMachine, "lb-machine", &[Silence, Crash, Freeze, Stop]),
    (DrillKind::LbPartition, "lb-partition", &[]),
    (DrillKind::VipFlap, "vip-flap", &[Stop, Crash]),
    (DrillKind::VrrpForged, "vrrp-forged", &[]),
    (DrillKind::Master, "master", &[Silence, Crash, Freeze, Stop]),
    (DrillKind::MasterEtcdPartition, "master-etcd-partition", &[]),
    (DrillKind::EtcdFollower, "etcd-follower", &[Freeze, Crash, Silence, Stop]),
    (DrillKind::EtcdLeader, "etcd-leader", &[Crash, Stop, Freeze, Silence]),
    (DrillKind::SlowDisk, "slow-disk", &[]),
    (DrillKind::SlowNet, "slow-net", &[]),
    (DrillKind::Worker, "worker", &[Crash, Freeze, Silence, Stop]),
    (DrillKind::EtcdQuorum, "etcd-quorum", &[Crash, Freeze, Silence, Stop]),
    (DrillKind::Server, "server", &[Crash, Silence, Freeze]),
    (DrillKind::Power, "power", &[Crash]),
];

impl DrillKind {
    /// All kinds, in the order in which all of them are run.
    pub fn all() -> impl Iterator<Item = Self> {
        WORDS.iter().map(|(kind, ..)| *kind)
    }

    fn row(self) -> &'static DrillWord {
        let row = WORDS.iter().find(|(kind, ..)| *kind == self);
        row.expect("each kind has a word")
    }

    /// Its word: `lb-process`.
    pub fn word(self) -> &'static str {
        self.row().1
    }

    /// How it can be done, the usual way first; empty where there is one way, which has no word of its own.
    pub fn modes(self) -> &'static [FaultMode] {
        self.row().2
    }

    /// The drill as it is done unless told otherwise.
    pub fn usual(self) -> DrillName {
        DrillName {
            kind: self,
            mode: self.modes().first().copied(),
        }
    }
}

/// A drill: `etcd-leader:crash`, `vrrp-forged`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DrillName {
    /// What is broken.
    pub kind: DrillKind,
    /// How; none where there is one way, which has no word of its own.
    pub mode: Option<FaultMode>,
}

/// A drill that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownDrill {
    asked: String,
    why: String,
    /// The words that would do in the place of the one that does not.
    pub(crate) expected: Vec<&'static str>,
    suggestion: Option<String>,
}

impl UnknownDrill {
    /// What was probably meant.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }
}

impl fmt::Display for UnknownDrill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            asked,
            why,
            expected,
            ..
        } = self;
        write!(
            f,
            "there is no drill `{asked}`: {why}{}",
            expected.join(", ")
        )
    }
}

impl std::error::Error for UnknownDrill {}

impl fmt::Display for DrillName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.word())?;
        match self.mode {
            Some(mode) => write!(f, ":{}", mode.word()),
            None => Ok(()),
        }
    }
}

/// The kind that is asked for, and the way if one is.
pub(crate) fn parts(asked: &str) -> Result<(DrillKind, Option<FaultMode>), UnknownDrill> {
    let (word, mode) = match asked.split_once(':') {
        Some((word, mode)) => (word, Some(mode)),
        None => (asked, None),
    };
    let Some(kind) = DrillKind::all().find(|kind| kind.word() == word) else {
        let expected: Vec<&'static str> = DrillKind::all().map(DrillKind::word).collect();
        return Err(UnknownDrill {
            asked: asked.to_owned(),
            why: "there are ".to_owned(),
            suggestion: nearest(word, expected.iter().copied()),
            expected,
        });
    };
    let Some(mode) = mode else {
        return Ok((kind, None));
    };
    let found = kind.modes().iter().find(|it| it.word() == mode).copied();
    match found {
        Some(mode) => Ok((kind, Some(mode))),
        None => {
            let words: Vec<&'static str> = kind.modes().iter().map(|it| it.word()).collect();
            let meant = nearest(mode, words.iter().copied());
            Err(UnknownDrill {
                asked: asked.to_owned(),
                why: match words.is_empty() {
                    true => format!("`{word}` is done in one way, which has no name"),
                    false => format!("`{word}` can be done by "),
                },
                suggestion: match words.is_empty() {
                    true => Some(word.to_owned()),
                    false => meant.map(|meant| format!("{word}:{meant}")),
                },
                expected: words,
            })
        }
    }
}

impl FromStr for DrillName {
    type Err = UnknownDrill;

    fn from_str(asked: &str) -> Result<Self, UnknownDrill> {
        let (kind, mode) = parts(asked)?;
        Ok(match mode {
            None => kind.usual(),
            mode => Self { kind, mode },
        })
    }
}

/// What a lab file allows a drill; what it does not say is as usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DrillBudget {
    /// The longest time without a good answer to reads, in milliseconds.
    pub reads_ms: Option<u32>,
    /// The same of creates.
    pub creates_ms: Option<u32>,
    /// How many reads of a hundred may fail while it is broken.
    pub failed_percent: Option<u32>,
    /// How long after the repair a read may be answered well at the latest, in milliseconds.
    pub back_ms: Option<u32>,
    /// The longest time without a good answer of a Service that is watched, in milliseconds.
    pub watched_ms: Option<u32>,
}

impl DrillBudget {
    /// This, and where it says nothing, what `other` says.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            reads_ms: self.reads_ms.or(other.reads_ms),
            creates_ms: self.creates_ms.or(other.creates_ms),
            failed_percent: self.failed_percent.or(other.failed_percent),
            back_ms: self.back_ms.or(other.back_ms),
            watched_ms: self.watched_ms.or(other.watched_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drills_are_read_as_they_are_shown() {
        for kind in DrillKind::all() {
            for mode in kind.modes() {
                let name = DrillName {
                    kind,
                    mode: Some(*mode),
                };
                assert_eq!(name.to_string().parse(), Ok(name));
            }
            assert_eq!(kind.word().parse(), Ok(kind.usual()));
            assert_eq!(kind.usual().to_string().parse(), Ok(kind.usual()));
        }
    }

    #[test]
    fn what_is_no_drill_is_told_what_there_is() {
        let unknown = |text: &str| {
            let read: Result<DrillName, _> = text.parse();
            let unknown = read.expect_err(text);
            let suggestion = unknown.suggestion().map(str::to_owned);
            (unknown.to_string(), suggestion)
        };
        assert_eq!(
            unknown("power:freeze"),
            (
                "there is no drill `power:freeze`: `power` can be done by crash".to_owned(),
                None
            )
        );
        assert_eq!(
            unknown("vrrp-forged:stop"),
            (
                "there is no drill `vrrp-forged:stop`: `vrrp-forged` is done in one way, which has no name".to_owned(),
                Some("vrrp-forged".to_owned())
            )
        );
        let (said, suggestion) = unknown("lbmachine");
        assert!(said.contains("there are lb-process, lb-keepalived, lb-machine"));
        assert_eq!(suggestion.as_deref(), Some("lb-machine"));
        assert_eq!(unknown("master:freez").1.as_deref(), Some("master:freeze"));
    }

    #[test]
    fn what_is_said_of_one_way_goes_before_what_is_said_of_all() {
        let of = |reads_ms, back_ms| DrillBudget {
            reads_ms,
            back_ms,
            ..DrillBudget::default()
        };
        assert_eq!(
            of(Some(1), None).or(of(Some(2), Some(3))),
            of(Some(1), Some(3))
        );
    }
}
