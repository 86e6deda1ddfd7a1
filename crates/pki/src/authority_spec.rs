//! What an authority is to be.

use x509_cert::ext::pkix::NameConstraints;

use crate::constraints::Constraints;
use crate::{Certificate, CommonName, Error, Lifetime, Organization, Subject, Subtree, subject};

/// The description of an authority: data, without key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthoritySpec {
    subject: Subject,
    lifetime: Lifetime,
    path_length: Option<u8>,
    constraints: Constraints,
    /// It stands for a certificate that cannot be described here: whatever is there is what is wanted.
    as_it_stands: bool,
}

impl AuthoritySpec {
    /// An authority that may sign leaves but no other authorities (path length 0), valid for [`Lifetime::AUTHORITY`].
    pub fn new(common_name: CommonName) -> Self {
        Self {
            subject: Subject::new(common_name),
            lifetime: Lifetime::AUTHORITY,
            path_length: Some(0),
            constraints: Constraints::default(),
            as_it_stands: false,
        }
    }

    /// The description of an authority that is there: subject, lifetime, path length and name constraints.
    ///
    /// What cannot be said in one (further attributes of the subject, constraints of other kinds) is the certificate's to
    /// say: a plan of such a description never differs from what is there, and renewals carry it octet for octet.
    pub fn from_certificate(certificate: &Certificate) -> Self {
        Self::described(certificate).unwrap_or_else(|| {
            // For people: it is never made from this description.
            let mut spec = Self::new(CommonName::shown(&certificate.subject_shown()));
            spec.lifetime = certificate.validity().lifetime();
            spec.path_length = certificate.path_length();
            spec.as_it_stands = true;
            spec
        })
    }

    fn described(certificate: &Certificate) -> Option<Self> {
        let (names, organizations) = (certificate.common_names(), certificate.organizations());
        let [name] = &names[..] else {
            return None;
        };
        if certificate.subject_attribute_count() != 1 + organizations.len() {
            return None;
        }
        let constraints = match certificate.find::<NameConstraints>() {
            Ok(Some(found)) => Constraints::of_extension(&found)?,
            Ok(None) => Constraints::default(),
            Err(_) => return None,
        };
        let mut spec = Self::new(CommonName::try_from(name.as_str()).ok()?);
        for name in &organizations {
            spec = spec.with_organization(Organization::try_from(name.as_str()).ok()?);
        }
        spec.lifetime = certificate.validity().lifetime();
        spec.path_length = certificate.path_length();
        spec.constraints = constraints;
        Some(spec)
    }

    /// Adds an organization.
    #[must_use]
    pub fn with_organization(mut self, organization: Organization) -> Self {
        self.subject = self.subject.with_organization(organization);
        self
    }

    /// Sets how long it is valid.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets how many authorities may stand between this one and a leaf: 1 for a root with intermediates.
    #[must_use]
    pub fn with_path_length(mut self, path_length: u8) -> Self {
        self.path_length = Some(path_length);
        self
    }

    /// Sets no limit to the authorities between this one and a leaf.
    #[must_use]
    pub fn without_path_length(mut self) -> Self {
        self.path_length = None;
        self
    }

    /// Limits the names it may vouch for, by a critical extension; none is limited if this is not called.
    ///
    /// Verifiers hold to it, so that whoever steals the key cannot speak for others. See [`Subtree`] for the pitfall.
    #[must_use]
    pub fn with_permitted(mut self, permitted: impl IntoIterator<Item = Subtree>) -> Self {
        self.constraints.permitted.extend(permitted);
        self
    }

    /// Forbids it to vouch for these names, permitted or not, by the same extension.
    #[must_use]
    pub fn with_excluded(mut self, excluded: impl IntoIterator<Item = Subtree>) -> Self {
        self.constraints.excluded.extend(excluded);
        self
    }

    /// The names it may vouch for; none means all.
    pub fn permitted(&self) -> &[Subtree] {
        &self.constraints.permitted
    }

    /// The names it may not vouch for.
    pub fn excluded(&self) -> &[Subtree] {
        &self.constraints.excluded
    }

    /// Who it is.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// How long it is valid.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// How many authorities may stand between this one and a leaf.
    pub fn path_length(&self) -> Option<u8> {
        self.path_length
    }

    pub(crate) fn constraints(&self) -> &Constraints {
        &self.constraints
    }

    /// In what `certificate` differs from this description: the fields, what it has, and what is wanted. The lifetime is
    /// not compared: a new one takes effect at the next renewal.
    pub(crate) fn differences(&self, certificate: &Certificate) -> Vec<SpecDifference> {
        if self.as_it_stands {
            return Vec::new();
        }
        let mut all = Vec::new();
        if !subject::says(certificate.subject(), &self.subject) {
            all.push(SpecDifference {
                field: SpecField::Subject,
                found: certificate.subject().to_string(),
                wanted: self.subject.to_string(),
            });
        }
        if certificate.path_length() != self.path_length {
            let shown = |length: Option<u8>| match length {
                Some(length) => length.to_string(),
                None => "none".to_owned(),
            };
            all.push(SpecDifference {
                field: SpecField::PathLength,
                found: shown(certificate.path_length()),
                wanted: shown(self.path_length),
            });
        }
        let found = match certificate.find::<NameConstraints>() {
            Ok(found) => found.map_or(Some(Constraints::default()), |found| {
                Constraints::of_extension(&found)
            }),
            Err(_) => None,
        };
        if !found
            .as_ref()
            .is_some_and(|found| found.says_as(&self.constraints))
        {
            all.push(SpecDifference {
                field: SpecField::Constraints,
                found: found.map_or_else(
                    || "that cannot be said in a plan".to_owned(),
                    |found| found.to_string(),
                ),
                wanted: self.constraints.to_string(),
            });
        }
        all
    }
}

/// In what an authority differs from its description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpecField {
    Constraints,
    PathLength,
    Subject,
}

#[derive(Debug)]
pub(crate) struct SpecDifference {
    pub(crate) field: SpecField,
    found: String,
    wanted: String,
}

impl SpecDifference {
    /// The refusal of `certificate`, which is other than described.
    pub(crate) fn refuse(self, certificate: &Certificate) -> Error {
        Error::AuthorityDiffers {
            subject: certificate.subject_shown(),
            field: match self.field {
                SpecField::Constraints => "name constraints",
                SpecField::PathLength => "path length",
                SpecField::Subject => "subject",
            },
            found: self.found,
            wanted: self.wanted,
        }
    }
}
