//! An archive that is read while it is being written.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How far an archive has been written. Those who read it wait for what is not there yet.
#[derive(Debug, Default)]
pub struct ArchiveGrowth {
    state: Mutex<GrowthState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GrowthState {
    /// As many bytes from its beginning are final.
    bytes: u64,
    end: Option<GrowthEnd>,
}

#[derive(Debug, Clone)]
enum GrowthEnd {
    /// What comes after the bytes.
    Whole(Arc<[u8]>),
    /// Whoever wrote it knows why.
    Failed,
}

impl ArchiveGrowth {
    /// Nothing is written yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn grew(&self, bytes: u64) {
        self.state().bytes = bytes;
        self.changed.notify_all();
    }

    pub(super) fn finish(&self, rest: Vec<u8>) {
        self.state().end = Some(GrowthEnd::Whole(rest.into()));
        self.changed.notify_all();
    }

    /// It will not become whole, unless it is already.
    pub fn fail(&self) {
        self.state().end.get_or_insert(GrowthEnd::Failed);
        self.changed.notify_all();
    }

    /// What is written to `file`, from its beginning. `file` must have been opened for this reader alone.
    pub fn follow(self: &Arc<Self>, file: File) -> GrowingArchive {
        GrowingArchive {
            growth: Arc::clone(self),
            file,
            at: 0,
        }
    }

    fn state(&self) -> MutexGuard<'_, GrowthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is more than `at` bytes, or the end is known.
    fn beyond(&self, at: u64) -> (u64, Option<GrowthEnd>) {
        let mut state = self.state();
        while state.bytes <= at && state.end.is_none() {
            state = (self.changed.wait(state)).unwrap_or_else(PoisonError::into_inner);
        }
        (state.bytes, state.end.clone())
    }
}

/// A reader of an archive that is being written.
#[derive(Debug)]
pub struct GrowingArchive {
    growth: Arc<ArchiveGrowth>,
    file: File,
    at: u64,
}

impl Read for GrowingArchive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (bytes, end) = self.growth.beyond(self.at);
        if self.at < bytes {
            let most = usize::try_from(bytes - self.at).unwrap_or(usize::MAX);
            let most = most.min(buffer.len());
            self.file.seek(SeekFrom::Start(self.at))?;
            let count = self.file.read(&mut buffer[..most])?;
            if count == 0 && most > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.at += count as u64;
            return Ok(count);
        }
        match end {
            Some(GrowthEnd::Whole(rest)) => {
                let from = usize::try_from(self.at - bytes).unwrap_or(usize::MAX);
                let mut rest = rest.get(from..).unwrap_or_default();
                let count = rest.read(buffer)?;
                self.at += count as u64;
                Ok(count)
            }
            _ => Err(io::Error::other("the image could not be read whole")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn readers_wait_for_what_is_not_there_yet() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("archive");
        let mut file = File::create(&path).expect("made");
        let growth = ArchiveGrowth::new();
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let mut reader = growth.follow(File::open(&path).expect("opened"));
                std::thread::spawn(move || {
                    let mut all = Vec::new();
                    reader.read_to_end(&mut all).map(|_| all)
                })
            })
            .collect();
        for part in [&b"one "[..], b"two "] {
            file.write_all(part).expect("written");
            let length = file.metadata().expect("there").len();
            growth.grew(length);
        }
        file.write_all(b"not final").expect("written");
        growth.finish(b"three".to_vec());
        growth.fail();
        for reader in readers {
            let all = reader.join().expect("no panic").expect("whole");
            assert_eq!(all, b"one two three");
        }
    }

    #[test]
    fn what_fails_has_no_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("archive");
        std::fs::write(&path, "one").expect("written");
        let growth = ArchiveGrowth::new();
        growth.grew(3);
        growth.fail();
        let mut reader = growth.follow(File::open(&path).expect("opened"));
        let mut all = Vec::new();
        reader.read_to_end(&mut all).expect_err("it has no end");
        assert_eq!(all, b"one");
    }
}
