//! What Vagrant prints with `--machine-readable`: pure functions over its lines.
//!
//! A line is `timestamp,target,type,data...`; the target is a machine or empty, commas in data are written
//! `%!(VAGRANT_COMMA)`, line ends `\n` and `\r`
//! (<https://developer.hashicorp.com/vagrant/docs/cli/machine-readable>).
//!
//! `up` uses it as well: it takes as long as the plain output (6.3 s and 6.5 s for two containers), says for each
//! machine when an action starts and ends, and names the class of the error at the end, where plain output has only
//! prose that changes with the version and the language.

/// One line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VagrantOutputLine {
    /// When it was printed, in seconds since 1970.
    pub at: u64,
    /// The machine it is about.
    pub machine: Option<String>,
    /// What it says.
    pub what: VagrantEvent,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VagrantEvent {
    /// An action of the machine, such as `up` or `halt`, starts.
    Starts(String),
    /// An action of the machine ends.
    Ends(String),
    /// Text for people, which may have several lines; decorations such as `==> one: ` are taken off.
    Says(String),
    /// Vagrant gives up.
    GivesUp {
        /// The class of the error, such as `Vagrant::Errors::MachineNotFound`.
        class: String,
        /// What Vagrant says about it.
        text: String,
    },
    /// A value about the machine, such as `state` and `running`.
    Tells {
        /// Its name.
        key: String,
        /// Its value.
        value: String,
    },
}

/// Takes one line apart; `None` when it is not of the machine-readable form, as Ruby's own warnings are not.
pub fn parse(line: &str) -> Option<VagrantOutputLine> {
    let mut fields = line.splitn(4, ',');
    let at = fields.next()?.parse().ok()?;
    let machine = fields.next().filter(|name| {
        name.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    })?;
    let kind = fields.next()?;
    let rest = fields.next().unwrap_or_default();
    let machine = (!machine.is_empty()).then(|| machine.to_owned());
    let (first, more) = rest.split_once(',').unwrap_or((rest, ""));
    let what = match kind {
        "action" => match more {
            "start" => VagrantEvent::Starts(decoded(first)),
            "end" => VagrantEvent::Ends(decoded(first)),
            _ => return None,
        },
        "ui" => VagrantEvent::Says(undecorated(machine.as_deref(), &decoded(more))),
        "error-exit" => VagrantEvent::GivesUp {
            class: decoded(first),
            text: decoded(more),
        },
        "metadata" => VagrantEvent::Tells {
            key: decoded(first),
            value: decoded(more),
        },
        key => VagrantEvent::Tells {
            key: key.to_owned(),
            value: decoded(rest),
        },
    };
    Some(VagrantOutputLine { at, machine, what })
}

/// Vagrant's escapes, undone. A backslash itself is not escaped, so `\n` may also stand for those two characters.
fn decoded(data: &str) -> String {
    data.replace("%!(VAGRANT_COMMA)", ",")
        .replace("\\n", "\n")
        .replace("\\r", "")
}

/// Vagrant decorates each line with the machine's name, `==> one: ` or `    one: `, inside of `text` as well: the
/// Docker provider names machines in lines whose target is empty, and a script's lines come several at once.
fn undecorated(machine: Option<&str>, text: &str) -> String {
    let bare = |line: &str| -> String {
        let Some(machine) = machine else {
            return line.to_owned();
        };
        ["==> ", "    "]
            .iter()
            .find_map(|mark| {
                line.strip_prefix(mark)?
                    .strip_prefix(machine)?
                    .strip_prefix(':')
            })
            .map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest))
            .trim_end()
            .to_owned()
    };
    let lines: Vec<String> = text.lines().map(bare).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

impl VagrantOutputLine {
    /// The line as people read it, for a log file; `None` for what only programs read.
    pub fn shown(&self) -> Option<String> {
        let machine = self.machine.as_deref().unwrap_or("vagrant");
        let text = match &self.what {
            VagrantEvent::Says(text) => text.clone(),
            VagrantEvent::Starts(action) => format!("[{action}]"),
            VagrantEvent::Ends(action) => format!("[{action} ended]"),
            // Said before, as text.
            VagrantEvent::GivesUp { class, .. } => format!("[gave up: {class}]"),
            VagrantEvent::Tells { .. } => return None,
        };
        let lines: Vec<String> = text
            .lines()
            .map(|line| format!("{machine}: {line}"))
            .collect();
        Some(lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: &str = include_str!("../tests/samples/up-mr.txt");
    const PLAIN: &str = include_str!("../tests/samples/up-plain.txt");
    const NO_SUCH: &str = include_str!("../tests/samples/nosuch-mr.txt");
    const AGAIN: &str = include_str!("../tests/samples/up-again-mr.txt");

    fn said_by<'a>(sample: &'a str, machine: &'a str) -> impl Iterator<Item = VagrantEvent> + 'a {
        sample
            .lines()
            .map(|line| parse(line).expect("a line of the machine-readable form"))
            .filter(move |line| line.machine.as_deref() == Some(machine))
            .map(|line| line.what)
    }

    #[test]
    fn a_real_up_is_understood_line_by_line() {
        let one: Vec<_> = said_by(UP, "one").collect();
        assert_eq!(one[1], VagrantEvent::Starts("up".into()));
        assert_eq!(one.last(), Some(&VagrantEvent::Ends("up".into())));
        assert!(one.contains(&VagrantEvent::Says("hello, world".into())));
        assert!(one.contains(&VagrantEvent::Says("Machine booted and ready!".into())));
        assert!(
            one.contains(&VagrantEvent::Says(
                "Container created: 654982bee9828b62".into()
            )),
            "{one:#?}"
        );
        for what in &one {
            if let VagrantEvent::Says(text) = what {
                assert!(
                    !text.contains("one:") && !text.contains("VAGRANT_COMMA"),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn each_line_of_a_long_text_is_bare() {
        assert!(said_by(AGAIN, "two").any(|what| matches!(
            what,
            VagrantEvent::Says(text) if text.starts_with("Machine already provisioned.") && text.contains("\nflag to force")
        )));
    }

    #[test]
    fn the_class_of_an_error_is_named() {
        let last = NO_SUCH.lines().last().and_then(parse).map(|line| line.what);
        let Some(VagrantEvent::GivesUp { class, text }) = last else {
            panic!("{last:?}")
        };
        assert_eq!(class, "Vagrant::Errors::MachineNotFound");
        assert_eq!(
            text,
            "The machine with the name 'nosuch' was not found configured for\nthis Vagrant environment."
        );
    }

    #[test]
    fn other_lines_are_not_understood() {
        for line in PLAIN.lines().chain([
            "",
            ",,,",
            "12",
            "12,one",
            "12,a machine,ui,info,x",
            "x,one,ui,info,x",
            "12,one,action,up",
        ]) {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_log_is_for_people() {
        let shown = |line: &str| parse(line).and_then(|line| line.shown());
        assert_eq!(
            shown("1,one,ui,detail,    one: a%!(VAGRANT_COMMA) b\\n    one: c").as_deref(),
            Some("one: a, b\none: c")
        );
        assert_eq!(shown("1,,ui,info,hello").as_deref(), Some("vagrant: hello"));
        assert_eq!(shown("1,one,state,running"), None);
    }
}
