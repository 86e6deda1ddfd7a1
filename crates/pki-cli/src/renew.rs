//! `caravan-pki renew`

use std::time::SystemTime;

use caravan_pki::store::{Discovered, EntryOutcome};
use caravan_pki::{EntryId, Item, KeyPolicy, Reason};

use crate::flags::Renew;
use crate::folder;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Renew, json: bool, now: SystemTime) -> Result<Exit, Failure> {
    let store = folder::existing(&args.store)?;
    let found = store.discover()?;
    let mut outcome = Exit::Done;
    for left_out in &found.left_out {
        eprintln!("left out: {left_out}");
        outcome = Exit::Degraded;
    }
    let roots = roots(args, &found)?;
    // Before what they signed: it may be waiting for a longer life above it.
    for root in &roots {
        if let Some(Item::Authority { spec, .. }) = found.plan.entry(root).map(|e| e.item()) {
            store.renew_authority(&found.plan, root, spec.lifetime(), now)?;
        }
    }
    let policy = if args.new_key {
        KeyPolicy::New
    } else {
        KeyPolicy::Keep
    };
    let pick = |id: &EntryId| {
        let named = args.ids.iter().any(|wanted| wanted == id.as_str());
        named.then_some(policy)
    };
    let made = store
        .renew(&found.plan, now, pick)
        .map_err(folder::expired(&store))?;
    let mut list = Vec::new();
    let mut renewed = 0;
    for entry in made.entries() {
        let id = entry.id.as_str();
        let reason = match &entry.outcome {
            EntryOutcome::Made(reason) => Some(reason.to_string()),
            EntryOutcome::Unchanged => roots
                .contains(&id)
                .then(|| format!("{}; give it to all who trust it", Reason::Requested)),
        };
        renewed += usize::from(reason.is_some());
        if json {
            list.push(serde_json::json!({
                "id": id,
                "renewed": reason.is_some(),
                "reason": reason,
                "new_key": entry.new_key,
            }));
        } else if let Some(reason) = reason {
            let restart = if entry.new_key {
                "; new key: restart what uses it"
            } else {
                ""
            };
            output::say(format_args!("renewed {id}: {reason}{restart}"));
        }
    }
    if json {
        output::show_json(&list.into());
    }
    let due: Vec<&str> = made
        .material()
        .ids()
        .map(EntryId::as_str)
        .filter(|id| {
            let authority = made.material().authority(id);
            authority.is_ok_and(|found| found.certificate().validity().is_due(now))
        })
        .collect();
    if !json && renewed == 0 && due.is_empty() {
        output::say("nothing is due");
    }
    for id in due {
        let folder = store.root().display();
        let certificate = made.material().authority(id)?.certificate();
        let item = found.plan.entry(id).map(|entry| entry.item());
        let root = matches!(item, Some(Item::Authority { issuer: None, .. }));
        let next = if root && !certificate.is_signed_by(certificate).unwrap_or(true) {
            format!(
                "only `{}`, which signed it, can renew it",
                certificate.issuer_shown()
            )
        } else {
            format!("`caravan-pki renew --store '{folder}' {id}`")
        };
        eprintln!("{id} is due: {next}");
        outcome = Exit::Degraded;
    }
    Ok(outcome)
}

/// The self-signed authorities that were named; everything that was named must be there.
fn roots<'a>(args: &'a Renew, found: &Discovered) -> Result<Vec<&'a str>, Failure> {
    let mut roots = Vec::new();
    for id in &args.ids {
        let Some(entry) = found.plan.entry(id) else {
            let names = folder::names(found).unwrap_or_else(|| "nothing".to_owned());
            return Err(Failure::Request {
                problem: format!(
                    "there is no certificate `{id}` in `{}` that could be renewed",
                    args.store.display()
                ),
                hint: format!("in it are: {names}"),
            });
        };
        let Item::Authority { issuer, .. } = entry.item() else {
            continue;
        };
        if args.new_key {
            return Err(Failure::Request {
                problem: format!("`{id}` is an authority: with another key, nothing trusts it"),
                hint: "renew it with the same key, or change the key in the three steps of the \
                       library's `Store::start_rotation`"
                    .to_owned(),
            });
        }
        if issuer.is_none() {
            roots.push(id.as_str());
        }
    }
    Ok(roots)
}
