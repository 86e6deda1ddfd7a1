//! What is looked at before anything of a lab is made.

use caravan_host::computers::{ComputerFaultKind, ComputerSurvey};
use caravan_host::hypervisor::{self, KvmFinding};
use caravan_host::{Purpose, bridges, needs, ranges, room, virtualbox};
use caravan_lab::{Lab, Provider, Server};
use caravan_lifecycle::up::{self, Up, UpPlan, UpRequest};
use caravan_lifecycle::{LabChoices, LabDir, LabProviders};
use caravan_process::interrupt;

use crate::error::Error;
use crate::show::screen::{self, Screen};
use crate::{doctor, flags, setup, software};

/// What must be true before anything is made, and what there is to do.
pub(super) fn check(
    flags: &flags::Up,
    request: &UpRequest<'_>,
    survey: &ComputerSurvey<'_>,
    up: &Up<'_>,
    screen: &Screen,
) -> Result<UpPlan, Error> {
    let lab = request.lab;
    let choices = expected_choices(request)?;
    up::hold_drivable(lab, &choices, request.wanted)?;
    tell_bridges(lab, &choices, screen)?;
    setup::ensure(purpose(flags, request, &choices)?, flags.yes, screen)?;
    let plan = up.survey()?;
    if let Some(lost) = plan.cluster_lost(lab.name()) {
        agree_to_loss(flags, lost, screen)?;
    }
    if !plan.todo.is_empty() {
        hold_room(request, &plan, screen)?;
        hold_computers(request, survey, &plan, screen)?;
    }
    tell_ranges(lab, &plan, screen)?;
    Ok(plan)
}

/// What will hold for the lab if nothing refuses it: what was chosen when its machines were made, unless something is said
/// of providers now.
fn expected_choices(request: &UpRequest<'_>) -> Result<LabChoices, Error> {
    let UpRequest { lab, dir, .. } = *request;
    let before = LabChoices::read(dir)?;
    let settled = || LabChoices::settle(lab, &request.asked, None, false);
    // Whoever runs its machines is asked for them soon; what is asked for now may be refused before it matters.
    let asked_soon = before.clone().map_or_else(settled, Ok)?;
    if !by_virtualbox(lab, &asked_soon, dir).is_empty() {
        virtualbox::hold_installed()?;
    }
    let before = before.filter(|_| request.asked.says_nothing_of_providers());
    Ok(before.map_or_else(settled, Ok)?)
}

/// The servers here whose machines VirtualBox runs.
fn by_virtualbox<'a>(lab: &'a Lab, choices: &LabChoices, dir: &LabDir) -> Vec<&'a Server> {
    LabProviders::of(lab, choices, dir).servers_here(lab, Provider::VirtualBox)
}

/// What this computer needs for the run.
fn purpose(
    flags: &flags::Up,
    request: &UpRequest<'_>,
    choices: &LabChoices,
) -> Result<Purpose, Error> {
    let has_image = !request.asked.images.is_empty() || choices.without_image().is_empty();
    let mut running = Purpose::running(choices.kinds_here(request.lab));
    // Only libvirt's part of Vagrant is a package of its own, and may lack where all else is here.
    running.first = running.libvirt && !has_image;
    // Where no machine can be yet, all that this run will need, so that it asks once.
    if has_image || needs::all_met(running) {
        return Ok(running);
    }
    let making = software::purpose(request.lab, choices.without_image(), &flags.origin)?;
    Ok(running.and(making))
}

