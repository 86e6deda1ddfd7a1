//! Changing an authority: its certificate, or its key in three resumable steps.
//!
//! | files beside `ca.crt` and `ca.key` | state | trusted | signs |
//! |---|---|---|---|
//! | none | idle | current | current |
//! | `ca.next.crt`, `ca.next.key` | started | current, next | current |
//! | `ca.previous.crt` | switched | current, previous | current (was next) |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::batch::{self, Verb, Write};
use super::done::write;
use super::ensure::require_room_around;
use super::files::{self, Privacy, io_error};
use super::held::{self, Paths};
use super::lists;
use crate::authority::require_self_signed;
use crate::entry::{Entry, Item, NEXT, PREVIOUS};
use crate::renewal::Changes;
use crate::{Authority, Certificate, Error, Lifetime, Plan, PrivateKey};

/// How far an authority's change to another key has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// Not begun, or finished.
    Idle,
    /// The coming authority is there to be trusted; the old one signs.
    Started,
    /// The new authority signs; the old one is still trusted.
    Switched,
}

/// The files that are there while a rotation is under way.
struct Extra {
    next_certificate: PathBuf,
    next_key: PathBuf,
    previous: PathBuf,
}

impl Extra {
    fn of(paths: &Paths) -> Self {
        let beside = |name: &str, extension: &str| {
            let mut file = paths.private.clone();
            file.set_extension(format!("{name}.{extension}"));
            file
        };
        Self {
            next_certificate: beside(NEXT, "crt"),
            next_key: beside(NEXT, "key"),
            previous: beside(PREVIOUS, "crt"),
        }
    }
}

pub(crate) fn current(paths: &Paths) -> &Path {
    // Authorities always have a public file.
    paths.public.as_deref().unwrap_or(&paths.private)
}

pub(crate) fn read_certificate(path: &Path) -> Result<Option<Certificate>, Error> {
    match files::read(path, Privacy::Public)? {
        Some(bytes) => Certificate::from_pem(&bytes)
            .map(Some)
            .map_err(|error| error.in_file(path)),
        None => Ok(None),
    }
}

/// What is trusted beside the current certificate.
pub(crate) fn trusted_beside(paths: &Paths) -> Result<Vec<Certificate>, Error> {
    let extra = Extra::of(paths);
    let next = read_certificate(&extra.next_certificate)?;
    Ok(next
        .into_iter()
        .chain(read_certificate(&extra.previous)?)
        .collect())
}

pub(crate) fn state(paths: &Paths) -> Result<Rotation, Error> {
    let extra = Extra::of(paths);
    // The old certificate is set aside first of all: from then on there is only forward.
    Ok(if extra.previous.exists() {
        Rotation::Switched
    } else if extra.next_certificate.exists() {
        Rotation::Started
    } else {
        Rotation::Idle
    })
}

/// Completes a switch that was interrupted between its two renames: the new key is in place, its certificate is not.
pub(crate) fn recover(paths: &Paths) -> Result<(), Error> {
    let extra = Extra::of(paths);
    if extra.next_key.exists() || !extra.previous.exists() {
        return Ok(());
    }
    let (Some(next), Some(key)) = (
        read_certificate(&extra.next_certificate)?,
        paths.read_key()?,
    ) else {
        return Ok(());
    };
    if next.require_key(&key).is_ok() {
        rename(&extra.next_certificate, current(paths))?;
    }
    Ok(())
}

/// The coming authority, whole and ready to take over; `None` when there is none yet.
///
/// Half a pair, or one that does not fit together, would take the working one's place and leave nothing that signs.
fn coming(extra: &Extra) -> Result<Option<Authority>, Error> {
    let path = &extra.next_certificate;
    let Some(next) = read_certificate(path)? else {
        return Ok(None);
    };
    let Some(bytes) = files::read(&extra.next_key, Privacy::Private)? else {
        return Err(Error::KeyMissing {
            certificate: path.clone(),
            key: extra.next_key.clone(),
        });
    };
    let key = PrivateKey::from_pem(&bytes).map_err(|error| error.in_file(&extra.next_key))?;
    let authority = Authority::trusted(next, key, Vec::new());
    authority.map(Some).map_err(|error| error.in_file(path))
}

