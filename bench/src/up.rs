//! Bare machines against the whole of `up`, in one run: the same machines from the same image, first with nothing to do.

mod floor;
mod recorded;
mod tables;
mod usage;

use std::time::{Duration, Instant};

use caravan_cluster::timeline::RUN;
use caravan_cluster::timeline::critical::{self, Link};
use caravan_files::WriteError;
use caravan_lab::{Lab, Provider, Role};
use caravan_lifecycle::{ChoiceRequest, ImageRequest, LabDir, LabProviders, ProviderChoice};
use caravan_process::interrupt;
use clap::Args;
use clap::builder::BoolishValueParser;
use serde::Serialize;

use self::recorded::Mark;
use self::usage::Cpu;
use crate::Bench;
use crate::error::Error;

/// How long the lab is left alone before its memory is read: what starting it took is given back by then.
const SETTLE: Duration = Duration::from_secs(15);

/// What is measured, and how the lab is made. The tool has read and checked it.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// The lab; it must have no machines
    lab: String,
    /// Leave the lab up afterwards
    #[arg(long)]
    keep: bool,
    /// What runs the machines, where that is said
    #[arg(long)]
    provider: Vec<ProviderChoice>,
    /// Give the machines no way out of the lab
    #[arg(long)]
    airgap: bool,
    /// Use this machine image instead of baking one
    #[arg(long)]
    image: Vec<ImageRequest>,
    /// Whether virtual machines are emulated, where that is said
    #[arg(long, require_equals = true, value_parser = BoolishValueParser::new())]
    emulated: Option<bool>,
    /// Where software comes from
    #[arg(long)]
    source: String,
    /// The operating system of machines
    #[arg(long)]
    base: String,
}

impl Flags {
    /// What is asked for, as the lab's choices are settled by. Machines with nothing to do are the same, emulated or not.
    fn request(&self) -> ChoiceRequest {
        let mut asked = ChoiceRequest {
            airgap: self.airgap,
            emulated: self.emulated,
            images: self.image.clone(),
            ..ChoiceRequest::default()
        };
        asked.take_providers(&self.provider);
        asked
    }

    /// The flags of `up` that say the same.
    fn as_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for provider in &self.provider {
            words.extend(["--provider".to_owned(), provider.to_string()]);
        }
        for image in &self.image {
            words.extend(["--image".to_owned(), image.to_string()]);
        }
        words.extend(self.airgap.then(|| "--airgap".to_owned()));
        words.extend(
            self.emulated
                .map(|emulated| format!("--emulated={emulated}")),
        );
        words.extend(self.origin().map(str::to_owned));
        words
    }

    /// The flags that say where software comes from.
    fn origin(&self) -> [&str; 4] {
        ["--source", &self.source, "--base", &self.base]
    }
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
pub(crate) fn run(flags: &Flags, bench: &Bench) -> Result<u8, Error> {
    let (workspace, screen) = (&bench.workspace, &bench.screen);
    let (lab, _) = workspace.lab(&flags.lab)?;
    let floor = floor::measure(flags, &lab, bench)?;
    screen.done(RUN, &format!("the floor is {:.1} s", floor.seconds));
    let (full, status) = full(flags, &lab, bench)?;
    let dir = workspace.state(lab.name());
    let timeline = recorded::newest(&dir)?;
    let back_unix_ms = recorded::last_said_unix_ms(&lab, &dir);
    let memory = memory(&lab, bench)?;
    let began = Instant::now();
    up(flags, &lab, bench)?;
    let again_seconds = began.elapsed().as_secs_f64();
    let destroy_seconds = if flags.keep {
        None
    } else {
        let began = Instant::now();
        remove(lab.name(), bench)?;
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
        verified: status == 0,
        marks: recorded::marks(&timeline, back_unix_ms),
        critical_path: critical::path(&timeline.spans),
        memory,
    };
    // They are shown whether or not they can be kept.
    if let Err(error) = keep(&dir, &figures) {
        screen.warn(&format!("the figures are not kept for `report`: {error}"));
    }
    bench.print(&figures, tables::text);
    Ok(status)
}

/// Keeps the figures for `report`: the lab's own folder may have gone with its machines.
fn keep(dir: &LabDir, figures: &Figures) -> Result<(), WriteError> {
    let text = serde_json::to_vec_pretty(figures).expect("figures are plain data");
    let file = dir.bench();
    if let Some(folder) = file.parent() {
        caravan_files::make_private_folder(folder)?;
    }
    caravan_files::write_if_changed(&file, 0o600, &text)?;
    Ok(())
}

/// All of `up`, as a user starts it; 0 where every promise held.
fn full(flags: &Flags, lab: &Lab, bench: &Bench) -> Result<(Leg, u8), Error> {
    let before = Cpu::now(&[]);
    let began = Instant::now();
    let status = up(flags, lab, bench)?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = Cpu::now(&ids(lab, bench)?).since(&before);
    Ok((Leg { seconds, cpu }, status))
}

fn up(flags: &Flags, lab: &Lab, bench: &Bench) -> Result<u8, Error> {
    let more = flags.as_words();
    let words = ["up", lab.name()].into_iter();
    let words = words.chain(more.iter().map(String::as_str));
    bench.tool.run(bench.tool.call(words))
}

/// The engine's ids of the lab's machines, by their names; none where they are no containers.
fn ids(lab: &Lab, bench: &Bench) -> Result<Vec<(String, String)>, caravan_lifecycle::Error> {
    let dir = bench.workspace.state(lab.name());
    let engine = LabProviders::one(Provider::Docker);
    let found = engine.machines(lab.name(), &dir.projects())?;
    Ok(found
        .into_iter()
        .filter_map(|machine| Some((machine.name, machine.id?)))
        .collect())
}

/// The memory of the lab when nobody asks it for anything.
fn memory(lab: &Lab, bench: &Bench) -> Result<Option<Vec<Memory>>, Error> {
    bench
        .screen
        .now(RUN, "lets the lab settle, to see its idle memory");
    let began = Instant::now();
    while began.elapsed() < SETTLE {
        if interrupt::raised() {
            return Err(caravan_lifecycle::Error::Interrupted.into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bench.screen.clear();
    let ids = ids(lab, bench)?;
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
fn remove(lab: &str, bench: &Bench) -> Result<(), Error> {
    bench.screen.clear();
    let call = bench.tool.call(["destroy", lab, "--yes"]);
    bench.tool.run(call).map(drop)
}
