//! What a drill breaks, as it is done in this lab: by whatever runs machines, or over ssh.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use caravan_cluster::Error as ClusterError;
use caravan_cluster::disturb::slow::SlowPart;
use caravan_cluster::disturb::{Harm, UnitFault};
use caravan_cluster::drill::faults::{
    FlapFault, ForgedFault, SilenceFault, SlowFault, UnitDrillFault,
};
use caravan_cluster::drill::{DrillFault, FaultProof};
use caravan_lab::{DrillKind, FaultMode, Machine, Role};
use caravan_vagrant::provider::{FoundMachine, MachineHarm};

use super::{INFLICTED, LabDrill};
use crate::{Error, LabRun, LabTarget};

/// How long a machine that is told to stop may take.
const GRACE: Duration = Duration::from_secs(10);

impl<'a> LabDrill<'a> {
    /// The fault, done to `machines`, and the names of those that somebody has to start again if nobody is left to repair it.
    pub(super) fn fault(
        &'a self,
        run: &'a LabRun<'a>,
        machines: Vec<&'a Machine>,
    ) -> (Box<dyn DrillFault + 'a>, Vec<String>) {
        let (fault, noted) = self.fault_of(machines);
        (Box::new(ToldFault { run, fault }), noted)
    }

    fn fault_of(&'a self, machines: Vec<&'a Machine>) -> (Box<dyn DrillFault + 'a>, Vec<String>) {
        let (lab, access) = (self.lab, self.access);
        let unit = |unit: &str, harm: Harm| -> Box<dyn DrillFault + 'a> {
            let name = machines.first().map_or("", |machine| machine.name.as_str());
            let fault = UnitFault::new(name, unit, harm, self.safety());
            Box::new(UnitDrillFault { lab, access, fault })
        };
        let harm = match self.name.mode {
            Some(FaultMode::Stop) => Harm::Stop,
            Some(FaultMode::Freeze) => Harm::Freeze,
            Some(FaultMode::Crash | FaultMode::Silence) | None => Harm::Kill,
        };
        let silence = |machines: Vec<&'a Machine>, from| -> Box<dyn DrillFault + 'a> {
            Box::new(SilenceFault {
                lab,
                access,
                machines,
                from,
                safety: self.safety(),
            })
        };
        let slow = |part| -> Option<Box<dyn DrillFault + 'a>> {
            Some(Box::new(SlowFault {
                access,
                machine: machines.first().copied()?,
                part,
                safety: self.safety(),
                before: Mutex::default(),
            }))
        };
        let over_ssh = match self.name.kind {
            DrillKind::LbProcess => Some(unit("haproxy", harm)),
            DrillKind::LbKeepalived => Some(unit("keepalived", harm)),
            DrillKind::LbPartition => Some(silence(machines.clone(), Some(machines.clone()))),
            DrillKind::VipFlap => {
                Some(Box::new(FlapFault { lab, access, harm }) as Box<dyn DrillFault + 'a>)
            }
            DrillKind::VrrpForged => machines.first().map(|machine| {
                Box::new(ForgedFault {
                    lab,
                    access,
                    machine,
                    lasts: self.lasts(),
                    before: Mutex::default(),
                }) as Box<dyn DrillFault + 'a>
            }),
            DrillKind::MasterEtcdPartition => {
                let members = lab.of_role(Role::Etcd).collect();
                Some(silence(machines.clone(), Some(members)))
            }
            DrillKind::SlowDisk => slow(SlowPart::Disk),
            DrillKind::SlowNet => {
                let mut others = lab.of_role(Role::Etcd);
                let other = others.find(|it| machines.first().is_none_or(|own| own.ip != it.ip));
                other.and_then(|other| slow(SlowPart::Net(other.ip)))
            }
            DrillKind::LbMachine
            | DrillKind::Master
            | DrillKind::EtcdFollower
            | DrillKind::EtcdLeader
            | DrillKind::Worker
            | DrillKind::EtcdQuorum
            | DrillKind::Server
            | DrillKind::Power => match self.name.mode {
                Some(FaultMode::Silence) => Some(silence(machines.clone(), None)),
                _ => None,
            },
        };
        match over_ssh {
            Some(fault) => (fault, Vec::new()),
            None => {
                let noted = machines.iter().map(|it| it.name.clone()).collect();
                let fault = MachineFault {
                    target: self.target,
                    machines,
                    mode: self.name.mode.unwrap_or(FaultMode::Crash),
                };
                (Box::new(fault), noted)
            }
        }
    }
}

