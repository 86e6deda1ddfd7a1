//! `caravan-pki renew`

use std::time::SystemTime;

use caravan_pki::store::{Outcome as StoreOutcome, Store};
use caravan_pki::{EntryId, Error, KeyPolicy};

use crate::flags::Renew;
use crate::output::{self, Outcome};

pub(crate) fn run(args: &Renew, json: bool, now: SystemTime) -> Result<Outcome, Error> {
    let store = Store::open(&args.store)?;
    let plan = store.discover()?;
    for id in &args.ids {
        if plan.entry(id).is_none() {
            return Err(Error::NotFound {
                what: "certificate in the store",
                name: id.clone(),
            });
        }
    }
    let policy = if args.new_key {
        KeyPolicy::New
    } else {
        KeyPolicy::Keep
    };
    let pick = |id: &EntryId| {
        args.ids
            .iter()
            .any(|wanted| wanted == id.as_str())
            .then_some(policy)
    };
    let made = store.renew(&plan, now, pick)?;
    let mut list = Vec::new();
    for entry in made.entries() {
        let reason = match &entry.outcome {
            StoreOutcome::Unchanged => None,
            StoreOutcome::Made(reason) => Some(reason.to_string()),
        };
        if json {
            list.push(serde_json::json!({
                "id": entry.id.as_str(),
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
            println!("renewed {}: {reason}{restart}", entry.id);
        }
    }
    if json {
        output::show_json(&list.into());
    } else if made.changes().next().is_none() {
        println!("nothing is due");
    }
    Ok(Outcome::Done)
}
