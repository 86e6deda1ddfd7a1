//! Key files as they come out of other hands: cut, joined, encoded again, their lines and labels damaged.
//!
//! Shared with the tests of the command, so that nothing of a key is in what the library says nor in what it prints.

use std::collections::HashSet;

use caravan_pki::PrivateKey;
use proptest::prelude::*;
use proptest::sample::Index;

/// One thing that may happen to a file.
#[derive(Debug, Clone)]
pub(crate) enum Damage {
    /// The lines between BEGIN and END are in the label.
    BodyInLabel,
    /// As above, in the END line's.
    BodyInEndLabel,
    ByteOrderMark,
    CarriageReturns,
    CertificateLabel,
    Cfssl,
    CrLf,
    Cut(Index),
    Delete(Index, usize),
    Escaped,
    Headers,
    Indented,
    Insert(Index, u8),
    Json,
    Kubeconfig,
    LowerLabels,
    OneLine,
    Reversed,
    ReversedLines,
    StripArmour,
    Tail(Index),
    Twice,
    TwiceWithoutLineEnd,
    UpperBase64,
    Utf16Big,
    Utf16Little,
}

pub(crate) fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let index = any::<Index>;
    let one = prop_oneof![
        Just(Damage::BodyInLabel),
        Just(Damage::BodyInEndLabel),
        Just(Damage::ByteOrderMark),
        Just(Damage::CarriageReturns),
        Just(Damage::CertificateLabel),
        Just(Damage::Cfssl),
        Just(Damage::CrLf),
        index().prop_map(Damage::Cut),
        (index(), 1usize..40).prop_map(|(at, count)| Damage::Delete(at, count)),
        Just(Damage::Escaped),
        Just(Damage::Headers),
        Just(Damage::Indented),
        (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        Just(Damage::Json),
        Just(Damage::Kubeconfig),
        Just(Damage::LowerLabels),
        Just(Damage::OneLine),
        Just(Damage::Reversed),
        Just(Damage::ReversedLines),
        Just(Damage::StripArmour),
        index().prop_map(Damage::Tail),
        Just(Damage::Twice),
        Just(Damage::TwiceWithoutLineEnd),
        Just(Damage::UpperBase64),
        Just(Damage::Utf16Big),
        Just(Damage::Utf16Little),
    ];
    proptest::collection::vec(one, 0..5)
}

pub(crate) fn apply(mut file: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        file = damage.to(file);
    }
    file
}

impl Damage {
    fn to(&self, mut file: Vec<u8>) -> Vec<u8> {
        if file.is_empty() {
            return file;
        }
        let text = String::from_utf8_lossy(&file).into_owned();
        let lines = || text.lines();
        let replaced = |from: &str, to: &str| text.replace(from, to).into_bytes();
        let each_line = |change: &dyn Fn(&str) -> String| -> Vec<u8> {
            lines()
                .map(|line| change(line) + "\n")
                .collect::<String>()
                .into_bytes()
        };
        let body: String = lines().filter(|line| !line.starts_with("-----")).collect();
        match self {
            Self::BodyInLabel => replaced("-----BEGIN ", &format!("-----BEGIN {body} ")),
            Self::BodyInEndLabel => replaced("-----END ", &format!("-----END {body} ")),
            Self::ByteOrderMark => [b"\xef\xbb\xbf", &file[..]].concat(),
            Self::CarriageReturns => replaced("\n", "\r"),
            Self::CertificateLabel => text
                .replace("EC PRIVATE KEY", "CERTIFICATE")
                .replace("PRIVATE KEY", "CERTIFICATE")
                .into_bytes(),
            Self::Cfssl => format!(
                "{{\"key\":\"{0}\",\"CN\":\"{0}\",\"hosts\":[\"{0}\"],\"signing\":\"{0}\"}}",
                text.replace('\n', "\\n")
            )
            .into_bytes(),
            Self::CrLf => replaced("\n", "\r\n"),
            Self::Cut(at) => {
                file.truncate(at.index(file.len()));
                file
            }
            Self::Delete(at, count) => {
                let start = at.index(file.len());
                let end = (start + count).min(file.len());
                file.drain(start..end);
                file
            }
            Self::Escaped => replaced("\n", "\\n"),
            Self::Headers => replaced("KEY-----\n", "KEY-----\nComment: x\n\n"),
            Self::Indented => each_line(&|line| format!("    {line}")),
            Self::Insert(at, byte) => {
                let at = at.index(file.len());
                file.insert(at, *byte);
                file
            }
            Self::Json => format!("{text:?}").into_bytes(),
            Self::Kubeconfig => format!(
                "users:\n- name: x\n  user:\n    client-certificate-data: {0}\n    client-key-data: {0}\n",
                text.replace('\n', " ")
            )
            .into_bytes(),
            Self::LowerLabels => each_line(&|line| match line.starts_with("-----") {
                true => line.to_lowercase(),
                false => line.to_owned(),
            }),
            Self::OneLine => replaced("\n", ""),
            Self::Reversed => {
                file.reverse();
                file
            }
            Self::ReversedLines => {
                let mut all: Vec<&str> = lines().collect();
                all.reverse();
                all.join("\n").into_bytes()
            }
            Self::StripArmour => body.into_bytes(),
            Self::Tail(at) => file.split_off(at.index(file.len())),
            Self::Twice => [&file[..], &file[..]].concat(),
            Self::TwiceWithoutLineEnd => [file.trim_ascii_end(), &file[..]].concat(),
            Self::UpperBase64 => each_line(&|line| match line.starts_with("-----") {
                true => line.to_owned(),
                false => line.to_uppercase(),
            }),
            Self::Utf16Big => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Self::Utf16Little => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        }
    }
}

