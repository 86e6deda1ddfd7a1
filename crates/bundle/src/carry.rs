//! Bundles, and what goes with them, on their way to another computer.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::bundle::Bundle;
use crate::cache::Cache;
use crate::digest::{self, CopyError, Hashing};
use crate::entry::{self, MANIFEST, Manifest};
use crate::machine_box::BakedBox;
use crate::pins::Arch;
use crate::progress::{BundleEvent, Progress, step};
use crate::shelf::{entries, name, resolve};
use crate::{Error, oci};

/// The first file of an export says what it is.
const MARK: &str = "caravan-bundle";
const MARK_TEXT: &str = "bundle export 1\n";

/// The kinds of entries that an export may hold, which are the folders of the cache that they go to.
const KINDS: [&str; 4] = ["bundles", "bases", "add-ons", "boxes"];

/// Writes the bundle `id` (or the only one whose id begins so), and the base systems, add-ons and boxes of the cache, to
/// `file`: a gzip tar, readable by its owner's choice of umask, that [`import`] reads on another computer. Overwrites `file` when whole.
///
/// # Errors
///
/// [`Error::UnknownBundle`], [`Error::Damaged`] when an entry is not whole, [`Error::File`].
pub fn export(cache: &Cache, id: &str, file: &Path, progress: &dyn Progress) -> Result<(), Error> {
    let mut entries_out = vec![("bundles", cache.bundles()?.join(resolve(cache, id)?))];
    for (kind, folder) in [
        ("bases", cache.bases()?),
        ("add-ons", cache.add_ons()?),
        ("boxes", cache.boxes()?),
    ] {
        for place in entries(&folder)? {
            entries_out.push((kind, place));
        }
    }
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let to = File::create(&part).map_err(Error::file("write", &part))?;
    let written = step(progress, "pack the bundle", || {
        pack(&entries_out, to, &part, progress)
    });
    if written.is_err() {
        // A half file has no use, and its removal failing adds nothing to the error.
        drop(fs::remove_file(&part));
    }
    written?;
    fs::rename(&part, file).map_err(Error::file("move into place", &part))
}

fn pack(
    entries: &[(&str, PathBuf)],
    to: File,
    path: &Path,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let write = || Error::file("write", path);
    let gzip = GzEncoder::new(
        BufWriter::with_capacity(digest::CHUNK, to),
        Compression::fast(),
    );
    let mut archive = tar::Builder::new(gzip);
    oci::add_bytes(&mut archive, MARK, MARK_TEXT.as_bytes(), 0o644).map_err(write())?;
    let mut opened = Vec::new();
    for (kind, place) in entries {
        if let Some(manifest) = entry::open(place)? {
            opened.push((format!("{kind}/{}", name(place)), place, manifest));
        }
    }
    let total = opened.iter().map(|(_, _, manifest)| manifest.size()).sum();
    let mut done = 0;
    for (below, place, manifest) in &opened {
        // The manifest comes first: an import knows what each file must be before it comes.
        let path_in = place.join(MANIFEST);
        let text = fs::read(&path_in).map_err(Error::file("read", &path_in))?;
        oci::add_bytes(&mut archive, &format!("{below}/{MANIFEST}"), &text, 0o644)
            .map_err(write())?;
        for file in &manifest.files {
            let from = place.join(&file.path);
            let mut header = oci::header(file.size, file.mode, tar::EntryType::Regular);
            let content = File::open(&from).map_err(Error::file("read", &from))?;
            archive
                .append_data(
                    &mut header,
                    format!("{below}/{}", file.path),
                    BufReader::with_capacity(digest::CHUNK, content),
                )
                .map_err(write())?;
            done += file.size;
            progress.event(&BundleEvent::Bytes {
                item: "export",
                done,
                total: Some(total),
            });
        }
    }
    let gzip = archive.into_inner().map_err(write())?;
    let buffered = gzip.finish().map_err(write())?;
    let file = buffered
        .into_inner()
        .map_err(|error| write()(error.into_error()))?;
    file.sync_all().map_err(write())
}

/// What [`import`] found.
#[derive(Debug, Clone, Default)]
pub struct Imported {
    /// The software.
    pub bundles: Vec<Bundle>,
    /// What virtual machines start from.
    pub boxes: Vec<BakedBox>,
}

/// Reads an export into the cache and returns what it held. Every file is checked against the manifest before anything of
/// it can be used; what is there already is kept.
///
/// # Errors
///
/// [`Error::OtherProcessor`], [`Error::NotAnExport`], [`Error::Damaged`], [`Error::File`].
pub fn import(cache: &Cache, file: &Path, progress: &dyn Progress) -> Result<Imported, Error> {
    let name = format!("import-{}", std::process::id());
    let _lock = cache.lock(&name, progress)?;
    let workshop = cache.workshop(&name)?;
    let unpacked = step(progress, "unpack and check", || unpack(file, &workshop))?;
    place(cache, &workshop, unpacked, progress)
}

