//! `cargo xtask up`: whatever of a lab is missing or broken comes up, and is verified.

mod closing;

use caravan_cluster::timeline::PhaseOutcome;
use caravan_cluster::verify::{Depth, Report};
use caravan_host::hypervisor::{self, KvmFinding};
use caravan_host::{Purpose, bridges, needs, ranges, resolvers, room, virtualbox};
use caravan_lab::{Lab, Provider, Server};
use caravan_lifecycle::up::{self, Up, UpOutcome, UpPlan, UpRequest};
use caravan_lifecycle::{
    Keys, LabChoices, LabLock, LabProviders, LabRun, Workspace, outcome_of, vagrant_at_work,
};
use caravan_process::interrupt;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::show::report;
use crate::show::screen::{self, Screen};
use crate::{doctor, flags, kubeconfig, setup, software, verify};

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Up,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let (lab, source) = workspace.lab(&flags.lab)?;
    report::warnings(&workspace.lab_file(lab.name()), &source, lab.warnings());
    let wanted = up::wanted(&lab, flags.server.as_deref(), &flags.machines)?;
    let dir = workspace.state(lab.name());
    if let Some(problem) = kubeconfig::colon(&dir.kubeconfig()) {
        screen.warn(&problem);
    }
    dir.make()?;
    let _lock = LabLock::take(&dir, lab.name(), "up")?;
    vagrant_at_work::wait(lab.name(), &dir, screen)?;
    let run = LabRun::begin("up", lab.name(), &dir, screen);
    let request = UpRequest {
        workspace,
        lab: &lab,
        source: &source,
        dir: &dir,
        wanted: &wanted,
        asked: flags.making.request(),
        resolvers: ranges::usable(&lab, &resolvers::nameservers()),
        new_cluster: flags.new_cluster,
        tool: TOOL,
    };
    let up = Up::new(&request, &run);
    let ended = bring_up(flags, &request, &up, &run, screen);
    screen.clear();
    let timeline = run.finish(ended.as_ref().err().map_or(PhaseOutcome::Done, outcome_of));
    match &ended {
        Ok((UpOutcome::NothingToDo, _)) => screen.say(&format!(
            "nothing to do: lab `{}` is up and well",
            lab.name()
        )),
        Ok((_, report)) => closing::tables(&request, &run, &timeline, report.as_ref(), screen),
        // Before that, nothing was touched, and the error says all.
        Err(_) if up.has_begun() => closing::what_is_left(&lab, &dir, screen),
        Err(_) => {}
    }
    ended.map(|(_, report)| report.map_or(Exit::Done, |it| verify::verdict(&it)))
}

/// Brings it up, step by step; returns what the quick verification found, if all machines are ready that were not before.
fn bring_up(
    flags: &flags::Up,
    request: &UpRequest<'_>,
    up: &Up<'_>,
    run: &LabRun<'_>,
    screen: &Screen,
) -> Result<(UpOutcome, Option<Report>), Error> {
    let lab = request.lab;
    let mut plan = run.step("preflight", || preflight(flags, request, up, screen))?;
    if plan.lost.is_some() {
        run.step("remove", || up.remove_what_is_left(&mut plan))?;
    }
    let keys = run.step("keys", || Keys::ensure(lab, request.dir))?;
    for provider in plan.choices.without_image() {
        let made = run.step("software", || {
            let (origin, yes) = (&flags.origin, flags.yes);
            software::image_for(lab, provider, origin, yes, screen)
        })?;
        plan.choices.images.insert(provider, made);
    }
    let sources = run.step("files", || {
        Ok::<_, Error>(up.write_files(&plan, &keys, software::versions(lab)?)?)
    })?;
    let outcome = up.converge(&plan, &keys, &sources)?;
    if outcome != UpOutcome::Ready {
        return Ok((outcome, None));
    }
    let report = run.step("verify", || {
        let (access, airgap) = (keys.access(request.dir)?, plan.choices.airgap);
        verify::checked(lab, &access, request.dir, airgap, Depth::Quick, screen)
    })?;
    Ok((outcome, Some(report)))
}

/// What must be true before anything is made, and what there is to do.
fn preflight(
    flags: &flags::Up,
    request: &UpRequest<'_>,
    up: &Up<'_>,
    screen: &Screen,
) -> Result<UpPlan, Error> {
    let UpRequest { lab, dir, .. } = *request;
    up::hold_here(lab, request.wanted)?;
    let before = LabChoices::read(dir)?;
    let by_virtualbox = |choices: &LabChoices| {
        LabProviders::of(lab, choices).servers_here(lab, Provider::VirtualBox)
    };
    // Whoever runs its machines is asked for them soon; what is asked for now may be refused before it matters.
    let asked_soon = match &before {
        Some(before) => before.clone(),
        None => LabChoices::settle(lab, &request.asked, None, false)?,
    };
    if !by_virtualbox(&asked_soon).is_empty() {
        virtualbox::hold_installed()?;
    }
    let choices = match before.filter(|_| request.asked.says_nothing_of_providers()) {
        Some(before) => before,
        None => LabChoices::settle(lab, &request.asked, None, false)?,
    };
    tell_bridges(lab, &choices, screen)?;
    let has_image = !request.asked.images.is_empty() || choices.without_image().is_empty();
    let mut running = Purpose::running(choices.kinds_here(lab));
    // Only libvirt's part of Vagrant is a package of its own, and may lack where all else is here.
    running.first = running.libvirt && !has_image;
    // Where no machine can be yet, all that this run will need, so that it asks once.
    let purpose = match has_image || needs::all_met(running) {
        true => running,
        false => running.and(software::purpose(
            lab,
            choices.without_image(),
            &flags.origin,
        )?),
    };
    setup::ensure(purpose, flags.yes, screen)?;
    let plan = up.survey()?;
    if let Some(lost) = plan.cluster_lost(lab.name()) {
        agree_to_loss(flags, lost, screen)?;
    }
    if !plan.todo.is_empty() {
        let is_asked = |server: &Server| {
            let mut todo = plan.todo.iter().filter_map(|name| lab.machine(name));
            todo.any(|machine| machine.server == server.name)
        };
        let mut servers = by_virtualbox(&plan.choices);
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
        tell_emulation(lab, &plan, screen);
        for scarce in room::check(lab, &plan.choices.kinds_here(lab), dir.root())? {
            screen.warn(&scarce.text(doctor::COMMANDS));
        }
    }
    tell_ranges(lab, &plan, screen)?;
    Ok(plan)
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
