//! Every rule is shown a certificate that breaks it, and nothing else.

use std::time::Duration;

use x509_cert::der::Decode;
use x509_cert::der::asn1::{Ia5String, OctetString};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;

use super::certificates;
use super::forge::{Forge, extension, name, now};
use crate::signing::{serial, sign_with_serial};
use crate::{
    Authority, AuthoritySpec, Leaf, Lifetime, Organization, PrivateKey, Sans, Subject, Validity,
    profile,
};

fn san(names: Vec<GeneralName>) -> SubjectAltName {
    SubjectAltName(names)
}

fn dns(name: &str) -> GeneralName {
    GeneralName::DnsName(Ia5String::new(name).unwrap())
}

#[test]
fn what_this_crate_makes_has_no_fault() {
    assert_eq!(Forge::new().rules(), Vec::<&str>::new());
    let root = AuthoritySpec::new(name("root")).with_path_length(1);
    let root = Authority::create(&root, now()).unwrap();
    let below = AuthoritySpec::new(name("below")).with_lifetime(Lifetime::days(900));
    let below = root.intermediate(&below, now()).unwrap();
    let sans = Sans::parse(["localhost", "::1", "spiffe://example.com/x"]).unwrap();
    let leaves = [Leaf::client(name("c")), Leaf::peer(name("p"), sans)];
    let leaves = leaves.map(|leaf| below.issue(&leaf, now()).unwrap().certificate().clone());
    let mut all = vec![root.certificate().clone(), below.certificate().clone()];
    all.extend(leaves);
    assert_eq!(certificates(&all, now()), []);
}

#[test]
fn each_rule_finds_its_fault() {
    type Change = fn(&mut Forge);
    let cases: &[(&str, Change)] = &[
        ("serial-zero", |forge| {
            forge.serial = SerialNumber::new(&[0]).unwrap()
        }),
        ("serial-short", |forge| {
            forge.serial = SerialNumber::new(&[1, 2, 3]).unwrap()
        }),
        ("name-control", |forge| {
            // 0x0c UTF8String of three characters, one of them a line feed.
            let der = [
                0x30, 0x0e, 0x31, 0x0c, 0x30, 0x0a, 6, 3, 0x55, 4, 3, 0x0c, 3, b'a', b'\n', b'b',
            ];
            forge.subject = Name::from_der(&der).unwrap();
        }),
        ("name-type", |forge| {
            // 0x14 TeletexString.
            let der = [
                0x30, 0x0c, 0x31, 0x0a, 0x30, 8, 6, 3, 0x55, 4, 3, 0x14, 1, b'a',
            ];
            forge.subject = Name::from_der(&der).unwrap();
        }),
        ("due", |forge| {
            let past = now() - Duration::from_secs(25 * 86_400);
            forge.validity = Validity::starting(past, Lifetime::days(30)).unwrap();
            forge.ca = Authority::create(&AuthoritySpec::new(name("ca")), past).unwrap();
            let key = forge.ca.key_identifier().to_vec();
            let identifier = profile::authority_identifier(&key).unwrap();
            forge.without::<AuthorityKeyIdentifier>();
            forge.extensions.push(identifier);
        }),
        ("not-yet-valid", |forge| {
            let later = now() + Duration::from_secs(86_400);
            forge.validity = Validity::starting(later, Lifetime::days(30)).unwrap();
        }),
        ("outlives-issuer", |forge| {
            forge.validity = Validity::starting(now(), Lifetime::days(3651)).unwrap();
        }),
        ("system-masters", |forge| {
            let group = Organization::try_from("system:masters").unwrap();
            forge.subject = Subject::new(name("x"))
                .with_organization(group)
                .to_name()
                .unwrap();
        }),
        ("extension-twice", |forge| {
            let extn_id = x509_cert::der::asn1::ObjectIdentifier::new_unwrap("1.2.3.4");
            let extn_value = OctetString::new([5, 0]).unwrap();
            let odd = Extension {
                extn_id,
                critical: false,
                extn_value,
            };
            forge.extensions.extend([odd.clone(), odd]);
        }),
        ("leaf-path-length", |forge| {
            let basic = BasicConstraints {
                ca: false,
                path_len_constraint: Some(0),
            };
            forge.replace(true, &basic);
        }),
        ("leaf-key-usage", |forge| forge.without::<KeyUsage>()),
        ("leaf-cert-sign", |forge| {
            forge.replace(
                true,
                &KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyCertSign),
            );
        }),
        ("ec-encipherment", |forge| {
            forge.replace(
                true,
                &KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment),
            );
        }),
        ("key-usage-critical", |forge| {
            forge.replace(false, &KeyUsage(KeyUsages::DigitalSignature.into()));
        }),
        ("purposes-none", |forge| forge.without::<ExtendedKeyUsage>()),
        ("server-names", |forge| forge.without::<SubjectAltName>()),
        ("authority-key-id", |forge| {
            forge.without::<AuthorityKeyIdentifier>()
        }),
        ("subject-key-id", |forge| {
            forge.without::<SubjectKeyIdentifier>()
        }),
        ("key-id-critical", |forge| {
            let identifier = SubjectKeyIdentifier(OctetString::new([1; 20]).unwrap());
            forge.replace(true, &identifier);
        }),
        ("authority-key-id-mismatch", |forge| {
            let identifier = profile::authority_identifier(&[9; 20]).unwrap();
            forge.without::<AuthorityKeyIdentifier>();
            forge.extensions.push(identifier);
        }),
        ("san-critical", |forge| {
            forge.replace(true, &san(vec![dns("web.example.com")]))
        }),
        ("san-twice", |forge| {
            forge.replace(false, &san(vec![dns("a.b"), dns("a.b")]))
        }),
        ("san-name", |forge| {
            forge.replace(false, &san(vec![dns("a b:443")]))
        }),
        ("san-address-as-name", |forge| {
            forge.replace(false, &san(vec![dns("10.0.0.1")]))
        }),
        ("san-address", |forge| {
            let odd = GeneralName::IpAddress(OctetString::new([10, 0, 0]).unwrap());
            forge.replace(false, &san(vec![odd]));
        }),
    ];
    for (rule, change) in cases {
        let mut forge = Forge::new();
        change(&mut forge);
        assert_eq!(forge.rules(), [*rule], "{rule}");
    }
}

