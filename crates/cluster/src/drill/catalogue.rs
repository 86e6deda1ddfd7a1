//! The drills there are: what each breaks, for how long, and what is allowed meanwhile. Their names are the lab file's.

use std::time::Duration;

use caravan_lab::{DrillKind, DrillName, FaultMode, Lab, Machine, Role, failure};

use super::record::ClientName;

/// One row of the catalogue.
#[derive(Debug)]
pub struct DrillRow {
    /// Its name, but for the way it is done.
    pub kind: DrillKind,
    /// What is broken, for people; where there is one way of doing it, all of what is done.
    pub what: &'static str,
    /// For how long, in seconds; about, where it takes a time of its own.
    pub lasts_s: u64,
}

const fn row(kind: DrillKind, lasts_s: u64, what: &'static str) -> DrillRow {
    DrillRow {
        kind,
        what,
        lasts_s,
    }
}

/// All drills, in the order in which `all` runs them.
#[rustfmt::skip]
pub const ROWS: [DrillRow; 16] = [
    row(DrillKind::LbProcess, 6, "HAProxy on the owner of the virtual address"),
    row(DrillKind::LbKeepalived, 6, "Keepalived on the owner of the virtual address"),
    row(DrillKind::LbMachine, 8, "the load balancer that has the virtual address"),
    row(DrillKind::LbPartition, 10, "all load balancers are cut off from each other, and from nobody else"),
    row(DrillKind::VipFlap, 12, "whoever has the virtual address, four times one after the other"),
    row(DrillKind::VrrpForged, 6, "a machine that is no load balancer announces the virtual address with priority 255"),
    row(DrillKind::Master, 10, "a master"),
    row(DrillKind::MasterEtcdPartition, 10, "a master is cut off from all etcd members, and from nobody else"),
    row(DrillKind::EtcdFollower, 10, "an etcd member that does not lead"),
    row(DrillKind::EtcdLeader, 10, "the etcd member that leads"),
    row(DrillKind::SlowDisk, 15, "the disk of the etcd member that leads takes few writes a second"),
    row(DrillKind::SlowNet, 15, "the network of the etcd member that leads is slow"),
    row(DrillKind::Worker, 8, "a worker"),
    row(DrillKind::EtcdQuorum, 20, "so many etcd members that no majority is left"),
    row(DrillKind::Server, 15, "all machines of a server whose loss the lab survives"),
    row(DrillKind::Power, 5, "all machines"),
];

/// The row of a kind.
pub fn row_of(kind: DrillKind) -> &'static DrillRow {
    let row = ROWS.iter().find(|row| row.kind == kind);
    row.expect("each kind has a row")
}

/// What a drill does, in a sentence.
pub fn describe(name: DrillName) -> String {
    let what = row_of(name.kind).what;
    match name.mode {
        None => what.to_owned(),
        Some(mode) => format!("{what} is {}", mode.done()),
    }
}

