//! Names that are known to be valid: what a certificate is about, and what it may be reached as.
//!
//! No function of this crate takes a distinguished name as text: in `CN=x,O=system:masters` the comma makes a
//! second attribute out of what was meant as one name.
//! A [`CommonName`] is one value, whatever characters it holds.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The upper bound of common and organization names, in characters (RFC 5280 appendix A).
const MAX_ATTRIBUTE_CHARS: usize = 64;

fn attribute(field: &'static str, value: &str) -> Result<String, Error> {
    let problem = if value.is_empty() {
        "is empty"
    } else if value.chars().count() > MAX_ATTRIBUTE_CHARS {
        "is longer than 64 characters"
    } else if value.chars().any(char::is_control) {
        "holds a control character"
    } else if value.trim() != value {
        "starts or ends with a space"
    } else {
        return Ok(value.to_owned());
    };
    Err(Error::invalid(
        field,
        value.escape_debug().to_string(),
        problem,
    ))
}

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(value: &str) -> Result<Self, Error> {
                $parse(value).map(Self)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(value: &str) -> Result<Self, Error> {
                Self::try_from(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_newtype! {
    /// A common name (CN): 1 to 64 characters, no control characters.
    ///
    /// ```
    /// use caravan_pki::CommonName;
    /// assert!(CommonName::try_from("system:node:worker,one").is_ok());
    /// assert!(CommonName::try_from("two\nlines").is_err());
    /// ```
    CommonName, |value| attribute("common name", value)
}

impl CommonName {
    /// As much of `text` as fits into a common name, for what is only shown.
    pub(crate) fn shown(text: &str) -> Self {
        let text: String = text
            .chars()
            .filter(|one| !one.is_control())
            .take(MAX_ATTRIBUTE_CHARS)
            .collect();
        let text = text.trim();
        Self(if text.is_empty() { "?" } else { text }.to_owned())
    }
}

text_newtype! {
    /// An organization name (O): 1 to 64 characters, no control characters.
    ///
    /// Kubernetes reads organizations as groups.
    Organization, |value| attribute("organization", value)
}

text_newtype! {
    /// A DNS name as certificates hold it: lower-case letters, digits and hyphens, without trailing dot.
    ///
    /// Upper case is folded, since DNS does not tell it apart.
    /// A leftmost label `*` is a wildcard.
    /// Ports, underscores and a numeric last label (which would be read as an address) are refused: RFC 5280 4.2.1.6,
    /// RFC 1123 2.1.
    ///
    /// ```
    /// use caravan_pki::DnsName;
    /// assert_eq!(DnsName::try_from("API.example.com").unwrap().as_str(), "api.example.com");
    /// assert!(DnsName::try_from("10.0.0.1").is_err());
    /// ```
    DnsName, dns_name
}

fn dns_name(value: &str) -> Result<String, Error> {
    let invalid = |problem| {
        Err(Error::invalid(
            "DNS name",
            value.escape_debug().to_string(),
            problem,
        ))
    };
    if value.is_empty() {
        return invalid("is empty");
    }
    if value.len() > 253 {
        return invalid("is longer than 253 characters");
    }
    let name = value.to_ascii_lowercase();
    let (wildcard, rest) = match name.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, name.as_str()),
    };
    for label in rest.split('.') {
        if label.is_empty() {
            return invalid("has an empty label");
        }
        if label.len() > 63 {
            return invalid("has a label longer than 63 characters");
        }
        if !label
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            return invalid("may hold letters, digits and hyphens only");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return invalid("has a label that starts or ends with a hyphen");
        }
    }
    let labels = rest.split('.').count();
    if wildcard && labels < 2 {
        return invalid("is a wildcard for a whole top-level domain");
    }
    let last = rest.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return invalid("ends in a number and would be read as an address");
    }
    Ok(name)
}

text_newtype! {
    /// An absolute URI, for example a SPIFFE identity `spiffe://example.com/api`.
    Uri, uri
}

fn uri(value: &str) -> Result<String, Error> {
    let invalid = |problem| {
        Err(Error::invalid(
            "URI",
            value.escape_debug().to_string(),
            problem,
        ))
    };
    let Some((scheme, rest)) = value.split_once(':') else {
        return invalid("has no scheme");
    };
    let mut scheme_bytes = scheme.bytes();
    if !scheme_bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic())
        || !scheme_bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    {
        return invalid("has an invalid scheme");
    }
    let Some(rest) = rest.strip_prefix("//") else {
        return invalid("has no host");
    };
    if rest.is_empty() || rest.starts_with('/') {
        return invalid("has no host");
    }
    // RFC 3986: printable ASCII without the characters that no part of a URI may hold.
    if value
        .bytes()
        .any(|byte| !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&byte))
    {
        return invalid("holds a character that must be percent-encoded");
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names() {
        let long_label = "a".repeat(64);
        let long_name = format!("{}.com", vec!["a".repeat(60); 5].join("."));
        for (name, problem) in [
            ("", "is empty"),
            ("a b", "letters, digits and hyphens"),
            ("a:443", "letters, digits and hyphens"),
            ("under_score.com", "letters, digits and hyphens"),
            ("bücher.de", "letters, digits and hyphens"),
            ("example.com.", "empty label"),
            (".example.com", "empty label"),
            ("a..b", "empty label"),
            ("-a.com", "hyphen"),
            ("a-.com", "hyphen"),
            ("10.0.0.1", "read as an address"),
            ("host.123", "read as an address"),
            ("*.com", "top-level"),
            ("*", "letters, digits and hyphens"),
            ("a.*.com", "letters, digits and hyphens"),
            (long_label.as_str(), "longer than 63"),
            (long_name.as_str(), "longer than 253"),
        ] {
            let error = DnsName::try_from(name).unwrap_err().to_string();
            assert!(error.contains(problem), "{name}: {error}");
        }
        for name in [
            "localhost",
            "a",
            "1a.example.com",
            "xn--bcher-kva.de",
            "*.example.com",
            "a--b",
        ] {
            assert_eq!(DnsName::try_from(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn attributes() {
        assert!(CommonName::try_from("é".repeat(64).as_str()).is_ok());
        for (name, problem) in [
            ("", "is empty"),
            ("a\u{0}b", "control character"),
            ("a\u{85}b", "control character"),
            (" a", "space"),
        ] {
            let error = CommonName::try_from(name).unwrap_err().to_string();
            assert!(error.contains(problem), "{name:?}: {error}");
        }
        let error = Organization::try_from("a".repeat(65).as_str()).unwrap_err();
        assert!(error.to_string().contains("longer than 64"), "{error}");
    }

    #[test]
    fn what_is_shown_is_always_a_common_name() {
        for text in ["", " ", "\u{85}", "a\nb", &"é".repeat(200), " a "] {
            let shown = CommonName::shown(text);
            assert_eq!(CommonName::try_from(shown.as_str()).unwrap(), shown);
        }
    }

    #[test]
    fn uris() {
        for uri in [
            "spiffe://example.com/ns/default",
            "https://10.0.0.1:6443/a?b=c#d",
        ] {
            assert_eq!(Uri::try_from(uri).unwrap().as_str(), uri);
        }
        for uri in [
            "",
            "example.com",
            "1http://x",
            "urn:x",
            "http:///x",
            "http://a b",
            "http://é",
        ] {
            assert!(Uri::try_from(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn errors_show_control_characters_escaped() {
        let error = DnsName::try_from("a\nb").unwrap_err().to_string();
        assert_eq!(
            error,
            r"invalid DNS name `a\nb`: may hold letters, digits and hyphens only"
        );
    }
}
