//! Changing a key pair that others verify signatures by, such as the one that signs service account tokens, in three resumable
//! steps.
//!
//! | files beside `sa.key` and `sa.pub` | state | verified by | signs |
//! |---|---|---|---|
//! | none | idle | current | current |
//! | `sa.next.key` | started | current, next | current |
//! | `sa.previous.pub` | switched | current, previous | current (was next) |

use std::fs;
use std::path::{Path, PathBuf};

use super::batch::{self, Verb};
use super::done::write;
use super::files::{self, Privacy, io_error};
use super::held::Paths;
use super::rotation::{Rotation, not_found, rename};
use crate::entry::{NEXT, PREVIOUS};
use crate::{Error, PrivateKey, PublicKey};

fn next(paths: &Paths) -> PathBuf {
    paths.private.with_extension(format!("{NEXT}.key"))
}

fn previous(paths: &Paths) -> PathBuf {
    paths.private.with_extension(format!("{PREVIOUS}.pub"))
}

fn current(paths: &Paths) -> &Path {
    // Key pairs always have a public file.
    paths.public.as_deref().unwrap_or(&paths.private)
}

fn read_public(path: &Path) -> Result<Option<PublicKey>, Error> {
    match files::read(path, Privacy::Public)? {
        Some(bytes) => PublicKey::from_pem(&bytes)
            .map(Some)
            .map_err(|error| error.in_file(path)),
        None => Ok(None),
    }
}

fn coming(paths: &Paths) -> Result<Option<PrivateKey>, Error> {
    let path = next(paths);
    match files::read(&path, Privacy::Private)? {
        Some(bytes) => PrivateKey::from_pem(&bytes)
            .map(Some)
            .map_err(|error| error.in_file(&path)),
        None => Ok(None),
    }
}

fn signing(paths: &Paths, id: &str) -> Result<PrivateKey, Error> {
    paths
        .read_key()?
        .ok_or_else(|| not_found("key pair in the store", id))
}

pub(crate) fn state(paths: &Paths) -> Rotation {
    // The old key is set aside first of all: from then on there is only forward.
    if previous(paths).exists() {
        Rotation::Switched
    } else if next(paths).exists() {
        Rotation::Started
    } else {
        Rotation::Idle
    }
}

/// What signatures are verified by beside `key`, which signs.
pub(crate) fn verified_beside(paths: &Paths, key: &PrivateKey) -> Result<Vec<PublicKey>, Error> {
    let coming = coming(paths)?.map(|coming| coming.public_key().clone());
    let all = coming.into_iter().chain(read_public(&previous(paths))?);
    Ok(all.filter(|other| other != key.public_key()).collect())
}

/// Completes a switch that was interrupted after the new key took its place: the public file is still the old one.
pub(crate) fn recover(paths: &Paths) -> Result<(), Error> {
    let (Some(before), Some(key)) = (read_public(&previous(paths))?, paths.read_key()?) else {
        return Ok(());
    };
    let public = read_public(current(paths))?;
    if key.public_key() == &before || public.as_ref() != Some(&before) {
        return Ok(());
    }
    let text = key.public_key().to_pem();
    batch::commit(&[write(
        current(paths),
        text.as_bytes(),
        Privacy::Public,
        Verb::Replace,
    )])
}

pub(crate) fn start(paths: &Paths, id: &str) -> Result<(), Error> {
    let previous = previous(paths);
    if previous.exists() {
        return Err(Error::Exists { path: previous });
    }
    signing(paths, id)?;
    if coming(paths)?.is_some() {
        return Ok(());
    }
    let text = PrivateKey::generate()?.to_pkcs8_pem();
    batch::commit(&[write(
        &next(paths),
        text.as_bytes(),
        Privacy::Private,
        Verb::Create,
    )])
}

pub(crate) fn switch(paths: &Paths, id: &str) -> Result<(), Error> {
    if state(paths) == Rotation::Idle {
        return Err(not_found("started rotation of", id));
    }
    if coming(paths)?.is_some() {
        let old = signing(paths, id)?;
        let path = previous(paths);
        match read_public(&path)? {
            None => {
                let text = old.public_key().to_pem();
                batch::commit(&[write(&path, text.as_bytes(), Privacy::Public, Verb::Create)])?;
            }
            Some(before) if &before == old.public_key() => {}
            Some(_) => return Err(Error::Exists { path }),
        }
        rename(&next(paths), &paths.private)?;
        batch::step();
    }
    recover(paths)
}

pub(crate) fn finish(paths: &Paths, id: &str) -> Result<(), Error> {
    let path = previous(paths);
    if state(paths) != Rotation::Switched || next(paths).exists() {
        return Err(not_found("switched rotation of", id));
    }
    recover(paths)?;
    fs::remove_file(&path).map_err(io_error("remove", &path))?;
    batch::sync_folder_of(&path)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::{Rotation, Store};
    use crate::{Error, Plan};

    fn plan() -> Plan {
        let mut plan = Plan::new();
        plan.key_pair("sa").unwrap();
        plan
    }

    #[test]
    fn both_verify_until_the_new_one_has_signed_long_enough() {
        let (folder, plan, now) = (tempfile::tempdir().unwrap(), plan(), SystemTime::now());
        let store = Store::open(folder.path().join("pki")).unwrap();
        store.ensure(&plan, now).unwrap();
        let look = || {
            let material = store.load(&plan).unwrap();
            let key = material.key_pair("sa").unwrap().public_key().to_pem();
            (key, material.trust_pem("sa").unwrap())
        };
        let (old, trusted) = look();
        assert_eq!(trusted, old);
        assert!(matches!(
            store.switch_rotation(&plan, "sa", now),
            Err(Error::NotFound { .. })
        ));
        store.start_rotation(&plan, "sa", now).unwrap();
        assert_eq!(store.rotation(&plan, "sa").unwrap(), Rotation::Started);
        let (signs, both) = look();
        assert_eq!(signs, old);
        let new = both.strip_prefix(&*old).expect("who signs comes first");
        assert!(new.starts_with("-----BEGIN PUBLIC KEY-----"));
        // Again, and what is there goes on.
        store.start_rotation(&plan, "sa", now).unwrap();
        assert_eq!(look(), (old.clone(), both.clone()));
        assert!(matches!(
            store.finish_rotation(&plan, "sa"),
            Err(Error::NotFound { .. })
        ));
        store.switch_rotation(&plan, "sa", now).unwrap();
        assert_eq!(store.rotation(&plan, "sa").unwrap(), Rotation::Switched);
        assert_eq!(look(), (new.to_owned(), format!("{new}{old}")));
        assert!(matches!(
            store.start_rotation(&plan, "sa", now),
            Err(Error::Exists { .. })
        ));
        store.switch_rotation(&plan, "sa", now).unwrap();
        store.finish_rotation(&plan, "sa").unwrap();
        assert_eq!(store.rotation(&plan, "sa").unwrap(), Rotation::Idle);
        assert_eq!(look(), (new.to_owned(), new.to_owned()));
        assert_eq!(store.ensure(&plan, now).unwrap().changes().count(), 0);
    }
}
