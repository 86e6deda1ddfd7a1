//! Finding out what a folder holds, without a plan.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use super::files::{self, Privacy, io_error};
use crate::entry::{Item, NEXT, PREVIOUS};
use crate::{AuthoritySpec, Certificate, CommonName, Error, Leaf, Organization, Plan};

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
    /// It holds what could not be kept.
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

/// Certificates by entry name, as far as they have a key beside them.
type Certificates = BTreeMap<String, Certificate>;

/// The plan that would make what the folder holds: every certificate with a key beside it, each below the authority of
/// the folder that signed it.
pub(crate) fn discover(root: &Path) -> Result<Discovered, Error> {
    let mut found = Certificates::new();
    collect(root, "", &mut found)?;
    let mut plan = Plan::new();
    let mut foreign = BTreeMap::new();
    // Each round adds what the authorities of the round before signed.
    loop {
        let before = plan.entries().len();
        for (id, certificate) in &found {
            if plan.entry(id).is_none() && !foreign.contains_key(id) {
                if let Err(error) = add(&mut plan, id, certificate, &found) {
                    foreign.insert(id.clone(), error.to_string());
                }
            }
        }
        if plan.entries().len() == before && !add_anchor(&mut plan, &found, &mut foreign) {
            break;
        }
    }
    let mut left_out = Vec::new();
    for (id, certificate) in &found {
        if plan.entry(id).is_none() {
            let issuer = certificate.issuer_shown();
            left_out.push(LeftOut {
                file: root.join(format!("{id}.crt")),
                reason: match foreign.remove(id) {
                    Some(problem) => LeftOutReason::Foreign { problem },
                    None => LeftOutReason::IssuerMissing { issuer },
                },
            });
        }
    }
    Ok(Discovered { plan, left_out })
}

fn collect(folder: &Path, prefix: &str, found: &mut Certificates) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
        let entry = entry.map_err(io_error("list", folder))?;
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        // Not followed, so that a link back to a folder above does no harm.
        let kind = entry.file_type().map_err(io_error("examine", &path))?;
        if kind.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), found)?;
        } else if let Some(stem) = name.strip_suffix(".crt") {
            let changing = [NEXT, PREVIOUS]
                .iter()
                .any(|word| stem.ends_with(&format!(".{word}")));
            if changing || !path.with_extension("key").exists() {
                continue;
            }
            if let Some(bytes) = files::read(&path, Privacy::Public)? {
                let certificate =
                    Certificate::from_pem(&bytes).map_err(|error| error.in_file(&path))?;
                found.insert(format!("{prefix}{stem}"), certificate);
            }
        }
    }
    Ok(())
}

/// Adds `certificate` if it is self-signed, or if its issuer is in the plan.
fn add(
    plan: &mut Plan,
    id: &str,
    certificate: &Certificate,
    found: &Certificates,
) -> Result<(), Error> {
    let self_signed = certificate.is_signed_by(certificate).unwrap_or(false);
    if certificate.is_authority() && self_signed {
        plan.authority(id, anchor_spec(certificate)?)?;
        return Ok(());
    }
    let issuer = plan
        .entries()
        .iter()
        .filter(|entry| matches!(entry.item(), Item::Authority { .. }))
        .map(|entry| entry.id().as_str().to_owned())
        .find(|issuer| {
            let issuer = found.get(issuer);
            issuer.is_some_and(|issuer| certificate.is_signed_by(issuer).unwrap_or(false))
        });
    let Some(issuer) = issuer else {
        return Ok(());
    };
    if certificate.is_authority() {
        plan.intermediate(&issuer, id, spec(certificate)?)?;
    } else {
        plan.leaf(&issuer, id, Leaf::from_certificate(certificate)?)?;
    }
    Ok(())
}

/// Adds one authority whose issuer is not in the folder, or cannot be checked: it signs all the same, and its own
/// certificate is another's to renew. Whether there was one.
fn add_anchor(
    plan: &mut Plan,
    found: &Certificates,
    foreign: &mut BTreeMap<String, String>,
) -> bool {
    let waiting = found.iter().filter(|(id, certificate)| {
        certificate.is_authority() && plan.entry(id).is_none() && !foreign.contains_key(*id)
    });
    // Those whose issuer is here wait for it, unless they wait for each other.
    let lonely = |certificate: &Certificate| {
        let mut others = found.values().filter(|other| *other != certificate);
        !others.any(|other| other.is_authority() && other.subject() == certificate.issuer())
    };
    let mut waiting: Vec<_> = waiting.collect();
    waiting.sort_by_key(|(_, certificate)| !lonely(certificate));
    let Some((id, certificate)) = waiting.first() else {
        return false;
    };
    let added = anchor_spec(certificate).and_then(|spec| plan.authority(id, spec).map(drop));
    if let Err(error) = added {
        foreign.insert((*id).clone(), error.to_string());
    }
    true
}

/// The description of an authority that nothing here makes: what of its name cannot be said in one is left out.
fn anchor_spec(certificate: &Certificate) -> Result<AuthoritySpec, Error> {
    spec(certificate).or_else(|_| {
        let spec = AuthoritySpec::new(CommonName::try_from("a foreign authority")?);
        Ok(spec
            .with_lifetime(certificate.validity().lifetime())
            .without_path_length())
    })
}

fn spec(certificate: &Certificate) -> Result<AuthoritySpec, Error> {
    // A foreign authority may have several common names, or none: it is never made from this description.
    let name = certificate.subject_shown();
    let spec = AuthoritySpec::new(CommonName::try_from(name.as_str())?)
        .with_lifetime(certificate.validity().lifetime());
    let spec = match certificate.path_length() {
        Some(length) => spec.with_path_length(length),
        None => spec.without_path_length(),
    };
    certificate
        .organizations()
        .iter()
        .try_fold(spec, |spec, name| {
            Ok(spec.with_organization(Organization::try_from(name.as_str())?))
        })
}
