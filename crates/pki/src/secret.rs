//! Random text: tokens, passwords, encryption keys.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::Error;
use crate::hex::hex;

const LOWER_ALPHANUMERIC: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Which form a random secret takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Secret {
    /// This many letters and digits; each carries 5.95 bits.
    Alphanumeric(usize),
    /// This many random octets, written as base64, the form of Kubernetes' encryption keys.
    Base64(usize),
    /// A kubeadm bootstrap token: `[a-z0-9]{6}\.[a-z0-9]{16}`, about 83 secret bits.
    BootstrapToken,
    /// This many random octets, written as lower-case hex, the form of kubeadm's certificate key (32).
    Hex(usize),
}

impl Secret {
    /// Makes one from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// [`Error::Randomness`] when there is none.
    pub fn generate(self) -> Result<Zeroizing<String>, Error> {
        Ok(match self {
            Self::Alphanumeric(length) => pick(ALPHANUMERIC, length)?,
            Self::Base64(length) => Zeroizing::new(Base64::encode_string(&random(length)?)),
            Self::BootstrapToken => {
                let id = pick(LOWER_ALPHANUMERIC, 6)?;
                let secret = pick(LOWER_ALPHANUMERIC, 16)?;
                Zeroizing::new(format!("{}.{}", *id, *secret))
            }
            Self::Hex(length) => Zeroizing::new(hex(&random(length)?)),
        })
    }

    /// Whether `text` has this form, so that a file cut short is found.
    pub fn matches(self, text: &str) -> bool {
        let only = |text: &str, alphabet: &[u8], length: usize| {
            text.len() == length && text.bytes().all(|byte| alphabet.contains(&byte))
        };
        match self {
            Self::Alphanumeric(length) => only(text, ALPHANUMERIC, length),
            Self::Base64(length) => {
                Base64::decode_vec(text).is_ok_and(|bytes| Zeroizing::new(bytes).len() == length)
            }
            Self::BootstrapToken => text.split_once('.').is_some_and(|(id, secret)| {
                only(id, LOWER_ALPHANUMERIC, 6) && only(secret, LOWER_ALPHANUMERIC, 16)
            }),
            Self::Hex(length) => only(text, b"0123456789abcdef", length * 2),
        }
    }
}

/// Random octets, wiped when dropped.
pub(crate) fn random(length: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    getrandom::fill(&mut bytes).map_err(|error| Error::Randomness {
        problem: error.to_string(),
    })?;
    Ok(bytes)
}

/// Picks characters without bias: octets that would favour the alphabet's start are thrown away.
fn pick(alphabet: &[u8], length: usize) -> Result<Zeroizing<String>, Error> {
    let fair = 256 - 256 % alphabet.len();
    let mut text = Zeroizing::new(String::with_capacity(length));
    while text.len() < length {
        for &byte in random(2 * length)?.iter() {
            if usize::from(byte) < fair && text.len() < length {
                text.push(char::from(alphabet[usize::from(byte) % alphabet.len()]));
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_form_matches_itself_and_differs_each_time() {
        for form in [
            Secret::Alphanumeric(8),
            Secret::Base64(32),
            Secret::BootstrapToken,
            Secret::Hex(32),
        ] {
            let all: HashSet<String> = (0..50)
                .map(|_| {
                    let text = form.generate().unwrap();
                    assert!(form.matches(&text), "{form:?}: {}", *text);
                    assert!(!form.matches(&text[1..]), "{form:?}");
                    text.to_string()
                })
                .collect();
            assert_eq!(all.len(), 50, "{form:?}");
        }
    }

    #[test]
    fn all_characters_are_picked_about_equally() {
        let text = pick(LOWER_ALPHANUMERIC, 36_000).unwrap();
        for &letter in LOWER_ALPHANUMERIC {
            let count = text.bytes().filter(|&byte| byte == letter).count();
            // 1,000 expected, standard deviation 31: ten of them never happen by chance.
            assert!((690..1310).contains(&count), "{}: {count}", letter as char);
        }
    }
}
