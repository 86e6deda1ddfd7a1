//! Certificates, keys and their store, for Kubernetes, etcd and any service that speaks mutual TLS.
//!
//! No server, no configuration, no other program: an authority is two files, and everything here works on bytes, offline.
//! Descriptions are data ([`Leaf`], [`AuthoritySpec`], [`Plan`]), names are checked before anything is signed, time is
//! an argument, and private keys cannot be printed, cloned or serialized.
//!
//! # The five things people do first
//!
//! ## 1. An authority and a server certificate
//!
//! ```
//! use std::time::SystemTime;
//! use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf, Sans};
//! # fn main() -> Result<(), caravan_pki::Error> {
//! let now = SystemTime::now();
//! let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("example ca")?), now)?;
//! let names = Sans::parse(["web.example.com", "10.0.0.7"])?;
//! let web = ca.issue(&Leaf::server(CommonName::try_from("web")?, names), now)?;
//! let (chain, key) = (web.chain_pem(), web.key_pem());
//! # assert!(chain.starts_with("-----BEGIN CERTIFICATE-----") && key.starts_with("-----BEGIN PRIVATE KEY-----"));
//! # Ok(())
//! # }
//! ```
//!
//! [`Leaf::client`] and [`Leaf::peer`] make the other two kinds; [`Leaf::custom`] lists its purposes.
//!
//! ## 2. A folder that is always right
//!
//! A [`Plan`] says what there shall be; [`store::Store::ensure`] makes it so, says what it did and why, and changes
//! nothing the second time. Renewal is the same call on another day.
//!
//! ```
//! use std::time::SystemTime;
//! use caravan_pki::store::Store;
//! use caravan_pki::{AuthoritySpec, CommonName, Leaf, Plan, Sans};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join("pki");
//! let mut plan = Plan::new();
//! plan.authority("ca", AuthoritySpec::new(CommonName::try_from("example ca")?))?;
//! plan.leaf("ca", "web", Leaf::server(CommonName::try_from("web")?, Sans::parse(["web.example.com"])?))?;
//! for change in Store::open(folder)?.ensure(&plan, SystemTime::now())?.changes() {
//!     println!("{}: {:?}", change.id, change.outcome);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! ## 3. The whole PKI of a Kubernetes cluster
//!
//! [`kubernetes`] holds kubeadm's certificate table as data and turns a cluster's facts into a plan, each machine's
//! files, kubeconfigs, and what `kubeadm join` wants to know.
//!
//! ## 4. An authority from elsewhere
//!
//! [`Authority::load`] takes what OpenSSL, Go, cert-manager or cfssl made, if its key is ECDSA P-256: its name and key
//! identifier are used as they are, so that every verifier accepts what it signs here.
//! [`store::load_authority`] reads the two files itself, and refuses a key that others can read.
//!
//! ```no_run
//! use std::time::SystemTime;
//! use caravan_pki::Authority;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ca = Authority::load(&std::fs::read("ca.crt")?, &std::fs::read("ca.key")?, SystemTime::now())?;
//! # Ok(())
//! # }
//! ```
//!
//! ## 5. Renew without a new key
//!
//! A running server that reads its files on every handshake must never see a pair that does not match. So the default
//! is to keep the key: one file changes, by one rename.
//!
//! ```
//! # use std::time::SystemTime;
//! # use caravan_pki::{Authority, AuthoritySpec, CommonName, Sans};
//! use caravan_pki::Leaf;
//! # fn main() -> Result<(), caravan_pki::Error> {
//! # let now = SystemTime::now();
//! # let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("example ca")?), now)?;
//! # let old = ca.issue(&Leaf::client(CommonName::try_from("web")?), now)?;
//! // Whoever made it: all that it says is kept, octet for octet; serial number and dates are new.
//! let lifetime = old.certificate().validity().lifetime();
//! let new = ca.reissue(old.certificate(), old.key().public_key(), lifetime, now)?;
//! # assert_ne!(new.serial(), old.certificate().serial());
//! # Ok(())
//! # }
//! ```
//!
//! # Then
//!
//! | to | see |
//! |---|---|
//! | have a plan's keys in memory alone | [`Plan::make`] |
//! | know why a certificate is to be renewed, names included | [`Leaf::reason_to_renew`] |
//! | sign requests by a policy | [`CertificateRequest`], [`RequestPolicy`] |
//! | revoke, also for etcd | [`Authority::revoke_more`], [`RevocationList`], [`store::Store::revoke`] |
//! | judge a chain for a purpose and a name | [`verify`] |
//! | show a certificate, as JSON too | [`inspect`] |
//! | find what strict verifiers object to | [`lint`] |
//! | change an authority's key under running servers | [`store::Store::start_rotation`], feature `reload` |
//! | make again what another tool made | [`Authority::reissue`] |
//! | leave cfssl | [`cfssl`], [`guide::from_cfssl`] |
//! | know what is promised | [`guide::security`] |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `json` | yes | inspections and findings as JSON, cfssl's files |
//! | `store` | yes | the folder (Unix) |
//! | `verify` | yes | rustls-webpki as judge |
//! | `yaml` | yes | certificates inside kubeconfigs are found |
//! | `ring` | no | keys and signatures by ring, more than twice as fast; RSA, P-384 and Ed25519 chains can be judged |
//! | `rustls` | no | conversions to rustls's types |
//! | `reload` | no | certificates and trust for rustls that follow their files |
//!
//! The public API holds no type of another crate, but for [`Zeroizing`], which is passed on, and, with `rustls`, those of
//! rustls-pki-types, with `reload` those of rustls; with `json`, what is shown can be serialized by serde. `public-api.txt` beside the manifest lists it.
//!
//! # What it does not do
//!
//! No ACME, no OCSP, no server; no RSA, P-384 or Ed25519 keys of its own, though it signs certificates for them; no
//! hardware keys.
#![forbid(unsafe_code)]

