//! Bare machines against the whole of `up`, in one run: the same machines from the same image, first with nothing to do.

mod floor;
mod recorded;
mod tables;
mod usage;

use std::time::{Duration, Instant};

use caravan_cluster::timeline::RUN;
use caravan_cluster::timeline::critical::{self, Link};
use caravan_lab::{Lab, Provider, Role};
use caravan_lifecycle::{Workspace, machines};
use caravan_process::interrupt;
use serde::Serialize;

use self::recorded::Mark;
use self::usage::Cpu;
use crate::destroy;
use crate::error::Error;
use crate::exit::Exit;
use crate::flags::{self, Making, Origin};
use crate::show::screen::Screen;

/// How long the lab is left alone before its memory is read: what starting it took is given back by then.
const SETTLE: Duration = Duration::from_secs(15);

/// What was asked for.
pub(super) struct Asked<'a> {
    pub(super) lab: &'a str,
    pub(super) making: &'a Making,
    pub(super) origin: &'a Origin,
    pub(super) keep: bool,
    pub(super) json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Figures {
    lab: String,
    machines: usize,
    /// The CPUs of this computer.
    cpus: usize,
    /// Bare machines.
    floor: Leg,
    /// All of `up`.
    full: Leg,
    /// A second `up`, which finds nothing to do.
    again_seconds: f64,
    /// `destroy`; none where the lab is kept.
    destroy_seconds: Option<f64>,
    /// How many times the floor the full takes.
    ratio: f64,
    /// Whether every promise held in the end.
    verified: bool,
    /// What was reached when, in the full run.
    marks: Vec<Mark>,
    /// What decided how long the full run took.
    critical_path: Vec<Link>,
    /// The idle lab's memory, machine by machine; none where it cannot be read from outside.
    memory: Option<Vec<Memory>>,
}

/// One of the two runs.
#[derive(Debug, Serialize)]
struct Leg {
    seconds: f64,
    cpu: Cpu,
}

/// The memory of one machine.
#[derive(Debug, Serialize)]
struct Memory {
    machine: String,
    role: Role,
    mib: f64,
}

/// Measures, and destroys what it made unless it is to be kept. After an `up` that failed, its machines stay for a look.
///
/// # Errors
///
/// [`Error::Occupied`] where the lab has machines, and all those of `up` and `destroy`.
pub(super) fn run(
    asked: &Asked<'_>,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let (lab, _) = workspace.lab(asked.lab)?;
    let floor = floor::measure(asked, &lab, workspace, screen)?;
    screen.done(RUN, &format!("the floor is {:.1} s", floor.seconds));
    let (full, exit) = full(asked, &lab, workspace, screen)?;
    let dir = workspace.state(lab.name());
    let timeline = recorded::newest(&dir)?;
    let back_unix_ms = recorded::last_said_unix_ms(&lab, &dir);
    let memory = memory(&lab, workspace, screen)?;
    let began = Instant::now();
    crate::up::run(&up_flags(asked, &lab), workspace, screen)?;
    let again_seconds = began.elapsed().as_secs_f64();
    let destroy_seconds = if asked.keep {
        None
    } else {
        let began = Instant::now();
        remove(lab.name(), workspace, screen)?;
        Some(began.elapsed().as_secs_f64())
    };
    screen.clear();
    let figures = Figures {
        lab: lab.name().to_owned(),
        machines: lab.machines().len(),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        ratio: full.seconds / floor.seconds,
        floor,
        full,
        again_seconds,
        destroy_seconds,
        verified: exit == Exit::Done,
        marks: recorded::marks(&timeline, back_unix_ms),
        critical_path: critical::path(&timeline.spans),
        memory,
    };
    super::print(asked.json, &figures, tables::text);
    Ok(exit)
}

/// All of `up`, by its own entry.
fn full(
    asked: &Asked<'_>,
    lab: &Lab,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<(Leg, Exit), Error> {
    let flags = up_flags(asked, lab);
    let before = Cpu::now(&[]);
    let began = Instant::now();
    let exit = crate::up::run(&flags, workspace, screen)?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = Cpu::now(&ids(lab, workspace)?).since(&before);
    Ok((Leg { seconds, cpu }, exit))
}

fn up_flags(asked: &Asked<'_>, lab: &Lab) -> flags::Up {
    flags::Up {
        lab: lab.name().to_owned(),
        machines: Vec::new(),
        server: None,
        new_cluster: false,
        yes: false,
        making: asked.making.clone(),
        origin: asked.origin.clone(),
    }
}

/// The engine's ids of the lab's machines, by their names; none where they are no containers.
fn ids(lab: &Lab, workspace: &Workspace) -> Result<Vec<(String, String)>, Error> {
    let found = machines::of(lab.name(), Provider::Docker, &workspace.state(lab.name()))?;
    Ok(found
        .into_iter()
        .filter_map(|machine| Some((machine.name, machine.id?)))
        .collect())
}

/// The memory of the lab when nobody asks it for anything.
fn memory(lab: &Lab, workspace: &Workspace, screen: &Screen) -> Result<Option<Vec<Memory>>, Error> {
    screen.now(RUN, "lets the lab settle, to see its idle memory");
    let began = Instant::now();
    while began.elapsed() < SETTLE {
        if interrupt::raised() {
            return Err(Error::interrupted());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let ids = ids(lab, workspace)?;
    Ok(lab
        .machines()
        .iter()
        .map(|machine| {
            let (_, id) = ids.iter().find(|(name, _)| *name == machine.name)?;
            Some(Memory {
                machine: machine.name.clone(),
                role: machine.role,
                mib: usage::memory_bytes(id)? as f64 / f64::from(1 << 20),
            })
        })
        .collect())
}

/// Removes a lab's machines, network and state.
fn remove(lab: &str, workspace: &Workspace, screen: &Screen) -> Result<(), Error> {
    let flags = flags::Destroy {
        lab: lab.to_owned(),
        machines: Vec::new(),
        yes: true,
    };
    destroy::run(&flags, workspace, screen).map(drop)
}
