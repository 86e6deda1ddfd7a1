//! Names against name constraints.

use x509_cert::ext::pkix::NameConstraints;

use super::super::forge::{Extension, common_name};
use super::super::model::*;
use super::*;

pub(super) fn names_and_constraints(rows: &mut Vec<Row>) {
    let clean = Lint::Clean;
    let refused = Lint::Error("name-constraint");
    let unread = Lint::Error("name-constraint-unread");
    for place in [LOWER, UPPER, ROOT] {
        let mut row = |name: &str, refusing, lint, make: fn() -> Extension| {
            rows.push(Row::new(
                format!("{}: {name}", at(place)),
                format!("{} constraints", at(place)),
                refusing,
                lint,
                move |model| model.chain[place].set(make()),
            ));
        };
        row("another domain permitted", ALL, refused, || {
            constraints(&[dns("example.org")], &[])
        });
        row("the domain permitted", NOBODY, clean, || {
            constraints(&[dns("example.com")], &[])
        });
        row("the name's own domain excluded", ALL, refused, || {
            constraints(&[], &[dns("example.com")])
        });
        row("another domain excluded", NOBODY, clean, || {
            constraints(&[], &[dns("example.org")])
        });
        row("permitted and excluded", ALL, refused, || {
            constraints(&[dns("example.com")], &[dns(HOST)])
        });
        row(
            "what is below the name alone permitted",
            ALL,
            refused,
            || constraints(&[dns(".web.example.com")], &[]),
        );
        row(
            "an address permitted, no names bound",
            NOBODY,
            clean,
            || constraints(&[ip(&[10, 0, 0, 0, 255, 0, 0, 0])], &[]),
        );
    }
    // Each with names of its own.
    type Names = fn() -> Vec<x509_cert::ext::pkix::name::GeneralName>;
    let mut pair = |name: &str,
                    refusing: Refusing,
                    lint: Lint,
                    sans: Names,
                    limit: fn() -> Extension,
                    why: &'static str| {
        let mut row = Row::new(
            format!("upper: {name}"),
            "upper constraints, leaf names",
            refusing,
            lint,
            move |model| {
                model.chain[LEAF].set(names(&sans()));
                model.chain[UPPER].set(limit());
            },
        )
        .because(why);
        row.still_issues = lint == Lint::Error("name-constraint-unread");
        rows.push(row);
    };
    let ten = || constraints(&[ip(&[10, 0, 0, 0, 255, 0, 0, 0])], &[]);
    pair(
        "address inside",
        NOBODY,
        clean,
        || vec![dns(HOST), ip(&[10, 1, 1, 1])],
        ten,
        "",
    );
    pair(
        "address outside",
        ALL,
        refused,
        || vec![dns(HOST), ip(&[11, 1, 1, 1])],
        ten,
        "",
    );
    pair(
        "address of the other version",
        ALL,
        refused,
        || vec![dns(HOST), ip(&[0; 16])],
        ten,
        "",
    );
    pair(
        "address excluded",
        ALL,
        refused,
        || vec![dns(HOST), ip(&[10, 1, 1, 1])],
        || constraints(&[], &[ip(&[10, 0, 0, 0, 255, 0, 0, 0])]),
        "",
    );
    pair(
        "wildcard in a permitted domain",
        NOBODY,
        clean,
        || vec![dns(HOST), dns("*.example.com")],
        || constraints(&[dns("example.com")], &[]),
        "",
    );
    pair(
        "wildcard wider than what is permitted",
        ALL,
        refused,
        || vec![dns(HOST), dns("*.example.com")],
        || constraints(&[dns(HOST)], &[]),
        "",
    );
    pair(
        "wildcard that reaches into what is excluded",
        GO_WEBPKI,
        refused,
        || vec![dns(HOST), dns("*.example.com")],
        || constraints(&[], &[dns("secret.example.com")]),
        "Go and webpki (CVE-2025-61727): the wildcard may be the excluded name",
    );
    const UNREAD: &str = "webpki: it does not read such constraints, so below them rustls refuses every such name; issue follows the others";
    pair(
        "URI inside",
        WEBPKI,
        unread,
        || vec![dns(HOST), uri("spiffe://example.com/x")],
        || constraints(&[uri("example.com")], &[]),
        UNREAD,
    );
    pair(
        "URI outside",
        ALL,
        refused,
        || vec![dns(HOST), uri("spiffe://example.org/x")],
        || constraints(&[uri("example.com")], &[]),
        "",
    );
    pair(
        "URI of another host than the excluded",
        WEBPKI,
        unread,
        || vec![dns(HOST), uri("spiffe://example.com/x")],
        || constraints(&[], &[uri("example.org")]),
        UNREAD,
    );
    pair(
        "URI of an address",
        GO,
        refused,
        || vec![dns(HOST), uri("https://10.0.0.1/x")],
        || constraints(&[dns("example.com")], &[]),
        "Go: it refuses a URI without a domain below any constraint",
    );
    pair(
        "mail address inside",
        WEBPKI,
        unread,
        || vec![dns(HOST), mail("a@example.com")],
        || constraints(&[mail("example.com")], &[]),
        UNREAD,
    );
    pair(
        "mail address outside",
        ALL,
        refused,
        || vec![dns(HOST), mail("a@example.org")],
        || constraints(&[mail("example.com")], &[]),
        "",
    );
    pair(
        "directory name inside",
        GO_WEBPKI,
        refused,
        || vec![dns(HOST)],
        || constraints(&[directory(&[("2.5.4.10", "Lab")])], &[]),
        "Go and webpki: they do not read such constraints, and refuse all that is below",
    );
    pair(
        "directory name outside",
        ALL,
        refused,
        || vec![dns(HOST)],
        || constraints(&[directory(&[("2.5.4.10", "Other")])], &[]),
        "",
    );
    let form = Lint::Error("constraints-form");
    pair(
        "constraints that are empty",
        GO,
        form,
        || vec![dns(HOST)],
        || constraints(&[], &[]),
        "Go: RFC 5280 4.2.1.10 demands one",
    );
    pair(
        "a mask with a hole",
        GO_WEBPKI,
        form,
        || vec![dns(HOST), ip(&[10, 1, 1, 1])],
        || constraints(&[ip(&[10, 0, 0, 0, 255, 0, 255, 0]), ip(&[0; 8])], &[]),
        "Go and webpki: it is no network",
    );
    pair(
        "a distance",
        OPENSSL_WEBPKI,
        form,
        || vec![dns(HOST)],
        || {
            let mut extension = constraints(&[dns("example.com")], &[]);
            use x509_cert::der::{Decode, Encode};
            let mut value = NameConstraints::from_der(&extension.value).unwrap();
            value.permitted_subtrees.as_mut().unwrap()[0].minimum = 1;
            extension.value = value.to_der().unwrap();
            extension
        },
        "OpenSSL and webpki: RFC 5280 4.2.1.10 has none",
    );
    rows.push(
        Row::new(
            "upper: a client whose common name is a domain outside",
            "upper constraints, leaf names, leaf subject, leaf purposes",
            OPENSSL,
            refused,
            |model| {
                model.asked = Asked::Client;
                model.chain[LEAF].subject = common_name("client.example.org");
                model.chain[LEAF].remove(NAMES);
                model.chain[LEAF].set(purposes(&[CLIENT_AUTH]));
                model.chain[UPPER].set(constraints(&[dns("example.com")], &[]));
            },
        )
        .because("OpenSSL: without DNS names, a common name that looks like one is taken for it"),
    );
}
