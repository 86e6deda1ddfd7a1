//! What is in an archive of images.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek as _, SeekFrom};
use std::path::{Component, Path};

use caravan_process::interrupt;
use flate2::read::MultiGzDecoder;
use tar::EntryType;

use crate::Error;
use crate::digest::{self, CHUNK, CopyError, Hashing};

/// The longest description of an image that is read, in bytes, as containerd has it.
pub(super) const LONGEST_TEXT: u64 = 20 << 20;

/// How many links lead on at most.
const LINKS: usize = 8;

/// How files begin that are no tar as they are, and what they are.
const MAGIC: [(&[u8], &str); 4] = [
    (b"\x28\xb5\x2f\xfd", "it is compressed by zstd"),
    (b"\xfd7zXZ", "it is compressed by xz"),
    (b"BZh", "it is compressed by bzip2"),
    (b"PK\x03\x04", "it is a zip"),
];

/// How gzip begins.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What an archive has in it.
pub(super) trait ArchiveContents {
    /// What it is called: `` `web.tar` ``.
    fn what(&self) -> &str;

    /// The whole of a short file; `None` where there is none of this name.
    fn text(&self, name: &str) -> Result<Option<Vec<u8>>, Error>;

    /// How long a file is, in bytes; `None` where there is none of this name.
    fn size(&self, name: &str) -> Option<u64>;

    /// What can be told of a file whose content has the digest `expected`, unless it is compressed.
    fn blob(&self, name: &str, expected: &str) -> Result<Option<BlobFacts>, Error>;
}

/// What can be told of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlobFacts {
    /// SHA-256, hexadecimal.
    pub(super) sum: String,
    /// In bytes.
    pub(super) size: u64,
    pub(super) is_gzip: bool,
}

/// An archive in a file, or what came of a stream in one, of which any part can be read.
#[derive(Debug)]
pub struct ArchiveFile {
    file: RefCell<File>,
    what: String,
    /// The files by name: where their content begins, and how long it is.
    places: HashMap<String, (u64, u64)>,
    links: HashMap<String, String>,
}

impl ArchiveFile {
    /// Looks through the archive at `path`, which may be compressed by gzip: then it is unpacked to `scratch` first, which is
    /// gone afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::NotAnImage`] where it is no archive or a part of one, [`Error::File`], [`Error::Interrupted`].
    pub fn open(path: &Path, scratch: &Path) -> Result<Self, Error> {
        let what = format!("`{}`", path.display());
        let mut file = File::open(path).map_err(Error::file("read", path))?;
        let is_regular = file.metadata().is_ok_and(|it| it.is_file());
        let mut begin = [0; 2];
        if is_regular && read_some(&mut file, &mut begin).is_ok() && begin != GZIP {
            return Self::look_through(file, what);
        }
        if is_regular {
            file.rewind().map_err(Error::file("read", path))?;
        }
        Self::of(file, what, scratch)
    }

    /// Looks through what comes out of `source`, called `what`, as [`ArchiveFile::open`]; it is kept in `scratch`, which is
    /// gone when this is.
    ///
    /// # Errors
    ///
    /// As [`ArchiveFile::open`].
    pub fn of(source: impl Read, what: impl Into<String>, scratch: &Path) -> Result<Self, Error> {
        let what = what.into();
        let mut to = (File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true))
        .open(scratch)
        .map_err(Error::file("write", scratch))?;
        // What is open stays until it is closed, and nothing is left behind by a kill.
        fs::remove_file(scratch).map_err(Error::file("write", scratch))?;
        let copied = unpack(source, &mut to);
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        match copied {
            Err(CopyError::Write(source)) => return Err(Error::file("write", scratch)(source)),
            Err(CopyError::Read(source)) => {
                return Err(not_an_image(&what, format!("it breaks off ({source})")));
            }
            Ok(()) => {}
        }
        to.rewind().map_err(Error::file("read", scratch))?;
        Self::look_through(to, what)
    }

    fn look_through(mut file: File, what: String) -> Result<Self, Error> {
        let refused = |reason: String| not_an_image(&what, reason);
        let unreadable = |error: io::Error| refused(format!("it cannot be read ({error})"));
        let length = file.metadata().map_err(unreadable)?.len();
        file.rewind().map_err(unreadable)?;
        let mut begin = [0; 6];
        let some = read_some(&mut file, &mut begin).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        if some == 0 {
            return Err(refused("it is empty".to_owned()));
        }
        if let Some((_, reason)) = MAGIC.iter().find(|(magic, _)| begin.starts_with(magic)) {
            return Err(refused((*reason).to_owned()));
        }
        let mut places = HashMap::new();
        let mut links = HashMap::new();
        let mut seen = false;
        let mut archive = tar::Archive::new(&file);
        let entries = archive.entries_with_seek().map_err(unreadable)?;
        for entry in entries {
            let entry = entry.map_err(|_| match seen {
                false => refused("it is no tar archive".to_owned()),
                true => refused("it breaks off, or is damaged".to_owned()),
            })?;
            seen = true;
            let (at, size) = (entry.raw_file_position(), entry.size());
            let name = clean(&entry.path().map_err(unreadable)?);
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    if at.checked_add(size).is_none_or(|end| end > length) {
                        return Err(refused(format!("it breaks off within `{name}`")));
                    }
                    places.insert(name, (at, size));
                }
                kind @ (EntryType::Symlink | EntryType::Link) => {
                    let to = entry.link_name().map_err(unreadable)?.unwrap_or_default();
                    links.insert(name.clone(), leads_to(&name, &to, kind));
                }
                _ => {}
            }
        }
        Ok(Self {
            file: RefCell::new(file),
            what,
            places,
            links,
        })
    }

    /// A reader of the file `name`.
    pub(super) fn reader(&self, name: &str) -> Option<impl Read + '_> {
        let (at, size) = self.place(name)?;
        Some(PartOfFile {
            file: &self.file,
            at,
            end: at + size,
        })
    }

    /// Where the file `name` begins, and how long it is.
    pub(super) fn place(&self, name: &str) -> Option<(u64, u64)> {
        self.places.get(follow_links(&self.links, name)).copied()
    }
}

