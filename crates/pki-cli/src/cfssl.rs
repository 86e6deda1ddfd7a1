//! `caravan-pki cfssl`

use std::time::SystemTime;

use caravan_pki::cfssl::{Request, SigningConfig};
use caravan_pki::store::{EntryOutcome, Store};
use caravan_pki::{EntryId, Error, Plan};

use crate::flags::Cfssl;
use crate::folder;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Cfssl, json: bool, now: SystemTime) -> Result<Exit, Failure> {
    EntryId::try_from(args.id.as_str())?;
    let request = Request::from_json(&output::read(&args.request)?)
        .map_err(output::in_file(&args.request))?;
    let (plan, notes, store) = match (&args.config, &args.profile) {
        (Some(config), Some(profile)) => {
            let read = SigningConfig::from_json(&output::read(config)?);
            let read = read.map_err(output::in_file(config))?;
            let store = folder::existing(&args.store)?;
            let (plan, notes) = signed(args, &read, profile, &request, &store)?;
            (plan, notes, store)
        }
        _ => {
            let converted = request.authority()?;
            let mut plan = Plan::new();
            plan.authority(&args.id, converted.value)?;
            (plan, converted.notes, Store::open(&args.store)?)
        }
    };
    let made = store.ensure(&plan, now).map_err(folder::expired(&store))?;
    let outcome = made
        .entries()
        .iter()
        .find(|entry| entry.id.as_str() == args.id)
        .map(|entry| &entry.outcome);
    let file = args.store.join(format!("{}.crt", args.id));
    let file = file.display().to_string();
    let reason = match outcome {
        Some(EntryOutcome::Made(reason)) => Some(reason.to_string()),
        _ => None,
    };
    if json {
        output::show_json(&serde_json::json!({
            "file": file,
            "made": reason.is_some(),
            "reason": reason,
            "notes": notes,
        }));
        return Ok(Exit::Done);
    }
    for note in notes {
        eprintln!("note: {note}");
    }
    output::say(match reason {
        Some(reason) => format!("made {file}: {reason}"),
        None => format!("kept {file}"),
    });
    Ok(Exit::Done)
}

/// What the profile makes of the request: a certificate, or an authority below the one that signs.
fn signed(
    args: &Cfssl,
    config: &SigningConfig,
    profile: &str,
    request: &Request,
    store: &Store,
) -> Result<(Plan, Vec<String>), Failure> {
    let leaf = match config.leaf(profile, request) {
        // Of a profile for authorities, which says so itself.
        Err(Error::Invalid {
            field: "cfssl profile",
            ..
        }) => None,
        result => Some(result?),
    };
    Ok(match leaf {
        Some(leaf) => {
            let mut plan = folder::authorities(store, &args.ca)?;
            plan.leaf(&args.ca, &args.id, leaf.value)?;
            (plan, leaf.notes)
        }
        None => {
            let below = config.authority(profile, request)?;
            let mut plan = folder::authorities_above(store, &args.ca, &args.id)?;
            plan.intermediate(&args.ca, &args.id, below.value)?;
            (plan, below.notes)
        }
    })
}