mod algorithm;
mod authority;
mod authority_spec;
mod backend;
mod certificate;
#[cfg(feature = "json")]
pub mod cfssl;
mod constraints;
mod crl;
mod curve;
mod entry;
mod error;
mod form;
#[cfg(any(doc, doctest))]
pub mod guide {
    //! Pages to read.
    #[doc = include_str!("../docs/from-cfssl.md")]
    pub mod from_cfssl {}
    #[cfg(doctest)]
    #[doc = include_str!("../README.md")]
    pub mod readme {}
    #[doc = include_str!("../SECURITY.md")]
    pub mod security {}
}
mod hex;
mod identity;
pub mod inspect;
mod key;
pub mod kubernetes;
mod leaf;
pub mod lint;
mod material;
mod names;
mod pem;
mod plan;
mod policy;
mod profile;
mod public_key;
mod reason;
#[cfg(feature = "reload")]
pub mod reload;
mod renewal;
mod request;
mod revocation;
mod san;
mod secret;
mod signature;
mod signing;
mod ssh;
#[cfg(all(feature = "store", unix))]
pub mod store;
mod subject;
mod validity;
#[cfg(feature = "verify")]
pub mod verify;
#[cfg(feature = "yaml")]
mod yaml;

pub use authority::Authority;
pub use authority_spec::AuthoritySpec;
pub use certificate::Certificate;
pub use constraints::Subtree;
pub use crl::RevocationList;
pub use entry::{Entry, EntryFiles, EntryId, Item};
pub use error::Error;
pub use identity::Identity;
pub use key::PrivateKey;
pub use leaf::{KeyPolicy, Leaf};
pub use material::Material;
pub use names::{CommonName, DnsName, Organization, Uri};
pub use plan::Plan;
pub use policy::RequestPolicy;
pub use profile::Usage;
pub use public_key::PublicKey;
pub use reason::Reason;
pub use request::CertificateRequest;
pub use revocation::{Revocation, RevocationReason};
pub use san::{San, Sans};
pub use secret::Secret;
pub use ssh::SshKey;
pub use subject::Subject;
pub use validity::{BACKDATE, Lifetime, Validity, rfc3339};
// What keys and secrets come in: part of this crate's interface, so that nobody needs the same version of zeroize.
pub use zeroize::Zeroizing;
