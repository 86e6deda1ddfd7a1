//! Certificates, keys and their store, for Kubernetes, etcd and any service that speaks mutual TLS.
#![forbid(unsafe_code)]

mod algorithm;
mod authority;
mod backend;
mod certificate;
#[cfg(feature = "json")]
pub mod cfssl;
mod crl;
mod error;
pub mod inspect;
mod key;
pub mod kubernetes;
mod leaf;
pub mod lint;
mod names;
mod pem;
mod plan;
mod policy;
mod profile;
mod request;
mod secret;
mod ssh;
#[cfg(all(feature = "store", unix))]
pub mod store;
mod subject;
mod validity;
#[cfg(feature = "verify")]
pub mod verify;

pub use authority::{Authority, AuthoritySpec};
pub use certificate::Certificate;
pub use crl::RevocationList;
pub use error::Error;
pub use key::{PrivateKey, PublicKey};
pub use leaf::{Identity, KeyPolicy, Leaf};
pub use names::{CommonName, DnsName, Organization, San, Sans, Uri};
pub use plan::{Entry, EntryFiles, EntryId, Item, Plan};
pub use policy::RequestPolicy;
pub use profile::Usage;
pub use request::CertificateRequest;
pub use secret::Secret;
pub use ssh::SshKey;
pub use subject::Subject;
pub use validity::{BACKDATE, Lifetime, Validity, rfc3339};
