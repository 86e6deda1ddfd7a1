//! Drills on a lab's machines: what is broken is found, broken, mended whatever happens, and what was seen is kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_cluster::disturb::{FaultMeans, Harm, OverSsh, UnitFault, silence};
use caravan_cluster::drill::catalogue::{self, DrillKind, DrillName, FaultMode};
use caravan_cluster::drill::judge::{DrillResult, judge};
use caravan_cluster::drill::record::{DrillHeader, DrillRecords};
use caravan_cluster::drill::{
    DEADLINE, DrillFault, DrillPlan, READ_EVERY, WARM_UP, WRITE_EVERY, micros,
};
use caravan_cluster::{Access, Error as ClusterError, etcd, facts, parallel};
use caravan_lab::{Lab, Machine, Role};
use caravan_vagrant::provider::{FoundMachine, MachineHarm};

use crate::{Error, LabRun, LabTarget, OperationRecord};

/// This verb.
pub const VERB: &str = "drill";

/// The step after which something is broken.
pub const INFLICTED: &str = "inflicted";

/// How long a lab may take to be well again, at the usual pace.
const HEALS: Duration = Duration::from_secs(240);

/// How much longer than the fault lasts a machine waits before it undoes it itself.
const MARGIN: Duration = Duration::from_secs(30);

/// How long a machine that is told to stop may take.
const GRACE: Duration = Duration::from_secs(10);

/// A drill on a lab.
pub struct LabDrill<'a> {
    /// The lab, and what is there of it.
    pub target: &'a LabTarget,
    /// The lab.
    pub lab: &'a Lab,
    /// The keys to the lab.
    pub access: &'a Access,
    /// What is drilled.
    pub name: DrillName,
    /// How the program that calls this is started.
    pub tool: &'a str,
}

/// What a drill came to, and where its records are.
#[derive(Debug)]
pub struct DrillRun {
    /// What it came to.
    pub result: DrillResult,
    /// The file with its records.
    pub records: PathBuf,
}

impl LabDrill<'_> {
    /// Runs it, and keeps its records and what they amount to.
    ///
    /// # Errors
    ///
    /// [`Error::Cluster`] where the lab is not well to begin with, [`Error::NoTarget`] where it has nothing to break,
    /// [`Error::Interrupted`], [`Error::Write`].
    pub fn run(&self, run: &LabRun<'_>, tell: &(dyn Fn(&str) + Sync)) -> Result<DrillRun, Error> {
        let Self {
            target,
            lab,
            access,
            name,
            tool,
        } = *self;
        let machines = self.machines()?;
        let fault = MachineFault {
            run,
            target,
            lab,
            access,
            machines,
            name,
        };
        let began = jiff::Timestamp::now();
        let stamp = began.strftime("%Y%m%dT%H%M%SZ").to_string();
        let plan = DrillPlan {
            header: self.header(&began.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            lasts: access.pace().of(name.lasts()),
            heals: HEALS,
            space: format!("caravan-drill-{}", stamp.to_lowercase()),
        };
        OperationRecord {
            verb: VERB.to_owned(),
            machine: name.to_string(),
            host_keys: Vec::new(),
            since: plan.header.began.clone(),
        }
        .write(&target.dir)?;
        let ended = caravan_cluster::drill::run(lab, access, &plan, &fault, tool, tell);
        // Where its repair has failed, what is under way is mended by whoever comes next.
        let is_mended = match &ended {
            Ok(_) | Err(ClusterError::NotReady { .. } | ClusterError::Interrupted) => true,
            Err(_) => false,
        };
        if is_mended {
            OperationRecord::forget(&target.dir)?;
        }
        let records = ended?;
        let result = judge(&records);
        let path = target
            .dir
            .drill(&format!("{stamp}-{}", name.to_string().replace(':', "-")));
        keep(&path, &records, &result)?;
        Ok(DrillRun {
            result,
            records: path,
        })
    }

    /// The machines that are broken.
    fn machines(&self) -> Result<Vec<Machine>, Error> {
        let leader = leader(self.lab, self.access);
        let owner = owner(self.lab, self.access);
        let found = catalogue::machines(
            self.lab,
            self.name.kind,
            leader.as_deref(),
            owner.as_deref(),
        );
        match found.is_empty() {
            true => Err(Error::NoTarget {
                lab: self.lab.name().to_owned(),
                drill: self.name.to_string(),
                what: self.name.kind.row().what,
            }),
            false => Ok(found.into_iter().cloned().collect()),
        }
    }

    fn header(&self, began: &str) -> DrillHeader {
        let scale = u64::from(self.access.pace().times());
        let budgets = self.name.budgets().into_iter();
        DrillHeader {
            lab: self.lab.name().to_owned(),
            drill: self.name.to_string(),
            began: began.to_owned(),
            versions: versions(self.target, self.lab),
            host: host(),
            deadline: micros(DEADLINE),
            warm: micros(WARM_UP),
            periods: (micros(READ_EVERY), micros(WRITE_EVERY)),
            budgets: budgets.map(|(client, ms)| (client, ms * scale)).collect(),
            failed_percent: self.name.failed_percent(),
            back_ms: self.name.back_ms().map(|ms| ms * scale),
        }
    }
}

