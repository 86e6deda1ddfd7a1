//! `caravan-pki renew`

use std::time::SystemTime;

use caravan_pki::store::{Discovered, Ensured, EntryOutcome, Store};
use caravan_pki::{EntryId, Error, Item, KeyPolicy, Reason};
use caravan_process::Program;
use serde_json::{Value, json};

use crate::flags::Renew;
use crate::folder;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Renew, json: bool, now: SystemTime) -> Result<Exit, Failure> {
    let store = folder::existing(&args.store)?;
    let found = store.discover()?;
    let mut list: Vec<Value> = Vec::new();
    let mut outcome = Exit::Done;
    for left_out in &found.left_out {
        eprintln!("left out: {left_out}");
        list.push(json!({
            "file": left_out.file.display().to_string(),
            "renewed": false,
            "left_out": left_out.to_string(),
        }));
        outcome = Exit::Degraded;
    }
    let mut failed = Vec::new();
    let mut roots = roots(args, &found)?;
    // Before what they signed: it may be waiting for a longer life above it.
    if !args.dry_run {
        roots = renew_roots(&store, &found, roots, now, &mut failed);
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
    let made = match args.dry_run {
        true => store.preview(&found.plan, now, pick)?,
        false => store.renew(&found.plan, now, pick)?,
    };
    let said = if args.dry_run {
        "would renew"
    } else {
        "renewed"
    };
    let renewed = tell_renewed(&made, &roots, said, json, &mut list);
    let failures = made.failures().iter();
    let failures = failures.map(|failure| (failure.id.as_str(), &failure.error));
    for (id, error) in failed
        .iter()
        .map(|(id, error)| (*id, error))
        .chain(failures)
    {
        let hint = folder::hint_if_expired(&store, error).or_else(|| error.hint());
        output::show_failure(id, error, hint);
        list.push(json!({ "id": id, "renewed": false, "error": output::causes(error) }));
        outcome = Exit::Failed;
    }
    if let (Some(command), false) = (&args.exec, renewed.is_empty()) {
        // One more thing that was to be done, and the only one that failed: the certificates are renewed.
        if let Err(failure) = reload(command, &renewed) {
            failure.show();
            let mut told = failure.to_json();
            told["command"] = command.as_str().into();
            list.push(told);
            outcome = Exit::Failed;
        }
    }
    let due = still_due(&made, now);
    if !json && renewed.is_empty() && due.is_empty() && outcome != Exit::Failed {
        output::say("nothing is due");
    }
    for id in due {
        let next = next_step(&store, &found, &made, id)?;
        eprintln!("{id} is due: {next}");
        list.push(json!({ "id": id, "due": true, "next": next }));
        outcome = outcome.max(Exit::Degraded);
    }
    // Last: one document, whatever failed before.
    if json {
        output::show_json(&list.into());
    }
    Ok(outcome)
}

/// Renews the self-signed authorities that were named, and returns those that it could.
fn renew_roots<'a>(
    store: &Store,
    found: &Discovered,
    roots: Vec<&'a str>,
    now: SystemTime,
    failed: &mut Vec<(&'a str, Error)>,
) -> Vec<&'a str> {
    let mut renewed = Vec::new();
    for root in roots {
        let Some(Item::Authority { spec, .. }) = found.plan.entry(root).map(|e| e.item()) else {
            continue;
        };
        match store.renew_authority(&found.plan, root, spec.lifetime(), now) {
            Ok(()) => renewed.push(root),
            Err(error) => failed.push((root, error)),
        }
    }
    renewed
}

/// Tells those who use what was renewed.
fn reload(command: &str, renewed: &[&str]) -> Result<(), Failure> {
    let failed = |error: caravan_process::Error| Failure::Request {
        problem: format!("the certificates are renewed, and the command after it failed: {error}"),
        hint: "run it by hand: those who use them may still have the old ones".to_owned(),
    };
    let output = Program::find("sh")
        .map_err(failed)?
        .call(["-c", command])
        .env("CARAVAN_PKI_RENEWED", renewed.join(" "))
        .run()
        .map_err(failed)?;
    // Its own words, beside ours.
    eprint!("{}{}", output.stdout, output.stderr);
    Ok(())
}

/// Says what was renewed, and returns the names.
fn tell_renewed<'a>(
    made: &'a Ensured,
    roots: &[&str],
    said: &str,
    json: bool,
    list: &mut Vec<Value>,
) -> Vec<&'a str> {
    let mut renewed = Vec::new();
    for entry in made.entries() {
        let id = entry.id.as_str();
        let reason = match &entry.outcome {
            EntryOutcome::Made(reason) => Some(reason.to_string()),
            EntryOutcome::Unchanged => roots
                .contains(&id)
                .then(|| format!("{}; give it to all who trust it", Reason::Requested)),
        };
        if reason.is_some() {
            renewed.push(id);
        }
        if json {
            list.push(json!({
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
            output::say(format_args!("{said} {id}: {reason}{restart}"));
        }
    }
    renewed
}

/// The authorities that are due and are not renewed without being named.
fn still_due(made: &Ensured, now: SystemTime) -> Vec<&str> {
    let material = made.material();
    let all = material.ids().map(EntryId::as_str);
    all.filter(|id| {
        let authority = material.authority(id);
        authority.is_ok_and(|found| found.certificate().validity().is_due(now))
    })
    .collect()
}

/// How an authority that is due is renewed.
fn next_step(
    store: &Store,
    found: &Discovered,
    made: &Ensured,
    id: &str,
) -> Result<String, Failure> {
    let certificate = made.material().authority(id)?.certificate();
    let item = found.plan.entry(id).map(|entry| entry.item());
    let root = matches!(item, Some(Item::Authority { issuer: None, .. }));
    if root && !certificate.is_signed_by(certificate).unwrap_or(true) {
        return Ok(format!(
            "only `{}`, which signed it, can renew it",
            certificate.issuer_shown()
        ));
    }
    let folder = store.root().display();
    Ok(format!("`caravan-pki renew --store '{folder}' {id}`"))
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
                hint: format!(
                    "renew it with the same key, or change the key in three steps: `caravan-pki rotate --store '{}' {id} start`",
                    args.store.display()
                ),
            });
        }
        if issuer.is_none() {
            roots.push(id.as_str());
        }
    }
    Ok(roots)
}
