//! Follows the journals of all machines, one ssh each.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use caravan_lab::Lab;
use caravan_process::{Pace, interrupt};
use caravan_vagrant::ssh::{Remote, Ssh};
use serde::Serialize;

use crate::convergence::{self, Convergence};
use crate::phase::{Phase, PhaseLine, UNIT};
use crate::ready::Missing;
use crate::timeline::recorder::{LineClock, unix_ms};
use crate::{Error, access};

/// How often a machine that cannot be reached yet is tried: its ssh port, which costs nothing.
const PORT_POLL: Duration = Duration::from_millis(150);

/// How long is waited before the login is tried once more where the port is open: each try is a process and a key exchange,
/// on the machine too, so the wait doubles until it is thirty times as long.
const LOGIN_POLL: Duration = Duration::from_millis(400);
const LOGIN_DOUBLINGS: u32 = 5;

/// How long a machine's ssh port may take to answer, at the usual pace.
const PORT_LIMIT: Duration = Duration::from_millis(500);

/// How long is waited for news before the time and the user are looked at.
const NEWS_POLL: Duration = Duration::from_millis(100);

/// How many lines of a log an explanation shows.
const TAIL_LINES: usize = 25;

/// How a reader of a journal begins, with the machine's clock in milliseconds since 1970 behind it.
const GREETING: &str = "CARAVAN-JOURNAL";

/// Something new about a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalNews {
    /// The machine.
    pub machine: String,
    /// What is new.
    pub event: JournalEvent,
    /// When it was heard, and how the machine's clock compares with this computer's.
    pub clock: LineClock,
}

/// What is new about a machine's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalEvent {
    /// Its journal is being read.
    Reached,
    /// It said something new.
    Said(PhaseLine),
    /// It was reached and is no more, for this reason; it is tried again.
    Lost(String),
    /// It was not reached within the limit, for this reason; it is tried no more.
    GaveUp(String),
}

/// Threads that follow journals, until this is dropped or the user asks to stop ([`interrupt::raised`]).
pub struct Watch {
    news: Receiver<JournalNews>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Begins to follow `machines` of the lab; each may take up to `limit` at the usual pace to be reached, again and again.
    pub fn start(lab: &Lab, ssh: &Ssh, machines: &[&str], limit: Duration) -> Self {
        Self::begin(lab, ssh, machines, limit, "")
    }

    /// As [`Watch::start`], and lets each machine look at itself again first: a daemon that somebody stopped after the machine
    /// was ready is started by nobody else. A bootstrap that is under way goes on.
    pub fn start_bootstraps(lab: &Lab, ssh: &Ssh, machines: &[&str], limit: Duration) -> Self {
        let first = format!("systemctl start --no-block {UNIT}; ");
        Self::begin(lab, ssh, machines, limit, &first)
    }

    fn begin(lab: &Lab, ssh: &Ssh, machines: &[&str], limit: Duration, first: &str) -> Self {
        let (sender, news) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let threads = machines
            .iter()
            .filter_map(|name| lab.machine(name))
            .map(|machine| {
                let follower = Follower {
                    machine: machine.name.clone(),
                    remote: access::remote(ssh, machine),
                    pace: ssh.pace(),
                    sender: sender.clone(),
                    stop: Arc::clone(&stop),
                    limit: ssh.pace().of(limit),
                    first: first.to_owned(),
                    told: HashSet::new(),
                    ahead_ms: 0,
                };
                std::thread::spawn(move || follower.run())
            })
            .collect();
        Self {
            news,
            stop,
            threads,
        }
    }

