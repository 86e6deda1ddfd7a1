//! What the user sees while a verb works: one live line per machine on a terminal, plain lines elsewhere.
//!
//! All of it goes to stderr; stdout is for data.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anstyle::AnsiColor;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::show::timeline::{RUN, seconds};

/// Where progress goes.
#[derive(Debug)]
pub(crate) struct Screen {
    began: Instant,
    kind: Kind,
    lines: Mutex<BTreeMap<String, ProgressBar>>,
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
    /// The screen for this run; `quiet` shows warnings only.
    pub(crate) fn new(quiet: bool) -> Self {
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
        Self {
            began: Instant::now(),
            kind,
            lines: Mutex::default(),
        }
    }

    /// Shows what `subject` (a machine, or the run) does now.
    pub(crate) fn now(&self, subject: &str, text: &str) {
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
    pub(crate) fn detail(&self, subject: &str, text: &str) {
        if let Some(line) = self.lines().get(subject) {
            line.set_message(text.to_owned());
        }
    }

    /// Ends the line of `subject`; `text` stays on the screen.
    pub(crate) fn done(&self, subject: &str, text: &str) {
        if let Some(line) = self.lines().remove(subject) {
            line.finish_and_clear();
        }
        self.print(subject, text);
    }

    /// Ends all live lines.
    pub(crate) fn clear(&self) {
        for line in std::mem::take(&mut *self.lines()).into_values() {
            line.finish_and_clear();
        }
    }

    /// Prints a line that stays.
    pub(crate) fn say(&self, text: &str) {
        match &self.kind {
            Kind::Quiet => {}
            Kind::Plain => anstream::eprintln!("{text}"),
            Kind::Live(all) => all.suspend(|| anstream::eprintln!("{text}")),
        }
    }

    /// Prints a warning, even if quiet.
    pub(crate) fn warn(&self, text: &str) {
        let yellow = AnsiColor::Yellow.on_default().bold();
        let print = || anstream::eprintln!("{yellow}warning:{yellow:#} {text}");
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

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{elapsed:>8.dim}  {prefix:<14} {spinner} {wide_msg}")
        .expect("the template is well-formed")
}

/// Asks on the terminal; without one, the answer is no.
pub(crate) fn ask(question: &str) -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    anstream::eprint!("{question} [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok()
        && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
