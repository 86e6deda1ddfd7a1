//! One process at a time.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::Error;

/// The lock file's name in the store's folder.
pub(crate) const LOCK_FILE: &str = ".lock";

/// How long to wait for another process; a whole run takes well under a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Held as long as it lives; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    /// `None` for a reader of a folder in which nobody can make the file, and so nobody writes.
    _file: Option<File>,
}

impl Lock {
    /// Keeps everyone else out.
    pub(crate) fn exclusive(root: &Path) -> Result<Self, Error> {
        Self::take(root, FlockOperation::NonBlockingLockExclusive, PATIENCE)
    }

    /// Keeps writers out. A folder that cannot be written to, such as one on a read-only filesystem, can be read.
    pub(crate) fn shared(root: &Path) -> Result<Self, Error> {
        Self::take(root, FlockOperation::NonBlockingLockShared, PATIENCE)
    }

    fn take(root: &Path, operation: FlockOperation, patience: Duration) -> Result<Self, Error> {
        let path = root.join(LOCK_FILE);
        let io = |source: std::io::Error| Error::Io {
            action: "lock",
            path: path.clone(),
            source,
        };
        let nofollow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let opened = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nofollow)
            .open(&path);
        let is_shared = operation == FlockOperation::NonBlockingLockShared;
        let file = match opened {
            Err(error) if is_shared && is_read_only(&error) => {
                let mut reading = File::options();
                match reading.read(true).custom_flags(nofollow).open(&path) {
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        return Ok(Self { _file: None });
                    }
                    result => result.map_err(io)?,
                }
            }
            result => result.map_err(io)?,
        };
        let start = Instant::now();
        loop {
            match flock(&file, operation) {
                Ok(()) => return Ok(Self { _file: Some(file) }),
                Err(Errno::WOULDBLOCK) if start.elapsed() < patience => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(Errno::WOULDBLOCK) => {
                    return Err(Error::Locked {
                        path: root.to_owned(),
                    });
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(io(errno.into())),
            }
        }
    }
}

/// Whether the reason is that nothing here may be written.
fn is_read_only(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_or_many_readers() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let now = Duration::ZERO;
        let shared = FlockOperation::NonBlockingLockShared;
        let exclusive = FlockOperation::NonBlockingLockExclusive;

        let writer = Lock::take(root, exclusive, now).unwrap();
        for operation in [shared, exclusive] {
            let error = Lock::take(root, operation, now).unwrap_err();
            assert!(matches!(error, Error::Locked { .. }), "{error}");
        }
        drop(writer);

        let one = Lock::take(root, shared, now).unwrap();
        let two = Lock::take(root, shared, now).unwrap();
        assert!(Lock::take(root, exclusive, now).is_err());
        drop((one, two));
        assert!(Lock::take(root, exclusive, now).is_ok());
    }
}
