//! Labels of PEM blocks.
//!
//! A label is text of the file, and what stands there in a damaged key file may be the key itself.
//! So messages never quote it: they name the entry of the table here that it equals, and of any other label nothing.

use std::fmt;

/// What a block holds, as far as its label says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Certificate,
    Pkcs7,
    PrivateKey,
    PublicKey,
    Request,
    RevocationList,
    /// Known, and of no interest here: parameters, ssh keys, messages.
    Other,
    /// Not in the table.
    Unknown,
}

/// Every label that OpenSSL and its kin write, and what it stands for.
const KNOWN: [(&str, Kind); 34] = [
    ("ANY PRIVATE KEY", Kind::PrivateKey),
    ("ATTRIBUTE CERTIFICATE", Kind::Other),
    ("CERTIFICATE", Kind::Certificate),
    ("CERTIFICATE CHAIN", Kind::Pkcs7),
    ("CERTIFICATE REQUEST", Kind::Request),
    ("CMS", Kind::Pkcs7),
    ("CRL", Kind::Other),
    ("DH PARAMETERS", Kind::Other),
    ("DSA PARAMETERS", Kind::Other),
    ("DSA PRIVATE KEY", Kind::PrivateKey),
    ("EC PARAMETERS", Kind::Other),
    ("EC PRIVATE KEY", Kind::PrivateKey),
    ("ED25519 PRIVATE KEY", Kind::PrivateKey),
    ("ED448 PRIVATE KEY", Kind::PrivateKey),
    ("ENCRYPTED PRIVATE KEY", Kind::PrivateKey),
    ("NEW CERTIFICATE REQUEST", Kind::Request),
    ("OPENSSH PRIVATE KEY", Kind::PrivateKey),
    ("PARAMETERS", Kind::Other),
    ("PGP MESSAGE", Kind::Other),
    ("PGP PRIVATE KEY BLOCK", Kind::PrivateKey),
    ("PGP PUBLIC KEY BLOCK", Kind::Other),
    ("PKCS #7 SIGNED DATA", Kind::Pkcs7),
    ("PKCS12", Kind::Other),
    ("PKCS7", Kind::Pkcs7),
    ("PRIVATE KEY", Kind::PrivateKey),
    ("PUBLIC KEY", Kind::PublicKey),
    ("RSA PRIVATE KEY", Kind::PrivateKey),
    ("RSA PUBLIC KEY", Kind::Other),
    ("SM2 PRIVATE KEY", Kind::PrivateKey),
    ("SSH2 PUBLIC KEY", Kind::Other),
    ("TRUSTED CERTIFICATE", Kind::Certificate),
    ("X509 CERTIFICATE", Kind::Certificate),
    ("X509 CRL", Kind::RevocationList),
    ("X9.42 DH PARAMETERS", Kind::Other),
];

/// A label: one of the table, or nothing that could be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label {
    name: Option<&'static str>,
    pub(crate) kind: Kind,
}

impl Label {
    /// The label that `text` is, letter for letter.
    pub(crate) fn of(text: &[u8]) -> Self {
        match KNOWN.iter().find(|(name, _)| name.as_bytes() == text) {
            Some((name, kind)) => Self::known(name, *kind),
            None => Self {
                name: None,
                kind: Kind::Unknown,
            },
        }
    }

    /// The longest label that `text` starts with, whatever the case of its letters, and how long it is.
    pub(crate) fn at_start_of(text: &[u8]) -> Option<(Self, usize)> {
        let starts = |name: &str| {
            let start = text.get(..name.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
        };
        let found = KNOWN.iter().filter(|(name, _)| starts(name));
        found
            .max_by_key(|(name, _)| name.len())
            .map(|(name, kind)| (Self::known(name, *kind), name.len()))
    }

    fn known(name: &'static str, kind: Kind) -> Self {
        Self {
            name: Some(name),
            kind,
        }
    }

    /// `a \`CERTIFICATE\` block`, and the like.
    pub(crate) fn block(self) -> String {
        match self.name {
            Some(name) => format!("a `{name}` block"),
            None => "a block of unknown label".to_owned(),
        }
    }

    /// The label's text, if it is in the table.
    pub(crate) fn name(self) -> Option<&'static str> {
        self.name
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => write!(f, "`{name}`"),
            None => f.write_str("unknown label"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_table_or_not_shown() {
        assert_eq!(Label::of(b"CERTIFICATE").to_string(), "`CERTIFICATE`");
        for text in [&b"MIGHAgEAMBMG"[..], b"certificate", b"CERTIFICATE ", b""] {
            assert_eq!(Label::of(text).to_string(), "unknown label");
        }
        let found =
            |text: &[u8]| Label::at_start_of(text).map(|(label, length)| (label.name, length));
        assert_eq!(found(b"Private Key-----"), Some((Some("PRIVATE KEY"), 11)));
        assert_eq!(
            found(b"CERTIFICATE REQUEST"),
            Some((Some("CERTIFICATE REQUEST"), 19))
        );
        assert_eq!(found(b"MIGH"), None);
    }
}