    /// The next news, if there are any within `limit`.
    pub fn next(&self, limit: Duration) -> Option<JournalNews> {
        match self.news.recv_timeout(limit) {
            Ok(news) => Some(news),
            Err(RecvTimeoutError::Timeout) => None,
            // Every machine was given up; without this a caller's loop would spin.
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(limit);
                None
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// Follows one machine.
struct Follower {
    machine: String,
    remote: Remote,
    pace: Pace,
    sender: Sender<JournalNews>,
    stop: Arc<AtomicBool>,
    limit: Duration,
    /// What is run there before the journal is opened, with a semicolon after it.
    first: String,
    /// The lines that were passed on: a journal that is opened again begins from its beginning. Their times cannot tell,
    /// since a clock may be set back.
    told: HashSet<String>,
    /// How far the machine's clock was ahead of this computer's when its journal was opened.
    ahead_ms: i64,
}

impl Follower {
    fn run(mut self) {
        let mut unreached = Instant::now();
        let mut why = String::from("its ssh port does not answer");
        let mut refused = 0;
        while !self.stopped() {
            if unreached.elapsed() > self.limit {
                self.tell(JournalEvent::GaveUp(why));
                return;
            }
            if !self.port_answers() {
                self.pause(PORT_POLL);
                continue;
            }
            match self.read_journal() {
                Ok(()) => {
                    unreached = Instant::now();
                    refused = 0;
                }
                Err(reason) => {
                    why = reason;
                    refused += 1;
                }
            }
            self.pause(login_pause(refused));
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || interrupt::raised()
    }

    fn pause(&self, how_long: Duration) {
        let until = Instant::now() + how_long;
        while Instant::now() < until && !self.stopped() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn tell(&self, event: JournalEvent) {
        // Nobody listens any more only when the watch is being dropped.
        drop(self.sender.send(JournalNews {
            machine: self.machine.clone(),
            event,
            clock: LineClock {
                heard_ms: unix_ms(),
                ahead_ms: self.ahead_ms,
            },
        }));
    }

    fn port_answers(&self) -> bool {
        // Behind another computer only ssh itself can tell.
        self.remote.through().is_some()
            || TcpStream::connect_timeout(
                &SocketAddr::from((self.remote.address(), 22)),
                self.pace.of(PORT_LIMIT),
            )
            .is_ok()
    }

    /// Reads the journal to its end, which comes when the connection does; fails when there was none.
    fn read_journal(&mut self) -> Result<(), String> {
        // Of this boot: what a machine said before is no word about it. Cut at the last 5,000 lines: kubeadm's own words are
        // in it too.
        let script = format!(
            "{}echo {GREETING} $(date +%s%3N); exec journalctl -b -u {UNIT} -o cat -f -n 5000 --no-pager",
            self.first
        );
        let asked_ms = unix_ms();
        let (lines, received) = channel();
        let following = self
            .remote
            .follow(&["sh", "-c", &script], move |line| {
                drop(lines.send(line.to_owned()));
            })
            .map_err(|error| error.to_string())?;
        let mut last_words = Vec::new();
        let mut reached = false;
        while !self.stopped() {
            let line = match received.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if !reached && let Some(clock) = line.strip_prefix(GREETING) {
                reached = true;
                let said_ms = clock.trim().parse();
                self.ahead_ms = said_ms.map_or(0, |said_ms| {
                    LineClock::ahead_ms(asked_ms, said_ms, unix_ms())
                });
                self.tell(JournalEvent::Reached);
            } else if let Some(said) = PhaseLine::parse(&line) {
                if self.told.insert(line) {
                    self.tell(JournalEvent::Said(said));
                }
            } else if !reached {
                last_words.push(line);
            }
        }
        drop(following);
        if reached {
            if !self.stopped() {
                self.tell(JournalEvent::Lost(
                    "the connection to its journal ended".to_owned(),
                ));
            }
            return Ok(());
        }
        Err(self.remote.not_reached(&last_words.join("\n")).to_string())
    }
}

/// How long is waited after a login that failed for the `refused`th time in a row.
fn login_pause(refused: u32) -> Duration {
    LOGIN_POLL * 2_u32.pow(refused.saturating_sub(1).min(LOGIN_DOUBLINGS))
}

/// Waits until every machine of the lab has said, since it started, that it is ready; `on_news` hears all they say.
///
/// # Errors
///
/// [`Error::NotReady`] with what the others are about when `limit` at the usual pace is over, [`Error::Interrupted`].
pub fn until_ready(
    lab: &Lab,
    ssh: &Ssh,
    limit: Duration,
    on_news: &mut dyn FnMut(&JournalNews),
) -> Result<(), Error> {
    let names: Vec<&str> = lab.machines().iter().map(|it| it.name.as_str()).collect();
    let watch = Watch::start(lab, ssh, &names, limit);
    let limit = ssh.pace().of(limit);
    let mut convergence = Convergence::new(names, 0);
    let began = Instant::now();
    while !convergence.all_ready() {
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        if began.elapsed() >= limit {
            let missing =
                |(name, machine): (&str, &convergence::MachineProgress)| Missing::Machine {
                    name: name.to_owned(),
                    why: [
                        machine.phase.as_ref().map_or("", Phase::name),
                        &machine.text,
                    ]
                    .map(str::trim)
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .join(": "),
                };
            return Err(Error::NotReady {
                seconds: began.elapsed().as_secs(),
                missing: convergence.unfinished().map(missing).collect(),
            });
        }
        if let Some(news) = watch.next(NEWS_POLL) {
            convergence.hear(&news);
            on_news(&news);
        }
    }
    Ok(())
}

/// Why a machine does not go on, with what to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The machine.
    pub machine: String,
    /// What it said.
    pub text: String,
    /// The unit whose log tells more.
    pub unit: String,
    /// The last lines of that log.
    pub tail: Vec<String>,
    /// What shows all of it: a verb and its arguments, to be put behind how the caller's program is started, such as
    /// `cargo xtask`.
    pub verb: String,
}

/// Reads the tail of the log that tells more about `text`, which `machine` said in `phase`.
///
/// A machine that cannot be reached has an empty tail, and the reason is in its place.
pub fn explain(
    lab: &Lab,
    ssh: &Ssh,
    machine: &str,
    phase: Option<&Phase>,
    text: &str,
) -> Explanation {
    let unit = unit_of(phase, text);
    let verb = format!(
        "ssh {} {machine} -- sudo journalctl -u {unit} --no-pager",
        lab.name()
    );
    let script = format!("journalctl -u {unit} -o cat -n {TAIL_LINES} --no-pager");
    let tail = match lab.machine(machine) {
        None => Vec::new(),
        Some(machine) => {
            match access::remote(ssh, machine).script(&script, Duration::from_secs(8)) {
                Ok(output) => output.stdout.lines().map(ToOwned::to_owned).collect(),
                Err(error) => vec![format!("({error})")],
            }
        }
    };
    Explanation {
        machine: machine.to_owned(),
        text: text.to_owned(),
        unit: unit.to_owned(),
        tail,
        verb,
    }
}

/// The unit whose log tells most about a phase: the one that the text names with `journalctl -u`, else the phase's own.
fn unit_of<'a>(phase: Option<&Phase>, text: &'a str) -> &'a str {
    let named = text.split("-u ").nth(1).and_then(|rest| {
        rest.split([' ', '`', ',', ';', ')'])
            .next()
            .filter(|unit| !unit.is_empty())
    });
    if let Some(unit) = named {
        return unit;
    }
    phase.map_or("caravan-bootstrap", Phase::unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_lets_nobody_in_is_asked_less_and_less() {
        let pauses = [0, 1, 2, 3, 6, 100].map(|refused| login_pause(refused).as_millis());
        assert_eq!(pauses, [400, 400, 800, 1600, 12_800, 12_800]);
    }

    #[test]
    fn the_right_log() {
        let check = |phase: &str, text, unit| {
            assert_eq!(unit_of(Some(&phase.into()), text), unit, "{phase}: {text}");
        };
        check("etcd-quorum", "a majority of etcdone,etcdtwo", "etcd");
        check("init", "kubeadm init: see above", "caravan-bootstrap");
        check("join", "more: journalctl -u kubelet", "kubelet");
        check("join", "see `journalctl -u kubelet`, then", "kubelet");
        check("vip", "not within 60s; more: journalctl -b", "keepalived");
        check("init", "-u ", "caravan-bootstrap");
        assert_eq!(unit_of(None, "denied"), "caravan-bootstrap");
    }
}
