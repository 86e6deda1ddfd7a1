//! Follows the journals of all machines, one ssh each.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use caravan_lab::Lab;
use caravan_process::interrupt;
use caravan_vagrant::ssh::{Remote, Ssh};
use serde::Serialize;

use crate::convergence::{self, Convergence};
use crate::progress::{self, Progress, UNIT};
use crate::ready::Missing;
use crate::{Error, access};

/// How often a machine that cannot be reached yet is tried: its ssh port, which costs nothing.
const PORT_POLL: Duration = Duration::from_millis(150);

/// How often the login is tried once the port is open: each try is a process and a key exchange.
const LOGIN_POLL: Duration = Duration::from_millis(400);

/// How long a machine's ssh port may take to answer.
const PORT_LIMIT: Duration = Duration::from_millis(500);

/// How long is waited for news before the time and the user are looked at.
const NEWS_POLL: Duration = Duration::from_millis(100);

/// How many lines of a log an explanation shows.
const TAIL_LINES: usize = 25;

/// Something new about a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct News {
    /// The machine.
    pub machine: String,
    /// What is new.
    pub what: What,
}

/// What is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Its journal is being read.
    Reached,
    /// It said something new.
    Said(Progress),
    /// It was reached and is no more, for this reason; it is tried again.
    Lost(String),
    /// It was not reached within the limit, for this reason; it is tried no more.
    GaveUp(String),
}

/// Threads that follow journals, until this is dropped or the user asks to stop ([`interrupt::raised`]).
pub struct Watch {
    news: Receiver<News>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Begins to follow `machines` of the lab; each may take up to `limit` to be reached, again and again.
    pub fn start(lab: &Lab, ssh: &Ssh, machines: &[&str], limit: Duration) -> Self {
        let (sender, news) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let threads = machines
            .iter()
            .filter_map(|name| lab.machine(name))
            .map(|machine| {
                let follower = Follower {
                    machine: machine.name.clone(),
                    remote: access::remote(lab, ssh, machine),
                    sender: sender.clone(),
                    stop: Arc::clone(&stop),
                    limit,
                    heard_ms: 0,
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
    pub fn next(&self, limit: Duration) -> Option<News> {
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
    sender: Sender<News>,
    stop: Arc<AtomicBool>,
    limit: Duration,
    /// The time of the last line that was passed on: an opened journal begins from its beginning.
    heard_ms: u64,
}

impl Follower {
    fn run(mut self) {
        let mut unreached = Instant::now();
        let mut why = String::from("its ssh port does not answer");
        while !self.stopped() {
            if unreached.elapsed() > self.limit {
                self.tell(What::GaveUp(why));
                return;
            }
            if !self.port_answers() {
                self.pause(PORT_POLL);
                continue;
            }
            match self.read_journal() {
                Ok(()) => unreached = Instant::now(),
                Err(reason) => why = reason,
            }
            self.pause(LOGIN_POLL);
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

    fn tell(&self, what: What) {
        // Nobody listens any more only when the watch is being dropped.
        drop(self.sender.send(News {
            machine: self.machine.clone(),
            what,
        }));
    }

    fn port_answers(&self) -> bool {
        // Behind another computer only ssh itself can tell.
        self.remote.through().is_some()
            || TcpStream::connect_timeout(
                &SocketAddr::from((self.remote.address(), 22)),
                PORT_LIMIT,
            )
            .is_ok()
    }

    /// Reads the journal to its end, which comes when the connection does; fails when there was none.
    fn read_journal(&mut self) -> Result<(), String> {
        // Of this boot: what a machine said before is no word about it. Cut at the last 5,000 lines: kubeadm's own words are
        // in it too.
        let script = format!(
            "echo CARAVAN-JOURNAL; exec journalctl -b -u {UNIT} -o cat -f -n 5000 --no-pager"
        );
        let (lines, received) = channel();
        let following = self
            .remote
            .follow(&["sh", "-c", &format!("'{script}'")], move |line| {
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
            if line == "CARAVAN-JOURNAL" {
                reached = true;
                self.tell(What::Reached);
            } else if let Some(progress) = progress::parse(&line) {
                // Lines of one millisecond may be told twice, which changes nothing; leaving one out would.
                if progress.at_ms >= self.heard_ms {
                    self.heard_ms = progress.at_ms;
                    self.tell(What::Said(progress));
                }
            } else if !reached {
                last_words.push(line);
            }
        }
        drop(following);
        if reached {
            if !self.stopped() {
                self.tell(What::Lost("the connection to its journal ended".to_owned()));
            }
            return Ok(());
        }
        Err(self.remote.not_reached(&last_words.join("\n")).to_string())
    }
}

/// Waits until every machine of the lab has said, since it started, that it is ready; `on_news` hears all they say.
///
/// # Errors
///
/// [`Error::NotReady`] with what the others are about when `limit` is over, [`Error::Interrupted`].
pub fn until_ready(
    lab: &Lab,
    ssh: &Ssh,
    limit: Duration,
    on_news: &mut dyn FnMut(&News),
) -> Result<(), Error> {
    let names: Vec<&str> = lab.machines().iter().map(|it| it.name.as_str()).collect();
    let watch = Watch::start(lab, ssh, &names, limit);
    let mut convergence = Convergence::new(names, 0);
    let began = Instant::now();
    while !convergence.all_ready() {
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        if began.elapsed() >= limit {
            let missing = |(name, machine): (&str, &convergence::Machine)| Missing::Machine {
                name: name.to_owned(),
                why: [machine.phase.as_str(), machine.text.as_str()]
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
    /// The command that shows all of it.
    pub command: String,
}

/// Reads the tail of the log that tells more about `text`, which `machine` said in `phase`.
///
/// A machine that cannot be reached has an empty tail, and the reason is in its place.
pub fn explain(lab: &Lab, ssh: &Ssh, machine: &str, phase: &str, text: &str) -> Explanation {
    let unit = unit_of(phase, text);
    let command = format!(
        "cargo xtask ssh {} {machine} -- sudo journalctl -u {unit} --no-pager",
        lab.name()
    );
    let script = format!("journalctl -u {unit} -o cat -n {TAIL_LINES} --no-pager");
    let tail = match lab.machine(machine) {
        None => Vec::new(),
        Some(machine) => {
            match access::remote(lab, ssh, machine).script(&script, Duration::from_secs(8)) {
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
        command,
    }
}

/// The unit whose log tells most about a phase: the one that the text names with `journalctl -u`, else the phase's own.
fn unit_of<'a>(phase: &str, text: &'a str) -> &'a str {
    let named = text.split("-u ").nth(1).and_then(|rest| {
        rest.split([' ', '`', ',', ';', ')'])
            .next()
            .filter(|unit| !unit.is_empty())
    });
    if let Some(unit) = named {
        return unit;
    }
    match phase {
        "etcd-start" | "etcd-quorum" => "etcd",
        "haproxy" => "haproxy",
        "vip" => "keepalived",
        "node-ready" => "kubelet",
        "network" => "caravan-network",
        _ => "caravan-bootstrap",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_log() {
        let check = |phase, text, unit| assert_eq!(unit_of(phase, text), unit, "{phase}: {text}");
        check("etcd-quorum", "a majority of etcdone,etcdtwo", "etcd");
        check("init", "kubeadm init: see above", "caravan-bootstrap");
        check("join", "more: journalctl -u kubelet", "kubelet");
        check("join", "see `journalctl -u kubelet`, then", "kubelet");
        check("vip", "not within 60s; more: journalctl -b", "keepalived");
        check("init", "-u ", "caravan-bootstrap");
    }
}
