//! What to ask an authority for: certificates of servers, clients and peers.

use std::fmt;

use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectAltName};

use crate::{
    Certificate, CommonName, Error, Lifetime, Organization, Sans, Subject, Uri, Usage, profile,
    renewal, subject,
};

/// Whether a renewal keeps the private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyPolicy {
    /// The same key: only the certificate file changes, by one rename, so a running server never loads a pair that
    /// does not match.
    #[default]
    Keep,
    /// A new key: two files change, so the server must be restarted.
    New,
}

/// The description of a certificate that signs no others.
///
/// It is data: it can be printed, compared and kept in a [`Plan`](crate::Plan) without any key.
///
/// ```
/// use caravan_pki::{CommonName, Leaf, Lifetime, Sans};
/// # fn main() -> Result<(), caravan_pki::Error> {
/// let server = Leaf::server(
///     CommonName::try_from("api")?,
///     Sans::parse(["api.example.com", "10.0.0.7"])?,
/// )
/// .with_lifetime(Lifetime::days(90));
/// assert_eq!(server.to_string(), "CN=api; serverAuth; api.example.com, 10.0.0.7");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    subject: Subject,
    usages: Vec<Usage>,
    sans: Option<Sans>,
    lifetime: Lifetime,
    key_policy: KeyPolicy,
    revocation_lists: Vec<Uri>,
}

impl Leaf {
    /// A server: clients reach it by one of `sans`.
    ///
    /// The common name identifies nobody to a TLS client; it is for people who read logs.
    pub fn server(common_name: CommonName, sans: Sans) -> Self {
        Self::new(common_name, vec![Usage::ServerAuth], Some(sans))
    }

    /// A client: servers know it by its common name and organizations.
    pub fn client(common_name: CommonName) -> Self {
        Self::new(common_name, vec![Usage::ClientAuth], None)
    }

    /// A server that is a client of its like too, as members of an etcd cluster are.
    pub fn peer(common_name: CommonName, sans: Sans) -> Self {
        let usages = vec![Usage::ServerAuth, Usage::ClientAuth];
        Self::new(common_name, usages, Some(sans))
    }

    /// Anything else: the purposes are listed one by one.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when there is no purpose, or [`Usage::ServerAuth`] without names.
    pub fn custom(
        common_name: CommonName,
        usages: impl IntoIterator<Item = Usage>,
        sans: Option<Sans>,
    ) -> Result<Self, Error> {
        let mut usages: Vec<Usage> = usages.into_iter().collect();
        usages.sort();
        usages.dedup();
        let shown = common_name.as_str();
        if usages.is_empty() {
            return Err(Error::invalid("usages of", shown, "at least one is needed"));
        }
        if usages.contains(&Usage::ServerAuth) && sans.is_none() {
            return Err(Error::invalid(
                "usages of",
                shown,
                "a server needs subject alternative names: clients ignore the common name",
            ));
        }
        Ok(Self::new(common_name, usages, sans))
    }

    /// The description of an existing certificate, to have it made again: subject, uses, names and lifetime are kept.
    ///
    /// [`Authority::reissue`](crate::Authority::reissue) makes again what cannot be described.
    ///
    /// # Errors
    ///
    /// [`Error::WouldLose`] when something in it would be lost: a subject attribute other than O and CN, an extension,
    /// purpose, key usage or kind of name that this crate does not write, a missing EKU.
    pub fn from_certificate(certificate: &Certificate) -> Result<Self, Error> {
        let lost = |what: &str| Error::WouldLose {
            subject: certificate.subject_shown(),
            what: what.to_owned(),
        };
        let (common_names, organizations) =
            (certificate.common_names(), certificate.organizations());
        let [common_name] = &common_names[..] else {
            return Err(lost("a subject of no or several common names"));
        };
        if certificate.subject_attribute_count() != 1 + organizations.len() {
            return Err(lost("further attributes of its subject"));
        }
        if certificate.is_authority() {
            return Err(lost("the power to sign"));
        }
        if let Some(what) = renewal::beyond_a_leaf(certificate) {
            return Err(lost(&what));
        }
        certificate.find::<SubjectAltName>()?;
        certificate.find::<ExtendedKeyUsage>()?;
        let (usages, sans) = (certificate.usages(), certificate.sans());
        if usages.is_empty() {
            return Err(lost("the freedom to serve any purpose"));
        }
        if certificate.usage_count() != usages.len() {
            return Err(lost("further purposes"));
        }
        if certificate.foreign_name_count() != 0 {
            return Err(lost("further alternative names"));
        }
        let sans = if sans.is_empty() {
            None
        } else {
            Some(Sans::new(sans)?)
        };
        let leaf = Self::custom(CommonName::try_from(common_name.as_str())?, usages, sans)?
            .with_lifetime(certificate.validity().lifetime());
        // What cannot be read as such is refused above.
        let lists = certificate.revocation_lists().unwrap_or_default();
        let leaf = lists.into_iter().fold(leaf, Self::with_revocation_list);
        organizations.iter().try_fold(leaf, |leaf, name| {
            Ok(leaf.with_organization(Organization::try_from(name.as_str())?))
        })
    }

