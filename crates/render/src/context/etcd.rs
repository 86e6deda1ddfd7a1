//! What of etcd's settings depends on the machines it runs on, and on its version.

use std::str::FromStr;

use caravan_lab::{EtcdVersion, Lab, Provider, Role};

use crate::error::Error;
use crate::settings::Settings;

/// How etcd members find out that their leader is gone, in milliseconds.
pub(super) struct EtcdTimers {
    pub(super) heartbeat_ms: u16,
    pub(super) election_ms: u16,
}

impl EtcdTimers {
    /// The one place where they are decided: by how long a machine of this kind may be silent and well all the same. Members
    /// must agree on them, so the slowest one decides.
    pub(super) fn of(lab: &Lab, settings: &Settings) -> EtcdTimers {
        let needed = |provider| match provider {
            Provider::Docker => (100, 500),
            Provider::VirtualBox => (200, 2000),
            // It also emulates machines, where nothing better is at hand.
            Provider::Libvirt => (500, 5000),
        };
        let members = lab.of_role(Role::Etcd);
        let (heartbeat_ms, election_ms) = members
            .map(|member| needed(settings.provider_of(member)))
            .max()
            .unwrap_or_else(|| needed(Provider::default()));
        EtcdTimers {
            heartbeat_ms,
            election_ms,
        }
    }
}

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
