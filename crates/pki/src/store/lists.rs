//! Revocation lists beside the authorities that sign them: the file is the record.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::batch::{self, Verb};
use super::done::write;
use super::files::{self, Privacy};
use super::held::Paths;
use super::rotation::{current, read_certificate, trusted_beside};
use crate::entry::PREVIOUS;
use crate::{Authority, Certificate, Error, Lifetime, Revocation, RevocationList};

pub(crate) fn path(paths: &Paths) -> PathBuf {
    paths.private.with_extension("crl")
}

/// The list of the key before, while an authority's key changes.
pub(crate) fn previous(paths: &Paths) -> PathBuf {
    paths.private.with_extension(format!("{PREVIOUS}.crl"))
}

pub(crate) fn read(path: &Path) -> Result<Option<RevocationList>, Error> {
    match files::read(path, Privacy::Public)? {
        Some(bytes) => RevocationList::parse(&bytes)
            .map(Some)
            .map_err(|error| error.in_file(path)),
        None => Ok(None),
    }
}

fn authority(paths: &Paths) -> Result<Option<Authority>, Error> {
    let (Some(certificate), Some(key)) = paths.read_pair()? else {
        return Ok(None);
    };
    let authority = Authority::trusted(certificate, key, Vec::new());
    authority
        .map(Some)
        .map_err(|error| error.in_file(current(paths)))
}

/// The list that is there, which must be the authority's own: one put in its place would be carried on under its name.
fn own_list(paths: &Paths, own: &Certificate) -> Result<Option<RevocationList>, Error> {
    let path = path(paths);
    let Some(list) = read(&path)? else {
        return Ok(None);
    };
    // Before a change of key, the one that is there signed it.
    let there = read_certificate(current(paths))?;
    let beside = trusted_beside(paths)?;
    for signer in [own].into_iter().chain(&there).chain(&beside) {
        if list.is_signed_by(signer)? {
            return Ok(Some(list));
        }
    }
    let problem = format!("it is not signed by `{}`", own.subject_shown());
    Err(Error::malformed("revocation list", problem).in_file(&path))
}

pub(crate) fn revoke(
    paths: &Paths,
    id: &str,
    added: Vec<Revocation>,
    lifetime: Lifetime,
    now: SystemTime,
) -> Result<RevocationList, Error> {
    let authority = authority(paths)?.ok_or_else(|| Error::NotFound {
        what: "authority in the store",
        name: id.to_owned(),
    })?;
    let before = own_list(paths, authority.certificate())?;
    let list = authority
        .revoke_more(before.as_ref(), added, lifetime, now)
        .map_err(|error| error.in_file(current(paths)))?;
    batch::commit(&[list_file(&path(paths), &list)])?;
    Ok(list)
}

/// The list that is there and the one that `next`, of the authority's other key, signs in its place; `None` where there is
/// nothing to sign anew.
///
/// Nothing is written: whether it can be made is to be known before anything is touched.
pub(crate) fn following(
    paths: &Paths,
    next: &Authority,
    now: SystemTime,
) -> Result<Option<(RevocationList, RevocationList)>, Error> {
    let Some(list) = own_list(paths, next.certificate())? else {
        return Ok(None);
    };
    if list.is_signed_by(next.certificate())? {
        return Ok(None);
    }
    let until = list.next_update().unwrap_or(now);
    let days = until
        .duration_since(list.this_update())
        .unwrap_or_default()
        .as_secs()
        .div_ceil(86_400);
    // As long as the one before was to last.
    let lifetime = Lifetime::days(u32::try_from(days).unwrap_or(u32::MAX).max(1));
    let renewed = next
        .revoke_more(Some(&list), [], lifetime, now)
        .map_err(|error| error.in_file(&path(paths)))?;
    Ok(Some((list, renewed)))
}

/// Signs the list anew after the authority's key has changed, and keeps that of the old key.
pub(crate) fn follow_switch(paths: &Paths, now: SystemTime) -> Result<(), Error> {
    let Some(authority) = authority(paths)? else {
        return Ok(());
    };
    let Some((list, renewed)) = following(paths, &authority, now)? else {
        return Ok(());
    };
    batch::commit(&[list_file(&previous(paths), &list)])?;
    batch::commit(&[list_file(&path(paths), &renewed)])
}

fn list_file(path: &Path, list: &RevocationList) -> batch::Write {
    let text = list.to_pem();
    write(path, text.as_bytes(), Privacy::Public, Verb::Replace)
}
