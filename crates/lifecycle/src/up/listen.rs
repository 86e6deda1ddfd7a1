//! Hears Vagrant's groups and the machines' journals until all of both are done.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use caravan_cluster::Access;
use caravan_cluster::convergence::{Convergence, Stage};
use caravan_cluster::phase::{Phase, PhaseEvent};
use caravan_cluster::watch::{self, JournalEvent, JournalNews, Watch};
use caravan_lab::{Lab, Machine};
use caravan_process::interrupt;
use caravan_vagrant::provider::FoundMachine;
use caravan_vagrant::ssh::Ssh;

use super::Up;
use super::create::GroupEvent;
use super::silence::Silences;
use crate::files::RenderSources;
use crate::{Error, LabProviders, StuckMachine, reach};

/// How long a machine may take to let us in, at the usual pace.
const REACH_LIMIT: Duration = Duration::from_secs(180);

/// How long all machines may say nothing new, at the usual pace, before they count as stuck. A machine's own waits are
/// longer, and end by what they wait for; this ends the waiting of the user.
const SILENCE_LIMIT: Duration = Duration::from_secs(420);

/// How often a phase may fail before the user is told: the unit tries again by itself, and the first try may have met
/// a neighbour that was not there yet.
const FAILURES: usize = 4;

/// How long the lab's network may be missing after its machines were made.
const NETWORK_LIMIT: Duration = Duration::from_secs(5);

/// How often the machines' states are asked for: a journal that falls silent does not tell why.
const STATES: Duration = Duration::from_secs(3);

/// How often is looked for news.
const TICK: Duration = Duration::from_millis(50);

/// Which of the turns of one run it is, in which machines are made or told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    /// What machines said before it was heard in an earlier one.
    Later,
}

/// What has been heard so far.
pub(super) struct Listener<'a> {
    up: &'a Up<'a>,
    access: &'a Access,
    sources: &'a RenderSources<'a>,
    providers: &'a LabProviders,
    convergence: Convergence,
    watches: Vec<Watch>,
    turn: Turn,
    /// When it began.
    begun_ms: u64,
    /// The machines that run and are provisioned again.
    again: Vec<String>,
    /// Machines to follow as soon as this computer has the lab's network.
    unfollowed: Vec<String>,
    /// Machines that run and that nothing is done to: they look at themselves again before they are followed.
    unlooked: Vec<String>,
    /// How many groups Vagrant is still at work on.
    groups: usize,
    /// What the first group that failed said.
    failed: Option<Error>,
    heard_at: Instant,
    silences: Silences,
    /// When the machines' states were asked for last.
    asked_at: Instant,
}

impl<'a> Listener<'a> {
    /// Has heard nothing in this turn, and waits for this many groups; those of `again` run already and are provisioned again.
    pub(super) fn new(
        up: &'a Up<'a>,
        access: &'a Access,
        sources: &'a RenderSources<'a>,
        providers: &'a LabProviders,
        (turn, again): (Turn, Vec<String>),
        groups: usize,
    ) -> Self {
        let names = up
            .request
            .wanted
            .iter()
            .map(|machine| machine.name.as_str());
        let begun_ms = up.run.recorder().unix_ms();
        Self {
            up,
            access,
            sources,
            providers,
            convergence: Convergence::new(names, begun_ms),
            watches: Vec::new(),
            turn,
            begun_ms,
            again,
            unfollowed: Vec::new(),
            unlooked: Vec::new(),
            groups,
            failed: None,
            heard_at: Instant::now(),
            silences: Silences::default(),
            asked_at: Instant::now(),
        }
    }

    /// Begins to read a machine's journal. Not before it was provisioned: until then it does not know the lab's key, and
    /// every refused login costs it the time that it needs to boot.
    fn follow(&mut self, machine: &str) {
        self.unfollowed.push(machine.to_owned());
    }

