//! A chain that everybody accepts, and what is asked about it.

use p256::ecdsa::SigningKey;
use x509_cert::der::asn1::{Ia5String, ObjectIdentifier};
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    NameConstraints, SubjectAltName, SubjectKeyIdentifier,
};

use super::forge::{
    Certificate, DAY, ECDSA_SHA256, Extension, List, NOW, common_name, new_key, octets,
};

/// Places in a chain.
pub(crate) const LEAF: usize = 0;
pub(crate) const LOWER: usize = 1;
pub(crate) const UPPER: usize = 2;
pub(crate) const ROOT: usize = 3;

pub(crate) const PLACES: [&str; 4] = ["leaf", "lower", "upper", "root"];

pub(crate) const BASIC: &str = "2.5.29.19";
pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const PURPOSES: &str = "2.5.29.37";
pub(crate) const NAMES: &str = "2.5.29.17";
pub(crate) const SUBJECT_KEY: &str = "2.5.29.14";
pub(crate) const AUTHORITY_KEY: &str = "2.5.29.35";

pub(crate) const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub(crate) const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub(crate) const ANY_PURPOSE: &str = "2.5.29.37.0";

/// The name that clients want to reach.
pub(crate) const HOST: &str = "web.example.com";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    Server,
    Client,
}

/// A chain from the leaf to the root, the lists beside it, and what it is presented for.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) chain: Vec<Certificate>,
    pub(crate) lists: Vec<List>,
    pub(crate) asked: Asked,
    /// Which of the authorities between are not sent along.
    pub(crate) withheld: Vec<usize>,
}

/// The keys of all chains: making them anew for each would be most of the time.
#[derive(Clone)]
pub(crate) struct Keys(pub(crate) Vec<SigningKey>);

impl Keys {
    pub(crate) fn new() -> Self {
        Self((0..4).map(|_| new_key()).collect())
    }
}

impl Model {
    /// root, upper (path length 1), lower (path length 0), leaf (a server).
    pub(crate) fn good(keys: &Keys) -> Self {
        let mut chain: Vec<Certificate> = (0..4)
            .map(|place| {
                let above = if place == ROOT { ROOT } else { place + 1 };
                Certificate {
                    subject: common_name(PLACES[place]),
                    issuer: common_name(PLACES[above]),
                    key: keys.0[place].clone(),
                    version: 2,
                    serial: vec![0x40 + place as u8, 2, 3, 4, 5, 6, 7, 8, 9],
                    not_before: NOW - 10 * DAY,
                    not_after: NOW + 100 * DAY,
                    extensions: Vec::new(),
                    inner_algorithm: ECDSA_SHA256,
                    spoilt: false,
                    other_signer: None,
                    other_spki: None,
                }
            })
            .collect();
        for place in 0..4 {
            let above = if place == ROOT { ROOT } else { place + 1 };
            let (own, theirs) = (chain[place].key_id(), chain[above].key_id());
            let extensions = match place {
                LEAF => vec![
                    key_usage(KeyUsages::DigitalSignature.into()),
                    purposes(&[SERVER_AUTH, CLIENT_AUTH]),
                    names(&[dns(HOST)]),
                ],
                _ => vec![
                    key_usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign),
                    basic(true, [None, Some(0), Some(1), None][place]),
                ],
            };
            chain[place].extensions = extensions;
            chain[place].set(Extension::of(false, &SubjectKeyIdentifier(octets(&own))));
            chain[place].set(authority_key(&theirs));
        }
        Self {
            chain,
            lists: Vec::new(),
            asked: Asked::Server,
            withheld: Vec::new(),
        }
    }

    /// The certificates in DER, the leaf first.
    pub(crate) fn certificates(&self) -> Vec<Vec<u8>> {
        let last = self.chain.len() - 1;
        let signer = |place: usize| &self.chain[(place + 1).min(last)].key;
        let all = self.chain.iter().enumerate();
        all.map(|(place, one)| one.sign(signer(place))).collect()
    }

    pub(crate) fn signed_lists(&self) -> Vec<Vec<u8>> {
        let all = self.lists.iter();
        all.map(|list| list.sign(&self.chain[list.issuer]))
            .collect()
    }

    /// A list of the lower authority that revokes nothing.
    pub(crate) fn list() -> List {
        List {
            issuer: LOWER,
            other_signer: None,
            this_update: NOW - DAY,
            next_update: Some(NOW + DAY),
            number: 1,
            serials: Vec::new(),
            extensions: Vec::new(),
        }
    }
}

pub(crate) fn key_usage(usages: x509_cert::der::flagset::FlagSet<KeyUsages>) -> Extension {
    Extension::of(true, &KeyUsage(usages))
}

pub(crate) fn basic(ca: bool, path_length: Option<u8>) -> Extension {
    Extension::of(
        true,
        &BasicConstraints {
            ca,
            path_len_constraint: path_length,
        },
    )
}

pub(crate) fn purposes(oids: &[&str]) -> Extension {
    let oids = oids.iter().map(|oid| ObjectIdentifier::new_unwrap(oid));
    Extension::of(false, &ExtendedKeyUsage(oids.collect()))
}

pub(crate) fn authority_key(key: &[u8]) -> Extension {
    Extension::of(
        false,
        &AuthorityKeyIdentifier {
            key_identifier: Some(octets(key)),
            authority_cert_issuer: None,
            authority_cert_serial_number: None,
        },
    )
}

pub(crate) fn names(all: &[GeneralName]) -> Extension {
    Extension::of(false, &SubjectAltName(all.to_vec()))
}

fn text(text: &str) -> Ia5String {
    Ia5String::new(text).unwrap()
}

pub(crate) fn dns(name: &str) -> GeneralName {
    GeneralName::DnsName(text(name))
}

pub(crate) fn uri(uri: &str) -> GeneralName {
    GeneralName::UniformResourceIdentifier(text(uri))
}

pub(crate) fn mail(mail: &str) -> GeneralName {
    GeneralName::Rfc822Name(text(mail))
}

pub(crate) fn ip(octets_: &[u8]) -> GeneralName {
    GeneralName::IpAddress(octets(octets_))
}

pub(crate) fn directory(attributes: &[(&str, &str)]) -> GeneralName {
    use x509_cert::der::Decode;
    let der = super::forge::name(attributes);
    GeneralName::DirectoryName(x509_cert::name::Name::from_der(&der).unwrap())
}

/// Name constraints, critical.
pub(crate) fn constraints(permitted: &[GeneralName], excluded: &[GeneralName]) -> Extension {
    let subtrees = |bases: &[GeneralName]| -> Option<Vec<GeneralSubtree>> {
        let all: Vec<GeneralSubtree> = bases
            .iter()
            .map(|base| GeneralSubtree {
                base: base.clone(),
                minimum: 0,
                maximum: None,
            })
            .collect();
        (!all.is_empty()).then_some(all)
    };
    Extension::of(
        true,
        &NameConstraints {
            permitted_subtrees: subtrees(permitted),
            excluded_subtrees: subtrees(excluded),
        },
    )
}
