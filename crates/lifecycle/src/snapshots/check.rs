//! Whether a snapshot's file is what its record says.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::SnapshotRecord;
use crate::files::hex;
use crate::{Error, SnapshotError};

/// The length of the sum that etcd puts behind its data, in bytes.
const SUM: u64 = 32;

/// The size that etcd's data is a multiple of, in bytes: what is over is the sum.
const SECTOR: u64 = 512;

/// How much is read at once, in bytes.
const CHUNK: usize = 1 << 17;

/// What is wrong with a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotFault {
    /// It has another size than it was taken with, in bytes.
    Size {
        /// What it has.
        found: u64,
        /// What it had.
        expected: u64,
    },
    /// Its content is another.
    Content {
        /// The SHA-256 that it has.
        found: String,
        /// The SHA-256 that it had.
        expected: String,
    },
    /// The sum that etcd wrote behind its data is not that of the data, or there is none.
    EtcdSum,
    /// It is of another lab.
    OtherLab {
        /// Which.
        lab: String,
    },
    /// It is of a lab of the same name with other certificate authorities.
    OtherAuthorities {
        /// Whose: `etcd`, `kubernetes`.
        of: String,
    },
    /// What wrote it is newer than what the lab has.
    Newer {
        /// What: `etcd`, `kubernetes`.
        what: String,
        /// Its version then.
        then: String,
        /// The lab's.
        now: String,
    },
}

impl fmt::Display for SnapshotFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { found, expected } => {
                write!(f, "it has {found} bytes, and {expected} were taken")
            }
            Self::Content { found, expected } => {
                write!(f, "its SHA-256 is {found}, and was {expected}")
            }
            Self::EtcdSum => f.write_str("etcd's own checksum in it is not that of its data"),
            Self::OtherLab { lab } => write!(f, "it is of lab `{lab}`"),
            Self::OtherAuthorities { of } => write!(
                f,
                "it is of a lab of this name with another certificate authority of {of}"
            ),
            Self::Newer { what, then, now } => {
                write!(f, "it was written by {what} {then}, and the lab has {now}")
            }
        }
    }
}

/// Holds that `file` is what `record` says, to the byte.
///
/// # Errors
///
/// [`SnapshotError::Refused`], [`Error::Read`].
pub fn hold_whole(file: &Path, record: &SnapshotRecord) -> Result<(), Error> {
    let refused = |fault| {
        Error::from(SnapshotError::Refused {
            file: file.to_owned(),
            fault,
        })
    };
    let found = sums(file).map_err(|source| Error::Read {
        path: file.to_owned(),
        source,
    })?;
    if found.bytes != record.bytes {
        return Err(refused(SnapshotFault::Size {
            found: found.bytes,
            expected: record.bytes,
        }));
    }
    if found.all != record.sha256 {
        return Err(refused(SnapshotFault::Content {
            found: found.all,
            expected: record.sha256.clone(),
        }));
    }
    match found.etcd_agrees {
        true => Ok(()),
        false => Err(refused(SnapshotFault::EtcdSum)),
    }
}

/// What a file amounts to.
struct FileSums {
    bytes: u64,
    /// The SHA-256 of all of it.
    all: String,
    /// Whether what etcd wrote behind its data is the data's sum.
    etcd_agrees: bool,
}

fn sums(file: &Path) -> io::Result<FileSums> {
    let mut source = File::open(file)?;
    let bytes = source.metadata()?.len();
    let mut left = bytes.saturating_sub(SUM);
    let (mut all, mut data) = (Sha256::new(), Sha256::new());
    let mut behind = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = source.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        let read = &chunk[..count];
        all.update(read);
        let of_data = usize::try_from(left).unwrap_or(usize::MAX).min(count);
        data.update(&read[..of_data]);
        behind.extend_from_slice(&read[of_data..]);
        left -= of_data as u64;
    }
    Ok(FileSums {
        bytes,
        all: hex(&all.finalize()),
        etcd_agrees: bytes % SECTOR == SUM && behind[..] == data.finalize()[..],
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Data with its sum behind it, as etcd gives it, and the record of it.
    pub(in crate::snapshots) fn whole() -> (Vec<u8>, SnapshotRecord) {
        let mut content: Vec<u8> = (0..=255u8).cycle().take(512 * 600).collect();
        let sum = Sha256::digest(&content);
        content.extend_from_slice(&sum);
        let record = SnapshotRecord {
            lab: "ha".to_owned(),
            taken: "2026-11-21T12:00:00Z".to_owned(),
            reason: "asked for".to_owned(),
            member: "etcdtwo".to_owned(),
            confirmed: Some(4700),
            revision: 4711,
            keys: 100,
            bytes: content.len() as u64,
            sha256: hex(&Sha256::digest(&content)),
            cluster_id: "7f".to_owned(),
            versions: BTreeMap::from([("etcd".to_owned(), "3.6.14".to_owned())]),
            authorities: BTreeMap::new(),
        };
        (content, record)
    }

    fn fault(content: &[u8], record: &SnapshotRecord) -> Option<SnapshotFault> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.db");
        std::fs::write(&file, content).expect("written");
        match hold_whole(&file, record) {
            Ok(()) => None,
            Err(Error::Snapshot(SnapshotError::Refused { fault, .. })) => Some(fault),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_byte_that_is_flipped_or_missing_is_found() {
        let (content, record) = whole();
        assert_eq!(fault(&content, &record), None);
        let mut flipped = content.clone();
        flipped[300_000] ^= 1;
        assert!(matches!(
            fault(&flipped, &record),
            Some(SnapshotFault::Content { .. })
        ));
        let cut = &content[..content.len() - 1];
        assert_eq!(
            fault(cut, &record),
            Some(SnapshotFault::Size {
                found: record.bytes - 1,
                expected: record.bytes
            })
        );
        assert!(fault(&[], &record).is_some());
    }

    #[test]
    fn a_record_that_was_written_for_damaged_data_helps_nothing() {
        let (mut content, mut record) = whole();
        content[7] ^= 1;
        record.sha256 = hex(&Sha256::digest(&content));
        assert_eq!(fault(&content, &record), Some(SnapshotFault::EtcdSum));
        content.truncate(512);
        record.bytes = 512;
        record.sha256 = hex(&Sha256::digest(&content));
        assert_eq!(fault(&content, &record), Some(SnapshotFault::EtcdSum));
    }
}
