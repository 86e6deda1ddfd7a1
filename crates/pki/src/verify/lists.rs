//! What revocation lists say about a certificate.
//!
//! webpki takes the first list of an issuer's name, whatever its date; OpenSSL the latest that is in date and signed by the
//! very issuer. So whole lists are judged here, as OpenSSL does, and lists of a part (issuing distribution point) by
//! webpki, which knows which part it is.

use std::time::SystemTime;

use webpki::{
    BorrowedCertRevocationList, CertRevocationList, ExpirationPolicy, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

use super::{Refusal, Refused};
use crate::{Certificate, Error, RevocationList, rfc3339};

/// Refuses `certificate` if the lists of `issuer` among `lists` revoke it, or are none that could be relied on.
pub(super) fn judge(
    lists: &[&RevocationList],
    certificate: &Certificate,
    issuer: &Certificate,
    now: SystemTime,
) -> Result<(), Refused> {
    let unusable = |found: String| Refused {
        refusal: Refusal::UnusableList,
        found,
    };
    let by = issuer.subject_shown();
    let of_name: Vec<&&RevocationList> = lists
        .iter()
        .filter(|list| !list.is_partial() && list.issuer() == issuer.subject())
        .collect();
    if of_name.is_empty() {
        return Ok(());
    }
    if issuer.key_usage().is_some_and(|usage| !usage.crl_sign()) {
        return Err(unusable(format!("`{by}` lacks cRLSign")));
    }
    let mut signed = Vec::new();
    for list in of_name {
        match list.is_signed_by(issuer) {
            Ok(true) => signed.push(list),
            Ok(false) => {}
            Err(Error::UnsupportedSignature { algorithm }) => {
                return Err(Refused {
                    refusal: Refusal::UnsupportedAlgorithm,
                    found: algorithm,
                });
            }
            Err(error) => return Err(unusable(error.to_string())),
        }
    }
    // One of a name that an authority before had says nothing of this one's certificates.
    if signed.is_empty() {
        return Err(unusable(format!(
            "there is one of the name `{by}`, signed by another key"
        )));
    }
    signed.sort_by_key(|list| list.this_update());
    let in_date = signed.iter().rev().find(|list| {
        list.this_update() <= now && list.next_update().is_some_and(|next| now <= next)
    });
    let Some(list) = in_date else {
        let latest = signed
            .last()
            .map(|list| (list.this_update(), list.next_update()));
        return Err(unusable(match latest {
            Some((from, _)) if now < from => {
                format!("that of `{by}` begins at {}", rfc3339(from))
            }
            Some((_, Some(until))) => format!("that of `{by}` ended at {}", rfc3339(until)),
            _ => format!("that of `{by}` does not say when the next is due"),
        }));
    };
    if let Some(extension) = list.unknown_critical() {
        return Err(unusable(format!(
            "that of `{by}` has the critical extension {extension}"
        )));
    }
    if list.revokes(certificate) {
        return Err(Refusal::Revoked.into());
    }
    Ok(())
}

/// The lists of a part of what an authority signed, as webpki reads them.
pub(super) fn partial<'a>(
    lists: &[&'a RevocationList],
) -> Result<Vec<CertRevocationList<'a>>, webpki::Error> {
    let partial = lists.iter().filter(|list| list.is_partial());
    partial
        .map(|list| BorrowedCertRevocationList::from_der(list.as_der()).map(Into::into))
        .collect()
}

/// How webpki is to judge by them.
pub(super) fn options<'a>(
    lists: &'a [&'a CertRevocationList<'a>],
) -> Option<RevocationOptions<'a>> {
    // A list speaks for one issuer; that of another has no say.
    RevocationOptionsBuilder::new(lists).ok().map(|options| {
        options
            .with_status_policy(UnknownStatusPolicy::Allow)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build()
    })
}
