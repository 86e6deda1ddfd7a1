//! What an authority is to be.

use crate::{CommonName, Lifetime, Organization, Permitted, Subject};

/// The description of an authority: data, without key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthoritySpec {
    subject: Subject,
    lifetime: Lifetime,
    path_length: Option<u8>,
    permitted: Vec<Permitted>,
}

impl AuthoritySpec {
    /// An authority that may sign leaves but no other authorities (path length 0), valid for [`Lifetime::AUTHORITY`].
    pub fn new(common_name: CommonName) -> Self {
        Self {
            subject: Subject::new(common_name),
            lifetime: Lifetime::AUTHORITY,
            path_length: Some(0),
            permitted: Vec::new(),
        }
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
    /// Verifiers hold to it, so that whoever steals the key cannot speak for others. See [`Permitted`] for the pitfall.
    #[must_use]
    pub fn with_permitted(mut self, permitted: impl IntoIterator<Item = Permitted>) -> Self {
        self.permitted.extend(permitted);
        self
    }

    /// The names it may vouch for; none means all.
    pub fn permitted(&self) -> &[Permitted] {
        &self.permitted
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
}