/// The coming authority of a rotation that was started and not switched; `None` when the switch was taken already.
pub(crate) fn next_of(paths: &Paths, id: &str) -> Result<Option<Authority>, Error> {
    recover(paths)?;
    match (coming(&Extra::of(paths))?, state(paths)?) {
        (Some(next), _) => Ok(Some(next)),
        (None, Rotation::Switched) => Ok(None),
        (None, _) => Err(not_found("started rotation of", id)),
    }
}

pub(crate) fn start(plan: &Plan, paths: &Paths, id: &str, now: SystemTime) -> Result<(), Error> {
    let extra = Extra::of(paths);
    if extra.previous.exists() {
        return Err(Error::Exists {
            path: extra.previous,
        });
    }
    let old =
        read_certificate(current(paths))?.ok_or_else(|| not_found("authority in the store", id))?;
    if coming(&extra)?.is_some() {
        return Ok(());
    }
    let spec = match plan.entry(id).map(|entry| entry.item()) {
        Some(Item::Authority { issuer: None, spec }) => spec,
        _ => return Err(not_found("self-signed authority in the plan", id)),
    };
    // The plan does not know of one from elsewhere who signed it: it would become a root of nobody's.
    require_self_signed(&old)?;
    require_room_below(plan, id, &old, paths)?;
    let changes =
        Changes::to_authority(&old, spec).map_err(|error| error.in_file(current(paths)))?;
    // The key first, as everywhere; one that an interrupted start left is used.
    let key = match files::read(&extra.next_key, Privacy::Private)? {
        Some(bytes) => {
            PrivateKey::from_pem(&bytes).map_err(|error| error.in_file(&extra.next_key))?
        }
        None => {
            let key = PrivateKey::generate()?;
            batch::commit(&[private(&extra.next_key, &key)])?;
            key
        }
    };
    // Whoever made the old one: only the key is another, and what the plan wants otherwise.
    let next = Authority::succeed(&old, &changes, key, spec.lifetime(), now)?;
    batch::commit(&[public(
        &extra.next_certificate,
        next.certificate(),
        Verb::Create,
    )])
}

fn require_room_below(
    plan: &Plan,
    id: &str,
    certificate: &Certificate,
    paths: &Paths,
) -> Result<(), Error> {
    plan.entry(id).map_or(Ok(()), |entry| {
        require_room_around(plan, entry, certificate, None)
            .map_err(|error| error.in_file(current(paths)))
    })
}

/// Puts the coming pair, see [`next_of`], in the place of the working one.
pub(crate) fn switch(paths: &Paths, id: &str) -> Result<(), Error> {
    let extra = Extra::of(paths);
    let old =
        read_certificate(current(paths))?.ok_or_else(|| not_found("authority in the store", id))?;
    match read_certificate(&extra.previous)? {
        None => batch::commit(&[public(&extra.previous, &old, Verb::Create)])?,
        Some(previous) if previous == old => {}
        Some(_) => {
            return Err(Error::Exists {
                path: extra.previous,
            });
        }
    }
    rename(&extra.next_key, &paths.private)?;
    batch::step();
    rename(&extra.next_certificate, current(paths))
}

pub(crate) fn finish(paths: &Paths, id: &str) -> Result<(), Error> {
    let extra = Extra::of(paths);
    if state(paths)? != Rotation::Switched {
        return Err(not_found("switched rotation of", id));
    }
    let list = lists::previous(paths);
    match fs::remove_file(&list) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => result.map_err(io_error("remove", &list))?,
    }
    batch::step();
    // Last: it says how far this has come.
    fs::remove_file(&extra.previous).map_err(io_error("remove", &extra.previous))?;
    batch::sync_folder_of(&extra.previous)
}

