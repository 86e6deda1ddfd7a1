//! Files, and what was last made of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, fs};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::Error;

/// How long what cannot be used is left alone while its files look the same: the reason may be another than their content.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file that was written to so shortly before it was read may be written to again without looking otherwise: clocks of
/// filesystems tick, some every two seconds (as git has it: Documentation/technical/racy-git).
const TICK: Duration = Duration::from_secs(3);

/// How often a file that was just written to is read again, to see whether its content is still the same.
const RACY_PAUSE: Duration = Duration::from_millis(50);

/// By what a file is known to be the one that was read: another one was renamed into its place, or it was written to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// Device, inode, and when either content or attributes changed, which nobody can set back.
    #[cfg(unix)]
    identity: (u64, u64, i64, i64),
}

/// What the files looked like; `None` for one that is not there.
type Stamps = Vec<Option<Stamp>>;

fn stamps(files: &[PathBuf]) -> Stamps {
    let stamp = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            #[cfg(unix)]
            identity: {
                use std::os::unix::fs::MetadataExt;
                let changed = (metadata.ctime(), metadata.ctime_nsec());
                (metadata.dev(), metadata.ino(), changed.0, changed.1)
            },
        })
    };
    files.iter().map(stamp).collect()
}

impl Stamp {
    /// Whether the file could have been written to at `read`, when it was read, and look the same.
    fn is_racy(&self, read: SystemTime) -> bool {
        #[cfg(unix)]
        let changed = {
            let seconds = u64::try_from(self.identity.2).unwrap_or_default();
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        };
        #[cfg(not(unix))]
        let changed = self.modified;
        changed.is_none_or(|changed| changed + TICK > read)
    }
}

/// Who may have a file in the place of one that is read, and whether links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// Anybody whom the user of this program lets: a Kubernetes volume, for one, is links to a folder that is exchanged.
    Open,
    /// Those of a store: regular files of this user, without links, keys for this user alone.
    #[cfg(all(feature = "store", unix))]
    Store,
}

/// The content of the files; `None` for one that is not there.
pub(super) type Contents = Vec<Option<Zeroizing<Vec<u8>>>>;

/// Turns the content of the files into what is used.
type Make<T> = Box<dyn Fn(&[PathBuf], &Contents) -> Result<T, Error> + Send + Sync>;

/// Files, and what was last made of them.
pub(super) struct Reloading<T> {
    files: Vec<PathBuf>,
    rules: Rules,
    make: Make<T>,
    /// Taken by the one who reads; handshakes that find nothing changed do not wait for it.
    seen: Mutex<Seen>,
    /// Held for as long as it takes to look or to exchange a pointer.
    state: RwLock<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    /// As in `Seen`, for those who only look.
    stamps: Stamps,
    again_at: Option<Instant>,
}

/// What there was when the files were last read, whether that went well or not.
struct Seen {
    /// Of their content, so that the same again is known as such; none of what could not be read.
    digest: Option<[u8; 32]>,
    is_usable: bool,
}

impl<T> Reloading<T> {
    pub(super) fn open(
        files: Vec<PathBuf>,
        rules: Rules,
        make: impl Fn(&[PathBuf], &Contents) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let make: Make<T> = Box::new(make);
        let found = Found::read(&files, rules);
        let again_at = found.again_at();
        let contents = found.contents?;
        let value = Arc::new(make(&files, &contents)?);
        Ok(Self {
            seen: Mutex::new(Seen {
                digest: Some(digest(&contents)),
                is_usable: true,
            }),
            state: RwLock::new(State {
                value,
                stamps: found.stamps,
                again_at,
            }),
            files,
            rules,
            make,
        })
    }

    /// Reads the files again if they may have changed, and says whether there was something new.
    pub(super) fn refresh(&self) -> Result<bool, Error> {
        self.update(true)
    }

    /// What is in use now. Why what is there is not, is for those who ask: a handshake goes on with what there was.
    pub(super) fn current(&self) -> Arc<T> {
        let _ = self.update(false);
        self.read_state().value.clone()
    }

