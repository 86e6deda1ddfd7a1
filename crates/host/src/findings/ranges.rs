//! Whether this computer's own network leaves the lab its ranges.

use std::collections::BTreeSet;

use caravan_lab::{Lab, Provider};

use super::{Finding, Verdict};
use crate::ranges;

/// One finding for each resolver and route in a range of the lab, or one that there is none.
pub(super) fn findings(lab: &Lab, providers: &BTreeSet<Provider>, was_made: bool) -> Vec<Finding> {
    const NAME: &str = "address ranges";
    let found = match ranges::collisions(lab, providers, was_made) {
        Ok(found) => found,
        Err(error) => {
            return vec![Finding {
                name: NAME,
                verdict: Verdict::Weak,
                evidence: error.to_string(),
                remedy: None,
            }];
        }
    };
    if found.is_empty() {
        return vec![Finding {
            name: NAME,
            verdict: Verdict::Good,
            evidence: "no resolver and no route of this computer lies in a range of the lab"
                .to_owned(),
            remedy: None,
        }];
    }
    found
        .iter()
        .map(|collision| Finding {
            name: NAME,
            verdict: Verdict::Weak,
            evidence: collision.to_string(),
            remedy: Some(collision.hint()),
        })
        .collect()
}