/// What must not be seen of a key.
pub(crate) struct Secrets {
    /// Eight consecutive characters of its base64.
    base64: Vec<String>,
    /// Eight consecutive octets of its DER, as they are, in hex, and as numbers.
    octets: Vec<Vec<u8>>,
}

impl Secrets {
    /// Those of `key`; what every key has, such as the name of the curve, is none.
    pub(crate) fn of(key: &PrivateKey) -> Self {
        let other = PrivateKey::generate().unwrap();
        let windows = |key: &PrivateKey| -> Vec<String> {
            let bodies = [key.to_pkcs8_pem(), key.to_sec1_pem()].map(|pem| -> String {
                pem.lines().filter(|line| !line.starts_with('-')).collect()
            });
            let parts = bodies.iter().flat_map(|body| {
                (0..body.len().saturating_sub(7)).map(|at| body[at..at + 8].to_owned())
            });
            parts.collect()
        };
        let (common, der) = (windows(&other), other.to_pkcs8_der());
        let mut base64 = windows(key);
        base64.retain(|part| !common.contains(part));
        let own = key.to_pkcs8_der();
        let octets = own
            .windows(8)
            .filter(|part| !der.windows(8).any(|one| one == *part));
        Self {
            base64,
            octets: octets.map(<[u8]>::to_vec).collect(),
        }
    }

    /// Panics if something of the key is in `shown`.
    pub(crate) fn must_not_be_in(&self, shown: &[u8], context: &str) {
        let text = String::from_utf8_lossy(shown);
        // Upper case is what `Damage::UpperBase64` makes of it, and what a message might.
        let upper = shown.to_ascii_uppercase();
        let base64: HashSet<Vec<u8>> = self
            .base64
            .iter()
            .map(|part| part.to_ascii_uppercase().into_bytes())
            .collect();
        let octets: HashSet<&[u8]> = self.octets.iter().map(Vec::as_slice).collect();
        let hex = self.octets.iter().map(|part| -> Vec<u8> {
            let digits = part.iter().map(|octet| format!("{octet:02X}"));
            digits.collect::<String>().into_bytes()
        });
        let hex: HashSet<Vec<u8>> = hex.collect();
        for (at, window) in upper.windows(8).enumerate() {
            let seen = base64.contains(window) || octets.contains(&shown[at..at + 8]);
            assert!(
                !seen,
                "{context}: `{}` is in: {text}",
                window.escape_ascii()
            );
        }
        for window in upper.windows(16) {
            assert!(!hex.contains(window), "{context}: in hex, it is in: {text}");
        }
        let plain: String = text.chars().filter(|one| !one.is_whitespace()).collect();
        for part in &self.octets {
            let list: Vec<String> = part.iter().map(u8::to_string).collect();
            let list = list.join(",");
            assert!(!plain.contains(&list), "{context}: {list} is in: {text}");
        }
    }
}
