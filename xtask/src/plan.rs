//! `cargo xtask plan`: what a lab makes, what would change, and what each failure costs.

mod failure;
mod files;

use std::collections::BTreeSet;

use caravan_host::ranges::{self, Collision};
use caravan_lab::failure::Analysis;
use caravan_lab::{Lab, LabChange, Machine, Provider, Server};
use caravan_process::shell;
use caravan_render::Material;
use serde::Serialize;

use crate::error::Error;
use crate::exit::Exit;
use crate::files::Sources;
use crate::flags;
use crate::keys::Keys;
use crate::kubeconfig;
use crate::lab_dir::LabDir;
use crate::machines;
use crate::settings;
use crate::show::screen::Screen;
use crate::show::table;
use crate::software;
use crate::state::choices::Choices;
use crate::state::lock::Lock;
use crate::workspace::{Workspace, read_lab};

/// Everything that a plan says, for programs.
#[derive(Serialize)]
struct Report<'a> {
    lab: &'a str,
    kubernetes: String,
    endpoint: String,
    machines: &'a [caravan_lab::Machine],
    /// The machines that are there; none where nobody could be asked.
    there: Option<&'a BTreeSet<String>>,
    edits: &'a [LabChange],
    changes: &'a [files::MachineChange],
    collisions: &'a [Collision],
    failures: &'a Analysis,
}

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Plan,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let (lab, source) = workspace.lab(&flags.lab)?;
    crate::show::report::warnings(&workspace.lab_file(lab.name()), &source, lab.warnings());
    let dir = workspace.state(lab.name());
    if let Some(problem) = kubeconfig::colon(&dir.kubeconfig()) {
        screen.warn(&problem);
    }
    if flags.write {
        write(flags, workspace, screen, &lab, &source, &dir)?;
    }
    let choices = choices(flags, &lab, &dir)?;
    let sources = sources(workspace, &lab, &dir, &choices)?;
    let collisions = ranges::collisions(&lab, choices.provider, dir.choices().is_file())?;
    for collision in &collisions {
        let hint = collision.hint();
        screen.warn(&format!("{collision}\n  hint: {hint}"));
    }
    let there = there(&lab, &dir, choices.provider, screen)?;
    let edits = machines::deployed_lab(lab.name(), &dir)
        .map(|then| lab.changes_since(&then))
        .unwrap_or_default();
    if flags.json {
        let changes = files::compare(&lab, &dir, &sources, there.as_ref())?;
        let analysis = caravan_lab::failure::analyse(&lab);
        let report = Report {
            lab: lab.name(),
            kubernetes: lab.kubernetes().to_string(),
            endpoint: format!("https://{}", lab.api_endpoint()),
            machines: lab.machines(),
            there: there.as_ref(),
            edits: &edits,
            changes: &changes,
            collisions: &collisions,
            failures: &analysis,
        };
        println!(
            "{}",
            serde_json::to_string_pretty(&report).expect("plain data")
        );
        return Ok(Exit::Done);
    }
    for edit in &edits {
        println!("edited: {edit}");
    }
    println!(
        "{}",
        text(&lab, &dir, &sources, there.as_ref(), flags.diff)?
    );
    Ok(Exit::Done)
}

/// All that a plan says to people: machines, changes, failures.
///
/// # Errors
///
/// [`Error::Render`], [`Error::Read`].
pub(crate) fn text(
    lab: &Lab,
    dir: &LabDir,
    sources: &Sources<'_>,
    there: Option<&BTreeSet<String>>,
    diff: bool,
) -> Result<String, Error> {
    let changes = files::compare(lab, dir, sources, there)?;
    let analysis = caravan_lab::failure::analyse(lab);
    Ok([
        machines_text(lab),
        files::text(&changes, diff),
        failure::text(lab, &analysis),
    ]
    .join("\n\n"))
}

/// The machines that are there. Where nobody answers, a lab that was never given anything has none; of any other it is told
/// that nobody knows.
///
/// # Errors
///
/// Only that the user asked to stop.
fn there(
    lab: &Lab,
    dir: &LabDir,
    provider: Provider,
    screen: &Screen,
) -> Result<Option<BTreeSet<String>>, Error> {
    let given = |machine: &Machine| crate::files::is_deployed(dir, &machine.name);
    if !lab.machines().iter().any(given) {
        return Ok(Some(BTreeSet::new()));
    }
    match machines::of(lab.name(), provider, dir) {
        Ok(found) => Ok(Some(
            found.into_iter().map(|machine| machine.name).collect(),
        )),
        Err(error) if error.is_interrupt() => Err(error),
        Err(error) => {
            screen.warn(&format!(
                "cannot ask which machines of lab `{}` are there: {error}; the plan compares with the files that they were \
                 given last, and a machine that is gone is not seen",
                lab.name()
            ));
            Ok(None)
        }
    }
}

