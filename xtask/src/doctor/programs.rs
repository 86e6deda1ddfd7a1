//! The rows of the table of needs, as `setup` and `up` judge them.

use super::{Finding, Verdict};
use crate::host::needs::{self, Need, Purpose};
use crate::host::packages::Manager;
use crate::host::probe::{Cure, State};

/// What was found of each need.
pub(super) fn findings(purpose: Purpose) -> Vec<Finding> {
    let manager = Manager::here();
    needs::judge(purpose)
        .into_iter()
        .map(|(need, state)| finding(need, state, manager))
        .collect()
}

fn finding(need: &Need, state: State, manager: Option<Manager>) -> Finding {
    let (verdict, evidence, remedy) = match state {
        State::Met(seen) => (Verdict::Good, seen, None),
        State::Asleep(seen) => (
            Verdict::Weak,
            seen,
            Some("`up` starts it; by hand: `cargo xtask setup`".to_owned()),
        ),
        State::Lacking { found, cure } => (
            Verdict::Missing,
            format!("{found}; {}", need.why),
            Some(remedy(need, cure, manager)),
        ),
    };
    Finding {
        name: need.name,
        verdict,
        evidence,
        remedy,
    }
}

fn remedy(need: &Need, cure: Cure, manager: Option<Manager>) -> String {
    match cure {
        Cure::Hand(remedy) => remedy,
        Cure::Toolchain => format!(
            "`cargo xtask setup` fetches {}",
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
                "`cargo xtask setup`".to_owned()
            }
        }
    }
}
