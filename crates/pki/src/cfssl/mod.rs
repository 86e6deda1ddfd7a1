//! Reading cfssl's files, to leave it.
//!
//! cfssl describes certificates in two JSON files: a signing configuration with named profiles, and a request.
//! Together they become a [`Leaf`] or an [`AuthoritySpec`]. What has no counterpart here is not dropped silently: it is
//! listed in [`Converted::notes`].
//!
//! ```
//! use caravan_pki::cfssl::{Request, SigningConfig};
//! # fn main() -> Result<(), caravan_pki::Error> {
//! let config = SigningConfig::from_json(br#"{"signing": {
//!     "default": {"expiry": "8760h"},
//!     "profiles": {"peer": {"usages": ["signing", "key encipherment", "server auth", "client auth"]}}
//! }}"#)?;
//! let request = Request::from_json(br#"{"CN": "etcdone", "hosts": ["etcdone", "10.0.0.1"], "key": {"algo": "ecdsa", "size": 256}}"#)?;
//! let converted = config.leaf("peer", &request)?;
//! assert_eq!(converted.value.to_string(), "CN=etcdone; serverAuth+clientAuth; etcdone, 10.0.0.1");
//! assert_eq!(converted.notes, ["usage `key encipherment` is left out: elliptic curve keys cannot encipher"]);
//! # Ok(())
//! # }
//! ```

mod files;

use crate::error::quotable;
use crate::{AuthoritySpec, CommonName, Error, Leaf, Lifetime, Organization, Sans};
use files::{ConfigFile, Profile, RequestFile, Signing, duration};

/// Something read, and what was lost on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Converted<T> {
    /// What was read.
    pub value: T,
    /// What has no counterpart, one sentence each.
    pub notes: Vec<String>,
}

/// cfssl's signing configuration (`-config`).
#[derive(Debug, Clone)]
pub struct SigningConfig {
    signing: Signing,
}

/// cfssl's request (`csr.json`).
#[derive(Debug, Clone)]
pub struct Request(RequestFile);

/// Where it is, and not what: the key that cfssl printed is JSON too, and serde quotes what does not fit.
fn json_error(what: &'static str, error: &serde_json::Error) -> Error {
    use serde_json::error::Category;
    let problem = match error.classify() {
        Category::Data => "has another type than expected",
        Category::Eof => "ends too early",
        Category::Io | Category::Syntax => "is no JSON",
    };
    let (line, column) = (error.line(), error.column());
    Error::malformed(what, format!("{problem}, at line {line} column {column}"))
}

impl SigningConfig {
    /// Reads the file's bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for anything but such a configuration.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        let file: ConfigFile = serde_json::from_slice(json)
            .map_err(|error| json_error("cfssl configuration", &error))?;
        Ok(Self {
            signing: file.signing,
        })
    }

    /// The names of the profiles, sorted.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.signing.profiles.keys().map(String::as_str)
    }

    /// The certificate that `request` gets under `profile`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for an unknown profile; [`Error::Invalid`] for invalid names, an unknown usage or expiry, a
    /// profile without purpose, a server without hosts, or one for authorities.
    pub fn leaf(&self, profile: &str, request: &Request) -> Result<Converted<Leaf>, Error> {
        let found = self
            .signing
            .profiles
            .get(profile)
            .ok_or_else(|| Error::NotFound {
                what: "profile in the cfssl configuration",
                name: profile.to_owned(),
            })?;
        if found.ca_constraint.is_ca {
            let problem = "is for authorities: see `SigningConfig::authority`";
            return Err(Error::invalid("cfssl profile", profile, problem));
        }
        let mut notes = Vec::new();
        found.note_rest(&mut notes);
        let usages = found.purposes(&mut notes)?;
        let names = request.names(&mut notes)?;
        let sans = if request.0.hosts.is_empty() {
            None
        } else {
            Some(Sans::parse(request.0.hosts.iter().map(String::as_str))?)
        };
        let leaf = Leaf::custom(request.common_name()?, usages, sans)?
            .with_lifetime(self.lifetime(found)?);
        Ok(Converted {
            value: names.into_iter().fold(leaf, Leaf::with_organization),
            notes,
        })
    }

    /// The intermediate authority that `request` gets under `profile`.
    ///
    /// # Errors
    ///
    /// As [`SigningConfig::leaf`]; [`Error::Invalid`] when the profile is not for authorities.
    pub fn authority(
        &self,
        profile: &str,
        request: &Request,
    ) -> Result<Converted<AuthoritySpec>, Error> {
        let found = self
            .signing
            .profiles
            .get(profile)
            .ok_or_else(|| Error::NotFound {
                what: "profile in the cfssl configuration",
                name: profile.to_owned(),
            })?;
        let constraint = &found.ca_constraint;
        if !constraint.is_ca {
            let problem = "is not for authorities";
            return Err(Error::invalid("cfssl profile", profile, problem));
        }
        let mut notes = Vec::new();
        found.note_rest(&mut notes);
        let mut spec = request
            .spec(&mut notes)?
            .with_lifetime(self.lifetime(found)?);
        if constraint.max_path_len == 0 && !constraint.max_path_len_zero {
            notes.push(
                "no path length becomes path length 0: an authority below may sign leaves only"
                    .to_owned(),
            );
        }
        spec = spec.with_path_length(constraint.max_path_len);
        Ok(Converted { value: spec, notes })
    }

    fn lifetime(&self, profile: &Profile) -> Result<Lifetime, Error> {
        match profile
            .expiry
            .as_ref()
            .or(self.signing.default.expiry.as_ref())
        {
            Some(expiry) => duration(expiry),
            None => Ok(Lifetime::LEAF),
        }
    }
}

