//! Key pairs for ssh, in formats that OpenSSH and Ruby's net-ssh both read.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::{Error, PrivateKey};

/// The algorithm's name (RFC 5656 6.2), which is also the first word of a public line.
const ALGORITHM: &str = "ecdsa-sha2-nistp256";
const CURVE: &str = "nistp256";

/// A key pair for ssh: ECDSA on P-256.
///
/// ```
/// use caravan_pki::SshKey;
/// # fn main() -> Result<(), caravan_pki::Error> {
/// let key = SshKey::generate("operator")?;
/// assert!(key.private_pem().starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
/// assert!(key.public_line().starts_with("ecdsa-sha2-nistp256 AAAA"));
/// assert!(key.public_line().ends_with(" operator"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SshKey {
    key: PrivateKey,
    comment: String,
}

impl SshKey {
    /// Makes a new pair. The `comment` ends the public line; it says whose key it is.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a comment with line breaks or control characters, [`Error::Randomness`].
    pub fn generate(comment: &str) -> Result<Self, Error> {
        Self::from_key(PrivateKey::generate()?, comment)
    }

    /// Uses an existing key.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a comment with line breaks or control characters.
    pub fn from_key(key: PrivateKey, comment: &str) -> Result<Self, Error> {
        check_comment(comment)?;
        Ok(Self {
            key,
            comment: comment.to_owned(),
        })
    }

    /// The private key as SEC1 PEM, the one form that OpenSSH, net-ssh and OpenSSL have all read for years.
    pub fn private_pem(&self) -> Zeroizing<String> {
        self.key.to_sec1_pem()
    }

    /// The public key as one line without line end, for `authorized_keys` and `.pub` files (RFC 5656 3.1).
    pub fn public_line(&self) -> String {
        public_line(self.key.point(), &self.comment)
    }
}

pub(crate) fn check_comment(comment: &str) -> Result<(), Error> {
    if comment.chars().any(char::is_control) {
        return Err(Error::invalid(
            "ssh key comment",
            comment.escape_debug().to_string(),
            "holds a control character",
        ));
    }
    Ok(())
}

fn public_line(point: &[u8], comment: &str) -> String {
    let mut blob = Vec::with_capacity(104);
    for part in [ALGORITHM.as_bytes(), CURVE.as_bytes(), point] {
        // The parts have 19, 8 and 65 octets.
        blob.extend_from_slice(&(part.len() as u32).to_be_bytes());
        blob.extend_from_slice(part);
    }
    let blob = Base64::encode_string(&blob);
    if comment.is_empty() {
        format!("{ALGORITHM} {blob}")
    } else {
        format!("{ALGORITHM} {blob} {comment}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_stay_on_one_line() {
        let error = SshKey::generate("a\nssh-rsa AAAA intruder").unwrap_err();
        assert!(error.to_string().contains("control character"), "{error}");
        assert_eq!(
            SshKey::generate("")
                .unwrap()
                .public_line()
                .split(' ')
                .count(),
            2
        );
    }
}
