//! What is wrong with authorities: what they are, how they are known, how deep, and extensions.

use x509_cert::ext::pkix::KeyUsages;

use super::super::forge::{Extension, sequence, tlv};
use super::super::model::*;
use super::*;

pub(super) fn authorities(rows: &mut Vec<Row>) {
    for place in [LOWER, UPPER, ROOT] {
        let here = at(place);
        let basic_group = format!("{here} basic");
        rows.push(
            Row::new(
                format!("{here}: no basicConstraints"),
                &basic_group,
                but_webpki_at_root(place),
                Lint::Error("issuer-no-authority"),
                move |model| model.chain[place].remove(BASIC),
            )
            .because(ANCHOR),
        );
        rows.push(
            Row::new(
                format!("{here}: cA is false"),
                &basic_group,
                but_webpki_at_root(place),
                Lint::Error("issuer-no-authority"),
                move |model| model.chain[place].set(basic(false, None)),
            )
            .because(ANCHOR),
        );
        rows.push(
            Row::new(
                format!("{here}: basicConstraints not critical"),
                &basic_group,
                OPENSSL,
                Lint::Error("ca-constraints-critical"),
                move |model| model.chain[place].extension(BASIC).critical = false,
            )
            .because(STRICT),
        );
        let usage_group = format!("{here} key usage");
        rows.push(
            Row::new(
                format!("{here}: no keyUsage"),
                &usage_group,
                OPENSSL,
                Lint::Error("ca-key-usage"),
                move |model| model.chain[place].remove(KEY_USAGE),
            )
            .because(STRICT),
        );
        rows.push(
            Row::new(
                format!("{here}: keyUsage without keyCertSign"),
                &usage_group,
                OPENSSL_GO,
                Lint::Error("ca-cert-sign"),
                move |model| {
                    let usage = KeyUsages::CRLSign | KeyUsages::DigitalSignature;
                    model.chain[place].set(key_usage(usage));
                },
            )
            .because("OpenSSL and Go: webpki reads the keyUsage of authorities for lists alone"),
        );
        let purposes_group = format!("{here} purposes");
        rows.push(
            Row::new(
                format!("{here}: purposes lack the one that is asked"),
                &purposes_group,
                but_webpki_at_root(place),
                Lint::Error("issuer-purposes"),
                move |model| model.chain[place].set(purposes(&[CLIENT_AUTH])),
            )
            .because(ANCHOR),
        );
        rows.push(
            Row::new(
                format!("{here}: any purpose, and none by name"),
                &purposes_group,
                if place == ROOT {
                    OPENSSL
                } else {
                    OPENSSL_WEBPKI
                },
                Lint::Error("issuer-purposes"),
                move |model| model.chain[place].set(purposes(&[ANY_PURPOSE])),
            )
            .because(
                "OpenSSL and webpki: to them any purpose is not one of those that a TLS peer wants",
            ),
        );
        rows.push(Row::new(
            format!("{here}: purposes that hold those of the leaf"),
            &purposes_group,
            NOBODY,
            Lint::Clean,
            move |model| model.chain[place].set(purposes(&[SERVER_AUTH, CLIENT_AUTH])),
        ));
    }
}

