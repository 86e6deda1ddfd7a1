//! `cargo xtask load`: images of the user's own for the nodes of a lab.

use std::collections::BTreeMap;

use caravan_cluster::timeline::PhaseOutcome;
use caravan_lifecycle::load::{
    self, ImageSource, LoadRequest, LoadedImage, NodeOutcome, VERB, hold_loaded,
};
use caravan_lifecycle::{
    LabLock, LabRun, LabTarget, Workspace, listed, outcome_of, vagrant_at_work,
};
use serde::Serialize;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags;
use crate::show::screen::Screen;
use crate::way_in;

/// An image, as JSON tells of it.
#[derive(Serialize)]
struct LoadedJson<'a> {
    names: &'a [String],
    digest: &'a str,
    id: &'a str,
    bytes: u64,
    /// By node: `had`, `named`, `copied`, `queued` or `failed`.
    nodes: BTreeMap<&'a str, &'static str>,
}

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Load,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let wanted = load::wanted(lab, &flags.machines)?;
    let sources = flags.sources.iter().map(|word| ImageSource::of(word));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    target.dir.make()?;
    let _lock = LabLock::take(&target.dir, &target.name, VERB)?;
    vagrant_at_work::wait(&target.name, &target.dir, &target.computers(), screen)?;
    let (running, access) = way_in::running(&target, lab, &wanted)?;
    let request = LoadRequest {
        lab,
        dir: &target.dir,
        access: access.as_ref(),
        wanted: &wanted,
        running: &running,
        named: !flags.machines.is_empty(),
        name: flags.name.as_deref(),
    };
    let run = LabRun::begin(VERB, &target.name, &target.dir, screen);
    let ended = request.load(&run, &sources);
    screen.clear();
    run.finish(ended.as_ref().err().map_or(PhaseOutcome::Done, outcome_of));
    let loaded = ended?;
    for image in &loaded {
        say(image, &target.name, screen);
    }
    if flags.json {
        let lines: Vec<_> = loaded.iter().map(json).collect();
        println!(
            "{}",
            serde_json::to_string_pretty(&lines).expect("plain data")
        );
    }
    hold_loaded(lab, &loaded)?;
    Ok(Exit::Done)
}

/// Says what became of an image.
fn say(loaded: &LoadedImage, lab: &str, screen: &Screen) {
    let LoadedImage { image, nodes } = loaded;
    let of = |is: fn(&NodeOutcome) -> bool| -> Vec<String> {
        let found = nodes.iter().filter(|(_, outcome)| is(outcome));
        found.map(|(node, _)| node.clone()).collect()
    };
    let names = image.names.join(", ");
    let has = of(|it| {
        matches!(
            it,
            NodeOutcome::Had | NodeOutcome::Named | NodeOutcome::Copied { .. }
        )
    });
    let copied = of(|it| matches!(it, NodeOutcome::Copied { .. }));
    let id = image
        .id
        .trim_start_matches("sha256:")
        .get(..12)
        .unwrap_or_default();
    if !has.is_empty() {
        let copied = match (copied.len(), has.len()) {
            (0, _) => ", and nothing was copied".to_owned(),
            (some, all) if some < all => format!("; it was copied to {}", listed(&copied)),
            _ => String::new(),
        };
        screen.say(&format!("`{names}` is {id} on {}{copied}", listed(&has)));
    }
    let queued = of(|it| matches!(it, NodeOutcome::Queued));
    if !queued.is_empty() {
        let runs = if queued.len() == 1 {
            "does not run"
        } else {
            "do not run"
        };
        screen.say(&format!(
            "{} {runs}: `{TOOL} up {lab}` gives `{names}` to what it starts",
            listed(&queued)
        ));
    }
    for name in loaded.moving() {
        screen.warn(&format!(
            "pods ask a registry for `{name}` before they use what is here (pull policy `Always`): set `imagePullPolicy: \
             IfNotPresent`, or load it under another tag than `latest`"
        ));
    }
}

fn json(loaded: &LoadedImage) -> LoadedJson<'_> {
    let word = |outcome: &NodeOutcome| match outcome {
        NodeOutcome::Had => "had",
        NodeOutcome::Named => "named",
        NodeOutcome::Copied { .. } => "copied",
        NodeOutcome::Queued => "queued",
        NodeOutcome::Failed(_) => "failed",
    };
    let nodes = loaded.nodes.iter();
    LoadedJson {
        names: &loaded.image.names,
        digest: &loaded.image.digest,
        id: &loaded.image.id,
        bytes: loaded.image.bytes,
        nodes: nodes
            .map(|(node, outcome)| (node.as_str(), word(outcome)))
            .collect(),
    }
}
