//! Writes an image as the archive that nodes are given: its blobs first, and what makes them an image last.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use caravan_process::{failure_of, interrupt};
use oci_spec::image::MediaType;
use tar::EntryType;

use super::contents::{
    ArchiveContents, ArchiveFile, BlobFacts, GZIP, LONGEST_TEXT, UntilInterrupt, clean,
    follow_links, leads_to, not_an_image,
};
use super::growth::ArchiveGrowth;
use super::resolve::{self, ArchivedImage};
use crate::Error;
use crate::digest::{self, CHUNK};
use crate::oci::{LAYOUT, blob_path, compose_index, header, named_manifest};
use crate::pins::Arch;

/// The unit of a tar, in bytes.
const BLOCK: u64 = 512;

/// What of a stream is kept until all of it was heard, in bytes: descriptions, which say what the rest is.
const SHORT: u64 = 1 << 20;

/// How much of that in all, in bytes: what comes after is written at once.
const SHORT_IN_ALL: u64 = 64 << 20;

/// Stands for a digest that is not known yet.
const UNKNOWN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Writes `image` of `archive` to `to`, whose readers by `growth` are given it under `names`.
///
/// # Errors
///
/// [`Error::NotAnImage`] where a blob is not what its digest says, [`Error::File`], [`Error::Interrupted`]; then `to` is
/// removed.
pub fn write_from_file(
    archive: &ArchiveFile,
    image: &ArchivedImage,
    names: &[String],
    to: &Path,
    growth: &Arc<ArchiveGrowth>,
) -> Result<(), Error> {
    writing(to, growth, |writer| {
        for layer in &image.layers {
            let reader = archive.reader(&layer.name);
            let mut reader = reader.ok_or_else(|| {
                not_an_image(archive.what(), format!("`{}` is missing", layer.name))
            })?;
            let sum = writer.blob(&layer.sum, layer.size, &mut reader);
            if sum.map_err(|error| writer.failed(error, archive.what()))? != layer.sum {
                let reason = format!("`{}` is not what its digest says", layer.name);
                return Err(not_an_image(archive.what(), reason));
            }
        }
        writer.finish(image, names)
    })
}

/// Writes the one image that comes out of `source`, called `what`, to `to` while it comes, and returns it; readers by
/// `growth` are given it under `names`.
///
/// # Errors
///
/// [`Error::NotAnImage`], [`Error::OtherPlatform`], [`Error::File`], [`Error::Interrupted`]; then `to` is removed.
pub fn write_from_stream(
    source: impl Read,
    what: &str,
    arch: Arch,
    names: &[String],
    to: &Path,
    growth: &Arc<ArchiveGrowth>,
) -> Result<ArchivedImage, Error> {
    writing(to, growth, |writer| {
        let stream = StreamContents::hear(source, what, writer)?;
        let mut images = resolve::images(&stream, arch)?;
        let image = match (images.pop(), images.is_empty()) {
            (Some(image), true) => image,
            _ => return Err(not_an_image(what, "it holds several images")),
        };
        for layer in &image.layers {
            let file = follow_links(&stream.links, &layer.name);
            let sum = match (stream.short.get(file), stream.long.get(file)) {
                (Some(content), _) => writer
                    .blob(&layer.sum, layer.size, &mut content.as_slice())
                    .map_err(|error| writer.failed(error, what))?,
                (None, long) => long.map(|it| it.sum.clone()).unwrap_or_default(),
            };
            if sum != layer.sum {
                let reason = format!("`{}` is not what its digest says", layer.name);
                return Err(not_an_image(what, reason));
            }
        }
        writer.finish(&image, names)?;
        Ok(image)
    })
}

/// Does `work` with a writer of `to`; what goes wrong is told to whoever reads it meanwhile.
fn writing<T>(
    to: &Path,
    growth: &Arc<ArchiveGrowth>,
    work: impl FnOnce(&mut LayoutWriter<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let open = || File::options().write(true).truncate(true).open(to);
    let worked = open().map_err(Error::file("write", to)).and_then(|file| {
        work(&mut LayoutWriter {
            file,
            to,
            at: 0,
            written: HashSet::new(),
            growth,
        })
    });
    if worked.is_err() {
        growth.fail();
        // It need not be there.
        drop(fs::remove_file(to));
    }
    match interrupt::raised() {
        true => Err(Error::Interrupted),
        false => worked,
    }
}

struct LayoutWriter<'a> {
    file: File,
    to: &'a Path,
    /// As many bytes are written.
    at: u64,
    /// The sums of the blobs that are written.
    written: HashSet<String>,
    growth: &'a ArchiveGrowth,
}

