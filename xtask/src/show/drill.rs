//! What drills came to, for people.

use caravan_cluster::drill::judge::{ClientFigures, DrillResult, DrillVerdict};
use caravan_cluster::drill::record::{ClientName, Micros};
use caravan_report::drills::{story, word};

use super::table;

/// One drill in a line.
pub(crate) fn line(result: &DrillResult) -> String {
    let reads = result
        .clients
        .iter()
        .find(|it| it.client == ClientName::Reads);
    let mut away = reads.map_or_else(String::new, |reads| {
        format!(": reads away for up to {} ms", milliseconds(reads.away.1))
    });
    for figures in &result.clients {
        if matches!(figures.client, ClientName::Watched(_)) {
            let ms = milliseconds(figures.away.1);
            away += &format!(", {} for up to {ms} ms", figures.client);
        }
    }
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
    // Nothing was broken, and nobody asked anything.
    if result.verdict != DrillVerdict::Refused {
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
    }
    lines.extend(story(result).iter().map(|line| format!("  {line}")));
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

fn milliseconds(micros: Micros) -> u64 {
    micros / 1000
}
