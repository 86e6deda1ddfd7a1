//! What is wrong with leaves.

use x509_cert::ext::pkix::KeyUsages;

use super::super::forge::{name, sequence, spki, tlv};
use super::super::model::*;
use super::*;

const RSA: &str = "1.2.840.113549.1.1.1";
const EC: &str = "1.2.840.10045.2.1";
/// Object identifiers of curves, in DER.
const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x22];

pub(super) fn leaves(rows: &mut Vec<Row>) {
    let mut row = |name: &str, group: &str, refusing, lint, change: fn(&mut Model)| -> usize {
        rows.push(Row::new(
            format!("leaf: {name}"),
            format!("leaf {group}"),
            refusing,
            lint,
            change,
        ));
        rows.len() - 1
    };
    let strict = [
        row(
            "keyUsage with keyCertSign",
            "key usage",
            OPENSSL,
            Lint::Error("leaf-cert-sign"),
            |model| {
                let usage = KeyUsages::DigitalSignature | KeyUsages::KeyCertSign;
                model.chain[LEAF].set(key_usage(usage));
            },
        ),
        row(
            "a path length",
            "basic",
            OPENSSL,
            Lint::Error("leaf-path-length"),
            |model| model.chain[LEAF].set(basic(false, Some(0))),
        ),
        row(
            "empty subject, names not critical",
            "subject, leaf names",
            OPENSSL,
            Lint::Error("san-critical"),
            |model| model.chain[LEAF].subject = name(&[]),
        ),
        row(
            "a client without subject and names",
            "names, leaf subject",
            OPENSSL,
            Lint::Error("subject-empty"),
            |model| {
                model.asked = Asked::Client;
                model.chain[LEAF].subject = name(&[]);
                model.chain[LEAF].remove(NAMES);
            },
        ),
    ];
    let usage = [
        row(
            "a client whose key may only encipher",
            "key usage",
            OPENSSL,
            Lint::Error("key-usage-purpose"),
            |model| {
                model.asked = Asked::Client;
                model.chain[LEAF].set(key_usage(KeyUsages::KeyEncipherment.into()));
            },
        ),
        row(
            "a server whose key may only sign lists",
            "key usage",
            OPENSSL,
            Lint::Error("key-usage-purpose"),
            |model| model.chain[LEAF].set(key_usage(KeyUsages::CRLSign.into())),
        ),
    ];
    row(
        "a server whose key may only encipher",
        "key usage",
        NOBODY,
        // A client, which it may be too, it cannot be.
        Lint::Error("key-usage-purpose"),
        |model| model.chain[LEAF].set(key_usage(KeyUsages::KeyEncipherment.into())),
    );
    row("no keyUsage", "key usage", NOBODY, Lint::Clean, |model| {
        model.chain[LEAF].remove(KEY_USAGE);
    });
    row("no purposes", "purposes", NOBODY, Lint::Clean, |model| {
        model.chain[LEAF].remove(PURPOSES);
    });
    row("other purposes", "purposes", ALL, Lint::Blind, |model| {
        model.chain[LEAF].set(purposes(&[CLIENT_AUTH]))
    });
    let any = row(
        "any purpose, and none by name",
        "purposes",
        OPENSSL_WEBPKI,
        Lint::Error("purposes-any"),
        |model| model.chain[LEAF].set(purposes(&[ANY_PURPOSE])),
    );
    let empty = row(
        "an empty list of purposes",
        "purposes",
        OPENSSL_WEBPKI,
        Lint::Error("purposes-empty"),
        |model| model.chain[LEAF].set(purposes(&[])),
    );
    let authority = row(
        "an authority's own certificate",
        "basic, leaf key usage",
        WEBPKI,
        Lint::Blind,
        |model| {
            model.chain[LEAF].set(basic(true, None));
            let usage = KeyUsages::DigitalSignature | KeyUsages::KeyCertSign;
            model.chain[LEAF].set(key_usage(usage));
        },
    );
    row(
        "empty subject, names critical",
        "subject, leaf names",
        NOBODY,
        Lint::Clean,
        |model| {
            model.chain[LEAF].subject = name(&[]);
            model.chain[LEAF].extension(NAMES).critical = true;
        },
    );
    row(
        "no names",
        "names",
        ALL,
        Lint::Error("server-names"),
        |model| model.chain[LEAF].remove(NAMES),
    );
    row("other names", "names", ALL, Lint::Blind, |model| {
        model.chain[LEAF].set(names(&[dns("other.example.com")]));
    });
    row(
        "an empty list of names",
        "names",
        ALL,
        Lint::Error("san-empty"),
        |model| model.chain[LEAF].set(names(&[])),
    );
    let odd = row(
        "an address of three octets",
        "names",
        GO,
        Lint::Error("san-address"),
        |model| model.chain[LEAF].set(names(&[dns(HOST), ip(&[10, 0, 0])])),
    );
    row("a wildcard", "names", NOBODY, Lint::Clean, |model| {
        model.chain[LEAF].set(names(&[dns("*.example.com")]));
    });
    row(
        "serial number zero",
        "serial",
        NOBODY,
        Lint::Error("serial-zero"),
        |model| model.chain[LEAF].serial = vec![0],
    );
    let negative = row(
        "negative serial number",
        "serial",
        GO,
        Lint::Error("serial-negative"),
        |model| model.chain[LEAF].serial = vec![0x80, 2, 3, 4, 5, 6, 7, 8, 9],
    );
    let rsa = |modulus: &[u8], exponent: &[u8]| {
        sequence(&[&tlv(2, &[&[0], modulus]), &tlv(2, &[exponent])])
    };
    let modulus = [0xc5; 256];
    const BY_IT: &str = "OpenSSL and Go: nobody can have signed by it";
    let keys = [
        (
            "a point that is not on its curve",
            OPENSSL_GO,
            BY_IT,
            spki(EC, P256, &[&[4][..], &[1; 64]].concat()),
        ),
        (
            "a point that is not on its curve, P-384",
            OPENSSL_GO,
            BY_IT,
            spki(EC, P384, &[&[4][..], &[1; 96]].concat()),
        ),
        (
            "an RSA key whose algorithm lacks NULL",
            GO,
            "Go: RFC 3279 2.3.1 demands it",
            spki(RSA, &[], &rsa(&modulus, &[1, 0, 1])),
        ),
        (
            "an RSA key with an exponent of 1",
            NOBODY,
            "nobody looks before the handshake, in which Go and rustls refuse it: everybody can sign by it",
            spki(RSA, &[5, 0], &rsa(&modulus, &[1])),
        ),
    ];
    for (name, refusing, why, key) in keys {
        let change = move |model: &mut Model| model.chain[LEAF].other_spki = Some(key.clone());
        let lint = Lint::Error("key-malformed");
        let mut row = Row::new(format!("leaf: {name}"), "leaf key", refusing, lint, change);
        row.ours = true;
        rows.push(row.because(why));
    }
    for index in strict {
        rows[index].why = STRICT;
    }
    for index in usage {
        rows[index].why = "OpenSSL: TLS 1.3 has a server and a client sign";
    }
    rows[any].why = "OpenSSL and webpki: any purpose is not one of those that a TLS peer wants";
    rows[empty].why = "OpenSSL and webpki: RFC 5280 4.2.1.12 demands one";
    rows[authority].why = "webpki: whoever has the key of an authority is not whom it vouches for";
    rows[odd].why = "Go: it is no address";
    rows[negative].why = "Go, since 1.23: RFC 5280 4.1.2.2";
}
