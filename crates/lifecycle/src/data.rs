//! Where a lab's data is, also when the machines that wrote it are gone.
//!
//! All of a cluster is in etcd. A virtual machine's data is on its disk and goes with it; a container's is in volumes,
//! which outlive a container that was lost, as by `docker system prune`, but not `docker volume prune --all`.

use std::collections::BTreeSet;

use caravan_lab::{Lab, Role};
use caravan_vagrant::engine::Volume;
use caravan_vagrant::provider::FoundMachine;

use crate::SilentComputer;

/// A cluster that cannot come back, because too few etcd members have their data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterLoss {
    /// The etcd machines that are gone together with their data, in the order of the lab file.
    pub gone: Vec<String>,
    /// Those that still have a copy.
    pub kept: Vec<String>,
}

/// The machines that have data: those that are there, and those whose volumes are.
pub fn holders<'a>(found: &'a [FoundMachine], volumes: &'a [Volume]) -> BTreeSet<&'a str> {
    let machines = found.iter().map(|machine| machine.name.as_str());
    // A machine that is there may have been made before its volumes were named: then they are not listed.
    let volumes = volumes.iter().map(|volume| volume.machine.as_str());
    machines.chain(volumes).collect()
}

/// What is lost when only `holders` have data; none while a majority of etcd's members has.
///
/// Members on servers that do not answer, as `silent` names them, are not seen from here, and count as there.
pub fn loss(lab: &Lab, holders: &BTreeSet<&str>, silent: &[SilentComputer]) -> Option<ClusterLoss> {
    let is_far = |server: &String| silent.iter().any(|it| it.servers.contains(server));
    let (kept, gone): (Vec<_>, Vec<_>) = lab
        .of_role(Role::Etcd)
        .partition(|member| holders.contains(member.name.as_str()) || is_far(&member.server));
    let names = |members: Vec<&caravan_lab::Machine>| {
        let names = members.into_iter().map(|member| member.name.clone());
        names.collect()
    };
    (kept.len() < lab.etcd_quorum()).then(|| ClusterLoss {
        gone: names(gone),
        kept: names(kept),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HA: &str = include_str!("../../../labs/ha.toml");

    fn lost(text: &str, holders: &[&str]) -> Option<ClusterLoss> {
        let lab = Lab::parse("ha", text).expect("valid");
        loss(&lab, &holders.iter().copied().collect(), &[])
    }

    #[test]
    fn a_majority_of_etcd_members_is_the_cluster() {
        let all = ["etcdone", "etcdtwo", "etcdthree"];
        assert_eq!(lost(HA, &all), None);
        assert_eq!(
            lost(HA, &all[1..]),
            None,
            "one that is gone replaces itself"
        );
        let loss = lost(HA, &["masterone", "etcdtwo"]).expect("no majority is left");
        assert_eq!(loss.gone, ["etcdone", "etcdthree"]);
        assert_eq!(loss.kept, ["etcdtwo"]);
        let loss = lost(HA, &["masterone", "workerone"]).expect("nothing is left");
        assert_eq!(loss.gone, all);
        assert!(loss.kept.is_empty());
    }

    #[test]
    fn what_is_on_a_silent_computer_counts_as_there() {
        let far = HA
            .replace("[servers.server1]", "[servers.server1]\nbridge = \"eth0\"\naddress = \"192.168.29.11\"")
            .replace(
                "[servers.server2]",
                "[servers.server2]\nhost = \"ssh://me@other\"\nbridge = \"eth0\"\naddress = \"192.168.29.12\"",
            );
        assert_ne!(far, HA);
        assert_eq!(
            lost(&far, &[]).expect("it answers, and has none").kept,
            [""; 0]
        );
        let lab = Lab::parse("ha", &far).expect("valid");
        let silent = SilentComputer {
            host: "ssh://me@other".to_owned(),
            servers: vec!["server2".to_owned()],
            error: caravan_process::Error::NotReached {
                host: "ssh://me@other".to_owned(),
                said: "no route".to_owned(),
            },
        };
        assert_eq!(loss(&lab, &BTreeSet::new(), &[silent]), None);
    }

    #[test]
    fn a_volume_without_its_machine_is_data() {
        let volume = Volume {
            name: "caravan.ha.etcdone.etcd".to_owned(),
            lab: "ha".to_owned(),
            machine: "etcdone".to_owned(),
            folder: "/w/.lab/ha/server2".into(),
            holds: "etcd".to_owned(),
        };
        assert!(holders(&[], &[volume]).contains("etcdone"));
    }
}
