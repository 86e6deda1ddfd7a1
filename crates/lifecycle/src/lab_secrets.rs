//! The secrets of a lab, which nothing that is shown may hold.

use std::fs;
use std::path::Path;

use caravan_secrets::KnownSecrets;

use crate::{Error, LabDir};

/// Reads what of a lab's store and ssh keys is secret: whatever is not known to be public.
///
/// # Errors
///
/// [`Error::Read`]: what is not known cannot be struck out.
pub fn lab_secrets(dir: &LabDir) -> Result<KnownSecrets, Error> {
    let mut contents = Vec::new();
    for folder in [dir.pki(), dir.ssh()] {
        collect(&folder, &mut contents)?;
    }
    Ok(KnownSecrets::of_files(contents))
}

/// Adds what the files of a folder hold that is secret.
fn collect(folder: &Path, contents: &mut Vec<Vec<u8>>) -> Result<(), Error> {
    if !folder.is_dir() {
        return Ok(());
    }
    let unreadable = |source| Error::Read {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            collect(&path, contents)?;
            continue;
        }
        let content = fs::read(&path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        if !is_public(&path, &content) {
            contents.push(content);
        }
    }
    Ok(())
}

fn is_public(path: &Path, content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    let by_name = path.extension().is_some_and(|it| it == "pub")
        || path
            .file_name()
            .is_some_and(|it| it == "known_hosts" || it == "lock");
    !text.contains("PRIVATE KEY") && (by_name || text.contains("-----BEGIN"))
}