    fn new(common_name: CommonName, usages: Vec<Usage>, sans: Option<Sans>) -> Self {
        Self {
            subject: Subject::new(common_name),
            usages,
            sans,
            lifetime: Lifetime::LEAF,
            key_policy: KeyPolicy::Keep,
            revocation_lists: Vec::new(),
        }
    }

    /// Adds an organization.
    #[must_use]
    pub fn with_organization(mut self, organization: Organization) -> Self {
        self.subject = self.subject.with_organization(organization);
        self
    }

    /// Adds alternative names, or replaces those there are.
    #[must_use]
    pub fn with_sans(mut self, sans: Sans) -> Self {
        self.sans = Some(sans);
        self
    }

    /// Sets how long it is valid; [`Lifetime::LEAF`] if not called.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets what becomes of the key when the certificate is made anew; [`KeyPolicy::Keep`] if not called.
    #[must_use]
    pub fn with_key_policy(mut self, key_policy: KeyPolicy) -> Self {
        self.key_policy = key_policy;
        self
    }

    /// Says where the authority's revocation list can be fetched (cRLDistributionPoints), for example
    /// `http://ca.example.com/ca.crl`; several are the same list in several places.
    ///
    /// HTTP without TLS is the custom: a list is signed, and whoever fetches it over TLS might need it first.
    #[must_use]
    pub fn with_revocation_list(mut self, uri: Uri) -> Self {
        self.revocation_lists.push(uri);
        self
    }

    /// Where the authority's revocation list can be fetched. None: a certificate that is there keeps what it says.
    pub fn revocation_lists(&self) -> &[Uri] {
        &self.revocation_lists
    }

    /// Who it is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Its purposes, sorted.
    pub fn usages(&self) -> &[Usage] {
        &self.usages
    }

    /// What it may be reached as.
    pub fn sans(&self) -> Option<&Sans> {
        self.sans.as_ref()
    }

    /// How long it is valid.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// What becomes of the key when the certificate is made anew.
    pub fn key_policy(&self) -> KeyPolicy {
        self.key_policy
    }

    /// How `certificate` differs from this description in what it says, in whatever encoding; `None` when it says the same.
    ///
    /// What no description can say (further extensions, names and purposes of other kinds) is no difference, and neither
    /// is the lifetime: a new one takes effect at the next renewal.
    pub(crate) fn difference(&self, certificate: &Certificate) -> Option<Difference> {
        if self.differs_in_subject(certificate) {
            Some(Difference::Subject)
        } else if self.differs_in_sans(certificate) {
            Some(Difference::Sans)
        } else if certificate.is_authority() || self.differs_in_usages(certificate) {
            Some(Difference::Profile)
        } else if self.differs_in_revocation_lists(certificate) {
            Some(Difference::RevocationLists)
        } else {
            None
        }
    }

    pub(crate) fn differs_in_subject(&self, certificate: &Certificate) -> bool {
        !subject::says(certificate.subject(), &self.subject)
    }

    pub(crate) fn differs_in_sans(&self, certificate: &Certificate) -> bool {
        let wanted = self.sans.iter().flat_map(Sans::iter);
        !certificate.sans().iter().eq(wanted)
    }

    pub(crate) fn differs_in_usages(&self, certificate: &Certificate) -> bool {
        let mut found = certificate.usages();
        found.sort();
        found.dedup();
        // A key that may not sign serves none of them.
        let unusable = certificate
            .key_usage()
            .is_some_and(|usage| !usage.digital_signature());
        found != self.usages || unusable
    }

    pub(crate) fn differs_in_revocation_lists(&self, certificate: &Certificate) -> bool {
        let found = certificate.revocation_lists();
        !self.revocation_lists.is_empty() && found.as_ref() != Some(&self.revocation_lists)
    }

    /// keyUsage and extendedKeyUsage.
    pub(crate) fn usage_extensions(&self) -> Result<Vec<Extension>, Error> {
        profile::leaf_extensions(&self.usages)
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; ", self.subject)?;
        for (index, usage) in self.usages.iter().enumerate() {
            let separator = if index == 0 { "" } else { "+" };
            write!(f, "{separator}{usage}")?;
        }
        match &self.sans {
            Some(sans) => write!(f, "; {sans}"),
            None => Ok(()),
        }
    }
}

/// In what a certificate differs from its description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Difference {
    Profile,
    RevocationLists,
    Sans,
    Subject,
}
