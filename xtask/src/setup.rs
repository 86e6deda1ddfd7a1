//! `cargo xtask setup`: installs what this computer lacks.

use std::collections::BTreeSet;

use caravan_process::{Call, Error as ProcessError};

use crate::error::{Error, listed};
use crate::exit::Exit;
use crate::flags;
use crate::host::engine;
use crate::host::go;
use crate::host::needs::{self, Need, Purpose, When};
use crate::host::packages::{self, Manager};
use crate::host::probe::{Cure, State};
use crate::lab_dir;
use crate::show::screen::{self, Screen};
use crate::show::timeline::RUN;

/// Runs the verb.
pub(crate) fn run(flags: &flags::Setup, screen: &Screen) -> Result<Exit, Error> {
    let mut purpose = Purpose::making(flags.origin.source, flags.origin.base);
    purpose.checked = flags.checkers;
    ensure(purpose, flags.yes, screen)?;
    screen.say("everything is here; `cargo xtask up ha` makes a lab");
    Ok(Exit::Done)
}

/// Installs what `purpose` needs and this computer lacks, and starts the engine; does nothing where all is there.
///
/// # Errors
///
/// [`Error::Unfit`] for what people must change themselves, before anything is installed; [`Error::CannotInstall`] with the
/// exact command, where it cannot be run from here; [`Error::NoPackage`]; [`Error::Declined`].
pub(crate) fn ensure(purpose: Purpose, yes: bool, screen: &Screen) -> Result<(), Error> {
    let mut states = needs::judge(purpose);
    refuse_unfit(&states)?;
    let missing: Vec<&Need> = states
        .iter()
        .filter(|(_, state)| is_missing(state))
        .map(|(need, _)| *need)
        .collect();
    if !missing.is_empty() {
        install(&missing, yes, screen)?;
        // What was installed may be too old, or not what is used; and others can be judged only now.
        states = needs::judge(purpose);
        refuse_unfit(&states)?;
        let still: Vec<&Need> = states
            .iter()
            .filter(|(need, state)| is_missing(state) && need.when != When::Debian)
            .map(|(need, _)| *need)
            .collect();
        // A package manager that ends well and installs nothing would otherwise be found out much later.
        if !still.is_empty() {
            return Err(by_hand(&still));
        }
    }
    let toolchain = |(_, state): &(&Need, State)| {
        matches!(
            state,
            State::Lacking {
                cure: Cure::Toolchain,
                ..
            }
        )
    };
    if states.iter().any(toolchain) {
        go::ensure(yes, screen)?;
    }
    let asleep = |(_, state): &(&Need, State)| matches!(state, State::Asleep(_));
    if states.iter().any(asleep)
        && let Some(how) = engine::start()?
    {
        screen.done(RUN, &format!("started the container engine: {how}"));
    }
    Ok(())
}

fn is_missing(state: &State) -> bool {
    matches!(
        state,
        State::Lacking {
            cure: Cure::Package,
            ..
        }
    )
}

/// What people must change themselves is said at once, all of it.
fn refuse_unfit(states: &[(&Need, State)]) -> Result<(), Error> {
    let unfit: Vec<(&str, &str, &Cure)> = states
        .iter()
        .filter_map(|(need, state)| match state {
            State::Lacking {
                found,
                cure: cure @ Cure::Hand(_),
            } => Some((need.name, found.as_str(), cure)),
            _ => None,
        })
        .collect();
    if unfit.is_empty() {
        Ok(())
    } else {
        Err(Error::unfit(&unfit))
    }
}

/// What is to be installed, by what this computer's package manager can tell now.
fn choose(
    manager: Manager,
    missing: &[&'static Need],
) -> Result<(BTreeSet<&'static str>, Vec<&'static Need>), Error> {
    let (packages, without) = manager.packages(missing, |package| manager.knows(package));
    // A base system from Debian's packages is one of two ways; where the other works, nobody misses this one.
    let (spare, without): (Vec<&Need>, Vec<&Need>) = without
        .into_iter()
        .partition(|need| need.when == When::Debian);
    if without.is_empty() {
        Ok((packages, spare))
    } else {
        Err(by_hand(&without))
    }
}

fn install(missing: &[&'static Need], yes: bool, screen: &Screen) -> Result<(), Error> {
    let names: Vec<&str> = missing.iter().map(|need| need.name).collect();
    let Some(manager) = Manager::here() else {
        return Err(by_hand(missing));
    };
    let (packages, spare) = choose(manager, missing)?;
    if !spare.is_empty() {
        let names: Vec<&str> = spare.iter().map(|need| need.name).collect();
        screen.warn(&format!(
            "no package has {}; the base system can then only come from a registry",
            listed(&names)
        ));
    }
    if packages.is_empty() {
        return Ok(());
    }
    let call = |words: &[&str]| packages::as_root(manager.program(), words);
    let refresh = manager.refresh();
    let calls: Result<Vec<Call>, ProcessError> = refresh
        .into_iter()
        .map(call)
        .chain([call(&manager.install(&packages))])
        .collect();
    let Ok(calls) = calls else {
        let commands: Vec<String> = refresh
            .into_iter()
            .map(|words| words.join(" "))
            .chain([manager.install(&packages).join(" ")])
            .map(|words| format!("{} {words}", manager.program()))
            .collect();
        return Err(Error::CannotInstall {
            what: listed(&names),
            command: commands.join(" && "),
        });
    };

    screen.say(&format!("missing here: {}", listed(&names)));
    for call in &calls {
        screen.say(&format!("  $ {call}"));
    }
    if !yes && !screen::ask("install them?") {
        return Err(Error::Declined {
            what: format!("installing {}", listed(&names)),
        });
    }
    packages::admit()?;
    let folder = engine::state_folder();
    lab_dir::make_private(&folder)?;
    let log = folder.join("setup.log");
    screen.now(RUN, &format!("installing {}", listed(&names)));
    let mut detail = |line: &str| screen.detail(RUN, line);
    let mut packages = packages;
    if let Some(words) = refresh {
        call(words)?.logged(&log, &mut detail)?;
        // With lists as they are now: a package may be there after all, or no longer.
        let now = choose(manager, missing)?.0;
        if now != packages {
            screen.say(&format!("  $ {}", call(&manager.install(&now))?));
            packages = now;
        }
    }
    call(&manager.install(&packages))?.logged(&log, &mut detail)?;
    screen.done(RUN, &format!("installed {}", listed(&names)));
    Ok(())
}

fn by_hand(needs: &[&Need]) -> Error {
    let names: Vec<&str> = needs.iter().map(|need| need.name).collect();
    let mut pages: Vec<&str> = needs
        .iter()
        .map(|need| need.by_hand)
        .filter(|page| !page.is_empty())
        .collect();
    pages.dedup();
    Error::NoPackage {
        what: listed(&names),
        pages: pages.join(", "),
    }
}