/// Kind, id and manifest of each entry.
type Unpacked = Vec<(&'static str, String, Manifest)>;

fn unpack(file: &Path, workshop: &Path) -> Result<Unpacked, Error> {
    let refuse = |reason: &str| Error::NotAnExport {
        path: file.to_owned(),
        reason: reason.to_owned(),
    };
    let broken = |source: io::Error| Error::NotAnExport {
        path: file.to_owned(),
        reason: source.to_string(),
    };
    let opened = File::open(file).map_err(Error::file("read", file))?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::with_capacity(
        digest::CHUNK,
        opened,
    )));
    let mut members = archive.entries().map_err(broken)?;
    let mut mark = String::new();
    match members.next() {
        Some(Ok(member)) if member.path().is_ok_and(|path| path == Path::new(MARK)) => {
            member
                .take(1024)
                .read_to_string(&mut mark)
                .map_err(broken)?;
        }
        Some(Err(error)) => return Err(broken(error)),
        _ => return Err(refuse("it does not begin as one")),
    }
    if mark != MARK_TEXT {
        return Err(refuse("another version of this program made it"));
    }
    let mut found: Unpacked = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    for member in members {
        let mut member = member.map_err(broken)?;
        let path = member
            .path()
            .map_err(broken)?
            .to_string_lossy()
            .into_owned();
        let mut parts = path.splitn(3, '/');
        let (Some(kind), Some(id), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(refuse(&format!("it holds `{path}`")));
        };
        let Some(kind) = KINDS.into_iter().find(|known| *known == kind) else {
            return Err(refuse(&format!("it holds `{path}`")));
        };
        if !entry::is_contained(&path) || !id.chars().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(refuse(&format!("it holds `{path}`")));
        }
        let folder = workshop.join(kind).join(id);
        if rest == MANIFEST {
            let mut text = Vec::new();
            member.read_to_end(&mut text).map_err(broken)?;
            let manifest: Manifest =
                serde_json::from_slice(&text).map_err(|source| Error::Malformed {
                    path: file.join(&path),
                    source,
                })?;
            hold_processor(kind, &manifest, file)?;
            fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
            fs::write(folder.join(MANIFEST), &text).map_err(Error::file("write", &folder))?;
            missing.extend(
                manifest
                    .files
                    .iter()
                    .map(|file| format!("{kind}/{id}/{}", file.path)),
            );
            found.push((kind, id.to_owned(), manifest));
            continue;
        }
        let record = found
            .iter()
            .filter(|(known, name, _)| *known == kind && name == id)
            .find_map(|(_, _, manifest)| manifest.files.iter().find(|file| file.path == rest));
        let Some(record) = record else {
            return Err(refuse(&format!(
                "it holds `{path}`, which its manifest does not name"
            )));
        };
        let to = folder.join(rest);
        let sum = write_member(&mut member, &to, record.mode, broken)?;
        if sum != record.sha256 {
            return Err(Error::Damaged {
                path: file.join(&path),
                what: format!("its sha256 is {sum}, the manifest says {}", record.sha256),
            });
        }
        missing.retain(|name| *name != path);
    }
    // The tar ends before the compressed stream does, whose own checksum covers what no manifest names: headers, padding.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    match missing.first() {
        Some(name) => Err(refuse(&format!(
            "`{name}` is not in it; was the copy cut off?"
        ))),
        None if found.is_empty() => Err(refuse("there is nothing in it")),
        None => Ok(found),
    }
}

fn write_member(
    member: &mut impl Read,
    to: &Path,
    mode: u32,
    broken: impl Fn(io::Error) -> Error,
) -> Result<String, Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let write = || Error::file("write", to);
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(Error::file("make the folder", folder))?;
    }
    let mut hashing = Hashing::new(File::create(to).map_err(write())?);
    digest::copy(member, &mut hashing).map_err(|error| match error {
        CopyError::Read(error) => broken(error),
        CopyError::Write(error) => write()(error),
    })?;
    hashing.flush().map_err(write())?;
    let (file, sum, _) = hashing.finish();
    file.set_permissions(fs::Permissions::from_mode(mode & 0o777))
        .map_err(write())?;
    Ok(sum)
}

fn place(
    cache: &Cache,
    workshop: &Path,
    unpacked: Unpacked,
    progress: &dyn Progress,
) -> Result<Imported, Error> {
    let mut imported = Imported::default();
    for (kind, id, manifest) in unpacked {
        let (lock, folder) = match kind {
            "bundles" => (format!("bundle-{id}"), cache.bundles()?),
            "add-ons" => (format!("add-on-{id}"), cache.add_ons()?),
            "boxes" => (format!("box-{id}"), cache.boxes()?),
            _ => (format!("base-{id}"), cache.bases()?),
        };
        let _lock = cache.lock(&lock, progress)?;
        let place = folder.join(&id);
        if !matches!(entry::open(&place), Ok(Some(_))) {
            entry::put(&workshop.join(kind).join(&id), &place, &manifest)?;
        }
        match kind {
            "bundles" => imported.bundles.push(Bundle::of(place, &manifest)?),
            "boxes" => {
                let found = BakedBox::of(place, &manifest)?;
                found.settle()?;
                imported.boxes.push(found);
            }
            _ => {}
        }
    }
    Ok(imported)
}

/// An entry for another processor would lie in the cache, and nothing would ever take it.
fn hold_processor(kind: &str, manifest: &Manifest, file: &Path) -> Result<(), Error> {
    let ours = Arch::host()?;
    let said = |key: &str| manifest.about.get(key).cloned().unwrap_or_default();
    let Ok(theirs) = serde_json::from_value::<Arch>(said("arch")) else {
        return Ok(());
    };
    if theirs == ours {
        return Ok(());
    }
    let name = match said("name") {
        serde_json::Value::String(name) => name,
        _ => manifest.id.clone(),
    };
    let kind = match kind {
        "bundles" => "bundle",
        "add-ons" => "add-on",
        "boxes" => "box",
        _ => "base system",
    };
    Err(Error::OtherProcessor {
        what: format!("the {kind} {name}"),
        path: file.to_owned(),
        theirs,
        ours,
    })
}

#[cfg(test)]
mod tests;
