//! What the user sees while a verb works: one live line per machine on a terminal, plain lines elsewhere.
//!
//! All of it goes to stderr; stdout is for data.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anstyle::AnsiColor;
use caravan_cluster::timeline::{RUN, seconds};
use caravan_lifecycle::events::{LifecycleEvent, LifecycleObserver};
use caravan_process::interrupt;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal::Unechoed;

/// Where progress goes.
#[derive(Debug)]
pub struct Screen {
    began: Instant,
    kind: Kind,
    lines: Mutex<BTreeMap<String, ProgressBar>>,
    stopping: AtomicBool,
    /// The command whose verbs warnings name, such as `cargo xtask`.
    tool: &'static str,
    _unechoed: Option<Unechoed>,
}

#[derive(Debug)]
enum Kind {
    /// `--quiet`.
    Quiet,
    /// A file, a pipe, a terminal that cannot move its cursor, or `NO_COLOR`.
    Plain,
    /// A terminal.
    Live(MultiProgress),
}

impl Screen {
    /// The screen for this run; `quiet` shows warnings only. `tool` is the command whose verbs warnings name.
    pub fn new(quiet: bool, tool: &'static str) -> Self {
        let dumb = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let kind = if quiet {
            Kind::Quiet
        } else if std::io::stderr().is_terminal() && !dumb {
            // Ten times a second is all that the eye needs, and drawing costs the machines CPU time.
            Kind::Live(MultiProgress::with_draw_target(
                ProgressDrawTarget::stderr_with_hz(10),
            ))
        } else {
            Kind::Plain
        };
        let unechoed = matches!(kind, Kind::Live(_)).then(Unechoed::begin);
        Self {
            began: Instant::now(),
            kind,
            lines: Mutex::default(),
            stopping: AtomicBool::new(false),
            tool,
            _unechoed: unechoed,
        }
    }

    /// The same, with a line for each thing that happens and nothing that moves, unless it is quiet.
    #[must_use]
    pub fn plain(mut self) -> Self {
        if let Kind::Live(_) = self.kind {
            self.kind = Kind::Plain;
            self._unechoed = None;
        }
        self
    }

    /// Shows what `subject` (a machine, or the run) does now.
    pub fn now(&self, subject: &str, text: &str) {
        match &self.kind {
            Kind::Quiet => {}
            Kind::Plain => self.print(subject, text),
            Kind::Live(all) => {
                let mut lines = self.lines();
                let line = lines.entry(subject.to_owned()).or_insert_with(|| {
                    let line = all.add(ProgressBar::new_spinner());
                    line.set_style(style());
                    line.set_prefix(subject.to_owned());
                    line.enable_steady_tick(Duration::from_millis(100));
                    line
                });
                // The seconds are those of the phase that begins here.
                line.reset_elapsed();
                line.set_message(text.to_owned());
            }
        }
    }

    /// Changes the text about `subject` without beginning anything; plain output leaves it out.
    pub fn detail(&self, subject: &str, text: &str) {
        if let Some(line) = self.lines().get(subject) {
            line.set_message(text.to_owned());
        }
    }

    /// Ends the line of `subject`; `text` stays on the screen.
    pub fn done(&self, subject: &str, text: &str) {
        if let Some(line) = self.lines().remove(subject) {
            line.finish_and_clear();
        }
        self.print(subject, text);
    }

    /// Says, once, that the user was heard: Vagrant takes its time to end.
    pub fn stopping(&self) {
        if !self.stopping.swap(true, Ordering::Relaxed) {
            self.say("stopping: waiting until Vagrant has finished its current step; Ctrl-C again stops it at once");
        }
    }

    /// Ends all live lines.
    pub fn clear(&self) {
        for line in std::mem::take(&mut *self.lines()).into_values() {
            line.finish_and_clear();
        }
    }

    /// Prints a line that stays.
    pub fn say(&self, text: &str) {
        match &self.kind {
            Kind::Quiet => {}
            Kind::Plain => to_stderr(&format!("{text}\n")),
            Kind::Live(all) => all.suspend(|| to_stderr(&format!("{text}\n"))),
        }
    }

    /// Prints a warning, even if quiet.
    pub fn warn(&self, text: &str) {
        let yellow = AnsiColor::Yellow.on_default().bold();
        let print = || to_stderr(&format!("{yellow}warning:{yellow:#} {text}\n"));
        match &self.kind {
            Kind::Quiet | Kind::Plain => print(),
            Kind::Live(all) => all.suspend(print),
        }
    }

    fn print(&self, subject: &str, text: &str) {
        let at = seconds(i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX));
        let dim = anstyle::Style::new().dimmed();
        let line = if subject == RUN {
            text.to_owned()
        } else {
            format!("{subject:<14} {text}")
        };
        self.say(&format!("{dim}{at:>8}{dim:#}  {line}"));
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, ProgressBar>> {
        // A thread that panicked while it drew leaves lines that can still be drawn.
        self.lines
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl LifecycleObserver for Screen {
    fn event(&self, event: &LifecycleEvent<'_>) {
        match event {
            LifecycleEvent::Began { subject, text } => self.now(subject, text),
            LifecycleEvent::Detail { subject, text } => self.detail(subject, text),
            LifecycleEvent::Ended { subject, text } => self.done(subject, text),
            LifecycleEvent::Noted(text) => self.say(text),
            LifecycleEvent::Warned(warning) => self.warn(&warning.text(self.tool)),
            LifecycleEvent::Stopping => self.stopping(),
            _ => {}
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{elapsed:>8.dim}  {prefix:<14} {spinner} {wide_msg}")
        .expect("the template is well-formed")
}

/// Prints `text` to stderr, without its colours where they are not wanted.
///
/// A terminal that was closed, or a full disk, is no reason to leave the work in the middle.
pub fn to_stderr(text: &str) {
    drop(anstream::stderr().write_all(text.as_bytes()));
}

/// Asks on the terminal; without one, or on Ctrl-C, the answer is no.
pub fn ask(question: &str) -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    to_stderr(&format!("{question} [y/N] "));
    // Reading goes on after a signal. On a thread of its own it keeps nobody from hearing Ctrl-C.
    let (sender, answered) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        drop(std::io::stdin().read_line(&mut answer));
        drop(sender.send(answer));
    });
    loop {
        match answered.recv_timeout(Duration::from_millis(50)) {
            Ok(answer) => return matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"),
            Err(_) if interrupt::raised() => {
                to_stderr("\n");
                return false;
            }
            Err(_) => {}
        }
    }
}
