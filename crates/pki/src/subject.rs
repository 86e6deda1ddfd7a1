//! Who a certificate is about.

use std::fmt;

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{Any, ObjectIdentifier, PrintableStringRef, SetOfVec, Utf8StringRef};
use x509_cert::der::{Decode, Encode, Tag, Tagged};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

use crate::{CommonName, Error, Organization};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// A common name and any number of organizations.
///
/// Kubernetes reads the first as the user and the others as its groups.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    common_name: CommonName,
    organizations: Vec<Organization>,
}

impl Subject {
    /// A subject without organization.
    pub fn new(common_name: CommonName) -> Self {
        Self {
            common_name,
            organizations: Vec::new(),
        }
    }

    /// Adds an organization; the order of adding is kept.
    #[must_use]
    pub fn with_organization(mut self, organization: Organization) -> Self {
        self.organizations.push(organization);
        self
    }

    /// The common name.
    pub fn common_name(&self) -> &CommonName {
        &self.common_name
    }

    /// The organizations, in the order they were added.
    pub fn organizations(&self) -> &[Organization] {
        &self.organizations
    }

    /// One attribute per RDN, organizations first, all UTF8String (RFC 5280 4.1.2.4).
    pub(crate) fn to_name(&self) -> Result<Name, Error> {
        let organizations = self
            .organizations
            .iter()
            .map(|organization| (ORGANIZATION, organization.as_str()));
        let all = organizations.chain([(COMMON_NAME, self.common_name.as_str())]);
        let encode = || -> x509_cert::der::Result<Name> {
            let mut sequence = RdnSequence::default();
            for (oid, value) in all {
                let attribute = AttributeTypeAndValue {
                    oid,
                    value: Any::new(Tag::Utf8String, value.as_bytes())?,
                };
                let set = SetOfVec::try_from(vec![attribute])?;
                sequence.push(RelativeDistinguishedName::from(set));
            }
            Name::from_der(&sequence.to_der()?)
        };
        encode().map_err(|error| Error::malformed("subject", error))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CN={}", self.common_name)?;
        for organization in &self.organizations {
            write!(f, ", O={organization}")?;
        }
        Ok(())
    }
}

/// The values of one attribute type, as far as they are text.
fn values(name: &Name, wanted: ObjectIdentifier) -> Vec<String> {
    let rdns: &RdnSequence = name.as_ref();
    rdns.iter()
        .flat_map(|rdn| rdn.iter())
        .filter(|attribute| attribute.oid == wanted)
        .filter_map(|attribute| text(&attribute.value))
        .collect()
}

fn text(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => value
            .decode_as::<Utf8StringRef<'_>>()
            .ok()
            .map(|text| text.as_str().to_owned()),
        Tag::PrintableString => value
            .decode_as::<PrintableStringRef<'_>>()
            .ok()
            .map(|text| text.as_str().to_owned()),
        // Ia5String and the retired kinds: readable where they are ASCII.
        _ => std::str::from_utf8(value.value()).ok().map(str::to_owned),
    }
}

pub(crate) fn common_names(name: &Name) -> Vec<String> {
    values(name, COMMON_NAME)
}

pub(crate) fn organizations(name: &Name) -> Vec<String> {
    values(name, ORGANIZATION)
}

/// Whether `name` says of common name and organizations what `subject` does, in whatever encoding and order: to whoever
/// reads them they are a user and a set of groups. Attributes of other types are passed over.
pub(crate) fn says(name: &Name, subject: &Subject) -> bool {
    let mut found = organizations(name);
    let mut wanted: Vec<&str> = subject
        .organizations
        .iter()
        .map(Organization::as_str)
        .collect();
    found.sort();
    wanted.sort();
    common_names(name) == [subject.common_name.as_str()] && found == wanted
}

/// The values of the attribute emailAddress (RFC 2985 5.2.1).
pub(crate) fn email_addresses(name: &Name) -> Vec<String> {
    const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
    values(name, EMAIL_ADDRESS)
}

/// How many attributes there are, of whatever type.
pub(crate) fn attribute_count(name: &Name) -> usize {
    let rdns: &RdnSequence = name.as_ref();
    rdns.iter().map(|rdn| rdn.len()).sum()
}

/// A short form for messages: the common name, else the whole name as RFC 4514 writes it.
pub(crate) fn shown(name: &Name) -> String {
    let text = match common_names(name).pop() {
        Some(common_name) => common_name,
        None => name.to_string(),
    };
    // A foreign name must not break out of the line it is shown in.
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(common_name: &str, organizations: &[&str]) -> Subject {
        organizations.iter().fold(
            Subject::new(CommonName::try_from(common_name).unwrap()),
            |subject, name| subject.with_organization(Organization::try_from(*name).unwrap()),
        )
    }

    #[test]
    fn organizations_come_first_one_per_rdn() {
        let name = subject("kubernetes-admin", &["b", "a"]).to_name().unwrap();
        let rdns: &RdnSequence = name.as_ref();
        assert_eq!(rdns.len(), 3);
        assert!(rdns.iter().all(|rdn| rdn.len() == 1));
        assert_eq!(organizations(&name), ["b", "a"]);
        assert_eq!(common_names(&name), ["kubernetes-admin"]);
    }

    #[test]
    fn meaning_is_compared_and_not_encoding() {
        // As Go writes it: both organizations in one RDN, all as PrintableString.
        let attribute = |oid: [u8; 3], text: &[u8]| {
            let mut der = vec![0x30, 7 + text.len() as u8, 6, 3];
            der.extend(oid);
            der.extend([0x13, text.len() as u8]);
            der.extend(text);
            der
        };
        let organizations = [
            attribute([0x55, 4, 10], b"a"),
            attribute([0x55, 4, 10], b"b"),
        ];
        let organizations = organizations.concat();
        let common_name = attribute([0x55, 4, 3], b"web");
        let rdn = |der: &[u8]| [&[0x31, der.len() as u8], der].concat();
        let both = [rdn(&organizations), rdn(&common_name)].concat();
        let name = Name::from_der(&[&[0x30, both.len() as u8], &both[..]].concat()).unwrap();
        assert!(says(&name, &subject("web", &["b", "a"])));
        for (common_name, organizations) in [
            ("web", &["a"][..]),
            ("web", &["a", "b", "b"]),
            ("Web", &["a", "b"]),
        ] {
            assert!(!says(&name, &subject(common_name, organizations)));
        }
        assert_ne!(name, subject("web", &["a", "b"]).to_name().unwrap());
    }

    #[test]
    fn separators_inject_nothing() {
        for text in [
            "x,O=system:masters",
            "x/O=system:masters",
            "x;O=system:masters",
            "x+O=system:masters",
            "x\\,O=system:masters",
        ] {
            let name = subject(text, &[]).to_name().unwrap();
            assert_eq!(common_names(&name), [text]);
            assert_eq!(organizations(&name), Vec::<String>::new());
        }
    }
}