impl LayoutWriter<'_> {
    /// Writes a blob whose digest is meant to be `sum`, unless it is there; returns the digest that it has.
    fn blob(&mut self, sum: &str, size: u64, content: &mut dyn Read) -> io::Result<String> {
        if self.written.contains(sum) {
            return Ok(sum.to_owned());
        }
        self.put(&blob_header(sum, size)?)?;
        let (found, _) = self.content(size, content, true)?;
        self.written.insert(sum.to_owned());
        Ok(found)
    }

    /// Writes a blob whose digest is found meanwhile; returns that, and whether it is compressed.
    fn unknown_blob(&mut self, size: u64, content: &mut dyn Read) -> io::Result<(String, bool)> {
        let begin = self.at;
        // Nobody may read it before it has its name.
        (self.file.write_all(&blob_header(UNKNOWN, size)?)).map_err(WriteSide::of)?;
        self.at += BLOCK;
        let (sum, is_gzip) = self.content(size, content, false)?;
        (self.file.write_all_at(&blob_header(&sum, size)?, begin)).map_err(WriteSide::of)?;
        self.growth.grew(self.at);
        self.written.insert(sum.clone());
        Ok((sum, is_gzip))
    }

    fn content(
        &mut self,
        size: u64,
        content: &mut dyn Read,
        is_final: bool,
    ) -> io::Result<(String, bool)> {
        let mut hashing = digest::Hashing::new(io::sink());
        let mut chunk = vec![0; CHUNK];
        let mut left = size;
        let mut is_gzip = false;
        while left > 0 {
            let most = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count =
                super::contents::read_some(&mut UntilInterrupt(&mut *content), &mut chunk[..most])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if left == size {
                is_gzip = chunk.starts_with(&GZIP);
            }
            hashing.write_all(&chunk[..count])?;
            self.file
                .write_all(&chunk[..count])
                .map_err(WriteSide::of)?;
            self.at += count as u64;
            left -= count as u64;
            if is_final {
                self.growth.grew(self.at);
            }
        }
        let rest = size.next_multiple_of(BLOCK) - size;
        let rest = usize::try_from(rest).expect("it is less than a block");
        self.file.write_all(&vec![0; rest]).map_err(WriteSide::of)?;
        self.at += rest as u64;
        if is_final {
            self.growth.grew(self.at);
        }
        Ok((hashing.finish().1, is_gzip))
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).map_err(WriteSide::of)?;
        self.at += bytes.len() as u64;
        self.growth.grew(self.at);
        Ok(())
    }

    /// Writes what makes the blobs an image, for the readers under `names`, and on the disk under its own.
    fn finish(&mut self, image: &ArchivedImage, names: &[String]) -> Result<(), Error> {
        let ours = Error::file("write", self.to);
        let mut write = || {
            for text in [&image.config, &image.manifest] {
                let sum = digest::of_bytes(text);
                self.blob(&sum, text.len() as u64, &mut text.as_slice())?;
            }
            let named = LastPart::of(image);
            self.growth.finish(named.under(names)?);
            self.file.write_all(&named.under(names)?)?;
            self.file.sync_all()
        };
        write().map_err(ours)
    }

    /// The error for what was met between reading and writing.
    fn failed(&self, error: io::Error, what: &str) -> Error {
        match WriteSide::is(&error) {
            true => Error::file("write", self.to)(error),
            false => broken_off(&error, what),
        }
    }
}

/// What is behind the blobs of an archive.
pub(super) struct LastPart {
    pub(super) media_type: String,
    /// Of the manifest, SHA-256, hexadecimal.
    pub(super) sum: String,
    /// Of the manifest, in bytes.
    pub(super) size: u64,
    pub(super) arch: Arch,
}

impl LastPart {
    fn of(image: &ArchivedImage) -> Self {
        Self {
            media_type: image.media_type.clone(),
            sum: digest::of_bytes(&image.manifest),
            size: image.manifest.len() as u64,
            arch: image.arch,
        }
    }

