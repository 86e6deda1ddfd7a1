//! Faults that this crate cannot express, forged, and who sees them.
//!
//! No judge sees everything; our lint must.

use std::time::SystemTime;

use caravan_pki::verify::{Purpose, Verifier};
use caravan_pki::{Authority, AuthoritySpec, Certificate, CommonName, Leaf, San, Sans, lint};
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::DecodePrivateKey;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::OctetString;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, KeyUsage, KeyUsages};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::{judge, openssl};

/// A good certificate's parts, to be changed and signed again.
struct Forged {
    issuer: Name,
    subject: Name,
    extensions: Vec<Extension>,
    serial: SerialNumber,
}

impl BuilderProfile for Forged {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _spk: SubjectPublicKeyInfoRef<'_>,
        _issuer: SubjectPublicKeyInfoRef<'_>,
        _tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        Ok(self.extensions.clone())
    }
}

fn forge(ca: &Authority, good: &Certificate, change: impl FnOnce(&mut Forged)) -> Certificate {
    let parsed = x509_cert::Certificate::from_der(good.as_der()).unwrap();
    let tbs = parsed.tbs_certificate();
    let mut forged = Forged {
        issuer: tbs.issuer().clone(),
        subject: tbs.subject().clone(),
        extensions: tbs.extensions().cloned().unwrap(),
        serial: tbs.serial_number().clone(),
    };
    change(&mut forged);
    let key = SigningKey::from_pkcs8_pem(&ca.key_pem()).unwrap();
    let (serial, validity) = (forged.serial.clone(), *tbs.validity());
    let spki = tbs.subject_public_key_info().clone();
    let made = CertificateBuilder::new(forged, serial, validity, spki)
        .unwrap()
        .build::<_, DerSignature>(&key)
        .unwrap();
    Certificate::from_der(&made.to_der().unwrap()).unwrap()
}

fn set<T: Encode + AssociatedOid>(forged: &mut Forged, value: &T) {
    for extension in &mut forged.extensions {
        if extension.extn_id == T::OID {
            extension.extn_value = OctetString::new(value.to_der().unwrap()).unwrap();
        }
    }
}

#[test]
fn every_fault_is_seen_by_our_lint_and_by_those_who_can() {
    type Change = fn(&mut Forged);
    // Rule of ours; whether OpenSSL in strict mode, Go and webpki refuse.
    let cases: &[(&str, bool, bool, bool, Change)] = &[
        ("authority-key-id-mismatch", true, false, false, |forged| {
            let key_identifier = Some(OctetString::new([9; 20]).unwrap());
            let other = AuthorityKeyIdentifier {
                key_identifier,
                authority_cert_issuer: None,
                authority_cert_serial_number: None,
            };
            set(forged, &other);
        }),
        ("authority-key-id", true, false, false, |forged| {
            forged
                .extensions
                .retain(|extension| extension.extn_id != AuthorityKeyIdentifier::OID);
        }),
        ("ec-encipherment", false, false, false, |forged| {
            set(
                forged,
                &KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment),
            );
        }),
        ("serial-zero", false, false, false, |forged| {
            forged.serial = SerialNumber::new(&[0]).unwrap()
        }),
        ("extension-twice", true, true, true, |forged| {
            let again = forged.extensions[1].clone();
            forged.extensions.push(again);
        }),
    ];
    let now = SystemTime::now();
    let name = |name| CommonName::try_from(name).unwrap();
    let ca = Authority::create(&AuthoritySpec::new(name("ca")), now).unwrap();
    let sans = Sans::parse(["web.example.com"]).unwrap();
    let good = ca.issue(&Leaf::server(name("web"), sans), now).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let purpose = Purpose::Server(San::try_from("web.example.com").unwrap());
    let webpki = Verifier::new([ca.certificate()]);
    let mut for_go = Vec::new();

    for (rule, by_openssl, by_go, by_webpki, change) in cases {
        let bad = forge(&ca, good.certificate(), change);
        let rules: Vec<_> = lint::certificates(&[ca.certificate().clone(), bad.clone()], now)
            .iter()
            .map(|finding| finding.rule)
            .collect();
        assert!(rules.contains(rule), "{rule}: {rules:?}");
        assert_eq!(
            webpki.verify(&[&bad], &purpose, now).is_err(),
            *by_webpki,
            "webpki: {rule}"
        );
        if let Some(program) = judge("openssl") {
            let more = ["-purpose", "sslserver"];
            let (accepted, said) = openssl::verify(
                &program,
                folder.path(),
                &ca.certificate_pem(),
                &bad.to_pem(),
                &more,
            );
            assert_eq!(!accepted, *by_openssl, "openssl: {rule}: {said}");
        }
        let file = folder.path().join(format!("{rule}.crt"));
        std::fs::write(&file, bad.to_pem()).unwrap();
        for_go.push((rule, *by_go, file));
    }
    let Some(go) = judge("go") else {
        return;
    };
    let ca_file = folder.path().join("ca.pem");
    let lines: Vec<String> = for_go
        .iter()
        .map(|(_, _, file)| {
            format!(
                "verify\t{}\t{}\tserver\tweb.example.com",
                ca_file.display(),
                file.display()
            )
        })
        .collect();
    for (verdict, (rule, refused, _)) in super::go::verdicts(&go, &lines).iter().zip(&for_go) {
        assert_eq!(verdict != "ok", *refused, "go: {rule}: {verdict}");
    }
}