fn versions(target: &LabTarget, lab: &Lab) -> Vec<(String, String)> {
    let record = lab.machines().iter().find_map(|machine| {
        crate::MachineRecord::read(&target.dir, &machine.name)
            .ok()
            .flatten()
    });
    let mut versions = vec![("caravan".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    if let Some(record) = record {
        versions.push(("kubernetes".to_owned(), record.kubernetes));
        versions.push(("etcd".to_owned(), record.etcd));
        versions.push(("image".to_owned(), record.image));
    }
    versions
}

/// This computer: its kernel, how many processors, and how many programs wanted one in the minute before.
fn host() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let load = read("/proc/loadavg");
    let load = load.split_ascii_whitespace().next().unwrap_or("unknown");
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "Linux {}, {processors} processors, load {load}",
        read("/proc/sys/kernel/osrelease").trim()
    )
}

fn leader(lab: &Lab, access: &Access) -> Option<String> {
    let members = etcd::members(lab, access).ok()?;
    let leader = etcd::leader(&members).ok()??;
    Some(leader.name.clone())
}

fn owner(lab: &Lab, access: &Access) -> Option<String> {
    let vip = lab.vip()?;
    let has_it =
        |machine: &&Machine| facts::has_address(access, machine, vip, GRACE).unwrap_or(false);
    let owner = lab.of_role(Role::LoadBalancer).find(has_it)?;
    Some(owner.name.clone())
}

/// Keeps the records, and beside them what they amount to.
fn keep(path: &Path, records: &DrillRecords, result: &DrillResult) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        caravan_files::make_private_folder(folder)?;
    }
    let mut text = Vec::new();
    records.write(&mut text).expect("a vector takes all");
    caravan_files::write_if_changed(path, 0o600, &text)?;
    let result = serde_json::to_vec_pretty(result).expect("plain fields are JSON");
    caravan_files::write_if_changed(&path.with_extension("result.json"), 0o600, &result)?;
    Ok(())
}

/// Reads records again, and computes what they amount to.
///
/// # Errors
///
/// [`Error::Read`], also where the file makes no sense.
pub fn judge_again(path: &Path) -> Result<DrillResult, Error> {
    let read = File::open(path).and_then(|file| DrillRecords::read(BufReader::new(file)));
    let records = read.map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(judge(&records))
}

/// Mends what a drill has left broken whose runner was killed: machines that stand still go on, those that are off start.
/// Units and packet filters that were broken mend themselves. Returns the drill, and the machines that it was done to; none
/// where no drill is under way. The lab's lock must be held.
///
/// # Errors
///
/// [`Error::Vagrant`], [`Error::Read`], [`Error::Write`].
pub fn mend(target: &LabTarget) -> Result<Option<(String, Vec<String>)>, Error> {
    let Some(open) = OperationRecord::read(&target.dir)?.filter(|open| open.verb == VERB) else {
        return Ok(None);
    };
    let found = target.machines()?;
    let broken: Vec<&FoundMachine> = found.iter().filter(|machine| !machine.runs()).collect();
    target.providers().revive(&target.dir.projects(), &broken)?;
    OperationRecord::forget(&target.dir)?;
    let mended = broken.into_iter().map(|machine| machine.name.clone());
    Ok(Some((open.machine, mended.collect())))
}

/// The fault of a drill.
struct MachineFault<'a> {
    run: &'a LabRun<'a>,
    target: &'a LabTarget,
    lab: &'a Lab,
    access: &'a Access,
    machines: Vec<Machine>,
    name: DrillName,
}

