//! Revocation lists.

use x509_cert::ext::pkix::KeyUsages;

use super::super::forge::{DAY, Extension, NOW, new_key};
use super::super::model::*;
use super::*;

/// Go reads no lists when it verifies.
fn by_list(openssl: bool, webpki: bool) -> Refusing {
    Refusing {
        openssl,
        go: None,
        webpki,
    }
}

pub(super) fn lists(rows: &mut Vec<Row>) {
    let mut row = |name: &str, refusing, why, change: fn(&mut Model)| {
        let group = "list, lower key usage";
        let row = Row::new(
            format!("list: {name}"),
            group,
            refusing,
            Lint::Blind,
            change,
        );
        rows.push(row.because(why));
        rows.len() - 1
    };
    row("of nobody", by_list(false, false), "", |model| {
        model.lists.push(Model::list());
    });
    row("of the leaf", by_list(true, true), "", |model| {
        let mut list = Model::list();
        list.serials.push(model.chain[LEAF].serial.clone());
        model.lists.push(list);
    });
    row("of another", by_list(false, false), "", |model| {
        let mut list = Model::list();
        list.serials.push(vec![0x70, 1]);
        model.lists.push(list);
    });
    row("stale", by_list(true, true), "", |model| {
        let mut list = Model::list();
        list.next_update = Some(NOW - 1);
        model.lists.push(list);
    });
    row(
        "of tomorrow",
        by_list(true, false),
        "OpenSSL: it says nothing yet; webpki does not look at its beginning",
        |model| {
            let mut list = Model::list();
            list.this_update = NOW + DAY;
            list.next_update = Some(NOW + 2 * DAY);
            model.lists.push(list);
        },
    );
    row(
        "without an end",
        by_list(false, true),
        "webpki: RFC 5280 5.1.2.5 demands it, and a list that never ends hides all that is revoked later",
        |model| {
            let mut list = Model::list();
            list.next_update = None;
            model.lists.push(list);
        },
    );
    row(
        "the old one, and a later one of the leaf",
        by_list(true, false),
        "OpenSSL: the latest counts; webpki takes the first of the name",
        |model| {
            model.lists.push(Model::list());
            let mut later = Model::list();
            later.this_update = NOW - 1;
            later.number = 2;
            later.serials.push(model.chain[LEAF].serial.clone());
            model.lists.push(later);
        },
    );
    row(
        "a stale one, and one that is in date",
        by_list(false, true),
        "OpenSSL: the one that is in date counts; webpki takes the first of the name",
        |model| {
            let mut stale = Model::list();
            stale.this_update = NOW - 3 * DAY;
            stale.next_update = Some(NOW - 2 * DAY);
            model.lists.push(stale);
            model.lists.push(Model::list());
        },
    );
    row(
        "of the right name, signed by another key",
        by_list(true, true),
        "",
        |model| {
            let mut list = Model::list();
            list.other_signer = Some(new_key());
            model.lists.push(list);
        },
    );
    row(
        "of another authority alone",
        by_list(true, false),
        "webpki: it says nothing of the leaf, and whether one must be there is for whoever asks to say",
        |model| {
            let mut list = Model::list();
            list.issuer = UPPER;
            model.lists.push(list);
        },
    );
    row(
        "by an authority that may not sign lists",
        by_list(true, true),
        "",
        |model| {
            model.lists.push(Model::list());
            model.chain[LOWER].set(key_usage(KeyUsages::KeyCertSign.into()));
        },
    );
    row(
        "with a critical extension that nobody knows",
        by_list(true, true),
        "",
        |model| {
            let mut list = Model::list();
            list.extensions
                .push(Extension::raw("1.2.3.4", true, vec![5, 0]));
            model.lists.push(list);
        },
    );
    for row in rows.iter_mut() {
        match &row.name[..] {
            // The list of the latest date counts, and one is.
            "list: a stale one, and one that is in date" => row.ours = false,
            "list: of another authority alone" => row.ours = false,
            _ => {}
        }
    }
}
