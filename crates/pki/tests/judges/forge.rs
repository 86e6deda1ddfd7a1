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
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::pkilint::Pkilint;
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

/// Which certificate a fault is in.
#[derive(Clone, Copy, PartialEq)]
enum In {
    Leaf,
    Authority,
}

/// A fault, and who refuses it.
struct Case {
    /// The rule of our lint.
    rule: &'static str,
    place: In,
    change: fn(&mut Forged),
    openssl: bool,
    go: bool,
    webpki: bool,
    /// What pkilint calls it.
    pkilint: &'static str,
}

impl Case {
    /// One that libraries let pass: only linters see it.
    const fn new(rule: &'static str, change: fn(&mut Forged), pkilint: &'static str) -> Self {
        Self {
            rule,
            place: In::Leaf,
            change,
            openssl: false,
            go: false,
            webpki: false,
            pkilint,
        }
    }

    const fn openssl(mut self) -> Self {
        self.openssl = true;
        self
    }

    const fn everybody(mut self) -> Self {
        (self.openssl, self.go, self.webpki) = (true, true, true);
        self
    }

    const fn of_authority(mut self) -> Self {
        self.place = In::Authority;
        self
    }
}

const CASES: [Case; 7] = [
    Case::new(
        "authority-key-id-mismatch",
        other_authority_key,
        "pkix.issuer_and_subject_key_identifier_not_equal",
    )
    .openssl(),
    Case::new(
        "authority-key-id",
        without::<AuthorityKeyIdentifier>,
        "pkix.authority_key_identifier_extension_absent",
    )
    .openssl(),
    Case::new(
        "ec-encipherment",
        encipher,
        "pkix.key_usage_value_prohibited_for_ec",
    ),
    Case::new(
        "serial-zero",
        number_zero,
        "pkix.certificate_serial_number_out_of_range",
    ),
    Case::new("extension-twice", twice, "pkix.duplicate_extension").everybody(),
    Case::new(
        "ca-constraints-critical",
        not_critical::<BasicConstraints>,
        "pkix.basic_constraints_extension_not_critical",
    )
    .openssl()
    .of_authority(),
    Case::new(
        "ca-key-usage",
        without::<KeyUsage>,
        "pkix.ca_certificate_no_ku_extension",
    )
    .openssl()
    .of_authority(),
];

fn other_authority_key(forged: &mut Forged) {
    let other = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new([9; 20]).unwrap()),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    set(forged, &other);
}

fn without<T: AssociatedOid>(forged: &mut Forged) {
    forged
        .extensions
        .retain(|extension| extension.extn_id != T::OID);
}

fn not_critical<T: AssociatedOid>(forged: &mut Forged) {
    for extension in &mut forged.extensions {
        extension.critical &= extension.extn_id != T::OID;
    }
}

fn encipher(forged: &mut Forged) {
    let usages = KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment;
    set(forged, &KeyUsage(usages));
}

fn number_zero(forged: &mut Forged) {
    forged.serial = SerialNumber::new(&[0]).unwrap();
}

fn twice(forged: &mut Forged) {
    let again = forged.extensions[1].clone();
    forged.extensions.push(again);
}

#[test]
fn every_fault_is_seen_by_our_lint_and_by_those_who_can() {
    let now = SystemTime::now();
    let name = |name| CommonName::try_from(name).unwrap();
    let ca = Authority::create(&AuthoritySpec::new(name("ca")), now).unwrap();
    let sans = Sans::parse(["web.example.com"]).unwrap();
    let good = ca.issue(&Leaf::server(name("web"), sans), now).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: String, certificate: &Certificate| {
        let path = folder.path().join(name);
        std::fs::write(&path, certificate.to_pem()).unwrap();
        path
    };
    let purpose = Purpose::Server(San::try_from("web.example.com").unwrap());
    let (openssl, go, pkilint) = (judge("openssl"), super::go::go(), Pkilint::find());
    let mut for_go = Vec::new();

    for case in &CASES {
        let rule = case.rule;
        let bad = |good: &Certificate| forge(&ca, good, case.change);
        let (issuer, leaf) = match case.place {
            In::Leaf => (ca.certificate().clone(), bad(good.certificate())),
            In::Authority => (bad(ca.certificate()), good.certificate().clone()),
        };
        let rules: Vec<_> = lint::certificates(&[issuer.clone(), leaf.clone()], now)
            .iter()
            .map(|finding| finding.rule)
            .collect();
        assert!(rules.contains(&rule), "{rule}: {rules:?}");
        let verdict = Verifier::new([&issuer]).verify(&[&leaf], &purpose, now);
        // Whoever refuses it, so do we.
        let refused = case.openssl || case.go || case.webpki;
        assert_eq!(verdict.is_err(), refused, "verify: {rule}: {verdict:?}");
        if let Some(openssl) = &openssl {
            let more = ["-purpose", "sslserver"];
            let (ca, leaf) = (issuer.to_pem(), leaf.to_pem());
            let (accepted, said) = openssl::verify(openssl, folder.path(), &ca, &leaf, &more);
            assert_eq!(!accepted, case.openssl, "openssl: {rule}: {said}");
        }
        let issuer = file(format!("{rule}.ca.crt"), &issuer);
        let leaf = file(format!("{rule}.crt"), &leaf);
        if let Some(pkilint) = &pkilint {
            let bad = if case.place == In::Leaf {
                &leaf
            } else {
                &issuer
            };
            let mut found = pkilint.alone(bad);
            found.extend(pkilint.chain(&issuer, &leaf));
            let seen = found
                .iter()
                .any(|finding| finding.starts_with(case.pkilint));
            assert!(seen, "pkilint: {rule}: {found:?}");
        }
        let (issuer, leaf) = (issuer.display(), leaf.display());
        for_go.push(format!("verify\t{issuer}\t{leaf}\tserver\tweb.example.com"));
    }
    let Some(go) = go else {
        return;
    };
    let verdicts = super::go::verdicts(&go, &for_go);
    assert_eq!(verdicts.len(), CASES.len());
    for (verdict, case) in verdicts.iter().zip(&CASES) {
        assert_eq!(verdict != "ok", case.go, "go: {}: {verdict}", case.rule);
    }
}
