//! The last words of `up`.

use caravan_cluster::timeline::{Timeline, critical, seconds};
use caravan_cluster::verify::Report;
use caravan_lab::Lab;
use caravan_lifecycle::{LabChoices, LabDir, LabProviders, LabRun, up::UpRequest};

use crate::error::TOOL;
use crate::show::screen::Screen;
use crate::show::table;
use crate::verify;

/// Where the time went, where the kubeconfig is, and what to do next.
pub(super) fn tables(
    request: &UpRequest<'_>,
    run: &LabRun<'_>,
    timeline: &Timeline,
    report: Option<&Report>,
    screen: &Screen,
) {
    let names: Vec<&str> = request
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
    let lab = request.lab.name();
    screen.say(&format!(
        "\nlab `{lab}` is up after {}; the API is at https://{}",
        seconds(timeline.length_ms()),
        request.lab.api_endpoint()
    ));
    if let Some(report) = report {
        screen.say(&format!("verified: {}", verify::summary(report)));
    }
    screen.say(&format!(
        "kubeconfig: {}",
        request.dir.kubeconfig().display()
    ));
    screen.say(&format!("timeline:   {}", run.path().display()));
    screen.say(&format!(
        "next: `{TOOL} status {lab}`, `{TOOL} kubeconfig {lab} --merge`, `{TOOL} verify {lab}`"
    ));
}

/// After a run that did not end well: what there is now, and the two commands that make sense.
pub(super) fn what_is_left(lab: &Lab, dir: &LabDir, screen: &Screen) {
    let name = lab.name();
    let choices = LabChoices::read(dir).ok().flatten();
    let providers = match &choices {
        Some(choices) => LabProviders::of(lab, choices, dir),
        None => LabProviders::of_file(lab, dir),
    };
    let Ok(found) = providers.machines(name, &dir.projects()) else {
        screen.say(&format!(
            "now: whatever runs the machines does not answer; `{TOOL} setup` starts it, then `{TOOL} up {name}` \
             goes on from here"
        ));
        return;
    };
    if found.is_empty() {
        return;
    }
    let running = found.iter().filter(|machine| machine.runs()).count();
    screen.say(&format!(
        "now: {running} of {} machines run, and go on by themselves; `{TOOL} up {name}` goes on from here, \
         `{TOOL} destroy {name}` removes everything",
        lab.machines().len()
    ));
}
