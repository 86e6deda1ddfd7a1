//! What can go wrong between an operator and a lab.

use caravan_lab::Machine;
use caravan_process::Output;

use crate::etcd::gate::RefusedMember;
use crate::ready::Missing;

/// Why a lab could not be asked, or is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Etcd has an alarm whose cause is not gone.
    #[error("{alarm}: {advice}")]
    Alarmed {
        /// Which, and of which member.
        alarm: String,
        /// What it forbids, and what ends it.
        advice: String,
    },
    /// A server answered, and not with what was asked for.
    #[error("{server} answered `{request}` with status {status}: {message}")]
    Answered {
        /// Who: the endpoint, a master, an etcd member.
        server: String,
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: u16,
        /// What it says about it.
        message: String,
    },
    /// A key or certificate of the store cannot be used.
    #[error("cannot use {what}: {reason}")]
    Credentials {
        /// Which one.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A fault cannot be done on purpose.
    #[error("cannot do this: {fault}: {why}")]
    FaultRefused {
        /// The fault.
        fault: String,
        /// Why.
        why: String,
    },
    /// A node did not take an image.
    #[error("containerd of `{machine}` does not take it: {said}")]
    ImageRefused {
        /// The node.
        machine: String,
        /// What containerd says.
        said: String,
    },
    /// The user asked to stop.
    #[error("interrupted while waiting for the lab")]
    Interrupted,
    /// A machine could not be entered, or a program not be run.
    #[error(transparent)]
    Machine(#[from] caravan_vagrant::Error),
    /// An etcd member must not be taken away now.
    #[error("{0}")]
    MemberRefused(Box<RefusedMember>),
    /// Etcd's members have no leader.
    #[error("etcd's members have no leader, so there is no majority")]
    NoLeader,
    /// Nobody has the virtual address, or several have it.
    #[error("{}", no_owner(address, owners))]
    NoOwner {
        /// The address.
        address: String,
        /// The load balancers that have it.
        owners: Vec<String>,
    },
    /// A machine's disk is too full.
    #[error("`{machine}` has {free} bytes free for etcd's data, and {needed} are needed")]
    NoRoom {
        /// The machine.
        machine: String,
        /// What is free, in bytes.
        free: u64,
        /// What is needed, in bytes.
        needed: u64,
    },
    /// A server shows no certificate.
    #[error("{machine} at {at}: {why}")]
    NotShown {
        /// Its machine.
        machine: String,
        /// Where it was asked.
        at: std::net::SocketAddrV4,
        /// What ended the attempt.
        why: String,
    },
    /// What is the user's own cannot be watched.
    #[error("cannot watch `{asked}`: {fault}")]
    NotWatched {
        /// What was asked for.
        asked: String,
        /// Why.
        fault: crate::drill::watched::WatchFault,
    },
    /// What was waited for did not come.
    #[error("{what}: not within {seconds} s{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    NotInTime {
        /// What.
        what: String,
        /// How long it was waited for, in seconds.
        seconds: u64,
        /// Why it was not there when it was looked for last, if that is known.
        why: Option<String>,
    },
    /// The lab is not ready in time.
    #[error("the lab is not ready after {seconds} s: {}", listed(missing))]
    NotReady {
        /// How long it was waited for, in seconds.
        seconds: u64,
        /// What is missing.
        missing: Vec<Missing>,
    },
    /// A script on a machine ended badly.
    #[error("a question to `{machine}` ended with status {status:?}: {said}")]
    Script {
        /// The machine.
        machine: String,
        /// The exit status; `None` when a signal ended it.
        status: Option<i32>,
        /// Its last words.
        said: String,
    },
    /// A copy of etcd's data lacks what was there before it was taken.
    #[error(
        "the snapshot of `{member}` ends at revision {revision}, and a majority had {confirmed} before it was taken"
    )]
    SnapshotBehind {
        /// The member.
        member: String,
        /// The revision that it has.
        revision: u64,
        /// The revision that a majority confirmed.
        confirmed: u64,
    },
    /// A member's data has etcd's quota without what could be given back.
    #[error(
        "the data of `{member}` has {bytes} bytes in use, and {quota} are etcd's quota: no writes are accepted until something is deleted"
    )]
    StillFull {
        /// The member.
        member: String,
        /// The size of its data, in bytes.
        bytes: u64,
        /// The quota, in bytes.
        quota: u64,
    },
    /// A server could not be reached, or the connection failed.
    #[error("cannot ask {server} for `{request}`")]
    Unreachable {
        /// Who: the endpoint, a master, an etcd member.
        server: String,
        /// Method and path.
        request: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// A server's answer is not of the known form.
    #[error("cannot read the answer of {server} to `{request}`")]
    Unreadable {
        /// Who: the endpoint, a master, an etcd member.
        server: String,
        /// Method and path.
        request: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

fn no_owner(address: &str, owners: &[String]) -> String {
    match owners {
        [] => format!("no load balancer has {address}"),
        several => format!("{} have {address} at the same time", several.join(" and ")),
    }
}

fn listed(missing: &[Missing]) -> String {
    let all: Vec<String> = missing.iter().map(ToString::to_string).collect();
    all.join("; ")
}

impl Error {
    /// The error for what ended badly on a machine.
    pub(crate) fn script(machine: &Machine, output: &Output) -> Self {
        let said: Vec<&str> = output.stderr.lines().chain(output.stdout.lines()).collect();
        Self::Script {
            machine: machine.name.clone(),
            status: output.status,
            said: said[said.len().saturating_sub(3)..].join("; "),
        }
    }

    /// The next thing to do about it; `tool` is how the program that calls this is started, such as `cargo xtask`.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::Credentials { .. } => {
                Some(format!("`{tool} up` makes what is missing in the lab's store"))
            }
            Self::Machine(error) => error.hint(tool),
            Self::MemberRefused(refused) => Some(refused.hint(tool)),
            Self::NotWatched { fault, .. } => fault.hint(tool),
            Self::NotReady { .. } => Some(format!(
                "`{tool} status` shows the lab, `{tool} logs` what its machines say; `up` again goes on"
            )),
            Self::Unreachable { source, .. }
                if source.to_string().contains("invalid peer certificate") =>
            {
                Some(
                    "what answers there has a certificate of another CA: machines of another lab, or of a store that is gone; `docker ps` shows whose they are"
                        .to_owned(),
                )
            }
            Self::NoOwner { .. } | Self::Unreachable { .. } => {
                Some(format!("`{tool} status` shows which machines run"))
            }
            Self::Answered { status: 401 | 403, .. } => Some(
                "the lab's certificates are not those of the cluster that answers: was it made with another store?"
                    .to_owned(),
            ),
            Self::NoLeader => Some(format!("`{tool} status` shows which members are missing")),
            Self::SnapshotBehind { .. } => Some("run the same command again".to_owned()),
            Self::StillFull { .. } => Some(
                "delete what fills it (`kubectl get events -A | wc -l` is a first look; etcd lets deletions through), then run the same command again"
                    .to_owned(),
            ),
            Self::NoRoom { .. } => Some(
                "`df -h /var/lib/etcd` on that machine shows what is full; `/var/lib/etcd/aside` there holds data that was set aside"
                    .to_owned(),
            ),
            Self::Alarmed { .. }
            | Self::Answered { .. }
            | Self::FaultRefused { .. }
            | Self::ImageRefused { .. }
            | Self::Interrupted
            | Self::NotInTime { .. }
            | Self::NotShown { .. }
            | Self::Script { .. }
            | Self::Unreadable { .. } => None,
        }
    }

    /// Whether the server answered with `status`.
    pub fn is_status(&self, wanted: u16) -> bool {
        matches!(self, Self::Answered { status, .. } if *status == wanted)
    }

    /// The error with its causes, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
