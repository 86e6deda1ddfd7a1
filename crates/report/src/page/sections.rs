//! What sections say, in words and marks.

use caravan_cluster::drill::judge::DrillVerdict;
use caravan_lab::Role;
use serde_json::{Value, json};

use super::{Marked, marked, shown, some};
use crate::LabReport;
use crate::drills::{ClientView, DrillView};
use crate::flows::Party;
use crate::svg::drill_chart;
use crate::time;
use crate::topology::MachineView;
use crate::verdict::{Outcome, PromiseView};
use crate::what_if::LossView;

/// Up to how many machines their table is open.
const OPEN: usize = 30;

/// How many things that a check saw are listed, what speaks against it first; the JSON twin has all.
const FINDINGS: usize = 40;

/// How many of those that speak against a promise stand beside it.
const WRONG: usize = 3;

/// How long a text may be that stands beside its promise; a longer one is in its findings.
const SHORT: usize = 240;

fn outcome(outcome: Outcome) -> Marked {
    match outcome {
        Outcome::Held => marked("ok", "✓", "holds"),
        Outcome::Broken => marked("bad", "✕", "broken"),
        Outcome::LeftOut => marked("none", "–", "left out"),
        Outcome::NotTested => marked("warn", "?", "not tested"),
    }
}

pub(super) fn verdict(report: &LabReport) -> Value {
    let verdict = &report.verdict;
    let tile = |of: Outcome, words: &str| {
        let count = verdict.count(of);
        outcome(of).with(json!({
            "count": count,
            "words": words,
            "zero": if count == 0 { "zero" } else { "" },
        }))
    };
    let group = |of: Outcome, title: &str| {
        let promises: Vec<&PromiseView> = (verdict.promises.iter())
            .filter(|it| it.outcome == of)
            .collect();
        (!promises.is_empty()).then(|| {
            outcome(of).with(json!({
                "title": format!("{} {title}", promises.len()),
                "open": if of == Outcome::Broken { " open" } else { "" },
                "promises": promises.iter().map(|it| promise(it)).collect::<Vec<_>>(),
            }))
        })
    };
    let groups = [
        group(Outcome::Broken, "broken"),
        group(Outcome::NotTested, "not tested"),
        group(
            Outcome::LeftOut,
            "that the lab does not make, or that were left out",
        ),
        group(Outcome::Held, "that hold, each with what was seen"),
    ];
    let tested = match &verdict.tested {
        Some(at) => format!("Tested {}, at {}.", verdict.tested_how, shown(at)),
        None => "No promise was tested.".to_owned(),
    };
    json!({
        "tested_how": tested,
        "tiles": [
            tile(Outcome::Held, "promises hold"),
            tile(Outcome::Broken, "are broken"),
            tile(Outcome::LeftOut, "are left out"),
            tile(Outcome::NotTested, "were not tested"),
        ],
        "wrong": some(!verdict.problems.is_empty(), || json!({
            "title": "Not as it should be",
            "lines": verdict.problems,
        })),
        "untested": some(!verdict.untested.is_empty(), || json!({
            "title": "What this does not tell",
            "lines": verdict.untested,
        })),
        "promise_groups": groups.into_iter().flatten().collect::<Vec<_>>(),
        "facts": verdict.facts,
    })
}

fn promise(promise: &PromiseView) -> Value {
    let mut ordered: Vec<_> = promise.findings.iter().collect();
    ordered.sort_by_key(|finding| finding.holds);
    let mut findings: Vec<Value> = (ordered.iter().take(FINDINGS))
        .map(|finding| {
            let of = if finding.holds {
                Outcome::Held
            } else {
                Outcome::Broken
            };
            outcome(of).with(json!({"text": finding.text}))
        })
        .collect();
    let count = ordered.len();
    if count > FINDINGS {
        let more = format!("and {} more, which the JSON twin has", count - FINDINGS);
        findings.push(marked("none", "…", "").with(json!({"text": more})));
    }
    // What is broken is read first, so why stands beside it.
    let wrong = ordered.iter().filter(|it| !it.holds).take(WRONG);
    let wrong: Vec<Value> = wrong.map(|it| it.text.clone().into()).collect();
    let short = promise.evidence.chars().count() <= SHORT || findings.is_empty();
    let is_told = short && !promise.evidence.is_empty();
    // One finding says what the evidence says.
    let more = count > 1 || (count == 1 && !is_told);
    outcome(promise.outcome).with(json!({
        "id": promise.id,
        "promise": promise.promise,
        "took": match promise.seconds > 0.0 {
            true => format!("{:.1} s", promise.seconds),
            false => String::new(),
        },
        "short": match promise.outcome {
            Outcome::Broken if count > 1 => wrong,
            _ => some(is_told && count < 2, || promise.evidence.clone()),
        },
        "seen": some(more, || json!({
            "summary": match count {
                1 => "what was seen".to_owned(),
                count => format!("{count} things were seen"),
            },
            "findings": findings,
        })),
    }))
}