#[test]
fn faults_of_authorities() {
    let key = PrivateKey::generate().unwrap();
    let subject = Subject::new(name("ca")).to_name().unwrap();
    let validity = Validity::starting(now(), Lifetime::days(900)).unwrap();
    let basic = |critical| {
        extension(
            critical,
            &BasicConstraints {
                ca: true,
                path_len_constraint: None,
            },
        )
    };
    let signs = extension(true, &KeyUsage(KeyUsages::KeyCertSign.into()));
    let identifiers = profile::identifiers(&[1; 20], &[1; 20]).unwrap();
    let purposes = profile::leaf_extensions(&[crate::Usage::ServerAuth])
        .unwrap()
        .remove(1);
    for (rule, extensions) in [
        (
            "ca-constraints-critical",
            vec![
                basic(false),
                signs.clone(),
                identifiers[0].clone(),
                identifiers[1].clone(),
            ],
        ),
        (
            "ca-key-usage",
            vec![basic(true), identifiers[0].clone(), identifiers[1].clone()],
        ),
        (
            "ca-cert-sign",
            vec![
                basic(true),
                extension(true, &KeyUsage(KeyUsages::CRLSign.into())),
                identifiers[0].clone(),
                identifiers[1].clone(),
            ],
        ),
        (
            "ca-key-id",
            vec![basic(true), signs.clone(), identifiers[1].clone()],
        ),
        (
            "authority-key-id",
            vec![basic(true), signs.clone(), identifiers[0].clone()],
        ),
        (
            "ca-purposes",
            vec![
                basic(true),
                signs.clone(),
                purposes,
                identifiers[0].clone(),
                identifiers[1].clone(),
            ],
        ),
    ] {
        let names = (&subject, &subject);
        let ca = sign_with_serial(
            serial().unwrap(),
            &key,
            names,
            key.public_key(),
            validity,
            extensions,
        )
        .unwrap();
        let found = certificates(&[ca], now());
        let rules: Vec<_> = found.iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, [rule]);
    }
}

#[test]
fn faults_between_certificates() {
    let forge = Forge::new();
    let (one, two) = (forge.certificate(), forge.certificate());
    let found = certificates(&[one.clone(), two, one.clone()], now());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].rule, "serial-twice");
    // An impostor of the issuer's name.
    let impostor = Authority::create(&AuthoritySpec::new(name("ca")), now()).unwrap();
    let found = certificates(&[one.clone(), impostor.certificate().clone()], now());
    assert_eq!(found[0].rule, "issuer-signature");
    // With the right one beside it, all is well.
    let all = [
        one,
        impostor.certificate().clone(),
        forge.ca.certificate().clone(),
    ];
    assert_eq!(certificates(&all, now()), []);

    let later = now() + Duration::from_secs(4000 * 86_400);
    let found = certificates(&all, later);
    assert!(found.iter().all(|finding| finding.rule == "expired"));
    assert_eq!(found.len(), 3);
}

#[test]
fn findings_name_their_source() {
    let mut forge = Forge::new();
    forge.without::<SubjectAltName>();
    let found = certificates(&[forge.certificate()], now());
    assert_eq!(
        found[0].to_string(),
        "error[server-names]: `web`: is a server's without alternative names, which clients refuse (RFC 9525 6.3; Go 1.15)"
    );
}