    /// `insists`: also if they were found to be unusable and look the same.
    fn update(&self, insists: bool) -> Result<bool, Error> {
        if !self.may_have_changed(insists) {
            return Ok(false);
        }
        // Those who come meanwhile wait, so that nobody judges by what is known to be old.
        let mut seen = self.lock_seen();
        if !self.may_have_changed(insists) {
            return Ok(false);
        }
        let found = Found::read(&self.files, self.rules);
        let mut again_at = found.again_at();
        let now = found.contents.as_ref().ok().map(digest);
        let is_same = now.is_some() && now == seen.digest;
        let made = match found.contents {
            Ok(_) if is_same && seen.is_usable => None,
            Ok(contents) => Some((self.make)(&self.files, &contents)),
            Err(error) => Some(Err(error)),
        };
        seen.digest = now;
        seen.is_usable = !matches!(made, Some(Err(_)));
        if !seen.is_usable {
            // Looks at each handshake, and reads at once when they look otherwise.
            again_at.get_or_insert_with(|| Instant::now() + PATIENCE);
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.stamps = found.stamps;
        state.again_at = again_at;
        match made {
            None => Ok(false),
            Some(Ok(value)) => {
                state.value = Arc::new(value);
                Ok(true)
            }
            Some(Err(error)) => Err(error),
        }
    }

    fn may_have_changed(&self, insists: bool) -> bool {
        let now = stamps(&self.files);
        let state = self.read_state();
        let is_time = state.again_at.is_some_and(|at| Instant::now() >= at);
        // A file that was just written to may be another one already: for whoever insists, there is no pause.
        now != state.stamps || is_time || insists && state.again_at.is_some()
    }

    fn read_state(&self) -> std::sync::RwLockReadGuard<'_, State<T>> {
        // What another thread left half done is never more than an unused value.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Reloading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Files that belong together, as they were at one time.
struct Found {
    stamps: Stamps,
    contents: Result<Contents, Error>,
    is_racy: bool,
}

impl Found {
    /// Reads them; none changed meanwhile, unless they change faster than they can be read.
    fn read(files: &[PathBuf], rules: Rules) -> Self {
        let mut before = stamps(files);
        for _ in 0..8 {
            let contents = contents(files, rules);
            let read = SystemTime::now();
            let after = stamps(files);
            if after == before {
                let is_racy = after.iter().flatten().any(|stamp| stamp.is_racy(read));
                return Self {
                    stamps: after,
                    contents,
                    is_racy,
                };
            }
            before = after;
        }
        Self {
            stamps: before,
            contents: contents(files, rules),
            is_racy: true,
        }
    }

    fn again_at(&self) -> Option<Instant> {
        self.is_racy.then(|| Instant::now() + RACY_PAUSE)
    }
}

fn contents(files: &[PathBuf], rules: Rules) -> Result<Contents, Error> {
    files.iter().map(|path| content(path, rules)).collect()
}

fn content(path: &Path, rules: Rules) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    #[cfg(all(feature = "store", unix))]
    if rules == Rules::Store {
        use crate::store::{Privacy, read};
        let is_key = path.extension().is_some_and(|extension| extension == "key");
        let privacy = match is_key {
            true => Privacy::Private,
            false => Privacy::Public,
        };
        return read(path, privacy);
    }
    let _ = rules;
    match fs::read(path) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io {
            action: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

fn digest(contents: &Contents) -> [u8; 32] {
    let mut all = Sha256::new();
    for content in contents {
        match content {
            Some(bytes) => {
                all.update((bytes.len() as u64 + 1).to_be_bytes());
                all.update(&bytes[..]);
            }
            None => all.update(0u64.to_be_bytes()),
        }
    }
    all.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// One file, how often it was made something of, and what.
    fn counted(path: &Path) -> (Reloading<Vec<u8>>, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let made = count.clone();
        let files = vec![path.to_owned()];
        let reloading = Reloading::open(files, Rules::Open, move |_, contents| {
            made.fetch_add(1, Ordering::Relaxed);
            match contents[0].as_ref().map(|bytes| bytes.to_vec()) {
                Some(bytes) if bytes != b"bad" => Ok(bytes),
                _ => Err(Error::malformed("test", "unusable")),
            }
        });
        (reloading.unwrap(), count)
    }

    /// Makes the file look as if it had been written to long ago; its change time stays.
    fn settle<T>(reloading: &Reloading<T>) {
        let mut state = reloading.state.write().unwrap();
        state.again_at = None;
    }

    #[test]
    fn a_file_that_cannot_be_used_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "good").unwrap();
        let (reloading, count) = counted(&path);
        fs::write(&path, "bad").unwrap();
        assert_eq!(*reloading.current(), b"good");
        let reads = count.load(Ordering::Relaxed);
        assert_eq!(reads, 2);
        // While the file may still be written to unseen, it is looked at again now and then; later, once a second.
        for _ in 0..1000 {
            reloading.current();
        }
        let more = count.load(Ordering::Relaxed) - reads;
        assert!(more < 100, "{more} times");
        // Whoever asks is told each time.
        assert!(reloading.refresh().is_err());
        assert!(reloading.refresh().is_err());
        fs::write(&path, "fine").unwrap();
        assert_eq!(*reloading.current(), b"fine");
        assert!(!reloading.refresh().unwrap());
    }

    /// Written twice within a tick of the filesystem's clock, the same length, the same inode.
    #[test]
    fn a_change_that_does_not_show_is_seen_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let (reloading, _) = counted(&path);
        // As if the write came within the tick of the read: what is known of the file is made what it is now.
        fs::write(&path, "two").unwrap();
        reloading.state.write().unwrap().stamps = stamps(&reloading.files);
        std::thread::sleep(RACY_PAUSE);
        assert_eq!(*reloading.current(), b"two");
        // A time that is set back does not hide a change.
        settle(&reloading);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        fs::write(&path, "six").unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        assert_eq!(*reloading.current(), b"six");
    }

    #[test]
    fn those_who_find_nothing_changed_do_not_wait_for_who_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let (reloading, _) = counted(&path);
        settle(&reloading);
        let _reading = reloading.lock_seen();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| reloading.current());
            assert_eq!(*other.join().unwrap(), b"one");
        });
    }

    /// As Kubernetes exchanges the content of a volume: a link to a folder, and files of the same names in the next one.
    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = |file: &str| folder.path().join(file);
        for (version, text) in [("v1", "one"), ("v2", "two")] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("file"), text).unwrap();
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("v1", path("data")).unwrap();
            std::os::unix::fs::symlink("data/file", path("file")).unwrap();
            let (reloading, _) = counted(&path("file"));
            settle(&reloading);
            std::os::unix::fs::symlink("v2", path("next")).unwrap();
            fs::rename(path("next"), path("data")).unwrap();
            assert_eq!(*reloading.current(), b"two");
        }
    }
}