pub(super) fn topology(report: &LabReport) -> Value {
    let flows: Vec<Value> = (report.topology.flows.iter())
        .map(|flow| {
            let may = match flow.allowed {
                true => marked("none", "→", "may"),
                false => marked("bad", "✕", "refused"),
            };
            outcome(flow.outcome).with(json!({
                "id": flow.id,
                "from": flow.from.word(),
                "to": flow.to.word(),
                "ports": flow.ports,
                "what": flow.what,
                "may": may.word,
                "may_mark": may.mark,
                "may_class": may.class,
                "checks": (flow.checks.iter())
                    .map(|check| outcome(check.outcome).with(json!({"id": check.id})))
                    .collect::<Vec<_>>(),
                "evidence": flow.evidence,
            }))
        })
        .collect();
    let machines = &report.topology.machines;
    json!({
        "flows": flows,
        "machines_open": if machines.len() <= OPEN { " open" } else { "" },
        "machines_title": format!("{} machines", machines.len()),
        "machines": machines.iter().map(machine).collect::<Vec<_>>(),
    })
}

fn machine(machine: &MachineView) -> Value {
    let mut state = vec![match (machine.unwell, machine.state.as_str()) {
        (true, "running") => "✕ not well".to_owned(),
        (true, state) => format!("✕ {state}"),
        (false, state) => format!("✓ {state}"),
    }];
    state.extend((!machine.why.is_empty()).then(|| machine.why.clone()));
    state.extend(
        machine
            .owner
            .then(|| "◆ holds the virtual address".to_owned()),
    );
    state.extend(machine.leader.then(|| "★ leads etcd".to_owned()));
    json!({
        "name": machine.name,
        "role": machine.role.word(),
        "server": machine.server,
        "ip": machine.ip,
        "memory": format!("{} MiB", machine.memory_mib),
        "cpus": machine.cpus,
        "state": state.join("; "),
        "class": if machine.unwell { "bad" } else { "ok" },
    })
}

pub(super) fn what_if(report: &LabReport) -> Value {
    let what_if = &report.what_if;
    let row = |place: usize| format!("loss-{place}");
    let to_lose = |server: bool| {
        let losses = what_if.losses.iter().enumerate();
        let all = losses.flat_map(|(place, loss)| {
            let subjects = loss.subjects.iter().filter(move |it| it.server == server);
            subjects.map(move |it| (place, it.name.as_str()))
        });
        let named = |(place, name)| json!({"row": row(place), "name": name});
        all.map(named).collect::<Vec<_>>()
    };
    let capabilities = &what_if.capabilities;
    let losses = (what_if.losses.iter().enumerate())
        .map(|(place, loss)| loss_row(&row(place), capabilities, loss));
    json!({
        "capabilities": capabilities,
        "servers": to_lose(true),
        "machines_to_lose": to_lose(false),
        "losses": losses.collect::<Vec<_>>(),
        "placement": what_if.verdict.join("\n"),
    })
}

fn loss_row(row: &str, capabilities: &[String], loss: &LossView) -> Value {
    let cells = capabilities.iter().zip(&loss.works);
    let cells = cells.map(|(capability, works)| {
        let words = match works {
            true => marked("ok", "✓", "works"),
            false => marked("bad", "✕", "stops"),
        };
        words.with(json!({"capability": capability}))
    });
    let left: Vec<String> = (loss.left.iter())
        .filter(|left| left.alive < left.of)
        .map(|left| {
            let needed = match left.role {
                Role::Etcd => format!(", quorum {}", left.needed),
                _ => String::new(),
            };
            let machines = Party::of_role(left.role, left.of);
            format!("{} of {} {machines}{needed}", left.alive, left.of)
        })
        .collect();
    let counted = match left.is_empty() {
        true => "all".to_owned(),
        false => left.join("; "),
    };
    json!({
        "row": row,
        "title": loss.title,
        "sentence": format!("{} Left: {counted}.", loss.sentence),
        "cells": cells.collect::<Vec<_>>(),
        "left": [json!({"class": "", "text": counted})],
        "because": some(!loss.because.is_empty(), || loss.because.clone()),
    })
}

