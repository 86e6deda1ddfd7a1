//! Finding out what a folder holds, without a plan.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::files::{self, Privacy, io_error};
use crate::entry::{self, Item};
use crate::{AuthoritySpec, Certificate, Error, Leaf, Plan, PrivateKey};

/// What a folder holds, found without a plan.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Discovered {
    /// The plan that would make it.
    pub plan: Plan,
    /// The certificates that have a key and are not in the plan, sorted by file.
    pub left_out: Vec<LeftOut>,
}

/// A certificate that cannot be made again from what the folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The certificate.
    pub file: PathBuf,
    /// Why not.
    pub reason: LeftOutReason,
}

/// Why a certificate cannot be made again from what the folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftOutReason {
    /// The authority that signed it is not there, or its key is not.
    IssuerMissing {
        /// The authority's name.
        issuer: String,
    },
    /// It, or its key, is damaged, of a kind that is not used here, or has no name that an entry could have.
    Foreign {
        /// What that is.
        problem: String,
    },
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.reason {
            LeftOutReason::IssuerMissing { issuer } => {
                write!(
                    f,
                    "`{file}`: its issuer `{issuer}` is not here with its key"
                )
            }
            LeftOutReason::Foreign { problem } => write!(f, "`{file}`: {problem}"),
        }
    }
}

/// What was found, by entry name.
#[derive(Default)]
struct Found {
    /// The certificates that have a key beside them, which is theirs or may become it.
    certificates: BTreeMap<String, Certificate>,
    /// What is wrong with the others.
    unusable: BTreeMap<String, String>,
}

/// The plan that would make what the folder holds: every certificate with a key beside it, each below the authority of
/// the folder that signed it.
pub(crate) fn discover(root: &Path) -> Result<Discovered, Error> {
    let mut found = collect(root)?;
    let mut plan = Plan::new();
    // Each round adds what the authorities of the round before signed.
    loop {
        let before = plan.entries().len();
        for (id, certificate) in &found.certificates {
            if plan.entry(id).is_none() && !found.unusable.contains_key(id) {
                if let Err(error) = add(&mut plan, id, certificate, &found) {
                    found.unusable.insert(id.clone(), shown(&error));
                }
            }
        }
        if plan.entries().len() == before && !add_anchor(&mut plan, &mut found) {
            break;
        }
    }
    let left_out = |id: &String, reason| LeftOut {
        file: root.join(format!("{id}.crt")),
        reason,
    };
    let mut all: BTreeMap<&String, LeftOut> = BTreeMap::new();
    for (id, certificate) in &found.certificates {
        if plan.entry(id).is_none() {
            let issuer = certificate.issuer_shown();
            all.insert(id, left_out(id, LeftOutReason::IssuerMissing { issuer }));
        }
    }
    for (id, problem) in &found.unusable {
        let problem = problem.clone();
        all.insert(id, left_out(id, LeftOutReason::Foreign { problem }));
    }
    Ok(Discovered {
        plan,
        left_out: all.into_values().collect(),
    })
}

/// What is wrong, in one line: of errors in a file, whose name is said already, what is wrong inside.
fn shown(error: &Error) -> String {
    match error {
        Error::InFile { source, .. } => source.to_string(),
        Error::Io { source, .. } => format!("{error}: {source}"),
        other => other.to_string(),
    }
}

fn collect(root: &Path) -> Result<Found, Error> {
    let mut found = Found::default();
    for (id, path) in files::certificates(root)? {
        let key = path.with_extension("key");
        if entry::is_reserved(&id) || !key.exists() {
            continue;
        }
        match read(&path, &key) {
            Ok(certificate) => found.certificates.insert(id, certificate).map(drop),
            Err(error) => found.unusable.insert(id, shown(&error)).map(drop),
        };
    }
    Ok(found)
}

/// The certificate of a pair of files that can be worked with.
fn read(path: &Path, key_path: &Path) -> Result<Certificate, Error> {
    let missing = |path: &Path| io_error("open", path)(rustix::io::Errno::NOENT.into());
    let bytes = files::read(path, Privacy::Public)?.ok_or_else(|| missing(path))?;
    let certificate = Certificate::from_pem(&bytes).map_err(|error| error.in_file(path))?;
    let bytes = files::read(key_path, Privacy::Private)?.ok_or_else(|| missing(key_path))?;
    let key = PrivateKey::from_pem(&bytes)?;
    // Of a leaf, another key is an interrupted change of keys; of an authority it is a mistake.
    if certificate.is_authority() {
        certificate.require_key(&key)?;
    }
    Ok(certificate)
}

/// Adds `certificate` if it is self-signed, or if its issuer is in the plan.
fn add(plan: &mut Plan, id: &str, certificate: &Certificate, found: &Found) -> Result<(), Error> {
    let self_signed = certificate.is_signed_by(certificate).unwrap_or(false);
    if certificate.is_authority() && self_signed {
        plan.authority(id, AuthoritySpec::from_certificate(certificate))?;
        return Ok(());
    }
    let issuer = plan
        .entries()
        .iter()
        .filter(|entry| matches!(entry.item(), Item::Authority { .. }))
        .map(|entry| entry.id().as_str().to_owned())
        .find(|issuer| {
            let issuer = found.certificates.get(issuer);
            issuer.is_some_and(|issuer| certificate.is_signed_by(issuer).unwrap_or(false))
        });
    let Some(issuer) = issuer else {
        return Ok(());
    };
    if certificate.is_authority() {
        plan.intermediate(&issuer, id, AuthoritySpec::from_certificate(certificate))?;
    } else if let Ok(leaf) = Leaf::from_certificate(certificate) {
        plan.leaf(&issuer, id, leaf)?;
    } else {
        plan.foreign(&issuer, id)?;
    }
    Ok(())
}

/// Adds one authority whose issuer is not in the folder, or cannot be checked: it signs all the same, and its own
/// certificate is another's to renew. Whether there was one.
fn add_anchor(plan: &mut Plan, found: &mut Found) -> bool {
    let Found {
        certificates,
        unusable,
    } = found;
    let waiting = certificates.iter().filter(|(id, certificate)| {
        certificate.is_authority() && plan.entry(id).is_none() && !unusable.contains_key(*id)
    });
    // Those whose issuer is here wait for it, unless they wait for each other.
    let lonely = |certificate: &Certificate| {
        let mut others = certificates.values().filter(|other| *other != certificate);
        !others.any(|other| other.is_authority() && other.subject() == certificate.issuer())
    };
    let mut waiting: Vec<_> = waiting.collect();
    waiting.sort_by_key(|(_, certificate)| !lonely(certificate));
    let Some((id, certificate)) = waiting.first() else {
        return false;
    };
    let spec = AuthoritySpec::from_certificate(certificate);
    if let Err(error) = plan.authority(id, spec) {
        unusable.insert((*id).clone(), error.to_string());
    }
    true
}
