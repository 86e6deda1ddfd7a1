//! sha256 over files, streams and recipes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Copy buffers are this large, in bytes: hashing and disks both like long runs.
pub(crate) const CHUNK: usize = 1 << 20;

/// Hashes what is written through it on its way to `inner`, and counts it.
pub(crate) struct Hashing<W> {
    inner: W,
    state: Sha256,
    length: u64,
}

impl<W: Write> Hashing<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            state: Sha256::new(),
            length: 0,
        }
    }

    /// The writer, the sum in hexadecimal, and the length in bytes.
    pub(crate) fn finish(self) -> (W, String, u64) {
        (self.inner, hex::encode(self.state.finalize()), self.length)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.state.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Which side of a copy failed: a broken archive is another matter than a full disk.
#[derive(Debug)]
pub(crate) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

impl From<CopyError> for io::Error {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Read(error) | CopyError::Write(error) => error,
        }
    }
}

/// Copies `from` to `to`.
pub(crate) fn copy(mut from: impl Read, mut to: impl Write) -> Result<(), CopyError> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        to.write_all(&buffer[..read]).map_err(CopyError::Write)?;
    }
}

/// The sum, in hexadecimal, and the length of a file.
pub(crate) fn of_file(path: &Path) -> io::Result<(String, u64)> {
    let mut hashing = Hashing::new(io::sink());
    copy(File::open(path)?, &mut hashing)?;
    let (_, sum, length) = hashing.finish();
    Ok((sum, length))
}

/// The sum of `bytes`, in hexadecimal.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Names a recipe: the sum of its ingredients, each with its length, so that no two lists of ingredients run together.
#[derive(Clone)]
pub(crate) struct Recipe(Sha256);

impl Recipe {
    /// A recipe of the kind and format `kind`: another format gives other names.
    pub(crate) fn new(kind: &str) -> Self {
        let mut recipe = Self(Sha256::new());
        recipe.add(kind);
        recipe
    }

    pub(crate) fn add(&mut self, ingredient: impl AsRef<[u8]>) {
        let ingredient = ingredient.as_ref();
        self.0.update((ingredient.len() as u64).to_be_bytes());
        self.0.update(ingredient);
    }

    /// The name: 32 hexadecimal digits.
    pub(crate) fn name(self) -> String {
        let mut name = hex::encode(self.0.finalize());
        name.truncate(32);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_sha256() {
        assert_eq!(
            of_bytes(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let mut hashing = Hashing::new(Vec::new());
        copy(&b"abc"[..], &mut hashing).unwrap();
        let (copied, sum, length) = hashing.finish();
        assert_eq!(
            (copied.as_slice(), sum, length),
            (&b"abc"[..], of_bytes(b"abc"), 3)
        );
    }

    #[test]
    fn ingredients_do_not_run_together() {
        let name = |parts: &[&str]| {
            let mut recipe = Recipe::new("test 1");
            parts.iter().for_each(|part| recipe.add(part));
            recipe.name()
        };
        assert_ne!(name(&["ab", "c"]), name(&["a", "bc"]));
        assert_eq!(name(&["ab", "c"]), name(&["ab", "c"]));
    }
}
