//! `cargo xtask setup`: installs what this computer lacks.

use caravan_process::Error as ProcessError;

use crate::error::{Error, listed};
use crate::exit::Exit;
use crate::flags;
use crate::host::engine;
use crate::host::go;
use crate::host::needs::{self, Need, Purpose, When};
use crate::host::packages::{self, Manager};
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
/// [`Error::CannotInstall`] with the exact command, where it cannot be run from here; [`Error::Declined`].
pub(crate) fn ensure(purpose: Purpose, yes: bool, screen: &Screen) -> Result<(), Error> {
    let missing = needs::missing(purpose);
    if !missing.is_empty() {
        install(&missing, yes, screen)?;
    }
    if purpose.built {
        go::ensure(yes, screen)?;
    }
    if purpose.running
        && let Some(how) = engine::start()?
    {
        screen.done(RUN, &format!("started the container engine: {how}"));
    }
    Ok(())
}

fn install(missing: &[&'static Need], yes: bool, screen: &Screen) -> Result<(), Error> {
    let names: Vec<&str> = missing.iter().map(|need| need.name).collect();
    let Some(manager) = Manager::here() else {
        return Err(by_hand(missing));
    };
    let (packages, without) = manager.packages(missing);
    // A base system from Debian's packages is one of two ways; where the other works, nobody misses this one.
    let (spare, without): (Vec<&Need>, Vec<&Need>) = without
        .into_iter()
        .partition(|need| need.when == When::Debian);
    if !without.is_empty() {
        return Err(by_hand(&without));
    }
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
    let commands = manager.commands(&packages);
    let calls: Result<Vec<_>, ProcessError> = commands
        .iter()
        .map(|words| packages::as_root(manager.program(), words))
        .collect();
    let Ok(calls) = calls else {
        let commands: Vec<String> = commands
            .iter()
            .map(|words| format!("{} {}", manager.program(), words.join(" ")))
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
    for call in calls {
        call.logged(&log, &mut |line| screen.detail(RUN, line))?;
    }
    screen.done(RUN, &format!("installed {}", listed(&names)));

    // A package manager that ends well and installs nothing would otherwise be found out much later.
    let still: Vec<&'static Need> = missing
        .iter()
        .filter(|need| need.found().is_none() && need.when != When::Debian)
        .copied()
        .collect();
    if still.is_empty() {
        Ok(())
    } else {
        Err(by_hand(&still))
    }
}

fn by_hand(needs: &[&Need]) -> Error {
    let names: Vec<&str> = needs.iter().map(|need| need.name).collect();
    let pages: Vec<&str> = needs
        .iter()
        .map(|need| need.by_hand)
        .filter(|page| !page.is_empty())
        .collect();
    Error::NoPackage {
        what: listed(&names),
        pages: pages.join(", "),
    }
}
