//! What holds for all inputs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caravan_pki::verify::{Purpose, Verifier};
use caravan_pki::{
    Authority, AuthoritySpec, Certificate, CertificateRequest, CommonName, DnsName, Error, Leaf,
    Lifetime, Organization, PrivateKey, PublicKey, RevocationList, San, Sans, Uri, inspect, lint,
};
use proptest::prelude::*;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// One authority for all cases: from 2001 to 2286.
fn authority() -> &'static Authority {
    static AUTHORITY: std::sync::OnceLock<Authority> = std::sync::OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let spec = AuthoritySpec::new(CommonName::try_from("ca").unwrap())
            .with_lifetime(Lifetime::days(104_000));
        Authority::create(&spec, at(1_000_000_000)).unwrap()
    })
}

fn common_names() -> impl Strategy<Value = CommonName> {
    "[^\\p{C}]{1,64}".prop_filter_map("valid", |text| CommonName::try_from(text.as_str()).ok())
}

fn names() -> impl Strategy<Value = San> {
    let label = "[a-z]([a-z0-9-]{0,20}[a-z0-9])?";
    let dns = proptest::collection::vec(label, 1..5).prop_map(|labels| labels.join("."));
    prop_oneof![
        dns.prop_filter_map("valid", |name| DnsName::try_from(name.as_str())
            .ok()
            .map(San::Dns)),
        any::<[u8; 4]>().prop_map(|octets| San::from(std::net::IpAddr::from(octets))),
        any::<[u8; 16]>().prop_map(|octets| San::from(std::net::IpAddr::from(octets))),
        "spiffe://[a-z]{1,10}/[a-z0-9/]{0,20}".prop_filter_map("valid", |uri| {
            Uri::try_from(uri.as_str()).ok().map(San::Uri)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is valid is signed, read back as it was, accepted by webpki, and clean to our lint.
    #[test]
    fn what_is_asked_is_what_is_signed(
        common_name in common_names(),
        organizations in proptest::collection::vec(common_names(), 0..3),
        names in proptest::collection::vec(names(), 1..8),
        start in 1_000_000_000u64..9_000_000_000,
        days in 1u32..1000,
    ) {
        let sans = Sans::new(names).unwrap();
        let mut leaf = Leaf::peer(common_name.clone(), sans.clone()).with_lifetime(Lifetime::days(days));
        for name in &organizations {
            leaf = leaf.with_organization(Organization::try_from(name.as_str()).unwrap());
        }
        let now = at(start);
        let identity = authority().issue(&leaf, now).unwrap();
        let read = Certificate::from_pem(identity.certificate_pem().as_bytes()).unwrap();
        prop_assert_eq!(&read, identity.certificate());
        prop_assert_eq!(read.common_names(), [common_name.as_str()]);
        let shown: Vec<&str> = organizations.iter().map(CommonName::as_str).collect();
        prop_assert_eq!(read.organizations(), shown);
        prop_assert_eq!(&read.sans(), &sans.iter().cloned().collect::<Vec<_>>());
        prop_assert_eq!(&Leaf::from_certificate(&read).unwrap(), &leaf);

        let validity = read.validity();
        prop_assert!(validity.contains(now));
        let ends = [validity.not_before(), validity.not_after()];
        let outside = [ends[0] - Duration::from_secs(1), ends[1] + Duration::from_secs(1)];
        let verifier = Verifier::new([authority().certificate()]);
        for name in sans.iter() {
            let purpose = Purpose::Server(name.clone());
            for time in ends {
                prop_assert!(verifier.verify(&[&read], &purpose, time).is_ok(), "{name}");
            }
            for time in outside {
                prop_assert!(verifier.verify(&[&read], &purpose, time).is_err(), "{name}");
            }
        }
        let all = [authority().certificate().clone(), read];
        let findings = lint::certificates(&all, now);
        let bad: Vec<_> = findings
            .iter()
            .filter(|finding| !["due", "system-masters"].contains(&finding.rule))
            .collect();
        prop_assert!(bad.is_empty(), "{bad:?}");
    }

    /// Text never becomes more than the one name it was given as.
    #[test]
    fn text_is_one_name_or_none(text in ".{0,80}") {
        if let Ok(name) = CommonName::try_from(text.as_str()) {
            let leaf = Leaf::client(name);
            let made = authority().issue(&leaf, at(1_500_000_000)).unwrap();
            prop_assert_eq!(made.certificate().common_names(), [text]);
            prop_assert!(made.certificate().organizations().is_empty());
        }
    }

    /// What a DNS name accepts, it accepts again, unchanged.
    #[test]
    fn names_are_stable(text in "[ -~]{0,40}") {
        if let Ok(san) = San::try_from(text.as_str()) {
            let again = San::try_from(san.to_string().as_str()).unwrap();
            prop_assert_eq!(san, again);
        }
    }

    /// No parser panics, whatever it is fed.
    #[test]
    fn parsers_return(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Certificate::from_der(&bytes);
        let _ = CertificateRequest::from_der(&bytes);
        let _ = RevocationList::parse(&bytes);
        let _ = PrivateKey::from_pkcs8_der(&bytes);
        let _ = PublicKey::from_der(&bytes);
        let _ = inspect::read(&bytes);
    }

    /// A certificate with any one octet changed is another certificate or none, and never signed by its issuer.
    #[test]
    fn changes_are_noticed(at_octet in any::<proptest::sample::Index>(), bit in 0u8..8) {
        let leaf = Leaf::client(CommonName::try_from("x").unwrap());
        let made = authority().issue(&leaf, at(1_500_000_000)).unwrap();
        let mut der = made.certificate().as_der().to_vec();
        let index = at_octet.index(der.len());
        der[index] ^= 1 << bit;
        if let Ok(changed) = Certificate::from_der(&der) {
            let signed = changed.is_signed_by(authority().certificate());
            prop_assert!(!matches!(signed, Ok(true)), "octet {index} bit {bit}");
            let _ = lint::certificates(std::slice::from_ref(&changed), at(1_500_000_000));
            let _ = inspect::Inspection::of(&changed, at(1_500_000_000));
        }
    }

    /// Nothing outlives its issuer, and nothing is signed outside its time.
    #[test]
    fn issuers_bound_their_certificates(offset in 0u64..20_000_000_000, days in 1u32..200_000) {
        let leaf = Leaf::client(CommonName::try_from("x").unwrap()).with_lifetime(Lifetime::days(days));
        let own = authority().certificate().validity();
        match authority().issue(&leaf, at(offset)) {
            Ok(made) => {
                let validity = made.certificate().validity();
                prop_assert!(validity.not_before() >= own.not_before());
                prop_assert!(validity.not_after() <= own.not_after());
            }
            Err(Error::OutlivesIssuer { .. } | Error::Expired { .. } | Error::NotYetValid { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
