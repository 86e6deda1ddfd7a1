//! What drills came to, for people.

use caravan_cluster::drill::judge::{ClientFigures, DrillResult, DrillVerdict};
use caravan_cluster::drill::record::{ClientName, Micros};

use super::table;

/// One drill in a line.
pub(crate) fn line(result: &DrillResult) -> String {
    let reads = result
        .clients
        .iter()
        .find(|it| it.client == ClientName::Reads);
    let away = reads.map_or_else(String::new, |reads| {
        format!(": reads away for up to {} ms", milliseconds(reads.away.1))
    });
    let why = match result.reasons.is_empty() {
        true => String::new(),
        false => format!("; {}", result.reasons.join("; ")),
    };
    format!("{} {}{away}{why}", word(result.verdict), result.drill)
}

/// What the lab's clients saw of something that was done to it, in a line.
pub(crate) fn seen(result: &DrillResult) -> String {
    let away = |client: &ClientName| {
        let figures = result.client(client);
        figures.map_or_else(String::new, |figures| {
            format!(
                "{client}: away for up to {} ms of {} allowed, {} of {} failed",
                milliseconds(figures.away.1),
                figures.budget_ms.unwrap_or_default(),
                figures.failed,
                figures.asked
            )
        })
    };
    let lost = match result.losses.is_empty() {
        true => "none lost".to_owned(),
        false => result.losses.join("; "),
    };
    let exact = match result.verdict {
        DrillVerdict::Inconclusive => format!(" ({})", result.reasons.join("; ")),
        _ => String::new(),
    };
    format!(
        "clients meanwhile: {}; {}; {} writes acknowledged, {lost}{exact}",
        away(&ClientName::Reads),
        away(&ClientName::Creates),
        result.writes.acknowledged
    )
}

/// All of them: a table of figures for each, and one over all where a drill was repeated.
pub(crate) fn text(results: &[DrillResult]) -> String {
    let mut parts: Vec<String> = results.iter().map(one).collect();
    if let Some(repeated) = repeated(results) {
        parts.push(repeated);
    }
    parts.join("\n\n")
}

fn one(result: &DrillResult) -> String {
    let mut lines = vec![format!("{} {}", word(result.verdict), result.drill)];
    lines.extend(result.reasons.iter().map(|reason| format!("  {reason}")));
    if let Some(fault) = &result.fault {
        lines.push(format!(
            "  {}, sent at {} s, confirmed {} ms later ({})",
            fault.fault,
            seconds(fault.sent),
            milliseconds(fault.confirmed - fault.sent),
            fault.evidence
        ));
        if let (Some(sent), Some(healed)) = (fault.repair_sent, fault.healed) {
            lines.push(format!(
                "  repaired at {} s; all was well {} s later",
                seconds(sent),
                seconds(healed - sent)
            ));
        }
    }
    if let (Some(before), Some(after)) = &result.leaders {
        let terms = result.terms.unwrap_or_default();
        lines.push(format!(
            "  etcd was led by {before}, then by {after}, {terms} terms later"
        ));
    }
    if result.owners.course.len() > 1 {
        lines.push(format!(
            "  the virtual address moved {} times: {}",
            result.owners.moves,
            result.owners.text()
        ));
    }
    if result.verdict == DrillVerdict::Refused {
        return lines.join("\n");
    }
    let mut table = table::plain(&[
        "client",
        "asked",
        "failed",
        "away ms",
        "outages",
        "budget",
        "slowest ms",
        "back ms",
    ]);
    for figures in &result.clients {
        table.add_row(row(figures));
    }
    lines.push(table::text(&table));
    let writes = &result.writes;
    let (steps, unsure, value) = writes.chain;
    lines.push(format!(
        "  writes: {} acknowledged, {} lost; {} of which nobody knew, {} of them done; {} refused. Chain: {steps} steps and \
         {unsure} unsure, at {}",
        writes.acknowledged,
        writes.lost.len(),
        writes.unknown.0,
        writes.unknown.1,
        writes.refused,
        value.map_or("unknown".to_owned(), |value| value.to_string())
    ));
    let watch = &result.watch;
    lines.push(format!(
        "  watch: {} events, {} missed, {} out of order, {} breaks, {} lists, silent for up to {} ms while writes were acknowledged",
        watch.events,
        watch.missed.len(),
        watch.disordered,
        watch.breaks.len(),
        watch.lists,
        milliseconds(watch.silence)
    ));
    lines.push(format!(
        "  sampling: 99 of 100 requests at most {} ms late, all at most {} ms; {}",
        milliseconds(result.sampling.late_p99),
        milliseconds(result.sampling.late_max),
        result.priority
    ));
    lines.join("\n")
}

fn row(figures: &ClientFigures) -> Vec<String> {
    let (least, most) = figures.away;
    vec![
        figures.client.to_string(),
        figures.asked.to_string(),
        figures.failed.to_string(),
        match most {
            0 => "0".to_owned(),
            _ => format!("{} to {}", milliseconds(least), milliseconds(most)),
        },
        figures.outages.to_string(),
        match (figures.budget_ms, figures.budget_is_of_file) {
            (None, _) => String::new(),
            (Some(ms), false) => ms.to_string(),
            (Some(ms), true) => format!("{ms} (lab file)"),
        },
        milliseconds(figures.slowest).to_string(),
        figures
            .back
            .map_or_else(String::new, |back| milliseconds(back).to_string()),
    ]
}

/// How long reads were away in all runs of each drill that was run more than once.
fn repeated(results: &[DrillResult]) -> Option<String> {
    let mut names: Vec<&str> = results.iter().map(|it| it.drill.as_str()).collect();
    names.dedup();
    let mut table = table::plain(&["drill", "n", "min ms", "median ms", "max ms"]);
    let mut any = false;
    for name in names {
        let runs = results.iter().filter(|it| it.drill == name);
        let reads = runs.filter_map(|it| {
            let reads = it
                .clients
                .iter()
                .find(|it| it.client == ClientName::Reads)?;
            Some(reads.away.1)
        });
        let mut away: Vec<Micros> = reads.collect();
        away.sort_unstable();
        if away.len() < 2 {
            continue;
        }
        any = true;
        let at = |place: usize| away.get(place).copied().map_or(0, milliseconds).to_string();
        table.add_row(vec![
            name.to_owned(),
            away.len().to_string(),
            at(0),
            at(away.len() / 2),
            at(away.len() - 1),
        ]);
    }
    any.then(|| table::text(&table))
}

fn word(verdict: DrillVerdict) -> &'static str {
    match verdict {
        DrillVerdict::Held => "held",
        DrillVerdict::Broken => "BROKEN",
        DrillVerdict::Inconclusive => "inconclusive",
        DrillVerdict::Refused => "REFUSED",
    }
}

fn milliseconds(micros: Micros) -> u64 {
    micros / 1000
}

fn seconds(micros: Micros) -> String {
    let tenths = micros / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}
