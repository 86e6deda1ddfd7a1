//! Authorities from other people's files.

use std::path::Path;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::files::{self, Privacy, io_error};
use crate::{Authority, Certificate, Error, PrivateKey};

/// Like [`Authority::load`], of two files that need not be in a store, with the checks of one: the key file is a regular
/// one of this user and nobody else can read it, the certificate's nobody else can change, and neither is a symbolic
/// link. Each may be PEM or DER.
///
/// # Errors
///
/// [`Error::WrongFileKind`], [`Error::InsecurePermissions`], [`Error::Io`]; what [`Authority::load`] refuses, as [`Error::InFile`] with the file at
/// fault.
pub fn load_authority(
    certificate: impl AsRef<Path>,
    key: impl AsRef<Path>,
    now: SystemTime,
) -> Result<Authority, Error> {
    let (certificate_path, key_path) = (certificate.as_ref(), key.as_ref());
    let bytes = read(certificate_path, Privacy::Public)?;
    let certificate = Certificate::from_pem_or_der(&bytes)
        .and_then(|certificate| {
            certificate.require_signing_key()?;
            Ok(certificate)
        })
        .map_err(|error| error.in_file(certificate_path))?;
    let bytes = read(key_path, Privacy::Private)?;
    let key = PrivateKey::from_pem_or_der(&bytes).map_err(|error| error.in_file(key_path))?;
    Authority::new(certificate, key, now).map_err(|error| match error {
        Error::Mismatch { .. } => error.in_file(key_path),
        _ => error.in_file(certificate_path),
    })
}

fn read(path: &Path, privacy: Privacy) -> Result<Zeroizing<Vec<u8>>, Error> {
    files::read(path, privacy)?
        .ok_or_else(|| io_error("open", path)(rustix::io::Errno::NOENT.into()))
}