/// What was chosen when the machines were made, else what is asked for now.
fn choices(flags: &flags::Plan, lab: &Lab, dir: &LabDir) -> Result<Choices, Error> {
    let before = Choices::read(dir)?;
    let made = before.is_some();
    let mut choices = Choices::settle(lab, &flags.making, before, made)?;
    choices.ask_here(lab);
    Ok(choices)
}

/// What would be rendered; words stand for keys that are not made yet.
pub(crate) fn sources<'a>(
    workspace: &Workspace,
    lab: &'a Lab,
    dir: &LabDir,
    choices: &Choices,
) -> Result<Sources<'a>, Error> {
    Ok(Sources {
        lab,
        software: software::versions(lab)?,
        settings: settings::of(choices),
        material: match Keys::load(lab, dir) {
            Some(keys) => keys.material(lab)?,
            None => Material::placeholder(lab)?,
        },
        template: workspace.vagrantfile_template()?,
    })
}

/// Writes the Vagrant projects of all servers, with keys and image, so that Vagrant alone can go on.
fn write(
    flags: &flags::Plan,
    workspace: &Workspace,
    screen: &Screen,
    lab: &Lab,
    source: &str,
    dir: &LabDir,
) -> Result<(), Error> {
    dir.make()?;
    let _lock = Lock::take(dir, lab.name(), "plan --write")?;
    let before = Choices::read(dir)?;
    let provider = before
        .as_ref()
        .map_or(Provider::Docker, |choices| choices.provider);
    let is_described = before.is_some() || dir.deployed_lab().exists();
    let found = machines::of(lab.name(), provider, dir);
    let exist = match &found {
        Ok(found) => !found.is_empty(),
        Err(error) if error.is_interrupt() => return Err(Error::Interrupted),
        // There may be machines: what describes them stays.
        Err(_) => is_described,
    };
    if exist && dir.deployed_lab().exists() {
        // One that cannot be read any more describes them all the same.
        let (then, _) = read_lab(lab.name(), &dir.deployed_lab())?;
        let changes = lab.changes_since(&then);
        if !changes.is_empty() {
            return Err(match found {
                Ok(_) => Error::Edited {
                    lab: lab.name().to_owned(),
                    changes,
                },
                Err(error) => Error::EditedUnasked {
                    lab: lab.name().to_owned(),
                    changes,
                    source: Box::new(error),
                },
            });
        }
    }
    let mut choices = Choices::settle(lab, &flags.making, before, exist)?;
    choices.ask_here(lab);
    if choices.provider == Provider::Docker && choices.image.is_none() {
        let minor = lab.kubernetes().to_string();
        let network = software::network(lab.pod_network());
        let made = software::image(&minor, network, &flags.origin, false, screen)?;
        choices.image = Some(made);
    }
    Keys::ensure(lab, dir)?;
    let servers: Vec<&Server> = lab.servers().iter().collect();
    let written = sources(workspace, lab, dir, &choices)?.write(dir, &servers)?;
    caravan_files::make_private_folder(&dir.deployed())?;
    caravan_files::write_if_changed(&dir.deployed_lab(), 0o600, source.as_bytes())?;
    choices.write(dir)?;
    screen.say(&format!(
        "{written} files written below `{}`",
        dir.root().display()
    ));
    for server in servers {
        screen.say(&format!(
            "next: `cd {} && vagrant up`",
            shell::path(&dir.group(&server.name))
        ));
    }
    Ok(())
}

fn machines_text(lab: &Lab) -> String {
    let memory: u32 = lab
        .machines()
        .iter()
        .map(|machine| machine.memory_mib)
        .sum();
    let cpus: u32 = lab
        .machines()
        .iter()
        .map(|machine| u32::from(machine.cpus))
        .sum();
    let head = format!(
        "lab {}: Kubernetes {}, endpoint https://{}, {} machines on {} servers, {memory} MiB, {cpus} CPUs",
        lab.name(),
        lab.kubernetes(),
        lab.api_endpoint(),
        lab.machines().len(),
        lab.servers().len(),
    );
    let mut table = table::plain(&["machine", "role", "address", "memory", "cpus", "server"]);
    for machine in lab.machines() {
        table.add_row([
            machine.name.clone(),
            machine.role.to_string(),
            machine.ip.to_string(),
            format!("{} MiB", machine.memory_mib),
            machine.cpus.to_string(),
            machine.server.clone(),
        ]);
    }
    format!("{head}\n\n{}", table::text(&table))
}
