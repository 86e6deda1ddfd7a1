//! Versions of Kubernetes and etcd, and which of them go together.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

/// A minor version of Kubernetes, such as `1.36`; the bundle pins the patch release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct KubernetesVersion {
    /// The number after `1.`.
    pub minor: u8,
}

impl KubernetesVersion {
    /// The oldest minor this knows about.
    pub const OLDEST: KubernetesVersion = KubernetesVersion {
        minor: OLDEST_ETCD[0].0,
    };

    /// The newest minor this knows about; which of them can be had is the bundle's to say.
    pub const NEWEST: KubernetesVersion = KubernetesVersion {
        minor: OLDEST_ETCD[OLDEST_ETCD.len() - 1].0,
    };

    /// Iterates over all minors this knows about, the oldest first.
    pub fn known() -> impl Iterator<Item = KubernetesVersion> {
        OLDEST_ETCD
            .iter()
            .map(|(minor, _)| KubernetesVersion { minor: *minor })
    }

    /// Returns the oldest external etcd that kubeadm of this minor accepts.
    pub fn oldest_etcd(self) -> EtcdVersion {
        OLDEST_ETCD
            .iter()
            .find(|(minor, _)| *minor == self.minor)
            .map_or(OLDEST_ETCD[OLDEST_ETCD.len() - 1].1, |(_, etcd)| *etcd)
    }
}

/// Known minors of Kubernetes and the oldest external etcd each accepts.
///
/// `MinExternalEtcdVersion` in
/// <https://github.com/kubernetes/kubernetes/blob/v1.36.3/cmd/kubeadm/app/constants/constants.go>;
/// the branches of 1.33 and 1.34 were raised to the same (<https://github.com/kubernetes/kubernetes/pull/134779>).
const OLDEST_ETCD: [(u8, EtcdVersion); 5] = [
    (33, EtcdVersion::new(3, 5, 24)),
    (34, EtcdVersion::new(3, 5, 24)),
    (35, EtcdVersion::new(3, 5, 24)),
    (36, EtcdVersion::new(3, 5, 24)),
    (37, EtcdVersion::new(3, 5, 24)),
];

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("1.{}", self.minor))
    }
}

impl Serialize for KubernetesVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A version of etcd, such as `3.6.14`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct EtcdVersion {
    /// The first number.
    pub major: u8,
    /// The second number.
    pub minor: u8,
    /// The third number.
    pub patch: u16,
}

impl EtcdVersion {
    /// Makes a version of its three numbers.
    pub const fn new(major: u8, minor: u8, patch: u16) -> Self {
        EtcdVersion {
            major,
            minor,
            patch,
        }
    }
}

/// Reads `3.6.14` or `v3.6.14`.
impl FromStr for EtcdVersion {
    type Err = NoEtcdVersion;

    fn from_str(text: &str) -> Result<Self, NoEtcdVersion> {
        let refuse = || NoEtcdVersion(text.to_owned());
        let mut numbers = text.strip_prefix('v').unwrap_or(text).split('.');
        let mut next = || numbers.next().filter(|number| is_plain(number));
        let major = next().and_then(|n| n.parse().ok()).ok_or_else(refuse)?;
        let minor = next().and_then(|n| n.parse().ok()).ok_or_else(refuse)?;
        let patch = next().and_then(|n| n.parse().ok()).ok_or_else(refuse)?;
        match numbers.next() {
            Some(_) => Err(refuse()),
            None => Ok(EtcdVersion::new(major, minor, patch)),
        }
    }
}

/// Text that is no version of etcd.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no version of etcd such as `3.6.14`")]
pub struct NoEtcdVersion(String);

/// A bundle's etcd that a lab refuses.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EtcdRefused {
    /// Kubernetes refuses it.
    #[error("Kubernetes `{kubernetes}` needs etcd `{oldest}` or later, and this is `{found}`")]
    ByKubernetes {
        /// The lab's Kubernetes.
        kubernetes: KubernetesVersion,
        /// The oldest it accepts.
        oldest: EtcdVersion,
        /// What there is.
        found: EtcdVersion,
    },
    /// The lab file asks for a later one.
    #[error("the lab asks for etcd `{asked}` or later, and this is `{found}`")]
    ByLab {
        /// What the lab file says.
        asked: EtcdVersion,
        /// What there is.
        found: EtcdVersion,
    },
}

/// Returns true for a number as versions write it: digits, no zero in front.
pub(crate) fn is_plain(number: &str) -> bool {
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && (number == "0" || !number.starts_with('0'))
}

impl fmt::Display for EtcdVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.major, self.minor, self.patch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etcd_versions() {
        let check = |text: &str, version| assert_eq!(text.parse::<EtcdVersion>().ok(), version);
        check("3.6.14", Some(EtcdVersion::new(3, 6, 14)));
        check("v3.5.24", Some(EtcdVersion::new(3, 5, 24)));
        for bad in [
            "",
            "3.6",
            "3.6.1.2",
            "3.6.x",
            "3.06.1",
            "3.6.99999",
            "+3.6.1",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn etcd_versions_are_ordered_by_number() {
        assert!(EtcdVersion::new(3, 6, 9) < EtcdVersion::new(3, 6, 14));
    }

    #[test]
    fn known_minors_are_without_gaps() {
        let known: Vec<_> = KubernetesVersion::known().map(|it| it.minor).collect();
        assert_eq!(known, (33..=37).collect::<Vec<_>>());
        assert_eq!(KubernetesVersion::OLDEST.to_string(), "1.33");
        assert_eq!(KubernetesVersion::NEWEST.to_string(), "1.37");
    }
}
