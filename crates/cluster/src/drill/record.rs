//! What a drill has seen: every request, every event of the watch, the fault and the state in the end. All figures are
//! computed from this, and can be again by whoever has the file.

use std::fmt;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

/// A time of a drill: microseconds on the runner's monotonic clock since the drill began.
pub type Micros = u64;

/// The clients of a drill, each of which makes a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientName {
    /// Reads an object through the endpoint, each time over a TLS connection of its own.
    Reads,
    /// The same over connections that are kept.
    ReadsKept,
    /// Creates objects of unique names through the endpoint.
    Creates,
    /// Adds one to a number through the endpoint, only where nobody else has.
    Chain,
    /// Asks a Service of the user's own, called as it was asked for.
    Watched(String),
    /// Reads an object from this master directly.
    Master(String),
    /// Reads a key from this etcd member directly, as a majority confirms it.
    Member(String),
    /// Reads an object through this load balancer, by the address of its own.
    Balancer(String),
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reads => f.write_str("reads, new connections"),
            Self::ReadsKept => f.write_str("reads, kept connections"),
            Self::Creates => f.write_str("creates"),
            Self::Chain => f.write_str("compare and set"),
            Self::Watched(name) => write!(f, "watched {name}"),
            Self::Master(name) => write!(f, "reads from {name}"),
            Self::Member(name) => write!(f, "reads from {name}"),
            Self::Balancer(name) => write!(f, "reads through {name}"),
        }
    }
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestOutcome {
    /// It was done, and that was answered.
    Ok,
    /// It was certainly not done.
    Failed(String),
    /// Nobody knows: no answer in time, or one that does not tell.
    Unknown(String),
}

impl RequestOutcome {
    /// Whether it was done, and that was answered.
    pub fn is_ok(&self) -> bool {
        *self == Self::Ok
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Who made it.
    pub client: ClientName,
    /// When it was to be sent, whatever became of those before.
    pub scheduled: Micros,
    /// When it was.
    pub sent: Micros,
    /// When it was answered or given up.
    pub ended: Micros,
    /// What it came to.
    pub outcome: RequestOutcome,
    /// What it wrote: the number in the name of an object, or the value of the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrote: Option<u64>,
}

/// Something that a watch was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum WatchEvent {
    /// It began, or went on after a break, from this revision.
    Begins {
        /// The revision that it asked to go on from.
        from: u64,
    },
    /// An object was created.
    Created {
        /// The number in its name.
        wrote: u64,
        /// The revision of that.
        revision: u64,
    },
    /// Nothing happened up to this revision.
    Bookmark {
        /// The revision.
        revision: u64,
    },
    /// Its revision was gone, so all that is there was listed, and it goes on from there.
    Listed {
        /// The revision of the list.
        revision: u64,
        /// The numbers in the names of the objects on it.
        wrote: Vec<u64>,
    },
    /// It ended, for this reason.
    Broke {
        /// Why.
        why: String,
    },
}

/// An event of the watch, and when it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchRecord {
    /// When.
    pub at: Micros,
    /// What.
    #[serde(flatten)]
    pub event: WatchEvent,
}

/// What was known of the lab at one moment, as far as it could be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRecord {
    /// When it was asked.
    pub at: Micros,
    /// The etcd member that leads, by its machine's name.
    pub leader: Option<String>,
    /// The term of that.
    pub term: Option<u64>,
    /// The machines that have the virtual address.
    pub owners: Vec<String>,
}

/// The fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// In words: `etcdtwo crashed`.
    pub fault: String,
    /// The command that did it, or what was asked of whatever runs machines.
    pub how: String,
    /// When it was sent.
    pub sent: Micros,
    /// When it was known to be there.
    pub confirmed: Micros,
    /// When its repair was sent.
    pub repair_sent: Option<Micros>,
    /// When the repair was known to be done; the lab may need longer.
    #[serde(default)]
    pub repaired: Option<Micros>,
    /// When all was well again.
    pub healed: Option<Micros>,
    /// What shows that it was there.
    pub evidence: String,
    /// Whether what it did meanwhile was asked for, and does not show that it was there.
    #[serde(default)]
    pub is_doubtful: bool,
    /// Why it was not done to its end, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<FaultCut>,
}

impl FaultRecord {
    /// A fault that is sent then, in words and how it is done; what becomes of it is not known yet.
    pub(super) fn new(fault: String, how: String, sent: Micros) -> Self {
        Self {
            fault,
            how,
            sent,
            confirmed: sent,
            repair_sent: None,
            repaired: None,
            healed: None,
            evidence: String::new(),
            is_doubtful: false,
            cut: None,
        }
    }
}

/// Why a fault was not done to its end; it was repaired then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultCut {
    /// Why.
    pub why: String,
    /// Whether the lab did not do in time what it has to, such as to take an address over; otherwise it says nothing of the lab.
    pub is_of_lab: bool,
}

/// What an etcd member has of the drill's objects in the end, as a majority confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberFinalRecord {
    /// The member.
    pub member: String,
    /// The numbers in the names of the objects that it has, sorted; each as often as it is there.
    pub created: Vec<u64>,
    /// The value of the chain.
    pub chain: u64,
    /// The hash of all data at one revision, and that revision; none where it was not told.
    pub hash: Option<(u64, u64)>,
}

/// One line of a drill's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum DrillRecord {
    /// The first: what is drilled.
    Drill(DrillHeader),
    /// A request.
    Request(RequestRecord),
    /// An event of the watch.
    Watch(WatchRecord),
    /// What was known of the lab.
    State(StateRecord),
    /// The fault.
    Fault(FaultRecord),
    /// What a member has in the end.
    Final(MemberFinalRecord),
    /// When the clients ended.
    End {
        /// When.
        at: Micros,
    },
}