/// Holds that this computer can run the machines that are to be made, and tells what is scarce.
fn hold_room(request: &UpRequest<'_>, plan: &UpPlan, screen: &Screen) -> Result<(), Error> {
    let UpRequest { lab, dir, .. } = *request;
    let is_asked = |server: &Server| {
        let mut todo = plan.todo.iter().filter_map(|name| lab.machine(name));
        todo.any(|machine| machine.server == server.name)
    };
    let mut servers = by_virtualbox(lab, &plan.choices, dir);
    servers.retain(|server| is_asked(server));
    virtualbox::hold(lab, &servers)?;
    for kind in plan.choices.kinds_here(lab) {
        let is_new = |name: &&String| {
            let is_there = plan.found.iter().any(|it| it.name == **name);
            let machine = lab.machine(name);
            !is_there && machine.is_some_and(|it| plan.choices.provider(&it.server) == kind)
        };
        room::hold_disks(kind, plan.todo.iter().filter(is_new).count())?;
    }
    tell_emulation(lab, plan, screen);
    for scarce in room::check(lab, &plan.choices.kinds_here(lab), dir.root())? {
        screen.warn(&scarce.text(doctor::COMMANDS));
    }
    Ok(())
}

/// Holds that the other computers can run the machines that are to be made there, and tells what may be in the way. Those
/// that do not answer were told of.
fn hold_computers(
    request: &UpRequest<'_>,
    survey: &ComputerSurvey<'_>,
    plan: &UpPlan,
    screen: &Screen,
) -> Result<(), Error> {
    let running = plan.found.iter().filter(|machine| machine.runs());
    let there = running.map(|machine| machine.name.as_str()).collect();
    let faults = survey.faults(request.lab, |it| plan.choices.provider(&it.name), &there);
    let (forbidden, weak): (Vec<_>, Vec<_>) = (faults.into_iter())
        .filter(|fault| !matches!(fault.kind, ComputerFaultKind::Silent { .. }))
        .partition(|fault| fault.kind.forbids());
    for fault in weak {
        screen.warn(&format!("{fault}\n  hint: {}", fault.hint()));
    }
    match forbidden.is_empty() {
        true => Ok(()),
        false => Err(caravan_host::Error::Computers { faults: forbidden }.into()),
    }
}

/// Asks whether a new cluster may be made in the place of one whose data was lost. `--yes` is no answer to that: a script
/// that says so means that something may be installed.
fn agree_to_loss(
    flags: &flags::Up,
    lost: caravan_lifecycle::Error,
    screen: &Screen,
) -> Result<(), Error> {
    if flags.new_cluster {
        screen.warn(&lost.to_string());
        return Ok(());
    }
    if screen::ask(&format!(
        "{lost}\nremove what is left of it, and make a new, empty cluster?"
    )) {
        return Ok(());
    }
    Err(match interrupt::raised() {
        true => Error::interrupted(),
        false => lost.into(),
    })
}

/// Holds that the lab's bridges are here; tells of machines that this computer would not reach.
fn tell_bridges(lab: &Lab, choices: &LabChoices, screen: &Screen) -> Result<(), Error> {
    for bare in bridges::check(lab, |server| choices.provider(&server.name))? {
        screen.warn(&format!("{bare}\n  hint: {}", bare.hint()));
    }
    Ok(())
}

/// Tells why virtual machines are slow here, where they are.
fn tell_emulation(lab: &Lab, plan: &UpPlan, screen: &Screen) {
    let choices = &plan.choices;
    if choices.emulated
        && choices.kinds_here(lab).contains(&Provider::Libvirt)
        && let KvmFinding::Unusable(seen) = hypervisor::kvm()
    {
        screen.warn(&format!(
            "{seen}; virtual machines are emulated: expect minutes"
        ));
    }
}

/// Tells of this computer's resolvers and routes in the lab's ranges.
fn tell_ranges(lab: &Lab, plan: &UpPlan, screen: &Screen) -> Result<(), Error> {
    let was_made = !plan.found.is_empty();
    for collision in ranges::collisions(lab, &plan.choices.kinds_here(lab), was_made)? {
        let hint = collision.hint();
        screen.warn(&format!("{collision}\n  hint: {hint}"));
    }
    if !plan.choices.airgap && plan.choices.nameservers.is_empty() {
        screen.warn(
            "this computer has no resolver that machines could ask: names outside the lab are not found there",
        );
    }
    Ok(())
}
