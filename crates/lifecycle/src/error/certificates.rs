//! What can be wrong where certificates are looked after.

use super::listed;

/// Why certificates are not renewed, or not seen to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificatesError {
    /// Who refuses everybody cannot be asked.
    #[error("certificates of lab `{lab}` have ended: {}", some(which))]
    HaveEnded {
        /// The lab.
        lab: String,
        /// Each that has, with its machine.
        which: Vec<String>,
    },
    /// Nobody needs a rescue.
    #[error("no certificate of lab `{lab}` has ended")]
    NoneHasEnded {
        /// The lab.
        lab: String,
    },
    /// Machines do not run that would have to be given something.
    #[error("not all machines of lab `{lab}` run: {} {}", listed(machines), if machines.len() == 1 { "does not" } else { "do not" })]
    NotAllRun {
        /// The lab.
        lab: String,
        /// Those that do not.
        machines: Vec<String>,
    },
    /// A machine did not tell what it was asked.
    #[error("{why}")]
    NotHeard {
        /// Which, and why.
        why: String,
    },
    /// A server shows another certificate than it was given.
    #[error("the server of `{machine}` does not show the certificate that is on its disk")]
    NotServed {
        /// The machine.
        machine: String,
    },
}

impl CertificatesError {
    /// The next thing to do about it; `tool` is how the program that calls this is started.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::HaveEnded { lab, .. } => Some(format!(
                "`{tool} certs renew {lab} --expired` makes them anew without asking who refuses; the API is away until then"
            )),
            Self::NoneHasEnded { lab } => Some(format!(
                "`{tool} certs renew {lab}` makes those anew that end soon, while the lab goes on"
            )),
            Self::NotAllRun { lab, .. } => Some(format!("`{tool} up {lab}` starts them")),
            _ => None,
        }
    }
}

/// The first few, and how many more there are.
fn some(which: &[String]) -> String {
    const SHOWN: usize = 3;
    let (first, more) = which.split_at(which.len().min(SHOWN));
    match more.len() {
        0 => first.join(", "),
        count => format!("{}, and {count} more", first.join(", ")),
    }
}
