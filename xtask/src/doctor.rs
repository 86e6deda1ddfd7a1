//! `cargo xtask doctor`: says what this computer lacks, and how strong it is.

use std::collections::BTreeSet;

use caravan_host::Purpose;
use caravan_host::computers::ComputerSurvey;
use caravan_host::findings::{self, Finding, LabInQuestion, RemedyCommands, Verdict};
use caravan_lab::{Lab, Provider};
use caravan_lifecycle::{LabChoices, LabProviders, Workspace};

use crate::error::{self, Error, command};
use crate::exit::Exit;
use crate::flags;
use crate::kubeconfig;
use crate::setup;

/// What remedies name.
pub(crate) const COMMANDS: RemedyCommands = RemedyCommands {
    tool: error::TOOL,
    setup: setup::COMMAND,
    prune: command!("bundle prune"),
};

/// Runs the verb.
pub(crate) fn run(flags: &flags::Doctor, workspace: &Workspace) -> Result<Exit, Error> {
    let lab = match &flags.lab {
        Some(name) => Some(workspace.lab(name)?.0),
        None => None,
    };
    let providers = lab.as_ref().map(|lab| {
        let dir = workspace.state(lab.name());
        let chosen = LabChoices::read(&dir).ok().flatten();
        match chosen {
            Some(choices) => LabProviders::of(lab, &choices, &dir),
            None => LabProviders::of_file(lab, &dir),
        }
    });
    let kinds = providers.as_ref().map(LabProviders::kinds_here);
    let virtualbox = match (&lab, &providers) {
        (Some(lab), Some(providers)) => providers.servers_here(lab, Provider::VirtualBox),
        _ => Vec::new(),
    };
    let asked = lab
        .as_ref()
        .zip(kinds.as_ref())
        .map(|(lab, providers)| LabInQuestion {
            lab,
            providers,
            virtualbox: &virtualbox,
            was_made: workspace.state(lab.name()).choices().is_file(),
        });
    let (source, base) = (flags.origin.source, flags.origin.base);
    let running = Purpose::running(match &kinds {
        Some(kinds) => kinds.clone(),
        None => BTreeSet::from([Provider::default()]),
    });
    let purpose = running.and(Purpose::making(source.into(), base.into()));
    let mut findings = findings::findings(purpose, asked, workspace.root(), COMMANDS);
    findings.extend(folder(workspace));
    if let (Some(lab), Some(providers)) = (&lab, &providers) {
        findings.extend(computers(lab, providers, workspace));
    }

    if flags.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&findings).expect("plain data")
        );
    } else {
        print(&findings);
    }
    let lacks = findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Missing);
    Ok(if lacks { Exit::Failed } else { Exit::Done })
}

fn print(findings: &[Finding]) {
    for finding in findings {
        let (mark, colour) = match finding.verdict {
            Verdict::Good => ("ok", anstyle::AnsiColor::Green),
            Verdict::Weak => ("weak", anstyle::AnsiColor::Yellow),
            Verdict::Missing => ("missing", anstyle::AnsiColor::Red),
        };
        let style = colour.on_default();
        anstream::println!(
            "{style}{mark:<8}{style:#}{:<22} {}",
            finding.name,
            finding.evidence
        );
        if let Some(remedy) = &finding.remedy {
            anstream::println!("{:<30} -> {remedy}", "");
        }
    }
}

/// The computers of the lab's servers, where it spans several.
fn computers(lab: &Lab, providers: &LabProviders, workspace: &Workspace) -> Vec<Finding> {
    let computers = providers.computers();
    let survey = ComputerSurvey::of(lab, |host| computers.computer(host));
    let projects = workspace.state(lab.name()).projects();
    let (found, _) = (providers.machines_reached(lab.name(), &projects)).unwrap_or_default();
    let running = found.iter().filter(|machine| machine.runs());
    let there = running.map(|machine| machine.name.as_str()).collect();
    let faults = survey.faults(lab, |server| providers.kind_of(&server.name), &there);
    survey.findings(&faults)
}

/// Lists of paths are split at colons.
fn folder(workspace: &Workspace) -> Option<Finding> {
    let lab = workspace.state("LAB");
    kubeconfig::colon(&lab.kubeconfig()).map(|evidence| Finding {
        name: "folder",
        verdict: Verdict::Weak,
        evidence,
        remedy: Some("move the workspace into a folder without a colon".to_owned()),
    })
}