pub(super) fn identifiers(rows: &mut Vec<Row>) {
    for place in [LEAF, LOWER, UPPER] {
        let here = at(place);
        let group = format!("{here} authority key");
        rows.push(
            Row::new(
                format!("{here}: no authorityKeyIdentifier"),
                &group,
                OPENSSL,
                Lint::Error("authority-key-id"),
                move |model| model.chain[place].remove(AUTHORITY_KEY),
            )
            .because(STRICT)
            .still_issues_if(place == LEAF),
        );
        rows.push(
            Row::new(
                format!("{here}: authorityKeyIdentifier of another key"),
                &group,
                OPENSSL,
                Lint::Error("authority-key-id-mismatch"),
                move |model| model.chain[place].set(authority_key(&[9; 20])),
            )
            .because("OpenSSL, strict or not: it looks for the issuer by it")
            .still_issues_if(place == LEAF),
        );
    }
    rows.push(Row::new(
        "root: no authorityKeyIdentifier",
        "root authority key",
        NOBODY,
        Lint::Clean,
        |model| model.chain[ROOT].remove(AUTHORITY_KEY),
    ));
    for place in [LOWER, UPPER, ROOT] {
        let here = at(place);
        rows.push(
            Row::new(
                format!("{here}: no subjectKeyIdentifier"),
                format!("{here} subject key"),
                OPENSSL,
                Lint::Error("ca-key-id"),
                move |model| model.chain[place].remove(SUBJECT_KEY),
            )
            .because(STRICT),
        );
    }
    rows.push(Row::new(
        "leaf: no subjectKeyIdentifier",
        "leaf subject key",
        NOBODY,
        Lint::Clean,
        |model| model.chain[LEAF].remove(SUBJECT_KEY),
    ));
}

pub(super) fn depth(rows: &mut Vec<Row>) {
    for (place, length, refusing) in [
        (ROOT, Some(2), NOBODY),
        (ROOT, Some(1), OPENSSL_GO),
        (ROOT, Some(0), OPENSSL_GO),
        (UPPER, None, NOBODY),
        (UPPER, Some(0), ALL),
        (LOWER, None, NOBODY),
    ] {
        let shown = length.map_or("none".to_owned(), |length: u8| length.to_string());
        let lint = match refusing.any() {
            true => Lint::Error("path-length"),
            false => Lint::Clean,
        };
        rows.push(
            Row::new(
                format!("{}: path length {shown}", at(place)),
                format!("{} basic", at(place)),
                refusing,
                lint,
                move |model| model.chain[place].set(basic(true, length)),
            )
            .because(ANCHOR),
        );
    }
}

pub(super) fn extensions(rows: &mut Vec<Row>) {
    for place in [LEAF, LOWER, UPPER, ROOT] {
        let here = at(place);
        rows.push(
            Row::new(
                format!("{here}: critical unknown extension"),
                format!("{here} unknown"),
                but_webpki_at_root(place),
                Lint::Error("critical-unknown"),
                move |model| {
                    model.chain[place].set(Extension::raw("1.2.3.4", true, vec![5, 0]));
                },
            )
            .because(ANCHOR),
        );
        rows.push(Row::new(
            format!("{here}: unknown extension"),
            format!("{here} unknown"),
            NOBODY,
            Lint::Clean,
            move |model| model.chain[place].set(Extension::raw("1.2.3.4", false, vec![5, 0])),
        ));
        rows.push(
            Row::new(
                format!("{here}: critical certificatePolicies"),
                format!("{here} policies"),
                if place == ROOT { NOBODY } else { WEBPKI },
                if place == ROOT {
                    Lint::Clean
                } else {
                    Lint::Error("critical-unknown")
                },
                move |model| {
                    let any = tlv(6, &[&[0x55, 0x1d, 0x20, 0]]);
                    let value = sequence(&[&sequence(&[&any])]);
                    model.chain[place].set(Extension::raw("2.5.29.32", true, value));
                },
            )
            .because("webpki: it knows no policies, so they must not be critical for rustls"),
        );
        rows.push(
            Row::new(
                format!("{here}: an extension twice"),
                format!("{here} twice, {here} key usage"),
                ALL,
                Lint::Error("extension-twice"),
                move |model| {
                    let again = model.chain[place].extension(KEY_USAGE).clone();
                    model.chain[place].extensions.push(again);
                },
            )
            .because("OpenSSL and Go"),
        );
        for (what, oid) in [("authority", AUTHORITY_KEY), ("subject", SUBJECT_KEY)] {
            rows.push(
                Row::new(
                    format!("{here}: {what}KeyIdentifier critical"),
                    format!("{here} {what} key"),
                    but_webpki_at_root(place),
                    Lint::Error("key-id-critical"),
                    move |model| model.chain[place].extension(oid).critical = true,
                )
                .because(ANCHOR),
            );
        }
    }
}
