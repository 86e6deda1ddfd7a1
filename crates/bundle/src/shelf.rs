//! What is in the cache: list, check, throw away.

use std::fs;
use std::path::{Path, PathBuf};

use crate::add_on::AddOn;
use crate::bundle::Bundle;
use crate::cache::{Cache, DOWNLOADS, remove_tree};
use crate::entry::{self, MANIFEST};
use crate::progress::{Progress, step};
use crate::{Error, add_on, base, machine_box};

/// All bundles whose manifest can be read, by id. Their files are not looked at.
///
/// # Errors
///
/// [`Error::File`] when the cache cannot be read.
pub fn list(cache: &Cache) -> Result<Vec<Bundle>, Error> {
    let mut bundles = Vec::new();
    for place in entries(&cache.bundles()?)? {
        if let Ok(Some(manifest)) = entry::read(&place) {
            bundles.extend(Bundle::of(place, &manifest));
        }
    }
    Ok(bundles)
}

/// All add-ons whose manifest can be read, by id. Their files are not looked at.
///
/// # Errors
///
/// [`Error::File`] when the cache cannot be read.
pub fn add_ons(cache: &Cache) -> Result<Vec<AddOn>, Error> {
    let mut found = Vec::new();
    for place in entries(&cache.add_ons()?)? {
        if let Ok(Some(manifest)) = entry::read(&place) {
            found.extend(AddOn::of(place, &manifest));
        }
    }
    Ok(found)
}

/// Reads every file of every bundle, base system, add-on and box, and returns what is damaged; nothing means all are whole.
///
/// # Errors
///
/// [`Error::File`] when the cache cannot be read.
pub fn verify(cache: &Cache, progress: &dyn Progress) -> Result<Vec<Error>, Error> {
    let mut damaged = Vec::new();
    for place in entries(&cache.bundles()?)?
        .into_iter()
        .chain(entries(&cache.bases()?)?)
        .chain(entries(&cache.add_ons()?)?)
        .chain(entries(&cache.boxes()?)?)
    {
        let text = format!("verify {}", name(&place));
        step(progress, &text, || {
            match entry::read(&place) {
                Ok(Some(manifest)) => damaged.extend(entry::verify(&place, &manifest)),
                Ok(None) => damaged.push(Error::Damaged {
                    path: place.join(MANIFEST),
                    what: "it is not there".to_owned(),
                }),
                Err(error) => damaged.push(error),
            }
            Ok::<_, Error>(())
        })?;
    }
    Ok(damaged)
}

/// What [`prune`] removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    /// The ids of the bundles, base systems, add-ons and boxes.
    pub entries: Vec<String>,
    /// How much they took, in bytes, by their manifests.
    pub bytes: u64,
}

/// Removes every bundle but those in `keep`, base systems and add-ons of recipes that are gone, boxes that could not be made of
/// what is left, and what dead runners left.
/// What another runner works on is left alone.
///
/// # Errors
///
/// [`Error::File`] when something cannot be removed.
pub fn prune(cache: &Cache, keep: &[String]) -> Result<Pruned, Error> {
    let mut pruned = Pruned::default();
    let bases = base::current_ids();
    let add_ons = add_on::current_ids();
    for (kind, folder, keep) in [
        ("bundle", cache.bundles()?, keep),
        ("base", cache.bases()?, bases.as_slice()),
        ("add-on", cache.add_ons()?, add_ons.as_slice()),
    ] {
        prune_folder(cache, kind, &folder, keep, &mut pruned)?;
    }
    let boxes = machine_box::current_ids(cache)?;
    prune_folder(cache, "box", &cache.boxes()?, &boxes, &mut pruned)?;
    for left in entries(&cache.tmp()?)? {
        let lock = name(&left);
        let lock = lock.strip_suffix("-scratch").unwrap_or(&lock);
        if let Ok(_lock) = cache.try_lock(lock)? {
            remove_tree(&left)?;
        }
    }
    if let Ok(_lock) = cache.try_lock(DOWNLOADS)? {
        remove_tree(&cache.downloads()?)?;
    }
    Ok(pruned)
}

/// Removes the entries of `folder` whose names are not in `keep`.
fn prune_folder(
    cache: &Cache,
    kind: &str,
    folder: &Path,
    keep: &[String],
    pruned: &mut Pruned,
) -> Result<(), Error> {
    for place in entries(folder)? {
        let id = name(&place);
        if keep.contains(&id) {
            continue;
        }
        // Its owner works on it: it is in use.
        let Ok(_lock) = cache.try_lock(&format!("{kind}-{id}"))? else {
            continue;
        };
        pruned.bytes += entry::read(&place)
            .ok()
            .flatten()
            .map_or(0, |manifest| manifest.size());
        remove_tree(&place)?;
        pruned.entries.push(id);
    }
    Ok(())
}

/// The whole id of the only bundle whose id begins with `id`.
pub(crate) fn resolve(cache: &Cache, id: &str) -> Result<String, Error> {
    let mut known = entries(&cache.bundles()?)?
        .into_iter()
        .map(|place| name(&place))
        .filter(|name| name.starts_with(id));
    match (known.next(), known.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Error::UnknownBundle { id: id.to_owned() }),
    }
}

/// The folders in `folder`, by name.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut places = Vec::new();
    for found in fs::read_dir(folder).map_err(Error::file("read", folder))? {
        let path = found.map_err(Error::file("read", folder))?.path();
        if path.is_dir() {
            places.push(path);
        }
    }
    places.sort();
    Ok(places)
}

pub(crate) fn name(place: &Path) -> String {
    place
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
pub(crate) mod tests;
