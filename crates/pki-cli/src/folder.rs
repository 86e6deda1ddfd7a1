//! Stores that must be there, and what is in them.

use std::path::Path;

use caravan_pki::store::{Discovered, Store};
use caravan_pki::{Error, Item, Plan};

use crate::output::Failure;

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

/// The names of everything found; `None` if that is nothing.
pub(crate) fn names(found: &Discovered) -> Option<String> {
    let names = found.plan.entries().iter().map(|entry| entry.id().as_str());
    let names: Vec<&str> = names.collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Says how an authority whose end is past is renewed.
pub(crate) fn expired(store: &Store) -> impl FnOnce(Error) -> Failure {
    |error| {
        let id = match &error {
            Error::InFile { path, source } if matches!(**source, Error::Expired { .. }) => path
                .strip_prefix(store.root())
                .ok()
                .map(|file| file.with_extension("")),
            _ => None,
        };
        match id {
            Some(id) => Failure::Request {
                problem: causes(&error),
                hint: format!(
                    "`caravan-pki renew --store '{}' {}` renews it with the same key",
                    store.root().display(),
                    id.display()
                ),
            },
            None => error.into(),
        }
    }
}

fn causes(error: &Error) -> String {
    match error {
        Error::InFile { source, .. } => format!("{error}\n  {source}"),
        _ => error.to_string(),
    }
}