/// Whether the lab has what a drill breaks, and can be without it.
pub fn applies(lab: &Lab, kind: DrillKind) -> bool {
    let several = |role| lab.of_role(role).count() > 1;
    let has_followers = lab.of_role(Role::Etcd).count() > 2;
    match kind {
        DrillKind::LbProcess
        | DrillKind::LbKeepalived
        | DrillKind::LbMachine
        | DrillKind::LbPartition
        | DrillKind::VipFlap
        | DrillKind::VrrpForged => several(Role::LoadBalancer),
        DrillKind::Master | DrillKind::MasterEtcdPartition => several(Role::ControlPlane),
        DrillKind::EtcdFollower | DrillKind::EtcdLeader => has_followers,
        DrillKind::SlowDisk | DrillKind::SlowNet => has_followers,
        DrillKind::EtcdQuorum | DrillKind::Power => true,
        DrillKind::Worker => lab.of_role(Role::Worker).next().is_some(),
        DrillKind::Server => survivable_server(lab).is_some(),
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

/// For how long it is broken.
pub fn lasts(name: DrillName) -> Duration {
    Duration::from_secs(row_of(name.kind).lasts_s)
}

/// What a drill is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrillLimits {
    /// The longest time without a good answer, in milliseconds, by client; who is not here has no limit.
    pub away_ms: Vec<(ClientName, u64)>,
    /// How many reads of a hundred may fail while it is broken.
    pub failed_percent: Option<u64>,
    /// How long after the repair the API may be away at most, in milliseconds.
    pub back_ms: Option<u64>,
    /// Whether the virtual address must stay where it is.
    pub owner_stays: bool,
    /// How long after the repair the address may be on several machines at most, in milliseconds.
    pub one_owner_ms: Option<u64>,
    /// Which of them the lab file says, by its keys.
    pub from_file: Vec<String>,
}

impl DrillLimits {
    /// The same, with what the lab file allows Services of the user's own. It says nothing usually: how soon those are back is
    /// as much a matter of their pods as of the lab.
    #[must_use]
    pub fn watching(
        mut self,
        lab: &Lab,
        name: DrillName,
        clients: impl Iterator<Item = ClientName>,
    ) -> Self {
        if let Some(ms) = lab.drill_budget(name).watched_ms {
            self.from_file.push("watched_ms".to_owned());
            self.away_ms.extend(clients.map(|it| (it, u64::from(ms))));
        }
        self
    }
}

/// What is allowed usually; times are `scale` times as long.
fn usual(lab: &Lab, name: DrillName, scale: u64) -> DrillLimits {
    use DrillKind as Kind;
    use FaultMode::{Crash, Freeze, Silence, Stop};
    let away = |away_ms: &[(ClientName, u64)]| DrillLimits {
        away_ms: (away_ms.iter())
            .map(|(client, ms)| (client.clone(), ms * scale))
            .collect(),
        ..DrillLimits::default()
    };
    let reads = |ms| away(&[(ClientName::Reads, ms)]);
    let both = |ms| away(&[(ClientName::Reads, ms), (ClientName::Creates, ms)]);
    let back = |ms| DrillLimits {
        back_ms: Some(ms * scale),
        ..DrillLimits::default()
    };
    match (name.kind, name.mode) {
        // HAProxy is asked each second whether it answers, twice.
        (Kind::LbProcess, Some(Freeze)) => reads(2500),
        (Kind::LbProcess | Kind::LbKeepalived, _) => reads(300),
        (Kind::LbMachine, _) => reads(650),
        // Both take the address, and there is no way around it with two: the API is to answer through either.
        (Kind::LbPartition, _) => {
            let through = lab.of_role(Role::LoadBalancer);
            let through = through.map(|it| (ClientName::Balancer(it.name.clone()), 0));
            let mut limits = reads(650);
            limits.away_ms.extend(through);
            limits.one_owner_ms = Some(1000 * scale);
            limits
        }
        // Each time as long as once.
        (Kind::VipFlap, _) => reads(300),
        (Kind::VrrpForged, _) => DrillLimits {
            owner_stays: true,
            ..both(0)
        },
        // Of three requests two go to others; those that do not are counted.
        (Kind::Master, Some(Silence | Freeze)) => DrillLimits {
            failed_percent: Some(10),
            ..DrillLimits::default()
        },
        (Kind::Master, _) => reads(100),
        // It answers itself that it is not ready, after two seconds of patience with etcd, twice.
        (Kind::MasterEtcdPartition, _) => DrillLimits {
            failed_percent: Some(20),
            ..DrillLimits::default()
        },
        (Kind::EtcdFollower, Some(Crash | Stop)) => both(200),
        (Kind::EtcdLeader, Some(Crash | Stop)) => both(1500),
        (Kind::EtcdFollower | Kind::EtcdLeader, _) => both(3000),
        // Nothing is away: what is slow answers.
        (Kind::SlowDisk | Kind::SlowNet, _) => both(1500),
        (Kind::Worker, _) => both(200),
        (Kind::EtcdQuorum, _) => back(6000),
        (Kind::Power, _) => back(31_000),
        (Kind::Server, _) => DrillLimits::default(),
    }
}

/// What a drill is allowed in this lab: as usual, times `scale` times as long, but for what its file says.
pub fn limits(lab: &Lab, name: DrillName, scale: u64) -> DrillLimits {
    let mut limits = usual(lab, name, scale);
    let file = lab.drill_budget(name);
    let mut take = |key: &str, value: Option<u32>| {
        let value = value?;
        limits.from_file.push(key.to_owned());
        Some(u64::from(value))
    };
    let away = [
        (ClientName::Reads, take("reads_ms", file.reads_ms)),
        (ClientName::Creates, take("creates_ms", file.creates_ms)),
    ];
    let failed_percent = take("failed_percent", file.failed_percent);
    let back_ms = take("back_ms", file.back_ms);
    for (client, ms) in away {
        if let Some(ms) = ms {
            limits.away_ms.retain(|(it, _)| *it != client);
            limits.away_ms.push((client, ms));
        }
    }
    limits.failed_percent = failed_percent.or(limits.failed_percent);
    limits.back_ms = back_ms.or(limits.back_ms);
    limits
}

/// The machines that a drill is done to, where it does not matter which: the last of their role, so that the first master,
/// which is like the others and named first everywhere, is not always the one. `leader` is the etcd member that leads, and
/// `owner` the machine that has the virtual address.
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
        DrillKind::LbPartition | DrillKind::VipFlap => lab.of_role(Role::LoadBalancer).collect(),
        // It does not do it to itself, and is a neighbour of those that must not believe it.
        DrillKind::VrrpForged => lab.of_role(Role::Etcd).take(1).collect(),
        DrillKind::Master | DrillKind::MasterEtcdPartition => {
            last(Role::ControlPlane).into_iter().collect()
        }
        DrillKind::EtcdLeader | DrillKind::SlowDisk | DrillKind::SlowNet => {
            named(leader).into_iter().collect()
        }
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

    fn drill(text: &str) -> DrillName {
        text.parse().expect("a drill")
    }

    #[test]
    fn each_kind_has_a_row_in_the_order_of_the_kinds() {
        let rows: Vec<DrillKind> = ROWS.iter().map(|row| row.kind).collect();
        assert_eq!(rows, DrillKind::all().collect::<Vec<_>>());
        assert_eq!(
            describe(drill("etcd-leader:freeze")),
            "the etcd member that leads is frozen"
        );
        assert!(describe(drill("vrrp-forged")).ends_with("with priority 255"));
    }

    #[test]
    fn each_drill_is_in_the_docs() {
        let page = include_str!("../../../../docs/drills.md");
        for kind in DrillKind::all() {
            assert!(page.contains(&format!("| `{}` |", kind.word())), "{kind:?}");
        }
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
        assert_eq!(names(DrillKind::LbPartition), ["lbone", "lbtwo"]);
        assert_eq!(names(DrillKind::VrrpForged), ["etcdone"]);
        assert_eq!(names(DrillKind::EtcdLeader), ["etcdthree"]);
        assert_eq!(names(DrillKind::SlowDisk), ["etcdthree"]);
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
            let kinds = DrillKind::all().filter(|kind| applies(lab, *kind));
            kinds.map(DrillKind::word).collect()
        };
        assert_eq!(
            words(&lab("external-etcd")),
            [
                "etcd-follower",
                "etcd-leader",
                "slow-disk",
                "slow-net",
                "worker",
                "etcd-quorum",
                "power"
            ]
        );
        assert_eq!(words(&lab("ha")).len(), 15, "all but `server`");
    }

    #[test]
    fn what_the_lab_file_says_goes_before_what_is_usual() {
        let text = include_str!("../../../../labs/ha.toml");
        let more = "\n[drills.etcd-leader]\ncreates_ms = 900\n\n[drills.\"etcd-leader:stop\"]\ncreates_ms = 500\nback_ms = 7\n";
        let ha = Lab::parse("ha", &format!("{text}{more}")).expect("valid");
        let of = |text: &str| limits(&ha, drill(text), 8);
        let crash = of("etcd-leader:crash");
        assert_eq!(
            crash.away_ms,
            [(ClientName::Reads, 12_000), (ClientName::Creates, 900)]
        );
        assert_eq!(crash.from_file, ["creates_ms"]);
        let stop = of("etcd-leader:stop");
        assert_eq!(stop.away_ms[1], (ClientName::Creates, 500));
        assert_eq!(stop.back_ms, Some(7));
        assert_eq!(stop.from_file, ["creates_ms", "back_ms"]);
        let text = format!("{text}\n[drills.worker]\nwatched_ms = 2000\n");
        let ha = Lab::parse("ha", &text).expect("valid");
        let web = ClientName::Watched("shop/web".to_owned());
        let watching = |text: &str| {
            usual(&ha, drill(text), 1).watching(&ha, drill(text), [web.clone()].into_iter())
        };
        assert!(watching("worker").away_ms.contains(&(web.clone(), 2000)));
        assert_eq!(watching("worker").from_file, ["watched_ms"]);
        assert_eq!(watching("power"), usual(&ha, drill("power"), 1));
        assert_eq!(of("power").back_ms, Some(248_000));
        assert!(of("power").from_file.is_empty());
        assert!(of("vrrp-forged").owner_stays);
    }
}
