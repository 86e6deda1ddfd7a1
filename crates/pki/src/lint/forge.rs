//! A certificate, and all that can be put wrong in it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_cert::der::Encode;
use x509_cert::der::asn1::OctetString;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;

use super::certificates;
use crate::signing::{serial, sign_with_serial};
use crate::{
    Authority, AuthoritySpec, Certificate, CommonName, Lifetime, PrivateKey, Sans, Subject,
    Validity, profile,
};

pub(super) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(super) fn name(text: &str) -> CommonName {
    CommonName::try_from(text).unwrap()
}

pub(super) fn extension<T: Encode + AssociatedOid>(critical: bool, value: &T) -> Extension {
    Extension {
        extn_id: T::OID,
        critical,
        extn_value: OctetString::new(value.to_der().unwrap()).unwrap(),
    }
}

/// A correct server certificate, and all that can be put wrong in it.
pub(super) struct Forge {
    pub(super) ca: Authority,
    pub(super) serial: SerialNumber,
    pub(super) subject: Name,
    pub(super) validity: Validity,
    pub(super) extensions: Vec<Extension>,
}

impl Forge {
    pub(super) fn new() -> Self {
        let ca = Authority::create(&AuthoritySpec::new(name("ca")), now()).unwrap();
        let key = ca.key_identifier().to_vec();
        let mut extensions = profile::leaf_extensions(&[crate::Usage::ServerAuth]).unwrap();
        extensions.extend(profile::identifiers(&[7; 20], &key).unwrap());
        let sans = Sans::parse(["web.example.com"]).unwrap();
        extensions.push(profile::alternative_names(&sans).unwrap());
        Self {
            ca,
            serial: serial().unwrap(),
            subject: Subject::new(name("web")).to_name().unwrap(),
            validity: Validity::starting(now(), Lifetime::days(30)).unwrap(),
            extensions,
        }
    }

    /// Takes away the extension of `T`'s kind.
    pub(super) fn without<T: AssociatedOid>(&mut self) {
        self.extensions
            .retain(|extension| extension.extn_id != T::OID);
    }

    pub(super) fn replace<T: Encode + AssociatedOid>(&mut self, critical: bool, value: &T) {
        self.without::<T>();
        self.extensions.push(extension(critical, value));
    }

    pub(super) fn certificate(&self) -> Certificate {
        let key = PrivateKey::generate().unwrap();
        sign_with_serial(
            self.serial.clone(),
            self.ca.key(),
            (self.ca.certificate().subject(), &self.subject),
            key.public_key(),
            self.validity,
            self.extensions.clone(),
        )
        .unwrap()
    }

    /// The rules that the forged certificate breaks, beside its issuer.
    pub(super) fn rules(&self) -> Vec<&'static str> {
        let all = [self.ca.certificate().clone(), self.certificate()];
        certificates(&all, now())
            .iter()
            .map(|finding| finding.rule)
            .collect()
    }
}
