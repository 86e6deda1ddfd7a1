//! Installing what this computer lacks, and starting what must run.

use std::collections::BTreeSet;

use caravan_process::{Call, Error as ProcessError};

use crate::error::{Error, UnfitNeed};
use crate::go;
use crate::needs::{self, Need, Purpose, When};
use crate::observer::SetupObserver;
use crate::packages::{self, Manager};
use crate::probe::{Cure, NeedState, Probe};
use crate::{engine, libvirt};

/// Installs what `purpose` needs and this computer lacks, and starts the engine and libvirt; does nothing where all is there.
///
/// # Errors
///
/// [`Error::Unfit`] for what people must change themselves, before anything is installed; [`Error::CannotInstall`] with the
/// exact command, where it cannot be run from here; [`Error::NoPackage`]; [`Error::Declined`].
pub fn ensure(purpose: Purpose, observer: &dyn SetupObserver) -> Result<(), Error> {
    let mut states = needs::judge(purpose);
    refuse_unfit(&states)?;
    let missing: Vec<&Need> = states
        .iter()
        .filter(|(_, state)| is_missing(state))
        .map(|(need, _)| *need)
        .collect();
    if !missing.is_empty() {
        install(&missing, observer)?;
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
    let toolchain = |(_, state): &(&Need, NeedState)| {
        matches!(
            state,
            NeedState::Lacking {
                cure: Cure::Toolchain,
                ..
            }
        )
    };
    if states.iter().any(toolchain) {
        go::ensure(observer)?;
    }
    let asleep = states
        .iter()
        .filter(|(_, state)| matches!(state, NeedState::Asleep(_)));
    for (need, _) in asleep {
        let started = match need.probe {
            Probe::Libvirt => libvirt::start()?,
            _ => engine::start()?,
        };
        if let Some(how) = started {
            observer.done(&format!(
                "started {}: {how}",
                match need.probe {
                    Probe::Libvirt => "libvirt",
                    _ => "the container engine",
                }
            ));
        }
    }
    Ok(())
}

fn is_missing(state: &NeedState) -> bool {
    matches!(
        state,
        NeedState::Lacking {
            cure: Cure::Package,
            ..
        }
    )
}

/// What people must change themselves is said at once, all of it.
fn refuse_unfit(states: &[(&Need, NeedState)]) -> Result<(), Error> {
    let needs: Vec<UnfitNeed> = states
        .iter()
        .filter_map(|(need, state)| match state {
            NeedState::Lacking { found, cure } if cure.is_by_hand() => Some(UnfitNeed {
                name: need.name,
                found: found.clone(),
                cure: cure.clone(),
            }),
            _ => None,
        })
        .collect();
    if needs.is_empty() {
        Ok(())
    } else {
        Err(Error::Unfit { needs })
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

fn install(missing: &[&'static Need], observer: &dyn SetupObserver) -> Result<(), Error> {
    let names: Vec<&str> = missing.iter().map(|need| need.name).collect();
    let Some(manager) = Manager::here() else {
        return Err(by_hand(missing));
    };
    let (packages, spare) = choose(manager, missing)?;
    if !spare.is_empty() {
        let names: Vec<&str> = spare.iter().map(|need| need.name).collect();
        observer.warning(&format!(
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

    observer.note(&format!("missing here: {}", listed(&names)));
    for call in &calls {
        observer.note(&format!("  $ {call}"));
    }
    if !observer.confirms("install them?") {
        return Err(Error::Declined {
            what: format!("installing {}", listed(&names)),
        });
    }
    packages::admit()?;
    let folder = engine::state_folder();
    engine::make_state_folder(&folder)?;
    let log = folder.join("setup.log");
    observer.began(&format!("installing {}", listed(&names)));
    let mut detail = |line: &str| observer.line(line);
    let mut packages = packages;
    if let Some(words) = refresh {
        call(words)?.logged(&log, &mut detail)?;
        // With lists as they are now: a package may be there after all, or no longer.
        let now = choose(manager, missing)?.0;
        if now != packages {
            observer.note(&format!("  $ {}", call(&manager.install(&now))?));
            packages = now;
        }
    }
    call(&manager.install(&packages))?.logged(&log, &mut detail)?;
    observer.done(&format!("installed {}", listed(&names)));
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

/// `names` in backticks, with commas.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
