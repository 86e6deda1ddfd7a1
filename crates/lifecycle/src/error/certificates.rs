//! What can be wrong where certificates are looked after.

use std::path::PathBuf;

use super::listed;

/// Why certificates or authorities are not renewed, or not seen to be.
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
    /// A machine has not what was issued anew.
    #[error("`{path}` of `{machine}` is not what the lab's store has")]
    NotReissued {
        /// The lab.
        lab: String,
        /// The machine.
        machine: String,
        /// The file.
        path: String,
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
    /// A controller manager signs with what everybody trusts by, which is to hold two certificates.
    #[error(
        "the controller manager of `{machine}` signs with `/etc/kubernetes/pki/ca.crt`, as labs of earlier versions have it, and would end with two certificates there"
    )]
    SignsWithTrust {
        /// The lab.
        lab: String,
        /// The machine.
        machine: String,
    },
    /// What tells the one that signed before from the new one, which has its name, is gone.
    #[error("`{}` is gone, which tells what signed in lab `{lab}` before the rotation from what is to sign after it", path.display())]
    RetiringLost {
        /// The lab.
        lab: String,
        /// The file.
        path: PathBuf,
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
            Self::NotAllRun { lab, machines } => Some(format!(
                "`{tool} up {lab} {}` starts {}",
                machines.join(" "),
                if machines.len() == 1 { "it" } else { "them" }
            )),
            Self::NotReissued { lab, machine, .. } => Some(format!(
                "run the same command again, which brings it there; `{tool} logs {lab} {machine}` shows more"
            )),
            Self::SignsWithTrust { lab, .. } => Some(format!(
                "`{tool} up {lab}` gives it a file of its own to sign with"
            )),
            Self::RetiringLost { lab, .. } => Some(format!(
                "put the file back, or, where both are trusted alike, `rm .lab/{lab}/operation.json` gives the rotation up, and `{tool} certs rotate {lab} SIGNER` begins another one"
            )),
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
