//! `cargo xtask completion`: what a shell is told so that it completes verbs, flags, and the names of labs and machines.
//!
//! The shell asks this program itself at each TAB, so that names are those of now. Cargo passes no question on, so that only
//! the installed program completes.

use std::ffi::OsStr;

use caravan_lifecycle::{LabTarget, Workspace, checkpoints};
use clap::{CommandFactory as _, ValueEnum as _};
use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;

use crate::environment;
use crate::error::{Error, PROGRAM};
use crate::exit::Exit;
use crate::flags::{self, Flags};
use crate::show::screen::Screen;

/// The variable by which a shell asks.
const ASKED_BY: &str = "COMPLETE";

/// Answers a shell that asks for completions, and ends; returns where none does.
pub(crate) fn answer() {
    CompleteEnv::with_factory(|| Flags::command().name(PROGRAM).bin_name(PROGRAM))
        .var(ASKED_BY)
        .complete();
}

/// Runs the verb.
pub(crate) fn run(flags: &flags::Completion, screen: &Screen) -> Result<Exit, Error> {
    let shell = flags.shell.to_possible_value();
    let shell = shell.map_or_else(String::new, |it| it.get_name().to_owned());
    let shells = Shells::builtins();
    let completer = shells
        .completer(&shell)
        .expect("each shell of the flags is known");
    let mut script = Vec::new();
    completer
        .write_registration(ASKED_BY, PROGRAM, PROGRAM, PROGRAM, &mut script)
        .map_err(|source| Error::Print { source })?;
    print!("{}", String::from_utf8_lossy(&script));
    screen.say(&format!(
        "this is for `{PROGRAM}`, which `cargo install --path xtask --bin {PROGRAM}` installs; `{PROGRAM} completion bash \
         >~/.local/share/bash-completion/completions/{PROGRAM}` keeps it"
    ));
    Ok(Exit::Done)
}

/// The labs whose names begin like this.
pub(crate) fn lab_names(begin: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(workspace) = environment::workspace() else {
        return Vec::new();
    };
    candidates(labs(&workspace), begin)
}

/// The machines whose names begin like this, of the lab that stands before them, else of all labs.
pub(crate) fn machine_names(begin: &OsStr) -> Vec<CompletionCandidate> {
    of_labs(begin, machines)
}

/// What `names` says of the lab that stands before, else of all labs.
fn of_labs(
    begin: &OsStr,
    names: impl Fn(&Workspace, &str) -> Vec<String>,
) -> Vec<CompletionCandidate> {
    let Ok(workspace) = environment::workspace() else {
        return Vec::new();
    };
    let labs = labs(&workspace);
    let words: Vec<String> = std::env::args().collect();
    let named: Vec<String> = labs
        .iter()
        .filter(|lab| words.contains(lab))
        .cloned()
        .collect();
    let meant = if named.is_empty() { labs } else { named };
    let found = meant.iter().flat_map(|lab| names(&workspace, lab));
    candidates(found.collect(), begin)
}

/// The checkpoints whose names begin like this, of the lab that stands before them, else of all labs.
pub(crate) fn checkpoint_names(begin: &OsStr) -> Vec<CompletionCandidate> {
    of_labs(begin, |workspace, lab| {
        checkpoints::names(&workspace.state(lab))
    })
}

/// Labs, and machines where no lab stands before.
pub(crate) fn lab_or_machine_names(begin: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(workspace) = environment::workspace() else {
        return Vec::new();
    };
    let labs = labs(&workspace);
    let words: Vec<String> = std::env::args().collect();
    match labs.iter().any(|lab| words.contains(lab)) {
        true => machine_names(begin),
        false => {
            let names = lab_names(begin).into_iter();
            names.chain(machine_names(begin)).collect()
        }
    }
}

fn labs(workspace: &Workspace) -> Vec<String> {
    let mut labs = [workspace.labs(), workspace.labs_with_state()].concat();
    labs.sort();
    labs.dedup();
    labs
}

fn machines(workspace: &Workspace, lab: &str) -> Vec<String> {
    let target = LabTarget::of(workspace, Some(lab)).ok();
    let lab = target.as_ref().and_then(LabTarget::known_lab);
    let machines = lab.map(caravan_lab::Lab::machines).unwrap_or_default();
    machines.iter().map(|it| it.name.clone()).collect()
}

fn candidates(mut names: Vec<String>, begin: &OsStr) -> Vec<CompletionCandidate> {
    let begin = begin.to_string_lossy();
    names.retain(|name| name.starts_with(&*begin));
    names.sort();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}
