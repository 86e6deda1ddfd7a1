//! `caravan-pki rotate`

use std::time::SystemTime;

use caravan_pki::store::{Rotation, Store};
use caravan_pki::{Error, Plan};

use crate::flags::{Rotate, RotationStep};
use crate::folder;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Rotate, json: bool, now: SystemTime) -> Result<Exit, Failure> {
    let store = folder::existing(&args.store)?;
    folder::authorities(&store, &args.id)?;
    let found = store.discover()?;
    let plan = &found.plan;
    let mut renewed = Vec::new();
    match args.step {
        None => {}
        Some(RotationStep::Start) => store.start_rotation(plan, &args.id, now)?,
        Some(RotationStep::Switch) => {
            if !found.left_out.is_empty() {
                return Err(left_out(&found.left_out));
            }
            let made = store.switch_rotation(plan, &args.id, now)?;
            renewed.extend(made.changes().map(|change| change.id.to_string()));
        }
        Some(RotationStep::Finish) => {
            store
                .finish_rotation(plan, &args.id)
                .map_err(not_switched)?;
        }
    }
    let state = store.rotation(plan, &args.id)?;
    if json {
        output::show_json(&serde_json::json!({
            "id": args.id,
            "state": shown(state),
            "trusted": trusted(&store, plan, &args.id)?,
            "renewed": renewed,
        }));
        return Ok(Exit::Done);
    }
    output::say(format_args!("{}: {}", args.id, shown(state)));
    for id in renewed {
        output::say(format_args!("renewed {id}"));
    }
    if let Some(next) = next_step(state, args) {
        eprintln!("next: {next}");
    }
    Ok(Exit::Done)
}

fn shown(state: Rotation) -> &'static str {
    match state {
        Rotation::Started => "started: the coming authority is trusted beside the old one",
        Rotation::Switched => "switched: the new authority signs, the old one is still trusted",
        _ => "idle: one authority is trusted, and signs",
    }
}

fn next_step(state: Rotation, args: &Rotate) -> Option<String> {
    let (store, id) = (args.store.display(), &args.id);
    let bundle = format!("`caravan-pki bundle --store '{store}' {id}` prints what to trust");
    let command = |step| format!("`caravan-pki rotate --store '{store}' {id} {step}`");
    match state {
        Rotation::Started => Some(format!(
            "deploy the trust everywhere ({bundle}); then {}",
            command("switch")
        )),
        Rotation::Switched => Some(format!(
            "deploy the new certificates; then {}",
            command("finish")
        )),
        _ if args.step == Some(RotationStep::Finish) => {
            Some(format!("deploy the trust once more: {bundle}"))
        }
        _ => None,
    }
}

/// How many authorities are to be trusted now.
fn trusted(store: &Store, plan: &Plan, id: &str) -> Result<usize, Failure> {
    let text = store.load(plan)?.trust_pem(id)?;
    Ok(text.matches("-----BEGIN CERTIFICATE-----").count())
}

fn not_switched(error: Error) -> Failure {
    match error {
        Error::NotFound { .. } => Failure::Request {
            problem: error.to_string(),
            hint: "`rotate ID start` and `rotate ID switch` come first".to_owned(),
        },
        other => other.into(),
    }
}

/// What cannot be made anew would be refused by everybody once the old authority is no longer trusted.
fn left_out(left_out: &[caravan_pki::store::LeftOut]) -> Failure {
    let list: Vec<String> = left_out.iter().map(ToString::to_string).collect();
    Failure::Request {
        problem: format!(
            "some certificates could not be made anew:\n  {}",
            list.join("\n  ")
        ),
        hint: "move them out of the store first".to_owned(),
    }
}
