//! The rows of the table of needs, as `setup` and `up` judge them.

use super::{Finding, RemedyCommands, Verdict};
use crate::needs::{self, Need, Purpose};
use crate::packages::Manager;
use crate::probe::{Cure, NeedState};

/// What was found of each need.
pub(super) fn findings(purpose: Purpose, commands: RemedyCommands) -> Vec<Finding> {
    let manager = Manager::here();
    needs::judge(purpose)
        .into_iter()
        .map(|(need, state)| finding(need, state, manager, commands))
        .collect()
}

fn finding(
    need: &Need,
    state: NeedState,
    manager: Option<Manager>,
    commands: RemedyCommands,
) -> Finding {
    let (verdict, evidence, remedy) = match state {
        NeedState::Met(seen) => (Verdict::Good, seen, None),
        NeedState::Asleep(seen) => (
            Verdict::Weak,
            seen,
            Some(format!("`up` starts it; by hand: `{}`", commands.setup)),
        ),
        NeedState::Lacking { found, cure } => (
            Verdict::Missing,
            format!("{found}; {}", need.why),
            Some(remedy(need, &cure, manager, commands)),
        ),
    };
    Finding {
        name: need.name,
        verdict,
        evidence,
        remedy,
    }
}

fn remedy(need: &Need, cure: &Cure, manager: Option<Manager>, commands: RemedyCommands) -> String {
    match cure {
        Cure::Toolchain => format!(
            "{} fetches {}",
            cure.text(commands.setup),
            caravan_bundle::needs::TOOLCHAIN
        ),
        Cure::Package => {
            let without = manager.is_none_or(|manager| {
                let asked = |package: &str| manager.knows_already(package);
                !manager.packages(&[need], asked).1.is_empty()
            });
            if without {
                format!("no package manager here has it; by hand: {}", need.by_hand)
            } else {
                cure.text(commands.setup)
            }
        }
        Cure::Hand(_) | Cure::Replace(_) => cure.text(commands.setup),
    }
}
