//! What nobody signs: key pairs, keys of ssh, secrets.

use zeroize::Zeroizing;

use super::batch::Verb;
use super::done::Done;
use super::held::{self, Paths};
use crate::entry::Entry;
use crate::material::{Held, SecretText};
use crate::{Error, PrivateKey, PublicKey, Reason, Secret, SshKey};

pub(super) fn key_pair(entry: &Entry, paths: &Paths) -> Result<Done, Error> {
    let key = paths.read_key()?;
    let key = match (key, paths.read_public()?) {
        (Some(key), Some((path, bytes))) => {
            let public = PublicKey::from_pem(&bytes).map_err(|error| error.in_file(path))?;
            if &public != key.public_key() {
                let subject = entry.id().to_string();
                return Err(Error::Mismatch { subject }.in_file(path));
            }
            return Ok(Done::unchanged(held::verified(key, paths)?));
        }
        (None, Some((path, _))) => return Err(paths.key_missing(path)),
        (key, None) => key,
    };
    let (key, reason) = usable(key)?;
    let public = key.public_key().to_pem();
    let private = (reason == Reason::Missing).then(|| key.to_pkcs8_pem());
    let held = held::verified(key, paths)?;
    Ok(Done::made(
        held,
        reason,
        paths,
        Verb::Create,
        public,
        private,
    ))
}

pub(super) fn ssh_key(entry: &Entry, paths: &Paths, comment: &str) -> Result<Done, Error> {
    let key = paths.read_key()?;
    let found = paths.read_public()?;
    let (key, reason) = match (key, &found) {
        (None, Some((path, _))) => return Err(paths.key_missing(path)),
        (key, _) => usable(key)?,
    };
    let ssh = SshKey::from_key(key, comment)?;
    if let Some((path, bytes)) = found {
        // The comment is people's to change.
        let line = String::from_utf8_lossy(&bytes);
        let own = ssh.public_line();
        if !line
            .split_whitespace()
            .take(2)
            .eq(own.split_whitespace().take(2))
        {
            let subject = entry.id().to_string();
            return Err(Error::Mismatch { subject }.in_file(path));
        }
        return Ok(Done::unchanged(Held::SshKey(ssh)));
    }
    let public = format!("{}\n", ssh.public_line());
    let private = (reason == Reason::Missing).then(|| ssh.private_pem());
    let held = Held::SshKey(ssh);
    Ok(Done::made(
        held,
        reason,
        paths,
        Verb::Create,
        public,
        private,
    ))
}

pub(super) fn secret(paths: &Paths, form: Secret) -> Result<Done, Error> {
    if let Some(text) = paths.read_secret(form)? {
        return Ok(Done::unchanged(Held::Secret(SecretText(text))));
    }
    let text = form.generate()?;
    let line = Zeroizing::new(format!("{}\n", *text));
    let held = Held::Secret(SecretText(text));
    let (reason, verb) = (Reason::Missing, Verb::Create);
    Ok(Done::made(
        held,
        reason,
        paths,
        verb,
        String::new(),
        Some(line),
    ))
}

/// The key that is there, else a new one.
pub(super) fn usable(key: Option<PrivateKey>) -> Result<(PrivateKey, Reason), Error> {
    Ok(match key {
        Some(key) => (key, Reason::Interrupted),
        None => (PrivateKey::generate()?, Reason::Missing),
    })
}
