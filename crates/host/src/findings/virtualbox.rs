//! Whether VirtualBox can run a lab's machines, where any are to be its own.

use caravan_lab::{Lab, Server};

use super::{Finding, Verdict};
use crate::virtualbox;

/// One finding for each thing that keeps it from that, or one that there is none; none where no server has its machines.
pub(super) fn findings(lab: &Lab, servers: &[&Server]) -> Vec<Finding> {
    const NAME: &str = "VirtualBox";
    if servers.is_empty() {
        return Vec::new();
    }
    match virtualbox::faults(lab, servers) {
        Ok(seen) => vec![Finding {
            name: NAME,
            verdict: Verdict::Good,
            evidence: seen,
            remedy: None,
        }],
        Err(faults) => faults
            .into_iter()
            .map(|fault| Finding {
                name: NAME,
                verdict: Verdict::Missing,
                evidence: fault.found,
                remedy: Some(fault.remedy),
            })
            .collect(),
    }
}
