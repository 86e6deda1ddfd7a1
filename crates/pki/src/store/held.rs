//! What a store holds of one entry, read and checked.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::files::{self, Privacy};
use super::{key_rotation, rotation};
use crate::entry::{CHAIN, Entry, Item};
use crate::material::{Held, SecretText, Trusted, Verified};
use crate::{Authority, Certificate, Error, Identity, Material, Plan, PrivateKey, Secret, SshKey};

/// Where an entry's files are.
pub(crate) struct Paths {
    pub(crate) public: Option<PathBuf>,
    pub(crate) private: PathBuf,
    /// A certificate with the authorities above it.
    pub(crate) full_chain: Option<PathBuf>,
}

/// A public file's place and content.
type PublicFile<'a> = (&'a Path, Zeroizing<Vec<u8>>);

impl Paths {
    pub(crate) fn of(root: &Path, entry: &Entry) -> Self {
        let files = entry.files();
        Self {
            public: files.public.map(|file| root.join(file)),
            private: root.join(files.private),
            full_chain: files.full_chain.map(|file| root.join(file)),
        }
    }

    /// Where the authorities above an imported one are.
    pub(crate) fn chain(&self) -> PathBuf {
        self.private.with_extension(format!("{CHAIN}.crt"))
    }

    /// The authority of these files, with those above it that an import left beside it.
    pub(crate) fn with_chain(&self, authority: Authority) -> Result<Authority, Error> {
        let path = self.chain();
        let Some(bytes) = files::read(&path, Privacy::Public)? else {
            return Ok(authority);
        };
        Certificate::all_from_pem(&bytes)
            .and_then(|chain| authority.with_chain(chain))
            .map_err(|error| error.in_file(&path))
    }

    /// The private key, if it is there.
    pub(crate) fn read_key(&self) -> Result<Option<PrivateKey>, Error> {
        match files::read(&self.private, Privacy::Private)? {
            Some(bytes) => PrivateKey::from_pem(&bytes)
                .map(Some)
                .map_err(|error| error.in_file(&self.private)),
            None => Ok(None),
        }
    }

    /// The public file's bytes, if there are any.
    pub(crate) fn read_public(&self) -> Result<Option<PublicFile<'_>>, Error> {
        let Some(path) = &self.public else {
            return Ok(None);
        };
        Ok(files::read(path, Privacy::Public)?.map(|bytes| (path.as_path(), bytes)))
    }

    /// Certificate and key, as far as they are there. A certificate whose key is gone is an error: to make a new key
    /// would be to lose the old one silently.
    pub(crate) fn read_pair(&self) -> Result<(Option<Certificate>, Option<PrivateKey>), Error> {
        let key = self.read_key()?;
        let Some((path, bytes)) = self.read_public()? else {
            return Ok((None, key));
        };
        if key.is_none() {
            return Err(self.key_missing(path));
        }
        let certificate = Certificate::from_pem(&bytes).map_err(|error| error.in_file(path))?;
        Ok((Some(certificate), key))
    }

    pub(crate) fn key_missing(&self, public: &Path) -> Error {
        Error::KeyMissing {
            certificate: public.to_owned(),
            key: self.private.clone(),
        }
    }

    /// A secret of the given form, if it is there.
    pub(crate) fn read_secret(&self, form: Secret) -> Result<Option<Zeroizing<String>>, Error> {
        let Some(bytes) = files::read(&self.private, Privacy::Private)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let text = text.strip_suffix('\n').unwrap_or(text);
        if !form.matches(text) {
            let problem = format!("is not of the form {form:?}");
            return Err(Error::malformed("secret", problem).in_file(&self.private));
        }
        Ok(Some(Zeroizing::new(text.to_owned())))
    }
}

/// Reads every entry of `plan`; all of them must be there.
pub(crate) fn load_all(root: &Path, plan: &Plan) -> Result<Material, Error> {
    let mut material = Material::empty();
    for entry in plan.entries() {
        let paths = Paths::of(root, entry);
        let held = load(entry, &paths, &material)?.ok_or_else(|| Error::NotFound {
            what: "complete entry in the store",
            name: entry.id().to_string(),
        })?;
        material.insert(entry.id().clone(), held);
    }
    Ok(material)
}

/// Whether the authority `certificate`, or something in the store that it signed, names it by its serial number.
///
/// All of the store counts, and not the plan at hand: that may be of some entries alone.
/// Files that cannot be read have no say here; whoever uses them finds out.
pub(crate) fn is_named_by_serial(root: &Path, certificate: &Certificate) -> bool {
    let names = |path: &Path| {
        let bytes = files::read(path, Privacy::Public).ok()??;
        let all = Certificate::all_from_pem(&bytes).ok()?;
        Some(all.iter().any(|one| one.names_serial_of(certificate)))
    };
    certificate.names_serial_of_issuer()
        || files::certificates(root)
            .is_ok_and(|all| all.iter().any(|(_, path)| names(path).unwrap_or(false)))
}

/// A key pair, with what signatures are verified by beside it.
pub(crate) fn verified(key: PrivateKey, paths: &Paths) -> Result<Held, Error> {
    let beside = key_rotation::verified_beside(paths, &key)?;
    Ok(Held::KeyPair(Verified { key, beside }))
}

/// What the store holds of `entry`; `None` if it is not all there.
pub(crate) fn load(
    entry: &Entry,
    paths: &Paths,
    material: &Material,
) -> Result<Option<Held>, Error> {
    Ok(match entry.item() {
        Item::Authority { issuer, .. } => {
            let (Some(certificate), Some(key)) = paths.read_pair()? else {
                return Ok(None);
            };
            let above = match issuer {
                Some(issuer) => {
                    let issuer = material.authority(issuer.as_str())?;
                    issuer.with_above().cloned().collect()
                }
                None => Vec::new(),
            };
            let authority = Authority::trusted(certificate, key, above)
                .map_err(|error| error.in_file(&paths.private.with_extension("crt")))?;
            let authority = match issuer {
                Some(_) => authority,
                None => paths.with_chain(authority)?,
            };
            let beside = rotation::trusted_beside(paths)?;
            Some(Held::Authority(Trusted { authority, beside }))
        }
        Item::Foreign { issuer } | Item::Leaf { issuer, .. } => {
            let (Some(certificate), Some(key)) = paths.read_pair()? else {
                return Ok(None);
            };
            let chain = material.authority(issuer.as_str())?.full_chain();
            let identity = Identity::new(certificate, key)
                .map_err(|error| error.in_file(&paths.private))?
                .with_chain(chain);
            Some(Held::Identity(identity))
        }
        Item::KeyPair => match paths.read_key()? {
            Some(key) => Some(verified(key, paths)?),
            None => None,
        },
        Item::Secret(form) => paths
            .read_secret(*form)?
            .map(|text| Held::Secret(SecretText(text))),
        Item::SshKey { comment } => match paths.read_key()? {
            Some(key) => Some(Held::SshKey(SshKey::from_key(key, comment)?)),
            None => None,
        },
    })
}
