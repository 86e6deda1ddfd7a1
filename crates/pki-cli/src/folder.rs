//! Stores that must be there, and what is in them.

use std::path::Path;

use caravan_pki::store::{Discovered, Store};
use caravan_pki::{Certificate, Error, Item, Lifetime, Plan};

use crate::output::{self, Failure};

/// The store in a folder that is there: a mistyped name makes no new one.
pub(crate) fn existing(folder: &Path) -> Result<Store, Failure> {
    if folder.is_dir() {
        return Ok(Store::open(folder)?);
    }
    let shown = folder.display();
    Err(Failure::Request {
        problem: format!("there is no folder `{shown}`"),
        hint: format!("`caravan-pki init --store '{shown}' --cn NAME` makes one"),
    })
}

/// The authorities of a store, as a plan; `wanted` must be one of them.
pub(crate) fn authorities(store: &Store, wanted: &str) -> Result<Plan, Failure> {
    let found = store.discover()?;
    let mut plan = Plan::new();
    for entry in found.plan.entries() {
        if matches!(entry.item(), Item::Authority { .. }) {
            plan.add(entry.id().as_str(), entry.item().clone())?;
        }
    }
    if plan.entry(wanted).is_some() {
        return Ok(plan);
    }
    let folder = store.root().display();
    let certificate = store.root().join(format!("{wanted}.crt"));
    if certificate.exists() {
        // There, and not found: its key is missing, or it is no authority.
        let left_out = found.left_out.iter().find(|one| one.file == certificate);
        let why = left_out.map_or_else(String::new, |one| format!("\n  {one}"));
        return Err(Failure::Request {
            problem: format!("`{}` cannot sign here{why}", certificate.display()),
            hint: "an authority needs its key beside it".to_owned(),
        });
    }
    Err(Failure::Request {
        problem: format!("there is no authority `{wanted}` in `{folder}`"),
        hint: match names(&found) {
            Some(names) => format!("in it are: {names}"),
            None => {
                format!("`caravan-pki init --store '{folder}' --id {wanted} --cn NAME` makes it")
            }
        },
    })
}

/// The authorities of a store but for `new` and what is below it, as a plan; `issuer` must be one of them.
pub(crate) fn authorities_above(store: &Store, issuer: &str, new: &str) -> Result<Plan, Failure> {
    let all = authorities(store, issuer)?;
    let mut plan = Plan::new();
    for entry in all.entries() {
        let Item::Authority { issuer, .. } = entry.item() else {
            continue;
        };
        let has_issuer = issuer
            .as_ref()
            .is_none_or(|one| plan.entry(one.as_str()).is_some());
        if entry.id().as_str() != new && has_issuer {
            plan.add(entry.id().as_str(), entry.item().clone())?;
        }
    }
    Ok(plan)
}

/// Says that another lifetime than was asked for is there: it is no reason to make anything again.
pub(crate) fn note_lifetime(certificate: &Certificate, asked: Option<Lifetime>) {
    let found = certificate.validity().lifetime();
    // Backdating may have been cut at the issuer's beginning.
    if asked.is_some_and(|asked| asked.as_secs().abs_diff(found.as_secs()) > 600) {
        let days = found.as_secs() / 86_400;
        eprintln!("its lifetime stays {days} days until it is renewed: another takes effect then");
    }
}

/// The names of everything found; `None` if that is nothing.
pub(crate) fn names(found: &Discovered) -> Option<String> {
    let names = found.plan.entries().iter().map(|entry| entry.id().as_str());
    let names: Vec<&str> = names.collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Says how an authority whose end is past is renewed.
pub(crate) fn expired(store: &Store) -> impl FnOnce(Error) -> Failure {
    |error| match hint_if_expired(store, &error) {
        Some(hint) => Failure::Request {
            problem: output::causes(&error),
            hint,
        },
        None => error.into(),
    }
}

/// How an authority is renewed, if that its end is past is what is wrong.
pub(crate) fn hint_if_expired(store: &Store, error: &Error) -> Option<String> {
    let Error::InFile { path, source } = error else {
        return None;
    };
    if !matches!(**source, Error::Expired { .. }) {
        return None;
    }
    let id = path.strip_prefix(store.root()).ok()?.with_extension("");
    Some(format!(
        "`caravan-pki renew --store '{}' {}` renews it with the same key",
        store.root().display(),
        id.display()
    ))
}