/// Makes the certificate of the self-signed authority `id` anew, with the plan's changes to it.
pub(crate) fn renew(
    root: &Path,
    plan: &Plan,
    entry: &Entry,
    lifetime: Lifetime,
    now: SystemTime,
) -> Result<(), Error> {
    let paths = Paths::of(root, entry);
    recover(&paths)?;
    let (Some(certificate), Some(key)) = paths.read_pair()? else {
        return Err(not_found("authority in the store", entry.id().as_str()));
    };
    // Not checked for expiry: an expired authority is the one that most needs this.
    let authority = Authority::trusted(certificate, key, Vec::new())
        .map_err(|error| error.in_file(current(&paths)))?;
    let certificate = authority.certificate();
    require_self_signed(certificate)?;
    require_room_below(plan, entry.id().as_str(), certificate, &paths)?;
    let changes = match entry.item() {
        Item::Authority { spec, .. } => Changes::to_authority(certificate, spec)
            .map_err(|error| error.in_file(current(&paths)))?,
        _ => Changes::default(),
    };
    let keeps_serial = held::is_named_by_serial(root, certificate);
    let renewed = authority.follow(&changes, lifetime, keeps_serial, now)?;
    batch::commit(&[public(current(&paths), &renewed, Verb::Replace)])
}

/// Puts `authority` in the place of `entry`: nothing is done if it is there, the rest if an earlier import was
/// interrupted, and its certificate alone if that is a later one of the same authority, which its issuer renewed.
pub(crate) fn import(root: &Path, entry: &Entry, authority: &Authority) -> Result<(), Error> {
    let paths = &Paths::of(root, entry);
    let certificate = authority.certificate();
    if let Item::Authority { spec, .. } = entry.item() {
        if let Some(difference) = spec.differences(certificate).into_iter().next() {
            return Err(difference.refuse(certificate));
        }
    }
    let taken = |path: &Path| Error::Exists {
        path: path.to_owned(),
    };
    let mut writes = Vec::new();
    match paths.read_key()? {
        Some(key) if key.public_key() == authority.key().public_key() => {}
        Some(_) => return Err(taken(&paths.private)),
        None => writes.push(private(&paths.private, authority.key())),
    }
    let follows = |found: &Certificate| {
        found.subject() == certificate.subject()
            && found.public_key_der().ok() == certificate.public_key_der().ok()
            && found.validity().not_after() < certificate.validity().not_after()
    };
    match read_certificate(current(paths))? {
        Some(found) if &found == certificate => {}
        Some(found) if follows(&found) => {
            writes.push(public(current(paths), certificate, Verb::Replace));
        }
        Some(_) => return Err(taken(current(paths))),
        None => writes.push(public(current(paths), certificate, Verb::Create)),
    }
    // Without the root, which those who judge have: it is not sent.
    let chain: Vec<&Certificate> = authority
        .above()
        .iter()
        .filter(|one| one.subject() != one.issuer())
        .collect();
    let text: String = chain.iter().map(|one| one.to_pem()).collect();
    let path = paths.chain();
    let found = files::read(&path, Privacy::Public)?;
    let mut is_stale = false;
    match found {
        Some(found) if chain.is_empty() => {
            // Nothing was said of those above: what an earlier import said holds as long as it leads on from here.
            let leads_on = |chain: &Vec<Certificate>| authority.is_followed_by(chain);
            let said = !authority.above().is_empty();
            is_stale = said || !Certificate::all_from_pem(&found).is_ok_and(|all| leads_on(&all));
        }
        Some(found) if *found == text.as_bytes() => {}
        None if chain.is_empty() => {}
        _ => writes.push(write(
            &path,
            text.as_bytes(),
            Privacy::Public,
            Verb::Replace,
        )),
    }
    batch::commit(&writes)?;
    if is_stale {
        // After the certificate: until both are done, the two do not fit together, which is said and not passed over.
        fs::remove_file(&path).map_err(io_error("remove", &path))?;
        batch::sync_folder_of(&path)?;
    }
    Ok(())
}

fn private(path: &Path, key: &PrivateKey) -> Write {
    let text = key.to_pkcs8_pem();
    write(path, text.as_bytes(), Privacy::Private, Verb::Create)
}

fn public(path: &Path, certificate: &Certificate, verb: Verb) -> Write {
    let text = certificate.to_pem();
    write(path, text.as_bytes(), Privacy::Public, verb)
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    match fs::rename(from, to) {
        // Done by the run that was interrupted.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(io_error("replace", to)),
    }?;
    batch::sync_folder_of(to)
}

pub(crate) fn not_found(what: &'static str, id: &str) -> Error {
    Error::NotFound {
        what,
        name: id.to_owned(),
    }
}

/// The coming authority, while the old one signs.
pub(crate) fn coming_authority(paths: &Paths) -> Result<Option<Authority>, Error> {
    coming(&Extra::of(paths))
}
