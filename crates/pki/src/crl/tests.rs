//! Lists of ours, and what is carried on of lists of others.

use super::*;
use crate::{AuthoritySpec, CommonName, Leaf};

#[test]
fn lists_hold_what_was_revoked() {
    let now = SystemTime::now();
    let name = |name| CommonName::try_from(name).unwrap();
    let ca = Authority::create(&AuthoritySpec::new(name("ca")), now).unwrap();
    let other = Authority::create(&AuthoritySpec::new(name("other")), now).unwrap();
    let leaf = ca.issue(&Leaf::client(name("x")), now).unwrap();
    let certificate = leaf.certificate();
    let week = Lifetime::days(7);

    let list = ca.revoke([certificate, certificate], 2, week, now).unwrap();
    assert_eq!(list.serials(), [certificate.serial()]);
    assert!(list.next_update().unwrap() > now);
    for bytes in [list.as_der(), list.to_pem().as_bytes()] {
        assert_eq!(RevocationList::parse(bytes).unwrap(), list);
    }

    let empty = ca.revoke([], 1, week, now).unwrap();
    assert_eq!(empty.parsed.tbs_cert_list.revoked_certificates, None);
    assert!(matches!(
        other.revoke([certificate], 1, week, now),
        Err(Error::Refused { .. })
    ));
}

/// A list of others, made of one of ours by `change`.
fn changed(
    ca: &Authority,
    list: &RevocationList,
    change: impl FnOnce(&mut TbsCertList),
) -> RevocationList {
    let mut parsed = list.parsed.clone();
    change(&mut parsed.tbs_cert_list);
    let signature = ca.key().sign(&parsed.tbs_cert_list.to_der().unwrap());
    parsed.signature = BitString::from_bytes(&signature.unwrap()).unwrap();
    RevocationList::parse(&parsed.to_der().unwrap()).unwrap()
}

fn extension(oid: &str, critical: bool, value: &[u8]) -> Extension {
    Extension {
        extn_id: oid.parse().unwrap(),
        critical,
        extn_value: OctetString::new(value).unwrap(),
    }
}

#[test]
fn what_a_list_of_others_says_is_carried_or_refused() {
    let now = SystemTime::now();
    let name = CommonName::try_from("ca").unwrap();
    let ca = Authority::create(&AuthoritySpec::new(name), now).unwrap();
    let week = Lifetime::days(7);
    let serial = |hex| Revocation::of_serial(hex, RevocationReason::Superseded).unwrap();
    let first = ca.revoke_more(None, [serial("0a")], week, now).unwrap();
    let of_entry = |list: &mut TbsCertList, all: Vec<Extension>| {
        list.revoked_certificates.as_mut().unwrap()[0].crl_entry_extensions = Some(all);
    };
    // Reasons by number: certificateHold, aACompromise, removeFromCRL, and one that nobody knows; an invalidityDate.
    for number in [6, 10, 8, 77] {
        let said = vec![
            extension("2.5.29.21", false, &[0x0a, 1, number]),
            extension("2.5.29.24", false, b"\x18\x0f20260101000000Z"),
        ];
        let theirs = changed(&ca, &first, |list| of_entry(list, said.clone()));
        let next = ca.revoke_more(Some(&theirs), [serial("0b")], week, now);
        let next = next.unwrap();
        let entries = next.parsed.tbs_cert_list.revoked_certificates.as_ref();
        let found = &entries.unwrap()[0];
        assert_eq!(found.crl_entry_extensions.as_ref(), Some(&said), "{number}");
        assert_eq!(next.revocations()[..1], theirs.revocations()[..]);
        let reason = match number {
            6 => RevocationReason::CertificateHold,
            10 => RevocationReason::AaCompromise,
            _ => RevocationReason::Unspecified,
        };
        assert_eq!(next.revocations()[0].reason(), reason);
    }
    // What stands for other entries too, and what says that the list is of a part.
    let other_issuer = extension("2.5.29.29", true, &[0x30, 0]);
    let theirs = changed(&ca, &first, |list| of_entry(list, vec![other_issuer]));
    let error = ca.revoke_more(Some(&theirs), [], week, now).unwrap_err();
    assert!(matches!(error, Error::WouldLose { .. }), "{error}");
    let add = |added: Extension| {
        changed(&ca, &first, |list| {
            list.crl_extensions.as_mut().unwrap().push(added);
        })
    };
    let theirs = add(extension("2.5.29.28", true, &[0x30, 3, 0x81, 1, 0xff]));
    let error = ca.revoke_more(Some(&theirs), [], week, now).unwrap_err();
    assert!(error.to_string().contains("2.5.29.28"), "{error}");
    let freshest = extension("2.5.29.46", false, &[0x30, 0]);
    let theirs = add(freshest.clone());
    let next = ca.revoke_more(Some(&theirs), [], week, now).unwrap();
    assert_eq!(next.extensions().last(), Some(&freshest));
}

#[test]
fn numbers_grow_whatever_their_length() {
    let now = SystemTime::now();
    let name = CommonName::try_from("ca").unwrap();
    let ca = Authority::create(&AuthoritySpec::new(name), now).unwrap();
    let week = Lifetime::days(7);
    let first = ca.revoke_more(None, [], week, now).unwrap();
    let numbered = |octets: &[u8]| {
        let number = crl_number(Uint::new(octets).unwrap()).unwrap();
        changed(&ca, &first, |list| {
            list.crl_extensions.as_mut().unwrap()[1] = number;
        })
    };
    let mut largest = [0xff; 20];
    largest[0] = 0x7f;
    let mut before_largest = largest;
    before_largest[19] = 0xfe;
    for (octets, next) in [
        (&[0][..], &[1][..]),
        (&[0xff], &[1, 0]),
        (&[0xff; 8], &[1, 0, 0, 0, 0, 0, 0, 0, 0]),
        (&[1, 0, 0, 0, 0, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 0, 0, 0, 1]),
        (&before_largest, &largest),
    ] {
        let list = ca.revoke_more(Some(&numbered(octets)), [], week, now);
        let found = list.unwrap().whole_number().unwrap().unwrap();
        assert_eq!(found.as_bytes(), next);
    }
    let error = ca.revoke_more(Some(&numbered(&largest)), [], week, now);
    assert!(matches!(error, Err(Error::Invalid { .. })));
    // One that cannot be read is not taken for none.
    let negative = changed(&ca, &first, |list| {
        list.crl_extensions.as_mut().unwrap()[1] = extension("2.5.29.20", false, &[2, 1, 0xff]);
    });
    assert!(ca.revoke_more(Some(&negative), [], week, now).is_err());
    assert_eq!(negative.number(), None);
}
