//! Signatures, what is sent, and dates.

use super::super::forge::{ECDSA_SHA384, NOW, common_name, new_key};
use super::super::model::*;
use super::*;

pub(super) fn signatures_and_times(rows: &mut Vec<Row>) {
    for place in [LEAF, LOWER, UPPER] {
        let here = at(place);
        let group = format!("{here} signature");
        rows.push(Row::new(
            format!("{here}: spoilt signature"),
            &group,
            ALL,
            Lint::Error("issuer-signature"),
            move |model| model.chain[place].spoilt = true,
        ));
        rows.push(Row::new(
            format!("{here}: signed by another key"),
            &group,
            ALL,
            Lint::Error("issuer-signature"),
            move |model| model.chain[place].other_signer = Some(new_key()),
        ));
        rows.push(Row::new(
            format!("{here}: names another issuer"),
            format!("{here} issuer"),
            ALL,
            Lint::Blind,
            move |model| model.chain[place].issuer = common_name("somebody else"),
        ));
        rows.push(Row::new(
            format!("{here}: another algorithm inside than outside"),
            format!("{here} algorithm"),
            ALL,
            Lint::Error("algorithm-mismatch"),
            move |model| model.chain[place].inner_algorithm = ECDSA_SHA384,
        ));
    }
    for place in [LOWER, UPPER] {
        rows.push(Row::new(
            format!("{}: not sent along", at(place)),
            format!("{} sent", at(place)),
            ALL,
            Lint::Blind,
            move |model| model.withheld.push(place),
        ));
    }
    for place in [LEAF, LOWER, UPPER, ROOT] {
        let here = at(place);
        let group = format!("{here} time");
        let refusing = but_webpki_at_root(place);
        rows.push(
            Row::new(
                format!("{here}: ended a second ago"),
                &group,
                refusing,
                Lint::Error("expired"),
                move |model| model.chain[place].not_after = NOW - 1,
            )
            .because(ANCHOR),
        );
        rows.push(
            Row::new(
                format!("{here}: begins in a second"),
                &group,
                refusing,
                Lint::Error("not-yet-valid"),
                move |model| model.chain[place].not_before = NOW + 1,
            )
            .because(ANCHOR),
        );
        rows.push(
            Row::new(
                format!("{here}: in its last second"),
                &group,
                OPENSSL,
                Lint::Clean,
                move |model| model.chain[place].not_after = NOW,
            )
            .accepted()
            .because("RFC 5280 4.1.2.5, Go and webpki: the last second belongs to it"),
        );
        rows.push(Row::new(
            format!("{here}: in its first second"),
            &group,
            NOBODY,
            Lint::Clean,
            move |model| model.chain[place].not_before = NOW,
        ));
    }
}
