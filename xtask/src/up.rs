//! `cargo xtask up`: whatever of a lab is missing or broken comes up, and is verified.

mod closing;
mod preflight;

use std::time::Duration;

use caravan_cluster::timeline::PhaseOutcome;
use caravan_cluster::verify::{Depth, Report};
use caravan_host::computers::ComputerSurvey;
use caravan_host::{ranges, resolvers};
use caravan_lab::{Lab, Machine};
use caravan_lifecycle::settings::SettingsCheck;
use caravan_lifecycle::up::{self, Up, UpOutcome, UpRequest};
use caravan_lifecycle::{
    Interruptible as _, Keys, LabComputers, LabDir, LabLock, LabRun, LabTarget, OperationRecord,
    Workspace, outcome_of, vagrant_at_work,
};
use caravan_process::interrupt;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::show::report;
use crate::show::screen::Screen;
use crate::{drill, flags, kubeconfig, software, verify};

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
    drill::mend(&LabTarget::of(workspace, Some(lab.name()))?, screen)?;
    up::hold_no_operation(&lab, &dir, &wanted)?;
    let computers = LabComputers::of(&lab, &dir);
    let (wanted, mut silent) = up::answering(&computers, wanted);
    if wanted.is_empty()
        && let Some(one) = silent.pop()
    {
        return Err(caravan_lifecycle::Error::Silent(Box::new(one)).into());
    }
    vagrant_at_work::wait(lab.name(), &dir, &computers, screen)?;
    let run = LabRun::begin("up", lab.name(), &dir, screen);
    let survey = ComputerSurvey::of(&lab, |host| computers.computer(host));
    let place = UpPlace {
        workspace,
        lab: &lab,
        source: &source,
        dir: &dir,
    };
    let request = place.request(flags, &wanted, &survey);
    let up = Up::new(&request, &run);
    if let Some(limit) = flags.timeout {
        give_up_after(limit.unsigned_abs());
    }
    let mut ended = bring_up(flags, &request, &survey, &up, &run, screen);
    if let (Some(limit), Err(error)) = (flags.timeout, &ended)
        && error.is_interrupt()
        && interrupt::expired()
    {
        ended = Err(Error::NotInTime {
            lab: lab.name().to_owned(),
            limit,
        });
    }
    if ended.is_ok()
        && let Some(one) = silent.pop()
    {
        ended = Err(caravan_lifecycle::Error::Silent(Box::new(one)).into());
    }
    let ended_operation = match &ended {
        Ok((UpOutcome::NothingToDo | UpOutcome::Ready, _)) => OperationRecord::end(&dir)?,
        _ => None,
    };
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
    if let Some(open) = ended_operation {
        let OperationRecord { verb, machine, .. } = open;
        screen.say(&format!(
            "`{verb}` of `{machine}`, which was under way, is done with that"
        ));
    }
    if flags.merge && ended.is_ok() {
        let target = LabTarget::of(workspace, Some(lab.name()))?;
        let own = caravan_lifecycle::read_text(&dir.kubeconfig())?;
        kubeconfig::merge(&target, &own, screen)?;
    }
    ended.map(|(_, report)| report.map_or(Exit::Done, |it| verify::verdict(&it)))
}

/// Stops what is waited for once the time is up, as Ctrl-C does.
fn give_up_after(limit: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        interrupt::expire();
    });
}

/// A lab, and where its file and its state are.
struct UpPlace<'a> {
    workspace: &'a Workspace,
    lab: &'a Lab,
    source: &'a str,
    dir: &'a LabDir,
}

impl<'a> UpPlace<'a> {
    /// What is asked of `wanted` by `flags`, on computers as `survey` found them.
    fn request(
        &self,
        flags: &flags::Up,
        wanted: &'a [&'a Machine],
        survey: &ComputerSurvey<'_>,
    ) -> UpRequest<'a> {
        let mut asked = flags.making.request();
        asked.hosts_without_kvm = survey.without_kvm();
        UpRequest {
            workspace: self.workspace,
            lab: self.lab,
            source: self.source,
            dir: self.dir,
            wanted,
            asked,
            resolvers: ranges::usable(self.lab, &resolvers::nameservers()),
            new_cluster: flags.new_cluster,
            tool: TOOL,
        }
    }
}

/// Brings up the machines of `flags` in a run that has begun, for a verb that holds the lab's lock; returns what the quick
/// verification found, if all machines of the lab are ready.
///
/// # Errors
///
/// Those of `up`.
pub(crate) fn in_run(
    flags: &flags::Up,
    workspace: &Workspace,
    run: &LabRun<'_>,
    screen: &Screen,
) -> Result<Option<Report>, Error> {
    let (lab, source) = workspace.lab(&flags.lab)?;
    let wanted = up::wanted(&lab, None, &flags.machines)?;
    let dir = workspace.state(lab.name());
    let computers = LabComputers::of(&lab, &dir);
    let survey = ComputerSurvey::of(&lab, |host| computers.computer(host));
    let place = UpPlace {
        workspace,
        lab: &lab,
        source: &source,
        dir: &dir,
    };
    let request = place.request(flags, &wanted, &survey);
    let up = Up::new(&request, run);
    let ended = bring_up(flags, &request, &survey, &up, run, screen);
    Ok(ended?.1)
}

/// Brings it up, step by step; returns what the quick verification found, if all machines are ready that were not before.
fn bring_up(
    flags: &flags::Up,
    request: &UpRequest<'_>,
    survey: &ComputerSurvey<'_>,
    up: &Up<'_>,
    run: &LabRun<'_>,
    screen: &Screen,
) -> Result<(UpOutcome, Option<Report>), Error> {
    let lab = request.lab;
    let mut plan = run.step("preflight", || {
        preflight::check(flags, request, survey, up, screen)
    })?;
    // Before anything is made. Where there is no bundle yet this is known once there is one, before any machine is.
    software::hold_settings(request.workspace, lab)?;
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
    let checked = software::hold_settings(request.workspace, lab)?;
    if checked == SettingsCheck::Unknown {
        screen.warn(&format!(
            "flags, feature gates and kubelet settings of the lab file are not checked, because there is no bundle whose programs know them; `{TOOL} bundle build --kubernetes {}` makes one",
            lab.kubernetes()
        ));
    }
    let sources = run.step("files", || {
        let software = software::versions_of(lab, &checked)?;
        Ok::<_, Error>(up.write_files(&mut plan, &keys, software)?)
    })?;
    if !LabComputers::of(lab, request.dir).are_here() {
        run.step("deliver", || {
            let images = software::image_files(&plan, request, screen)?;
            Ok::<_, Error>(up.deliver(&plan, &images)?)
        })?;
    }
    let outcome = up.converge(&plan, &keys, &sources)?;
    let images = up.load_images(&plan, &keys);
    if outcome != UpOutcome::Ready {
        images?;
        return Ok((outcome, None));
    }
    let report = run.step("verify", || {
        let (access, airgap) = (
            keys.access(lab, request.dir, plan.choices.pace())?,
            plan.choices.airgap,
        );
        verify::checked(lab, &access, request.dir, airgap, Depth::Quick, screen)
    })?;
    // What pods may lack does not keep the cluster from being judged.
    images?;
    Ok((outcome, Some(report)))
}