fn drill_verdict(verdict: DrillVerdict) -> Marked {
    match verdict {
        DrillVerdict::Held => marked("ok", "✓", "held"),
        DrillVerdict::Broken => marked("bad", "✕", "broken"),
        DrillVerdict::Inconclusive => marked("warn", "?", "inconclusive"),
        DrillVerdict::Refused => marked("warn", "–", "refused"),
    }
}

pub(super) fn drills(report: &LabReport) -> Value {
    let (drawn, earlier): (Vec<&DrillView>, Vec<&DrillView>) =
        report.drills.iter().partition(|it| it.chart.is_some());
    let how = match (report.drills.len(), earlier.len()) {
        (0, _) => "No drill was run.".to_owned(),
        (1, 0) => "One was run.".to_owned(),
        (all, 0) => format!("{all} were run, the newest first."),
        (all, _) => format!(
            "{all} were run. The newest of each name is drawn, the others are in the table below."
        ),
    };
    json!({
        "drills_how": how,
        "drills": drawn.into_iter().map(drill).collect::<Vec<_>>(),
        "earlier_drills": some(!earlier.is_empty(), || json!({
            "title": format!("{} more drills", earlier.len()),
            "rows": earlier.iter().map(|it| drill_line(it)).collect::<Vec<_>>(),
        })),
    })
}

fn away(reads: &ClientView) -> String {
    match reads.away.1 {
        0 => "none".to_owned(),
        most => format!("{} to {}", reads.away.0 / 1000, time::ms(most)),
    }
}

fn drill_line(view: &DrillView) -> Value {
    drill_verdict(view.verdict).with(json!({
        "drill": view.drill,
        "began": shown(&view.began),
        "away": view.reads().map_or_else(String::new, away),
    }))
}

fn drill(view: &DrillView) -> Value {
    let clients = view.clients.iter().map(|client| {
        let errors = client.errors.iter();
        let errors = errors.map(|(why, count)| format!("{count} × {why}"));
        json!({
            "client": client.client,
            "asked": client.asked,
            "failed": client.failed,
            "away": away(client),
            "class": if client.holds { "" } else { "bad" },
            "budget": match client.budget_ms {
                Some(ms) if client.holds => format!("✓ {ms} ms"),
                Some(ms) => format!("✕ {ms} ms"),
                None => String::new(),
            },
            "slowest": time::ms(client.slowest),
            "back": client.back.map_or_else(String::new, time::ms),
            "errors": errors.collect::<Vec<_>>().join("; "),
        })
    });
    let chart = view.chart.iter().map(|chart| {
        json!({
            "label": format!("{} over time", view.drill),
            "picture": drill_chart(view, chart),
        })
    });
    drill_verdict(view.verdict).with(json!({
        "drill": view.drill,
        "began": shown(&view.began),
        "reasons": view.reasons,
        "charts": chart.collect::<Vec<_>>(),
        "clients": clients.collect::<Vec<_>>(),
        "story": view.story,
        "file": view.file,
    }))
}

pub(super) fn difference(report: &LabReport) -> Value {
    let (how, rows) = match &report.difference {
        None => (
            "There was no report before at this place.".to_owned(),
            Vec::new(),
        ),
        Some(it) if it.changes.is_empty() => (
            format!(
                "Nothing has changed since the report of {}.",
                shown(&it.made)
            ),
            Vec::new(),
        ),
        Some(it) => {
            let none = |text: &str| match text {
                "" => "–".to_owned(),
                text => text.to_owned(),
            };
            let rows = it.changes.iter().map(|change| {
                json!({
                    "what": change.what,
                    "before": none(&change.before),
                    "after": none(&change.after),
                })
            });
            (
                format!("Since the report of {}.", shown(&it.made)),
                rows.collect(),
            )
        }
    };
    json!({
        "difference_how": how,
        "difference_tables": some(!rows.is_empty(), || json!({"rows": rows.clone()})),
    })
}
