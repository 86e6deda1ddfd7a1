//! The last words of `up`.

use caravan_cluster::timeline::{Timeline, critical, seconds};
use caravan_cluster::verify::Report;

use super::Up;
use crate::machines;
use crate::show::table;
use crate::state::choices::Choices;
use crate::verify;

/// Where the time went, where the kubeconfig is, and what to do next.
pub(super) fn tables(up: &Up<'_>, timeline: &Timeline, report: Option<&Report>) {
    let screen = up.run.screen;
    let names: Vec<&str> = up
        .wanted
        .iter()
        .map(|machine| machine.name.as_str())
        .collect();
    screen.say(&format!("\n{}", table::steps(timeline)));
    screen.say(&format!("\n{}", table::machines(timeline, &names)));
    screen.say(&format!(
        "\n{}",
        table::critical(&critical::path(&timeline.spans))
    ));
    let lab = up.lab.name();
    screen.say(&format!(
        "\nlab `{lab}` is up after {}; the API is at https://{}",
        seconds(timeline.length_ms()),
        up.lab.api_endpoint()
    ));
    if let Some(report) = report {
        screen.say(&format!("verified: {}", verify::summary(report)));
    }
    screen.say(&format!("kubeconfig: {}", up.dir.kubeconfig().display()));
    screen.say(&format!("timeline:   {}", up.run.path().display()));
    screen.say(&format!(
        "next: `cargo xtask status {lab}`, `cargo xtask kubeconfig {lab} --merge`, `cargo xtask verify {lab}`"
    ));
}

/// After a run that did not end well: what there is now, and the two commands that make sense.
pub(super) fn what_is_left(up: &Up<'_>) {
    let lab = up.lab.name();
    let provider = Choices::read(up.dir)
        .ok()
        .flatten()
        .map_or(caravan_lab::Provider::Docker, |choices| choices.provider);
    let Ok(found) = machines::of(lab, provider, up.dir) else {
        up.run.screen.say(&format!(
            "now: whatever runs the machines does not answer; `cargo xtask setup` starts it, then `cargo xtask up {lab}` \
             goes on from here"
        ));
        return;
    };
    if found.is_empty() {
        return;
    }
    let running = found.iter().filter(|machine| machine.runs()).count();
    up.run.screen.say(&format!(
        "now: {running} of {} machines run, and go on by themselves; `cargo xtask up {lab}` goes on from here, \
         `cargo xtask destroy {lab}` removes everything",
        up.lab.machines().len()
    ));
}
