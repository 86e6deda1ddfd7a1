//! What is in cfssl's files.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Error, Lifetime, Usage};

/// The signing configuration (`-config`).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ConfigFile {
    pub(super) signing: Signing,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Signing {
    #[serde(default)]
    pub(super) default: Profile,
    #[serde(default)]
    pub(super) profiles: BTreeMap<String, Profile>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Profile {
    #[serde(default)]
    pub(super) usages: Vec<String>,
    pub(super) expiry: Option<String>,
    #[serde(default)]
    pub(super) ca_constraint: CaConstraint,
    #[serde(flatten)]
    pub(super) rest: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct CaConstraint {
    #[serde(default)]
    pub(super) is_ca: bool,
    #[serde(default)]
    pub(super) max_path_len: u8,
    #[serde(default)]
    pub(super) max_path_len_zero: bool,
}

/// The request (`csr.json`).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct RequestFile {
    #[serde(rename = "CN", default)]
    pub(super) common_name: String,
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    #[serde(default)]
    pub(super) names: Vec<BTreeMap<String, serde_json::Value>>,
    pub(super) key: Option<Key>,
    pub(super) ca: Option<Ca>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Key {
    pub(super) algo: String,
    pub(super) size: u32,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Ca {
    pub(super) expiry: Option<String>,
    pub(super) pathlen: Option<u8>,
    #[serde(default)]
    pub(super) pathlenzero: bool,
}

impl Profile {
    pub(super) fn purposes(&self, notes: &mut Vec<String>) -> Result<Vec<Usage>, Error> {
        let mut usages = Vec::new();
        for usage in &self.usages {
            match usage.as_str() {
                // Every leaf here has digitalSignature.
                "signing" | "digital signature" => {}
                "key encipherment" | "data encipherment" => notes.push(format!(
                    "usage `{usage}` is left out: elliptic curve keys cannot encipher"
                )),
                "server auth" => usages.push(Usage::ServerAuth),
                "client auth" => usages.push(Usage::ClientAuth),
                "code signing" => usages.push(Usage::CodeSigning),
                "email protection" | "s/mime" => usages.push(Usage::EmailProtection),
                "timestamping" => usages.push(Usage::TimeStamping),
                "ocsp signing" => usages.push(Usage::OcspSigning),
                other => return Err(Error::invalid("cfssl usage", other, "has no counterpart")),
            }
        }
        Ok(usages)
    }

    pub(super) fn note_rest(&self, notes: &mut Vec<String>) {
        for key in self.rest.keys() {
            let key = crate::error::quotable(key.clone());
            notes.push(format!("`{key}` of the profile is left out"));
        }
    }
}

/// Go's `time.ParseDuration`, for the units that make sense here.
pub(super) fn duration(text: &str) -> Result<Lifetime, Error> {
    let invalid =
        |problem| Error::invalid("cfssl expiry", text.escape_debug().to_string(), problem);
    let mut seconds: u64 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return Err(invalid("is empty"));
    }
    while !rest.is_empty() {
        let end = rest
            .find(|character: char| !character.is_ascii_digit())
            .ok_or_else(|| invalid("has a number without unit"))?;
        let number: u64 = rest[..end]
            .parse()
            .map_err(|_| invalid("has a unit without number"))?;
        let unit = match rest.as_bytes().get(end) {
            Some(b'h') => 3600,
            Some(b'm') => 60,
            Some(b's') => 1,
            _ => return Err(invalid("has a unit other than `h`, `m` and `s`")),
        };
        let part = number
            .checked_mul(unit)
            .ok_or_else(|| invalid("is too long"))?;
        seconds = seconds
            .checked_add(part)
            .ok_or_else(|| invalid("is too long"))?;
        rest = &rest[end + 1..];
    }
    Lifetime::seconds(seconds).ok_or_else(|| invalid("is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("8760h", 31_536_000), ("1h30m", 5400), ("90s", 90)] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds);
        }
        for text in [
            "",
            "1",
            "h",
            "1d",
            "-1h",
            "1.5h",
            "99999999999999999999h",
            "9999999999999999h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
