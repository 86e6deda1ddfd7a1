//! A client of the authority that is to go, or a token of the key that is, made while that still signs: it tells that one from
//! the new one, which has its name, and is refused by every server in the end.

use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use caravan_cluster::{Access, Pair, tokens};
use caravan_lab::Machine;
use caravan_pki::{Authority, Certificate, CommonName, Leaf, Lifetime, Material, Zeroizing};

use super::{RotatedSigner, Rotation};
use crate::{CertificatesError, Error};

/// Who it says it is: nobody whom any rights are given to.
pub(super) const NAME: &str = "caravan-retiring";

/// The one name of the front proxy's clients that API servers listen to.
const PROXY: &str = "front-proxy-client";

/// What masters sign tokens with.
const SIGNING_KEY: &str = "/etc/kubernetes/pki/sa.key";

/// How long it is valid, in hours, where its authority is: longer than anybody leaves a rotation open.
const HOURS: u32 = 90 * 24;

/// That client.
pub(super) struct RetiringClient {
    certificate: Certificate,
    text: Zeroizing<String>,
}

impl RetiringClient {
    /// Has `authority`, which is to go, issue it, and keeps it; one that is there is kept where that has issued it.
    pub(super) fn keep(rotation: &Rotation<'_>, authority: &Authority) -> Result<Self, Error> {
        let path = rotation.target.dir.retiring();
        if path.exists()
            && let Ok(kept) = Self::read(rotation)
            && kept.is_of(authority.certificate())?
        {
            return Ok(kept);
        }
        let identity = issue(authority, rotation.signer)?;
        let (certificate, key) = (identity.certificate_pem(), identity.key_pem());
        let mut text = Zeroizing::new(String::with_capacity(certificate.len() + key.len()));
        text.push_str(&certificate);
        text.push_str(&key);
        write(rotation, &text)?;
        Self::of(text)
    }

    /// Reads it.
    pub(super) fn read(rotation: &Rotation<'_>) -> Result<Self, Error> {
        read(rotation).and_then(Self::of)
    }

    fn of(text: Zeroizing<String>) -> Result<Self, Error> {
        // The key follows in the same file.
        let end = text.find("-----BEGIN PRIVATE KEY").unwrap_or(text.len());
        Ok(Self {
            certificate: Certificate::from_pem(text[..end].as_bytes())?,
            text,
        })
    }

    /// Whether `authority` has signed it.
    fn is_of(&self, authority: &Certificate) -> Result<bool, Error> {
        Ok(self.certificate.is_signed_by(authority)?)
    }

    /// What it shows to servers.
    pub(super) fn pair(&self) -> Pair {
        Pair {
            certificate: self.certificate.to_pem(),
            key: self.text[self.text.find("-----BEGIN PRIVATE KEY").unwrap_or_default()..]
                .to_owned(),
        }
    }
}

/// That token.
pub(super) struct RetiringToken(Zeroizing<String>);

impl RetiringToken {
    /// Has the API server of `master` sign it, and keeps it; one that is there is kept where the key of `material` signed it.
    pub(super) fn keep(
        rotation: &Rotation<'_>,
        access: &Access,
        master: &Machine,
        material: &Material,
    ) -> Result<(), Error> {
        let is_kept = rotation.target.dir.retiring().exists()
            && Self::read(rotation).is_ok_and(|kept| kept.is_of(material).unwrap_or(false));
        if is_kept {
            return Ok(());
        }
        let lifetime = Duration::from_secs(u64::from(HOURS) * 3600);
        let token = Self(Zeroizing::new(tokens::request(access, master, lifetime)?));
        if !token.is_of(material)? {
            return Err(Error::from(CertificatesError::NotReissued {
                lab: rotation.target.name.clone(),
                machine: master.name.clone(),
                path: SIGNING_KEY.to_owned(),
            }));
        }
        write(rotation, &token.0)
    }

    /// Reads it.
    pub(super) fn read(rotation: &Rotation<'_>) -> Result<Self, Error> {
        read(rotation).map(Self)
    }

    /// What it shows to servers.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Whether the key that signs in `material` has signed it.
    fn is_of(&self, material: &Material) -> Result<bool, Error> {
        let id = RotatedSigner::ServiceAccounts.credential().entry("");
        let signs = material.key_pair(&id)?.public_key().token_key_id();
        Ok(tokens::key_id(&self.0) == Some(signs))
    }
}

/// Tells of a store's material whether the one that is to go signs there.
pub(super) type IsOld = Box<dyn Fn(&Material) -> Result<bool, Error>>;

/// Reads what tells the one that is to go from the new one.
pub(super) fn reader(rotation: &Rotation<'_>) -> Result<IsOld, Error> {
    if rotation.signer == RotatedSigner::ServiceAccounts {
        let token = RetiringToken::read(rotation)?;
        return Ok(Box::new(move |material| token.is_of(material)));
    }
    let client = RetiringClient::read(rotation)?;
    let id = rotation.signer.credential().entry("");
    Ok(Box::new(move |material| {
        client.is_of(material.authority(&id)?.certificate())
    }))
}

/// Forgets it.
pub(super) fn forget(rotation: &Rotation<'_>) -> Result<(), Error> {
    Ok(caravan_files::remove_file(&rotation.target.dir.retiring())?)
}

fn write(rotation: &Rotation<'_>, text: &str) -> Result<(), Error> {
    let path = rotation.target.dir.retiring();
    let access = caravan_files::Access::Mode(0o600);
    Ok(caravan_files::replace(&path, text.as_bytes(), access)?)
}

fn read(rotation: &Rotation<'_>) -> Result<Zeroizing<String>, Error> {
    let path = rotation.target.dir.retiring();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::from(CertificatesError::RetiringLost {
                lab: rotation.target.name.clone(),
                path,
            }))
        }
        Err(source) => Err(Error::Read { path, source }),
    }
}

/// A client of `authority` that nobody has given rights.
pub(super) fn issue(
    authority: &Authority,
    rotated: RotatedSigner,
) -> Result<caravan_pki::Identity, Error> {
    let now = SystemTime::now();
    let left: Duration = authority.certificate().validity().remaining(now);
    let hours = u32::try_from(left.as_secs() / 3600).unwrap_or(u32::MAX);
    let lifetime = Lifetime::hours(hours.min(HOURS));
    let name = match rotated {
        RotatedSigner::FrontProxyCa => PROXY,
        _ => NAME,
    };
    let leaf = Leaf::client(CommonName::try_from(name)?).with_lifetime(lifetime);
    Ok(authority.issue(&leaf, now)?)
}