/// A fault of which the run is told when it is there.
struct ToldFault<'a> {
    run: &'a LabRun<'a>,
    fault: Box<dyn DrillFault + 'a>,
}

impl DrillFault for ToldFault<'_> {
    fn text(&self) -> String {
        self.fault.text()
    }

    fn how(&self) -> String {
        self.fault.how()
    }

    fn takes_its_time(&self) -> bool {
        self.fault.takes_its_time()
    }

    fn hold_possible(&self) -> Result<(), ClusterError> {
        self.fault.hold_possible()
    }

    fn inflict(&self) -> Result<String, ClusterError> {
        let evidence = self.fault.inflict()?;
        self.run.reached(INFLICTED);
        Ok(evidence)
    }

    fn repair(&self) -> Result<Option<FaultProof>, ClusterError> {
        self.fault.repair()
    }
}

/// Whole machines, by whatever runs them.
struct MachineFault<'a> {
    target: &'a LabTarget,
    machines: Vec<&'a Machine>,
    mode: FaultMode,
}

impl MachineFault<'_> {
    fn names(&self) -> Vec<&str> {
        self.machines.iter().map(|it| it.name.as_str()).collect()
    }

    /// The machines of the fault, as they are now.
    fn found(&self) -> Result<Vec<FoundMachine>, ClusterError> {
        let mut found = self.target.machines().map_err(|error| self.told(error))?;
        found.retain(|machine| self.names().contains(&machine.name.as_str()));
        Ok(found)
    }

    /// What the lab's providers say, as an error of the cluster that is drilled.
    fn told(&self, error: Error) -> ClusterError {
        match error {
            Error::Vagrant(error) => ClusterError::Machine(error),
            Error::Cluster(error) => error,
            other => ClusterError::FaultRefused {
                fault: self.text(),
                why: other.to_string(),
            },
        }
    }

    fn harm(&self) -> Result<(), Error> {
        let found = self.found()?;
        let machines: Vec<&FoundMachine> = found.iter().filter(|it| it.runs()).collect();
        let (providers, projects) = (self.target.providers(), self.target.dir.projects());
        match self.mode {
            FaultMode::Stop => providers.stop(&projects, &machines, GRACE, &|_| {}),
            FaultMode::Freeze => providers.harm(&projects, &machines, MachineHarm::Freeze),
            // One is silent by its own filter, which is another fault.
            FaultMode::Crash | FaultMode::Silence => {
                providers.harm(&projects, &machines, MachineHarm::Crash)
            }
        }
    }
}

impl DrillFault for MachineFault<'_> {
    fn text(&self) -> String {
        format!("{} {}", self.names().join(", "), self.mode.done())
    }

    fn how(&self) -> String {
        let names = self.names().join(" ");
        match self.mode {
            FaultMode::Stop => format!("the provider stops {names} in peace"),
            FaultMode::Freeze => {
                format!("the provider pauses {names}: docker pause, virsh suspend")
            }
            FaultMode::Crash | FaultMode::Silence => {
                format!("the provider kills {names}: docker kill, virsh destroy")
            }
        }
    }

    fn inflict(&self) -> Result<String, ClusterError> {
        self.harm().map_err(|error| self.told(error))?;
        let found = self.found()?;
        match found.iter().find(|machine| machine.runs()) {
            None => Ok(states(&found)),
            Some(machine) => Err(ClusterError::FaultRefused {
                fault: self.text(),
                why: format!("{} runs all the same", machine.name),
            }),
        }
    }

    /// What was to be off and runs was started by somebody else meanwhile: nobody knows since when.
    fn repair(&self) -> Result<Option<FaultProof>, ClusterError> {
        let found = self.found()?;
        let broken: Vec<&FoundMachine> = found.iter().filter(|it| !it.runs()).collect();
        let proof = FaultProof {
            text: format!("until the repair: {}", states(&found)),
            was_real: broken.len() == self.machines.len(),
        };
        let (providers, projects) = (self.target.providers(), self.target.dir.projects());
        let revived = providers.revive(&projects, &broken);
        revived
            .map(|()| Some(proof))
            .map_err(|error| self.told(error))
    }
}

/// `etcdone exited, etcdtwo paused`.
fn states(found: &[FoundMachine]) -> String {
    let states: BTreeMap<&str, &str> = (found.iter())
        .map(|machine| (machine.name.as_str(), machine.state.word()))
        .collect();
    let states = states.iter().map(|(name, state)| format!("{name} {state}"));
    states.collect::<Vec<_>>().join(", ")
}
