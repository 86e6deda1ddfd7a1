//! What stories on real machines have in common.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use caravan_cluster::phase::Phase;
use caravan_cluster::timeline::{PhaseOutcome, Timeline, critical, newest_file};
use caravan_cluster::verify::{Check, Report, VerifyOutcome};
use caravan_process::Program;

use crate::{Host, LeakWatch, Tool};

/// Runs `story` with the tool, and holds that the host is then as it was and that no service address left a machine.
///
/// # Panics
///
/// When the story does, or something was left behind.
pub fn on_a_clean_host(story: impl FnOnce(&Tool)) {
    let tool = Tool::build();
    let before = Host::now(tool.root());
    let leaks = LeakWatch::start();
    let ended = catch_unwind(AssertUnwindSafe(|| story(&tool)));
    if let Err(broken) = ended {
        // The next story, and the user, are to find a clean host all the same.
        for lab in [
            "ha",
            "external-etcd",
            "e2e-flannel",
            "mixed",
            "e2e-bridge",
            "e2e-apps",
            "e2e-settings",
            "e2e-data",
            "e2e-checkpoint",
        ] {
            if tool.state(lab).exists() {
                tool.run(&["destroy", lab, "--yes"]);
            }
        }
        resume_unwind(broken);
    }
    leaks.assert_none();
    Host::now(tool.root()).assert_as_before(&before);
}

/// Whether stories run that take long: with `CARAVAN_LONG=1`. Says so where they do not.
pub fn runs_long() -> bool {
    let long = std::env::var("CARAVAN_LONG").is_ok_and(|value| value == "1");
    if !long {
        println!("left out: this story runs with CARAVAN_LONG=1");
    }
    long
}

/// Whether a lab of the stories has load balancers.
fn has_balancers(lab: &str) -> bool {
    !["external-etcd", "e2e-flannel", "e2e-apps", "e2e-checkpoint"].contains(&lab)
}

/// Whether stories run in virtual machines: where KVM can be used, or with `CARAVAN_E2E_EMULATED=1`, since emulated ones take
/// an hour. Says so where they do not.
pub fn runs_virtual_machines() -> bool {
    let emulated = std::env::var("CARAVAN_E2E_EMULATED").is_ok_and(|value| value == "1");
    let runs = emulated || caravan_host::hypervisor::kvm().is_usable();
    if !runs {
        println!(
            "left out: there is no KVM, and this story runs emulated with CARAVAN_E2E_EMULATED=1"
        );
    }
    runs
}

/// Holds that every promise of the lab is kept.
///
/// # Panics
///
/// When one is broken or was not tested.
pub fn assert_verified(tool: &Tool, lab: &str, more: &[&str]) {
    let mut args = vec!["verify", lab, "--json"];
    args.extend(more);
    let ended = tool.run(&args);
    let report: Report = ended.read();
    let checks = &report.checks;
    assert!(checks.len() >= 15, "only {} checks ran", checks.len());
    // Without load balancers nobody owns or forges a virtual address, and with one etcd member nobody is a peer; nothing else may
    // be left out.
    let left_out = |check: &Check| {
        let of_balancers = check.id == "vip-owner" || check.id == "forged-adverts";
        let of_peers = check.id == "client-certificate-as-peer";
        let lacks = (of_balancers && !has_balancers(lab)) || (of_peers && lab == "e2e-apps");
        lacks && check.outcome == VerifyOutcome::Skipped
    };
    let broken: Vec<String> = checks
        .iter()
        .filter(|check| check.outcome != VerifyOutcome::Passed && !left_out(check))
        .map(|check| format!("{}: {:?}: {}", check.id, check.outcome, check.evidence))
        .collect();
    // Short enough for the end of a log, where it is looked for.
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert_eq!(ended.status, Some(0));
    // What is kept is what was said.
    let kept = tool.state(lab).join("verify.json");
    let kept = std::fs::read_to_string(kept).expect("the report is kept");
    let kept: Report = serde_json::from_str(&kept).expect("it is a report");
    assert_eq!(kept, report);
    for check in checks {
        if check.outcome == VerifyOutcome::Passed {
            assert!(!check.findings.is_empty(), "{} saw nothing", check.id);
        }
        if check.id == "balancer-takes-over" {
            let outages = check.findings.iter().filter(|it| it.measured.is_some());
            assert_eq!(outages.count(), 5, "{:?}", check.findings);
        }
    }
}

/// Holds that the newest run brought up each of the lab's machines from nothing, and that its timeline tells so.
///
/// # Panics
///
/// When it did not, or the timeline lacks a machine's phases.
pub fn assert_recorded(tool: &Tool, lab: &str) {
    let path = newest_file(&tool.state(lab).join("timeline")).expect("a run is kept");
    let text = std::fs::read_to_string(&path).expect("readable");
    let timeline: Timeline = serde_json::from_str(&text).expect("it is a timeline");
    assert_eq!((timeline.verb.as_str(), timeline.lab.as_str()), ("up", lab));
    assert_eq!(timeline.outcome, PhaseOutcome::Done);
    let list = tool.ok(&["list", lab, "--json"]).json();
    let machines = list.as_array().expect("a list of machines");
    assert!(!machines.is_empty());
    for machine in machines {
        let name = machine["name"].as_str().expect("a name");
        for phase in [Phase::Create, Phase::Prepare, Phase::Ready] {
            let done = timeline.spans.iter().any(|span| {
                let it = span.subject == name && span.phase == phase;
                it && span.outcome == PhaseOutcome::Done
            });
            assert!(done, "no `{phase}` of {name} in {}", path.display());
        }
    }
    assert!(!critical::path(&timeline.spans).is_empty());
}

/// What `kubectl` prints, through the lab's endpoint.
///
/// # Panics
///
/// When it fails.
pub fn kubectl(tool: &Tool, lab: &str, args: &[&str]) -> String {
    let kubeconfig = tool.state(lab).join("kubeconfig");
    let kubectl = bundled_kubectl(tool);
    kubectl
        .call(args)
        .env("KUBECONFIG", kubeconfig)
        .timeout(Duration::from_secs(60))
        .run()
        .unwrap_or_else(|error| panic!("{error}"))
        .stdout
}

/// The bundle's `kubectl`.
///
/// # Panics
///
/// When there is no bundle.
pub fn bundled_kubectl(tool: &Tool) -> Program {
    let list = tool.ok(&["bundle", "list", "--json"]).json();
    let folder = list[0]["dir"]
        .as_str()
        .expect("a bundle's folder")
        .to_owned();
    Program::at(format!("{folder}/bin/kubectl"))
}