    /// Lets a machine that runs, and that nothing else is done to, look at itself again, and reads its journal.
    pub(super) fn let_look(&mut self, machine: &str) {
        self.unlooked.push(machine.to_owned());
    }

    /// Follows who is to be followed; nobody while the lab's addresses lead out of this computer to whoever has them.
    fn begin_to_follow(&mut self) -> Result<(), Error> {
        let reaches = || !self.access.way.is_straight() || reach::is_near(self.up.request.lab);
        let nobody = self.unfollowed.is_empty() && self.unlooked.is_empty();
        if nobody || !reaches() {
            if self.groups == 0 && !nobody && self.heard_at.elapsed() > NETWORK_LIMIT {
                reach::check(self.up.request.lab)?;
            }
            return Ok(());
        }
        let (lab, ssh) = (self.up.request.lab, &self.access.ssh);
        let follow = |names: Vec<String>, start: fn(&Lab, &Ssh, &[&str], Duration) -> Watch| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            (!names.is_empty()).then(|| start(lab, ssh, &names, REACH_LIMIT))
        };
        let made = follow(std::mem::take(&mut self.unfollowed), Watch::start);
        let ran = follow(std::mem::take(&mut self.unlooked), Watch::start_bootstraps);
        self.watches.extend(made.into_iter().chain(ran));
        Ok(())
    }

    /// Listens until all groups have ended and all machines are ready.
    ///
    /// # Errors
    ///
    /// The first failed group's error, after the others have ended; [`Error::Stuck`]; [`Error::Interrupted`].
    pub(super) fn until_done(&mut self, told: &Receiver<GroupEvent>) -> Result<(), Error> {
        loop {
            let mut heard = self.hear_groups(told)?;
            self.begin_to_follow()?;
            heard |= self.hear_machines()?;
            if self.groups == 0 {
                if let Some(error) = self.failed.take() {
                    return Err(error);
                }
                if self.convergence.all_ready() {
                    return Ok(());
                }
                self.up.go_on()?;
                self.look_for_the_dead()?;
            }
            if interrupt::raised() {
                self.up.run.stopping();
            }
            for (machine, text) in self.silences.due(Instant::now()) {
                let text = format!("{} {text}", Phase::Create);
                self.up.run.tell_begin(&machine, &text);
            }
            self.complain()?;
            if !heard {
                std::thread::sleep(TICK);
            }
        }
    }

    fn hear_groups(&mut self, told: &Receiver<GroupEvent>) -> Result<bool, Error> {
        let mut heard = false;
        while let Ok(news) = told.try_recv() {
            heard = true;
            self.heard_at = Instant::now();
            match news {
                GroupEvent::Says(machine, text) => {
                    self.silences.hear(&machine, &text, self.heard_at)
                }
                GroupEvent::Made(machine) => {
                    self.silences.forget(&machine);
                    self.note_deployed(&machine)?;
                    self.follow(&machine);
                }
                GroupEvent::Ended(result) => {
                    self.groups -= 1;
                    if self.groups == 0 {
                        self.silences.clear();
                    }
                    // The other groups are given the time to end well: their machines are then not cut short.
                    self.failed = self.failed.take().or(result.err());
                }
            }
        }
        Ok(heard)
    }

    fn hear_machines(&mut self) -> Result<bool, Error> {
        let news: Vec<JournalNews> = self
            .watches
            .iter()
            .flat_map(|watch| std::iter::from_fn(|| watch.next(Duration::ZERO)))
            .collect();
        for news in &news {
            self.heard_at = Instant::now();
            let is_history = self.is_history(news);
            if !is_history || self.turn == Turn::First {
                self.show(news);
            }
            // One that is provisioned again said `ready`, perhaps, with the files that it had before.
            if !is_history || !self.again.contains(&news.machine) {
                self.convergence.hear(news);
            }
            if let JournalEvent::GaveUp(why) = &news.event {
                return Err(self.stuck(&news.machine, None, why));
            }
        }
        Ok(!news.is_empty())
    }

    /// Whether a machine said it before this turn.
    fn is_history(&self, news: &JournalNews) -> bool {
        let JournalEvent::Said(line) = &news.event else {
            return false;
        };
        line.at_ms.saturating_add_signed(-news.clock.ahead_ms) < self.begun_ms
    }

    /// Ends the waiting when a machine has stopped.
    fn look_for_the_dead(&mut self) -> Result<(), Error> {
        if self.asked_at.elapsed() < STATES {
            return Ok(());
        }
        self.asked_at = Instant::now();
        let lab = self.up.request.lab.name();
        let projects = self.up.request.dir.projects();
        let (found, silent) = self.providers.machines_reached(lab, &projects)?;
        // A computer that does not answer now may do so again, and its machines go on meanwhile.
        let is_silent = |server: &String| silent.iter().any(|it| it.servers.contains(server));
        let wanted = self.up.request.wanted.iter();
        for machine in wanted.filter(|machine| !is_silent(&machine.server)) {
            let there = found.iter().find(|found| found.name == machine.name);
            let state = there.map_or("absent", |found| found.state.word());
            if !there.is_some_and(FoundMachine::runs) {
                return Err(Error::Died {
                    lab: self.up.request.lab.name().to_owned(),
                    machine: machine.name.clone(),
                    state: state.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Ends the waiting when a machine fails again and again, or nothing at all happens any more.
    fn complain(&self) -> Result<(), Error> {
        for (name, machine) in self.convergence.unfinished() {
            let failures = machine.phase.as_ref().map_or(0, |phase| {
                // What failed before this run may have been mended.
                self.up.run.recorder().failures(name, phase)
            });
            let silent =
                self.groups == 0 && self.heard_at.elapsed() > self.access.pace().of(SILENCE_LIMIT);
            if silent || machine.stage == Stage::Failed && failures >= FAILURES {
                return Err(self.stuck(name, machine.phase.as_ref(), &machine.text));
            }
        }
        Ok(())
    }

    /// Shows and records what a machine said.
    fn show(&self, news: &JournalNews) {
        let (run, name) = (self.up.run, &news.machine);
        let line = match &news.event {
            JournalEvent::Reached => return,
            JournalEvent::Lost(why) | JournalEvent::GaveUp(why) => {
                return run.tell_detail(name, why);
            }
            JournalEvent::Said(line) => line,
        };
        let (phase, text) = (&line.phase, &line.text);
        let is_new = run.recorder().hear(name, line, news.clock);
        match line.event {
            PhaseEvent::Done if line.is_ready() => run.tell_end(name, phase.name()),
            // A journal is read from its beginning, and what is in it of earlier runs is no news.
            _ if !is_new => {}
            PhaseEvent::Start => run.tell_begin(name, phase.name()),
            PhaseEvent::Wait => run.tell_detail(name, &format!("{phase}: waits for {text}")),
            PhaseEvent::Done => {}
            PhaseEvent::Fail => {
                run.tell_begin(name, &format!("{phase} failed: {text}; it tries again"))
            }
        }
    }

    fn note_deployed(&self, name: &str) -> Result<(), Error> {
        let machine: Vec<&Machine> = self.up.request.lab.machine(name).into_iter().collect();
        self.sources.note_deployed(self.up.request.dir, &machine)
    }

    /// The error for a machine that does not go on, with what its log says.
    fn stuck(&self, machine: &str, phase: Option<&Phase>, text: &str) -> Error {
        let explained = watch::explain(self.up.request.lab, &self.access.ssh, machine, phase, text);
        Error::Stuck(Box::new(StuckMachine {
            machine: machine.to_owned(),
            phase: phase.map(Phase::to_string).unwrap_or_default(),
            text: text.to_owned(),
            unit: explained.unit,
            tail: explained.tail,
            verb: explained.verb,
        }))
    }
}