impl Request {
    /// Reads the file's bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for anything but such a request.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(json)
            .map(Self)
            .map_err(|error| json_error("cfssl request", &error))
    }

    /// The self-signed authority that `cfssl gencert -initca` makes of it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for invalid names or expiry.
    pub fn authority(&self) -> Result<Converted<AuthoritySpec>, Error> {
        let mut notes = Vec::new();
        let mut spec = self.spec(&mut notes)?;
        if let Some(ca) = &self.0.ca {
            if let Some(expiry) = &ca.expiry {
                spec = spec.with_lifetime(duration(expiry)?);
            }
            spec = spec.with_path_length(ca.pathlen.unwrap_or(0));
        }
        if self
            .0
            .ca
            .as_ref()
            .is_none_or(|ca| ca.pathlen.is_none_or(|length| length == 0) && !ca.pathlenzero)
        {
            notes.push(
                "no path length becomes path length 0: use 1 for authorities below".to_owned(),
            );
        }
        Ok(Converted { value: spec, notes })
    }

    fn common_name(&self) -> Result<CommonName, Error> {
        CommonName::try_from(self.0.common_name.as_str())
    }

    fn spec(&self, notes: &mut Vec<String>) -> Result<AuthoritySpec, Error> {
        let names = self.names(notes)?;
        let spec = AuthoritySpec::new(self.common_name()?);
        Ok(names
            .into_iter()
            .fold(spec, AuthoritySpec::with_organization))
    }

    /// The organizations; other attributes and the kind of key become notes.
    fn names(&self, notes: &mut Vec<String>) -> Result<Vec<Organization>, Error> {
        if let Some(key) = &self.0.key {
            if key.algo != "ecdsa" || key.size != 256 {
                notes.push(format!(
                    "key `{} {}` becomes ECDSA P-256",
                    quotable(key.algo.clone()),
                    key.size
                ));
            }
        }
        let mut organizations = Vec::new();
        for (attribute, value) in self.0.names.iter().flatten() {
            match (attribute.as_str(), value.as_str()) {
                (_, Some("")) => {}
                ("O", Some(name)) => organizations.push(Organization::try_from(name)?),
                _ => notes.push(format!(
                    "subject attribute `{}` is left out",
                    quotable(attribute.clone())
                )),
            }
        }
        Ok(organizations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_become_authorities() {
        let request = Request::from_json(
            br#"{"CN": "ca", "key": {"algo": "rsa", "size": 2048}, "ca": {"expiry": "87600h", "pathlen": 1},
                "names": [{"C": "DE", "O": "Example", "OU": ""}]}"#,
        )
        .unwrap();
        let converted = request.authority().unwrap();
        assert_eq!(converted.value.subject().to_string(), "CN=ca, O=Example");
        assert_eq!(converted.value.lifetime(), Lifetime::days(3650));
        assert_eq!(converted.value.path_length(), Some(1));
        assert_eq!(
            converted.notes,
            [
                "key `rsa 2048` becomes ECDSA P-256",
                "subject attribute `C` is left out"
            ]
        );
    }

    #[test]
    fn profiles_are_checked() {
        let config = SigningConfig::from_json(
            br#"{"signing": {"profiles": {
                "odd": {"usages": ["any"]},
                "ca": {"usages": ["cert sign"], "ca_constraint": {"is_ca": true}, "ocsp_url": "x"},
                "server": {"usages": ["server auth"]}}}}"#,
        )
        .unwrap();
        let request = Request::from_json(br#"{"CN": "x"}"#).unwrap();
        for (profile, problem) in [
            ("none", "no profile in the cfssl configuration named `none`"),
            ("odd", "invalid cfssl usage `any`"),
            ("ca", "is for authorities"),
            ("server", "needs subject alternative names"),
        ] {
            let error = config.leaf(profile, &request).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let converted = config.authority("ca", &request).unwrap();
        assert_eq!(converted.notes.len(), 2);
        assert_eq!(converted.value.path_length(), Some(0));
    }
}