    /// Its bytes, where the image has these names.
    pub(super) fn under(&self, names: &[String]) -> io::Result<Vec<u8>> {
        let manifests = (names.iter())
            .map(|name| {
                let kind = MediaType::from(self.media_type.as_str());
                named_manifest(kind, &self.sum, self.size, name, self.arch)
            })
            .collect::<io::Result<Vec<_>>>()?;
        let mut archive = tar::Builder::new(Vec::new());
        crate::oci::add_bytes(
            &mut archive,
            "index.json",
            &compose_index(manifests)?,
            0o644,
        )?;
        crate::oci::add_bytes(&mut archive, "oci-layout", LAYOUT, 0o644)?;
        archive.into_inner()
    }
}

/// Marks an error as one of the file that is written.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct WriteSide(io::Error);

impl WriteSide {
    fn of(error: io::Error) -> io::Error {
        io::Error::new(error.kind(), Self(error))
    }

    fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|it| it.is::<Self>())
    }
}

/// What came of a stream: short files are kept, long ones are written as blobs.
struct StreamContents<'a> {
    what: &'a str,
    short: HashMap<String, Vec<u8>>,
    long: HashMap<String, BlobFacts>,
    links: HashMap<String, String>,
}

impl<'a> StreamContents<'a> {
    fn hear(
        source: impl Read,
        what: &'a str,
        writer: &mut LayoutWriter<'_>,
    ) -> Result<Self, Error> {
        let mut heard = Self {
            what,
            short: HashMap::new(),
            long: HashMap::new(),
            links: HashMap::new(),
        };
        let mut kept = 0;
        let broken = |error: io::Error| broken_off(&error, what);
        let mut archive = tar::Archive::new(UntilInterrupt(source));
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let name = clean(&entry.path().map_err(broken)?);
            let size = entry.size();
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous
                    if size <= SHORT && kept + size <= SHORT_IN_ALL =>
                {
                    let mut text = Vec::new();
                    entry.read_to_end(&mut text).map_err(broken)?;
                    if text.len() as u64 != size {
                        return Err(broken(io::ErrorKind::UnexpectedEof.into()));
                    }
                    kept += size;
                    heard.short.insert(name, text);
                }
                EntryType::Regular | EntryType::Continuous => {
                    let written = writer.unknown_blob(size, &mut entry);
                    let (sum, is_gzip) = written.map_err(|error| writer.failed(error, what))?;
                    heard.long.insert(name, BlobFacts { sum, size, is_gzip });
                }
                kind @ (EntryType::Symlink | EntryType::Link) => {
                    let to = entry.link_name().map_err(broken)?.unwrap_or_default();
                    heard.links.insert(name.clone(), leads_to(&name, &to, kind));
                }
                _ => {}
            }
        }
        // To its end: only then is it known how whoever makes it has ended.
        io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
        Ok(heard)
    }
}

impl ArchiveContents for StreamContents<'_> {
    fn what(&self) -> &str {
        self.what
    }

    fn text(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let name = follow_links(&self.links, name);
        match self.long.get(name) {
            Some(long) if long.size <= LONGEST_TEXT => Err(not_an_image(
                self.what,
                format!("`{name}` is longer than {} MiB", SHORT >> 20),
            )),
            _ => Ok(self.short.get(name).cloned()),
        }
    }

    fn size(&self, name: &str) -> Option<u64> {
        let name = follow_links(&self.links, name);
        let long = self.long.get(name).map(|it| it.size);
        long.or_else(|| self.short.get(name).map(|it| it.len() as u64))
    }

    fn blob(&self, name: &str, _: &str) -> Result<Option<BlobFacts>, Error> {
        let name = follow_links(&self.links, name);
        let short = self.short.get(name).map(|content| BlobFacts {
            sum: digest::of_bytes(content),
            size: content.len() as u64,
            is_gzip: content.starts_with(&GZIP),
        });
        Ok(self.long.get(name).cloned().or(short))
    }
}

/// The error for a source that ends too soon; whoever made it says why, if it can.
fn broken_off(error: &io::Error, what: &str) -> Error {
    if interrupt::raised() {
        return Error::Interrupted;
    }
    let reason = match failure_of(error) {
        Some(failure) => failure.to_string(),
        None => format!("it breaks off, or is damaged ({error})"),
    };
    not_an_image(what, reason)
}

fn blob_header(sum: &str, size: u64) -> io::Result<[u8; BLOCK as usize]> {
    let mut header = header(size, 0o644, EntryType::Regular);
    header.set_path(blob_path(sum))?;
    header.set_cksum();
    Ok(*header.as_bytes())
}