/// What is drilled, on what, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillHeader {
    /// The lab.
    pub lab: String,
    /// The drill, such as `etcd-leader:crash`.
    pub drill: String,
    /// When it began, RFC 3339, UTC.
    pub began: String,
    /// Versions: of Kubernetes, etcd and this tool.
    pub versions: Vec<(String, String)>,
    /// The computer: its kernel, how many processors, their load in the minute before.
    pub host: String,
    /// Whether clients went before other programs of the computer.
    #[serde(default)]
    pub priority: String,
    /// How long a request may take, in microseconds.
    pub deadline: Micros,
    /// Until when clients make their first connections: what was to be sent before that is in no figure but those of writes.
    pub warm: Micros,
    /// How many times less often than usual all clients asked, since this computer could not carry more.
    #[serde(default = "usual_pace")]
    pub stretch: u64,
    /// How often the clients of the endpoint ask, in microseconds: those that read, then those that write.
    pub periods: (Micros, Micros),
    /// The budget for the longest time without a good answer, in milliseconds, by client; what is not here has none.
    pub budgets: Vec<(ClientName, u64)>,
    /// How many requests of a hundred may fail, where a budget says so.
    pub failed_percent: Option<u64>,
    /// How long after the repair a read may be answered well at the latest, in milliseconds, where a budget says so.
    pub back_ms: Option<u64>,
    /// Which of these the lab file says, by its keys, such as `reads_ms`.
    #[serde(default)]
    pub from_file: Vec<String>,
    /// Whether the virtual address must stay where it is.
    #[serde(default)]
    pub owner_stays: bool,
    /// How long after the repair several machines may have the virtual address at most, in milliseconds, where that is judged.
    #[serde(default)]
    pub one_owner_ms: Option<u64>,
    /// The Services of the user's own that are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<WatchedHeader>,
}

/// Records that do not say it are of clients that asked as often as usual.
fn usual_pace() -> u64 {
    1
}

/// A Service of the user's own, and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedHeader {
    /// As it was asked for: `shop/web:http`.
    pub asked: String,
    /// What is asked, one after the other.
    pub urls: Vec<String>,
    /// How often, in microseconds.
    pub period: Micros,
}

/// Everything that a drill has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillRecords {
    /// What is drilled.
    pub header: DrillHeader,
    /// All requests, in the order in which they ended.
    pub requests: Vec<RequestRecord>,
    /// All events of the watch, in their order.
    pub watch: Vec<WatchRecord>,
    /// What was known of the lab, in the order of asking.
    pub states: Vec<StateRecord>,
    /// The fault; none where it was never done.
    pub fault: Option<FaultRecord>,
    /// What members have in the end.
    pub finals: Vec<MemberFinalRecord>,
    /// When the clients ended.
    pub end: Micros,
}

impl DrillRecords {
    /// Writes one JSON object a line, the header first.
    ///
    /// # Errors
    ///
    /// That of `to`.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut line = |record: &DrillRecord| -> io::Result<()> {
            serde_json::to_writer(&mut *to, record)?;
            to.write_all(b"\n")
        };
        line(&DrillRecord::Drill(self.header.clone()))?;
        for request in &self.requests {
            line(&DrillRecord::Request(request.clone()))?;
        }
        for event in &self.watch {
            line(&DrillRecord::Watch(event.clone()))?;
        }
        for state in &self.states {
            line(&DrillRecord::State(state.clone()))?;
        }
        if let Some(fault) = &self.fault {
            line(&DrillRecord::Fault(fault.clone()))?;
        }
        for member in &self.finals {
            line(&DrillRecord::Final(member.clone()))?;
        }
        line(&DrillRecord::End { at: self.end })
    }

    /// Reads what [`DrillRecords::write`] wrote.
    ///
    /// # Errors
    ///
    /// That of `from`; `InvalidData` with the line where one makes no sense, where the header is not the first, and where the
    /// end is missing: then the runner was killed, and what is there is not all.
    pub fn read(from: impl BufRead) -> io::Result<Self> {
        let broken = |line: usize, why: &str| {
            io::Error::new(io::ErrorKind::InvalidData, format!("line {line}: {why}"))
        };
        let mut records: Option<Self> = None;
        let mut ended = false;
        for (number, line) in from.lines().enumerate() {
            let (number, line) = (number + 1, line?);
            let record: DrillRecord =
                serde_json::from_str(&line).map_err(|error| broken(number, &error.to_string()))?;
            let records = match (&mut records, record) {
                (empty @ None, DrillRecord::Drill(header)) => {
                    *empty = Some(Self {
                        header,
                        requests: Vec::new(),
                        watch: Vec::new(),
                        states: Vec::new(),
                        fault: None,
                        finals: Vec::new(),
                        end: 0,
                    });
                    continue;
                }
                (None, _) | (Some(_), DrillRecord::Drill(_)) => {
                    return Err(broken(
                        number,
                        "the first line, and no other, says what is drilled",
                    ));
                }
                (Some(records), record) => (records, record),
            };
            let (records, record) = records;
            match record {
                DrillRecord::Drill(_) => {}
                DrillRecord::Request(request) => records.requests.push(request),
                DrillRecord::Watch(event) => records.watch.push(event),
                DrillRecord::State(state) => records.states.push(state),
                DrillRecord::Fault(fault) => records.fault = Some(fault),
                DrillRecord::Final(member) => records.finals.push(member),
                DrillRecord::End { at } => {
                    records.end = at;
                    ended = true;
                }
            }
        }
        match records {
            Some(records) if ended => Ok(records),
            _ => Err(broken(0, "the end is missing: the drill was cut off")),
        }
    }
}
