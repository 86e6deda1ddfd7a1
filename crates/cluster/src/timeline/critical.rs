//! Which phases decided how long the run took.
//!
//! The chain is walked back from the end: what ended last, what that had waited for, and so on to the beginning.
//! Waiting is never on the chain; what was waited for is.

use serde::{Deserialize, Serialize};

use super::{RUN, Span};
use crate::phase::Phase;

/// What the machines' phases wait for, by the names of phases on other machines.
///
/// These are the phases that `caravan-bootstrap` reports; the table mirrors what its scripts wait for.
const AWAITED: [(Phase, &[Phase]); 5] = [
    (Phase::EtcdQuorum, &[Phase::EtcdStart]),
    (Phase::WaitEtcd, &[Phase::EtcdQuorum]),
    (
        Phase::WaitEndpoint,
        &[Phase::Vip, Phase::Haproxy, Phase::Init],
    ),
    (Phase::NodeReady, &[Phase::Init, Phase::Join]),
    (Phase::Ready, &[Phase::NodeReady, Phase::Init, Phase::Join]),
];

/// Two ends this close count as one moment, since machines and the host report them by different clocks.
const TOLERANCE_MS: i64 = 400;

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The machine, or the run.
    pub subject: String,
    /// The phase.
    pub phase: Phase,
    /// Milliseconds since the run began.
    pub from_ms: i64,
    /// Milliseconds since the run began.
    pub to_ms: i64,
}

/// The chain of phases that the run's end hung on, first to last.
pub fn path(spans: &[Span]) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let mut at = spans
        .iter()
        .filter(|span| !span.waits)
        .filter_map(end_of)
        .max();
    let mut last: Option<&Span> = None;
    while let Some(limit) = at {
        let Some(span) = before(spans, last, limit) else {
            break;
        };
        let to_ms = end_of(span).unwrap_or(limit).min(limit);
        if to_ms > span.from_ms {
            links.push(Link {
                subject: span.subject.clone(),
                phase: span.phase.clone(),
                from_ms: span.from_ms,
                to_ms,
            });
        }
        // Each step goes strictly back, so the walk ends.
        at = (span.from_ms > 0).then(|| span.from_ms.min(limit - 1));
        last = Some(span);
    }
    links.reverse();
    links
}

/// What `span` followed: the last piece of work that ended by `limit`, what it had waited for if that is known.
fn before<'a>(spans: &'a [Span], span: Option<&Span>, limit: i64) -> Option<&'a Span> {
    let work = || {
        spans.iter().filter(move |candidate| {
            !candidate.waits
                && candidate.from_ms < limit
                && end_of(candidate).is_some_and(|end| end <= limit + TOLERANCE_MS)
                && !span.is_some_and(|span| std::ptr::eq(span, *candidate))
        })
    };
    let latest = |found: &mut dyn Iterator<Item = &'a Span>| found.max_by_key(|span| end_of(span));
    let Some(span) = span else {
        return latest(&mut work());
    };
    if span.subject != RUN {
        let waited: Vec<&Phase> = spans
            .iter()
            .filter(|wait| wait.waits && wait.subject == span.subject)
            .filter(|wait| end_of(wait).is_some_and(|end| (limit - end).abs() <= TOLERANCE_MS))
            .chain(std::iter::once(span))
            .filter_map(|wait| AWAITED.iter().find(|(phase, _)| *phase == wait.phase))
            .flat_map(|(_, awaited)| awaited.iter())
            .collect();
        let near =
            |found: &&'a Span| end_of(found).is_some_and(|end| limit - end <= 2 * TOLERANCE_MS);
        let same = latest(
            &mut work()
                .filter(|found| found.subject == span.subject)
                .filter(near),
        );
        let awaited = latest(
            &mut work()
                .filter(|found| waited.contains(&&found.phase))
                .filter(near),
        );
        if let Some(found) = awaited.or(same) {
            return Some(found);
        }
    }
    latest(&mut work())
}

fn end_of(span: &Span) -> Option<i64> {
    span.to_ms
}
