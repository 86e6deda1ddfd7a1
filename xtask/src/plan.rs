//! `cargo xtask plan`: what a lab makes, what would change, and what each failure costs.

mod failure;
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use caravan_host::ranges::{self, Collision};
use caravan_host::{bridges, resolvers};
use caravan_lab::failure::Analysis;
use caravan_lab::{Lab, LabChange, Provider};
use caravan_lifecycle::{
    Keys, LabChoices, LabDir, LabLock, Workspace, files::RenderSources, machines, plan,
};
use caravan_process::shell;
use caravan_render::Settings;
use serde::Serialize;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags;
use crate::kubeconfig;
use crate::show::screen::Screen;
use crate::show::table;
use crate::software;

/// Everything that a plan says, for programs.
#[derive(Serialize)]
struct Report<'a> {
    lab: &'a str,
    kubernetes: String,
    endpoint: String,
    machines: &'a [caravan_lab::Machine],
    /// What runs the machines, by server.
    providers: &'a BTreeMap<String, Provider>,
    airgap: bool,
    /// Whether virtual machines run without the processor's help.
    emulated: bool,
    /// The machines that are there; none where nobody could be asked.
    there: Option<&'a BTreeSet<String>>,
    edits: &'a [LabChange],
    changes: &'a [plan::MachineDiff],
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
    let choices = plan::choices(&lab, &dir, &flags.making.request(), &resolvers(&lab))?;
    let sources = plan::sources(
        workspace,
        &lab,
        &dir,
        &choices,
        software::versions(workspace, &lab)?,
    )?;
    let collisions = ranges::collisions(&lab, &choices.kinds_here(&lab), dir.choices().is_file())?;
    for collision in &collisions {
        let hint = collision.hint();
        screen.warn(&format!("{collision}\n  hint: {hint}"));
    }
    match bridges::check(&lab, |server| choices.provider(&server.name)) {
        Ok(bare) => {
            for bare in bare {
                screen.warn(&format!("{bare}\n  hint: {}", bare.hint()));
            }
        }
        // A plan may be of another computer's lab.
        Err(error) => {
            let hint = error.hint(TOOL).unwrap_or_default();
            screen.warn(&format!("{error}\n  hint: {hint}"));
        }
    }
    let there = there(&lab, &dir, &choices, screen)?;
    let edits = machines::deployed_lab(lab.name(), &dir)
        .map(|then| lab.changes_since(&then))
        .unwrap_or_default();
    if flags.json {
        let changes = plan::compare(&lab, &dir, &sources, there.as_ref())?;
        let analysis = caravan_lab::failure::analyse(&lab);
        let report = Report {
            lab: lab.name(),
            kubernetes: lab.kubernetes().to_string(),
            endpoint: format!("https://{}", lab.api_endpoint()),
            machines: lab.machines(),
            providers: &choices.providers,
            airgap: choices.airgap,
            emulated: choices.emulated,
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
/// [`Error::Lifecycle`].
pub(crate) fn text(
    lab: &Lab,
    dir: &LabDir,
    sources: &RenderSources<'_>,
    there: Option<&BTreeSet<String>>,
    diff: bool,
) -> Result<String, Error> {
    let changes = plan::compare(lab, dir, sources, there)?;
    let analysis = caravan_lab::failure::analyse(lab);
    Ok([
        machines_text(lab, &sources.settings),
        files::text(&changes, diff),
        failure::text(lab, &analysis),
    ]
    .join("\n\n"))
}

/// The machines that are there; of none is known where nobody answers, which is told.
///
/// # Errors
///
/// Only that the user asked to stop.
fn there(
    lab: &Lab,
    dir: &LabDir,
    choices: &LabChoices,
    screen: &Screen,
) -> Result<Option<BTreeSet<String>>, Error> {
    match plan::there(lab, dir, choices) {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.is_interrupt() => Err(error.into()),
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
    let _lock = LabLock::take(dir, lab.name(), "plan --write")?;
    let mut choices = plan::choices_to_write(lab, dir, &flags.making.request(), &resolvers(lab))?;
    for provider in choices.without_image() {
        let made = software::image_for(lab, provider, &flags.origin, false, screen)?;
        choices.images.insert(provider, made);
    }
    Keys::ensure(lab, dir)?;
    let written = plan::sources(
        workspace,
        lab,
        dir,
        &choices,
        software::versions(workspace, lab)?,
    )?
    .write_projects(dir, source, &choices)?;
    screen.say(&format!(
        "{written} files written below `{}`",
        dir.root().display()
    ));
    for server in lab.servers() {
        screen.say(&format!(
            "next: `cd {} && vagrant up`",
            shell::path(&dir.group(&server.name))
        ));
    }
    Ok(())
}

/// Who answers for names outside the lab, of those that its machines can ask.
fn resolvers(lab: &Lab) -> Vec<Ipv4Addr> {
    ranges::usable(lab, &resolvers::nameservers())
}

/// The machines; with what runs them where that is not the same for all, and with what is to be known of virtual ones.
fn machines_text(lab: &Lab, settings: &Settings) -> String {
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
    let kinds: BTreeSet<Provider> = (lab.machines().iter())
        .map(|machine| settings.provider_of(machine))
        .collect();
    let is_mixed = kinds.len() > 1;
    let mut columns = vec!["machine", "role", "address", "memory", "cpus", "server"];
    columns.extend(is_mixed.then_some("provider"));
    let mut table = table::plain(&columns);
    for machine in lab.machines() {
        let mut row = vec![
            machine.name.clone(),
            machine.role.to_string(),
            machine.ip.to_string(),
            format!("{} MiB", machine.memory_mib),
            machine.cpus.to_string(),
            machine.server.clone(),
        ];
        row.extend(is_mixed.then(|| settings.provider_of(machine).to_string()));
        table.add_row(row);
    }
    let how = match (kinds.contains(&Provider::Libvirt), settings.emulated) {
        (false, _) => "",
        (true, true) => {
            "\nlibvirt's machines are emulated: some ten times slower, and given more time"
        }
        (true, false) => "\nlibvirt's machines run by KVM",
    };
    format!("{head}{how}\n\n{}", table::text(&table))
}
