//! Every machine's bootstrap is done, and what the machine is there for runs.

use std::time::Duration;

use caravan_lab::{Machine, Role};

use super::context::{Context, told};
use super::findings::Findings;
use super::{Depth, context};
use crate::facts::{self, Facts};
use crate::parallel;

/// How long the question to one machine may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What asks a machine for its units; `UNITS` is set before it.
pub(super) const SCRIPT: &str = include_str!("scripts/units.sh");

/// The units that must run on machines of this role, separated by blanks.
pub(super) fn wanted(role: Role) -> &'static str {
    match role {
        Role::Etcd => "caravan-network.service etcd.service",
        Role::LoadBalancer => "caravan-network.service haproxy.service keepalived.service",
        Role::ControlPlane => {
            "caravan-certificates.timer caravan-network.service containerd.service kubelet.service"
        }
        Role::Worker => "caravan-network.service containerd.service kubelet.service",
    }
}

/// Machines are what they should be, by their own word.
pub(super) fn run(context: &Context) -> Result<Findings, String> {
    let machines = context.lab.machines();
    let asked = if context.options.depth == Depth::Quick {
        parallel::each(machines, |machine| {
            let judged = ask(context, machine).map(|facts| judge(machine, &facts));
            (machine, judged)
        })
    } else {
        // Every machine is asked anyway.
        return Ok(context.gather_surveys(machines, judge));
    };
    let mut findings = Findings::new();
    for (machine, judged) in asked {
        match judged {
            Ok(judged) => findings.extend(judged),
            Err(why) => findings.wrong(&machine.name, why),
        }
    }
    Ok(findings)
}

fn ask(context: &Context, machine: &Machine) -> Result<Facts, String> {
    let access = &context.access;
    let script = format!(
        "{}{}{SCRIPT}\necho '@@ end'\n",
        context::assignment("UNITS", wanted(machine.role)),
        context::times(access.pace())
    );
    facts::ask(access, machine, &script, LIMIT)
        .map_err(|error| format!("`{}` could not be asked: {}", machine.name, told(error)))
}

fn judge(machine: &Machine, facts: &Facts) -> Findings {
    let name = &machine.name;
    let mut findings = Findings::new();
    let bootstrap = facts.text("bootstrap");
    if bootstrap != "ready inactive" {
        findings.wrong(
            name,
            match bootstrap.as_str() {
                "" => format!("{name}: its bootstrap has not run since it started"),
                said => format!("{name}: its bootstrap is not done: {said}"),
            },
        );
    }
    let states = facts.get("units").unwrap_or_default();
    for unit in wanted(machine.role).split(' ') {
        let state = states
            .iter()
            .find_map(|line| line.strip_prefix(unit)?.strip_prefix(' '));
        if !matches!(state, Some("active" | "reloading")) {
            let state = state.unwrap_or("unknown");
            findings.wrong(name, format!("{name}: {unit} is {state}"));
        }
    }
    match facts.get("failed-units") {
        Some([]) => {}
        Some(failed) => findings.wrong(name, format!("{name}: failed: {}", failed.join(", "))),
        None => findings.wrong(name, format!("{name} did not tell its failed units")),
    }
    if !findings.is_broken() {
        findings.right(name, format!("{name}: {}", wanted(machine.role)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use caravan_lab::Lab;

    use super::super::tests::lab;
    use super::*;

    fn said(role: Role) -> String {
        let units: Vec<String> = wanted(role)
            .split(' ')
            .map(|unit| format!("{unit} active"))
            .collect();
        format!(
            "@@ bootstrap\nready inactive\n@@ units\n{}\n@@ failed-units\n@@ end\n",
            units.join("\n")
        )
    }

    fn holds(machine: &Machine, said: &str) -> bool {
        judge(machine, &Facts::parse(said)).holds()
    }

    fn one_of(lab: &Lab, role: Role) -> &Machine {
        lab.of_role(role).next().expect("there is one")
    }

    #[test]
    fn a_machine_runs_what_it_is_there_for() {
        let lab = lab("ha");
        for machine in lab.machines() {
            let good = said(machine.role);
            assert!(holds(machine, &good), "{}", machine.name);
            for unit in wanted(machine.role).split(' ') {
                for state in ["inactive", "failed", "activating", "deactivating"] {
                    let bad = good.replace(&format!("{unit} active"), &format!("{unit} {state}"));
                    assert!(!holds(machine, &bad), "{}: {unit} {state}", machine.name);
                }
                let missing = good.replace(&format!("{unit} active\n"), "");
                assert!(!holds(machine, &missing), "{}: no {unit}", machine.name);
            }
        }
    }

    #[test]
    fn its_bootstrap_is_done() {
        let lab = lab("ha");
        let member = one_of(&lab, Role::Etcd);
        let good = said(Role::Etcd);
        for bad in [
            "ready activating",
            "ready failed",
            "CARAVAN 1764374400000 etcd-quorum wait a majority of etcdone,etcdtwo,etcdthree (600s)",
            "",
        ] {
            let found = Facts::parse(&good.replace("ready inactive", bad));
            assert!(judge(member, &found).is_broken(), "{bad}");
        }
    }

    #[test]
    fn no_unit_has_failed() {
        let lab = lab("external-etcd");
        let worker = one_of(&lab, Role::Worker);
        let good = said(Role::Worker);
        let failed = good.replace("@@ failed-units\n", "@@ failed-units\nssh.service\n");
        assert!(!holds(worker, &failed));
        assert!(!holds(worker, &good.replace("@@ failed-units\n", "")));
        assert!(!holds(worker, ""));
    }
}