impl MachineFault<'_> {
    /// The unit that is broken, where it is one.
    fn unit(&self) -> Option<UnitFault> {
        let unit = match self.name.kind {
            DrillKind::LbProcess => "haproxy",
            DrillKind::LbKeepalived => "keepalived",
            _ => return None,
        };
        let harm = match self.name.mode {
            FaultMode::Stop => Harm::Stop,
            FaultMode::Crash => Harm::Kill,
            FaultMode::Freeze | FaultMode::Silence => Harm::Freeze,
        };
        let machine = self.machines.first()?;
        let mut fault = UnitFault::new(&machine.name, unit, harm);
        let safety = self.access.pace().of(self.name.lasts()) + MARGIN;
        fault.safety_seconds = u32::try_from(safety.as_secs()).unwrap_or(u32::MAX);
        Some(fault)
    }

    fn names(&self) -> Vec<&str> {
        self.machines.iter().map(|it| it.name.as_str()).collect()
    }

    /// The machines of the fault, as they are now.
    fn found(&self) -> Result<Vec<FoundMachine>, ClusterError> {
        let mut found = self.target.machines().map_err(refused(self))?;
        found.retain(|machine| self.names().contains(&machine.name.as_str()));
        Ok(found)
    }

    fn harm(&self) -> Result<(), ClusterError> {
        let found = self.found()?;
        let machines: Vec<&FoundMachine> = found.iter().filter(|it| it.runs()).collect();
        let (providers, projects) = (self.target.providers(), self.target.dir.projects());
        let done = match self.name.mode {
            FaultMode::Stop => providers.stop(&projects, &machines, GRACE, &|_| {}),
            FaultMode::Crash => providers.harm(&projects, &machines, MachineHarm::Crash),
            FaultMode::Freeze => providers.harm(&projects, &machines, MachineHarm::Freeze),
            FaultMode::Silence => {
                let (lab, access) = (self.lab, self.access);
                let safety = access.pace().of(self.name.lasts()) + MARGIN;
                return each(&self.machines, |machine| {
                    silence::begin(lab, access, machine, safety)
                });
            }
        };
        done.map_err(refused(self))
    }
}

/// Does `act` to all machines at once.
fn each(
    machines: &[Machine],
    act: impl Fn(&Machine) -> Result<(), ClusterError> + Sync,
) -> Result<(), ClusterError> {
    parallel::each(machines, act).into_iter().collect()
}

/// What the lab's providers say, as an error of the cluster that is drilled.
fn refused<'a>(fault: &'a MachineFault<'_>) -> impl Fn(Error) -> ClusterError + 'a {
    |error| match error {
        Error::Vagrant(error) => ClusterError::Machine(error),
        Error::Cluster(error) => error,
        other => ClusterError::NotInTime {
            what: fault.text(),
            seconds: 0,
            why: Some(other.to_string()),
        },
    }
}

impl DrillFault for MachineFault<'_> {
    fn text(&self) -> String {
        match self.unit() {
            Some(unit) => unit.to_string(),
            None => format!("{} {}", self.names().join(", "), self.name.mode.done()),
        }
    }

    fn how(&self) -> String {
        let names = self.names().join(" ");
        match (self.unit(), self.name.mode) {
            (Some(unit), _) => format!("systemctl on {names}: {unit}"),
            (None, FaultMode::Silence) => format!(
                "on {names}: a packet filter that drops everything in both directions but ssh, and announcements of the \
                 virtual address"
            ),
            (None, FaultMode::Stop) => format!("the provider stops {names} in peace"),
            (None, FaultMode::Crash) => {
                format!("the provider kills {names}: docker kill, virsh destroy")
            }
            (None, FaultMode::Freeze) => {
                format!("the provider pauses {names}: docker pause, virsh suspend")
            }
        }
    }

    fn inflict(&self) -> Result<String, ClusterError> {
        if let Some(unit) = self.unit() {
            OverSsh::new(self.lab, self.access).inflict(&unit)?;
            self.run.reached(INFLICTED);
            return Ok(unit.to_string());
        }
        self.harm()?;
        self.run.reached(INFLICTED);
        if self.name.mode == FaultMode::Silence {
            return Ok("the filter is loaded".to_owned());
        }
        let states: BTreeMap<String, String> = (self.found()?.into_iter())
            .map(|machine| (machine.name, machine.state.word().to_owned()))
            .collect();
        let shown: Vec<String> = states
            .iter()
            .map(|(name, state)| format!("{name} {state}"))
            .collect();
        Ok(shown.join(", "))
    }

    fn repair(&self) -> Result<(), ClusterError> {
        if let Some(unit) = self.unit() {
            return OverSsh::new(self.lab, self.access).undo(&unit);
        }
        if self.name.mode == FaultMode::Silence {
            let access = self.access;
            return each(&self.machines, |machine| {
                silence::end(access, machine).map(drop)
            });
        }
        let found = self.found()?;
        let broken: Vec<&FoundMachine> = found.iter().filter(|it| !it.runs()).collect();
        let (providers, projects) = (self.target.providers(), self.target.dir.projects());
        providers.revive(&projects, &broken).map_err(refused(self))
    }
}
