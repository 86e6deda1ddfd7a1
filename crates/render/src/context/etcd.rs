//! What of etcd's settings depends on its version.

use std::str::FromStr;

use caravan_lab::EtcdVersion;

use crate::error::Error;

/// Flags of etcd, without their dashes, whose names its versions do not agree on.
pub(super) struct EtcdFlags {
    pub(super) corrupt_check: &'static str,
    pub(super) progress_notify: &'static str,
}

impl EtcdFlags {
    /// Returns the flags of etcd `version`, such as `3.6.14`.
    pub(super) fn of(version: &str) -> Result<EtcdFlags, Error> {
        let unread = |_| Error::EtcdVersion(version.to_owned());
        let version = EtcdVersion::from_str(version).map_err(unread)?;
        Ok(if (version.major, version.minor) < (3, 6) {
            EtcdFlags {
                corrupt_check: "experimental-initial-corrupt-check=true",
                progress_notify: "experimental-watch-progress-notify-interval=5s",
            }
        } else {
            EtcdFlags {
                corrupt_check: "feature-gates=InitialCorruptCheck=true",
                progress_notify: "watch-progress-notify-interval=5s",
            }
        })
    }
}