impl ArchiveContents for ArchiveFile {
    fn what(&self) -> &str {
        &self.what
    }

    fn text(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let unreadable = |error: io::Error| not_an_image(&self.what, error.to_string());
        let Some(reader) = self.reader(name) else {
            return Ok(None);
        };
        let mut text = Vec::new();
        reader
            .take(LONGEST_TEXT)
            .read_to_end(&mut text)
            .map_err(unreadable)?;
        Ok(Some(text))
    }

    fn size(&self, name: &str) -> Option<u64> {
        self.place(name).map(|(_, size)| size)
    }

    fn blob(&self, name: &str, expected: &str) -> Result<Option<BlobFacts>, Error> {
        let unreadable = |error: io::Error| not_an_image(&self.what, error.to_string());
        let Some((_, size)) = self.place(name) else {
            return Ok(None);
        };
        let open = || {
            let reader = self.reader(name);
            reader.ok_or_else(|| not_an_image(&self.what, format!("`{name}` is missing")))
        };
        let mut begin = [0; 2];
        read_some(&mut open()?, &mut begin).map_err(unreadable)?;
        let is_gzip = begin == GZIP;
        let sum = match is_gzip {
            false => expected.to_owned(),
            true => {
                let mut hashing = Hashing::new(io::sink());
                digest::copy(open()?, &mut hashing).map_err(|error| unreadable(error.into()))?;
                hashing.finish().1
            }
        };
        Ok(Some(BlobFacts { sum, size, is_gzip }))
    }
}

/// A part of a file that others read parts of too.
struct PartOfFile<'a> {
    file: &'a RefCell<File>,
    at: u64,
    end: u64,
}

impl Read for PartOfFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(self.at))?;
        let count = file.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        Ok(count)
    }
}

/// The error for what cannot be an image.
pub(super) fn not_an_image(what: &str, reason: impl Into<String>) -> Error {
    Error::NotAnImage {
        what: what.to_owned(),
        reason: reason.into(),
    }
}

/// A path of an archive, without what does not change where it leads.
pub(super) fn clean(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts.join("/")
}

/// Where a link leads, as a path of the archive: what a symbolic link says is seen from its own folder.
pub(super) fn leads_to(link: &str, to: &Path, kind: EntryType) -> String {
    match kind {
        EntryType::Symlink => clean(&Path::new(link).parent().unwrap_or(Path::new("")).join(to)),
        _ => clean(to),
    }
}

/// The file that `name` leads to.
pub(super) fn follow_links<'a>(links: &'a HashMap<String, String>, name: &'a str) -> &'a str {
    let mut found = name;
    for _ in 0..LINKS {
        match links.get(found) {
            Some(next) => found = next,
            None => break,
        }
    }
    found
}

/// Reads until `buffer` is full or nothing more comes; returns how much came.
pub(super) fn read_some(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Copies `source`, which may be compressed by gzip, until the user asks to stop.
fn unpack(source: impl Read, to: &mut File) -> Result<(), CopyError> {
    let mut source = UntilInterrupt(source);
    let mut begin = [0; 2];
    let some = read_some(&mut source, &mut begin).map_err(CopyError::Read)?;
    let source = Cursor::new(begin[..some].to_vec()).chain(source);
    match begin == GZIP {
        true => digest::copy(
            MultiGzDecoder::new(io::BufReader::with_capacity(CHUNK, source)),
            to,
        ),
        false => digest::copy(source, to),
    }
}

/// Ends with an error once the user has asked to stop.
pub(super) struct UntilInterrupt<R>(pub(super) R);

impl<R: Read> Read for UntilInterrupt<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if interrupt::raised() {
            return Err(io::Error::other("interrupted"));
        }
        self.0.read(buffer)
    }
}
