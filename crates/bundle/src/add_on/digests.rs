//! What tags stood for when they were first asked for, where `artifacts.toml` pins no digest: `digests.json` of the cache.
//!
//! A tag can be moved by whoever owns it. Once noted, the same image is taken by its digest whatever becomes of the tag,
//! so an add-on that is made again is the one that it was.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use crate::cache::Cache;
use crate::progress::{BundleEvent, Progress};
use crate::registry::{Reference, Registry};
use crate::{Error, entry};

/// The digest that is noted for `image`; where none is, the registry is asked, and its answer is noted and told.
/// The caller holds the lock of downloads.
///
/// # Errors
///
/// Those of [`Registry::resolve`], and [`Error::File`] or [`Error::Malformed`] for the file of notes.
pub(super) fn of(
    cache: &Cache,
    image: &Reference,
    registry: &Registry<'_>,
    progress: &dyn Progress,
) -> Result<String, Error> {
    let path = cache.root().join("digests.json");
    let mut noted: BTreeMap<String, String> = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| Error::Malformed {
            path: path.clone(),
            source,
        })?,
        Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(Error::file("read", &path)(error)),
    };
    if let Some(digest) = noted.get(&image.name) {
        return Ok(digest.clone());
    }
    let digest = registry.resolve(image)?;
    let text = format!(
        "`{}` is {digest}, says its registry; noted in `{}`. As `digest` in crates/bundle/artifacts.toml it is pinned for \
         everybody",
        image.name,
        path.display()
    );
    progress.event(&BundleEvent::Note { text: &text });
    noted.insert(image.name.clone(), digest.clone());
    entry::write_json(&path, &noted)?;
    Ok(digest)
}
