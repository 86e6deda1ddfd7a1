//! All machines' clocks agree: certificates, leases and logs are compared across machines.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use caravan_lab::Machine;

use super::context::Context;
use super::findings::Findings;
use super::{ClockRange, Measured};
use crate::parallel;

/// How far the clocks of two machines may be apart.
const ALLOWED: Duration = Duration::from_secs(1);

/// Each question costs no more than its way there and back: the shell says the time by itself.
const TELL: &str =
    r#"while read -r question; do echo "CLOCK $question ${EPOCHREALTIME/[.,]/}"; done"#;

/// How often a machine is asked at most; the closest answers count.
const QUESTIONS: u32 = 10;

/// A range so narrow needs no further question.
const NARROW: Duration = Duration::from_millis(20);

/// How long the login and the first answer may take, and how long each further answer, at the usual pace. What a machine says
/// that takes its time is worth less, and the range says how much.
const LOGIN: Duration = Duration::from_secs(40);
const ANSWER: Duration = Duration::from_secs(10);

/// How far a machine's clock is ahead of this computer's, in microseconds: somewhere from `least` to `most`. Negative is
/// behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ahead {
    least: i64,
    most: i64,
}

/// A machine's clock, as far as it is known.
struct Clock<'a> {
    machine: &'a str,
    ahead: Ahead,
}

/// This computer's clock as it is at the start of a check. Somebody may set it meanwhile, so time goes on by the counter.
#[derive(Clone, Copy)]
struct Reference {
    began: Instant,
    unix_us: i64,
}

impl Reference {
    fn now() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        Reference {
            began: Instant::now(),
            unix_us: unix.map_or(0, micros),
        }
    }

    fn at(self, instant: Instant) -> i64 {
        let since = micros(instant.saturating_duration_since(self.began));
        self.unix_us.saturating_add(since)
    }
}

impl Ahead {
    /// What one answer tells: the machine looked at its clock after it was asked and before it was heard.
    fn from_answer(asked_us: i64, said_us: i64, heard_us: i64) -> Self {
        Ahead {
            least: said_us.saturating_sub(heard_us),
            most: said_us.saturating_sub(asked_us),
        }
    }

    /// What both tell together. A clock that was set in between is where the later one says.
    fn narrowed(self, later: Self) -> Self {
        let both = Ahead {
            least: self.least.max(later.least),
            most: self.most.min(later.most),
        };
        if both.least <= both.most { both } else { later }
    }

    fn width(self) -> i64 {
        self.most.saturating_sub(self.least)
    }

    /// How far it is from `other` at least.
    fn apart(self, other: Self) -> i64 {
        let ahead = self.least.saturating_sub(other.most);
        let behind = other.least.saturating_sub(self.most);
        ahead.max(behind).max(0)
    }
}

/// Every machine is asked for its clock, all at once, and all are compared.
pub(super) fn agree(context: &Context) -> Result<Findings, String> {
    let reference = Reference::now();
    let asked = parallel::each(context.lab.machines(), |machine| {
        (machine, ask(context, machine, reference))
    });
    let mut findings = Findings::new();
    let mut clocks = Vec::new();
    for (machine, asked) in asked {
        let machine = &machine.name;
        match asked {
            Ok(ahead) => clocks.push(Clock { machine, ahead }),
            Err(why) => findings.wrong(
                machine,
                format!("{machine} did not say what its clock shows: {why}"),
            ),
        }
    }
    findings.extend(judge(&clocks));
    Ok(findings)
}

fn ask(context: &Context, machine: &Machine, reference: Reference) -> Result<Ahead, String> {
    let mut talk = context
        .remote(machine)
        .converse(&["bash", "-c", TELL])
        .map_err(|error| error.to_string())?;
    let pace = context.access.pace();
    let mut known: Option<Ahead> = None;
    for question in 1..=QUESTIONS {
        let limit = pace.of(if known.is_none() { LOGIN } else { ANSWER });
        let Some(reply) = talk.ask(&question.to_string(), limit) else {
            break;
        };
        let said = said_us(&reply.line, question).ok_or(reply.line)?;
        let (asked, heard) = (reference.at(reply.asked), reference.at(reply.heard));
        let ahead = Ahead::from_answer(asked, said, heard);
        let ahead = known.map_or(ahead, |before| before.narrowed(ahead));
        known = Some(ahead);
        if ahead.width() <= micros(NARROW) {
            break;
        }
    }
    known.ok_or_else(|| format!("no answer within {} s", pace.of(LOGIN).as_secs()))
}

/// The microseconds since 1970 in an answer to `question`.
fn said_us(line: &str, question: u32) -> Option<i64> {
    let (asked, clock) = line.strip_prefix("CLOCK ")?.split_once(' ')?;
    (asked.parse() == Ok(question)).then_some(())?;
    clock.parse().ok()
}

/// What is promised is a second between any two. Who is further away than that from the one in the middle is named; what
/// cannot be told, because answers took too long, is not taken for agreement.
fn judge(clocks: &[Clock]) -> Findings {
    let mut findings = Findings::new();
    let mut sorted: Vec<&Clock> = clocks.iter().collect();
    sorted.sort_by_key(|clock| clock.ahead.least.saturating_add(clock.ahead.most));
    let Some(middle) = sorted.get(sorted.len() / 2).copied() else {
        return findings;
    };
    let allowed = micros(ALLOWED);
    let (mut near, mut far): (Vec<&Clock>, Vec<&Clock>) = (Vec::new(), Vec::new());
    for clock in clocks {
        let apart = clock.ahead.apart(middle.ahead);
        if apart > allowed { &mut far } else { &mut near }.push(clock);
    }
    for Clock { machine, ahead } in far {
        let apart = seconds(ahead.apart(middle.ahead));
        let way = if ahead.least > middle.ahead.most {
            "ahead of"
        } else {
            "behind"
        };
        let text = format!(
            "{machine}'s clock is {apart} or more {way} {}'s; allowed is a second",
            middle.machine
        );
        findings.add_measured(machine, Err(text), measured(*ahead));
    }
    // The two that may be furthest apart.
    let first = near.iter().min_by_key(|clock| clock.ahead.least);
    let last = near.iter().max_by_key(|clock| clock.ahead.most);
    let (Some(first), Some(last)) = (first, last) else {
        return findings;
    };
    let at_most = last.ahead.most.saturating_sub(first.ahead.least);
    // The two that are furthest apart for certain.
    let earliest = near.iter().min_by_key(|clock| clock.ahead.most);
    let latest = near.iter().max_by_key(|clock| clock.ahead.least);
    let at_least = match (earliest, latest) {
        (Some(earliest), Some(latest)) => latest.ahead.apart(earliest.ahead),
        _ => 0,
    };
    if at_least > allowed
        && let (Some(earliest), Some(latest)) = (earliest, latest)
    {
        findings.wrong(
            latest.machine,
            format!(
                "{}'s clock is {} or more ahead of {}'s; allowed is a second",
                latest.machine,
                seconds(at_least),
                earliest.machine
            ),
        );
    } else if at_most > allowed {
        let widest = near.iter().max_by_key(|clock| clock.ahead.width());
        if let Some(clock) = widest {
            findings.wrong(
                clock.machine,
                format!(
                    "inconclusive: {}'s answers took so long that its clock is known to {} only, and clocks may be up to {} apart",
                    clock.machine,
                    seconds(clock.ahead.width()),
                    seconds(at_most)
                ),
            );
        }
    }
    for Clock { machine, ahead } in near {
        let text = format!(
            "{machine}: {} to {} ms ahead of this computer",
            measured_ms(*ahead).0,
            measured_ms(*ahead).1
        );
        findings.add_measured(machine, Ok(text), measured(*ahead));
    }
    findings
}

fn measured(ahead: Ahead) -> Measured {
    let (least_ahead_ms, most_ahead_ms) = measured_ms(ahead);
    Measured::Clock(ClockRange {
        least_ahead_ms,
        most_ahead_ms,
    })
}

/// In milliseconds, rounded so that the range holds what it held.
fn measured_ms(ahead: Ahead) -> (i64, i64) {
    let up = -(-ahead.most).div_euclid(1000);
    (ahead.least.div_euclid(1000), up)
}

fn seconds(us: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let seconds = us as f64 / 1e6;
    format!("{seconds:.1} s")
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::VerifyOutcome;
    use super::*;

    const MS: i64 = 1000;

    fn verdict(clocks: &[(&'static str, i64, i64)]) -> (VerifyOutcome, String) {
        let clocks: Vec<Clock> = clocks
            .iter()
            .map(|(machine, least, most)| Clock {
                machine,
                ahead: Ahead {
                    least: least * MS,
                    most: most * MS,
                },
            })
            .collect();
        let verdict = judge(&clocks).verdict();
        (verdict.outcome, verdict.text)
    }

    #[test]
    fn an_answer_bounds_a_clock_from_both_sides() {
        // Asked at 100, heard at 140, and the clock said 1120: it was read somewhere between.
        let one = Ahead::from_answer(100, 1120, 140);
        assert_eq!((one.least, one.most), (980, 1020));
        let closer = one.narrowed(Ahead::from_answer(200, 1204, 205));
        assert_eq!((closer.least, closer.most), (999, 1004));
        // Wider ones take nothing away.
        assert_eq!(closer.narrowed(Ahead::from_answer(0, 1100, 900)), closer);
        // A clock that was set meanwhile is where the last answer says.
        let set = closer.narrowed(Ahead::from_answer(300, 305, 310));
        assert_eq!((set.least, set.most), (-5, 5));
    }

    #[test]
    fn answers_are_of_their_question() {
        assert_eq!(
            said_us("CLOCK 3 1764423000123456", 3),
            Some(1_764_423_000_123_456)
        );
        for line in [
            "CLOCK 2 1764423000123456",
            "CLOCK 3 ",
            "CLOCK 3",
            "",
            "Permission denied",
        ] {
            assert_eq!(said_us(line, 3), None, "{line}");
        }
    }

    #[test]
    fn clocks_within_a_second_agree_however_wrong_this_computers_is() {
        for offset in [0, 5000, -86_400_000] {
            let (outcome, text) = verdict(&[
                ("one", offset, offset + 10),
                ("two", offset + 400, offset + 990),
                ("three", offset + 3, offset + 4),
            ]);
            assert_eq!(outcome, VerifyOutcome::Passed, "{text}");
        }
    }

    #[test]
    fn the_clock_that_is_off_is_named() {
        for (least, most, way) in [(1500, 1520, "ahead of"), (-9000, -8990, "behind")] {
            let (outcome, text) = verdict(&[("one", 0, 10), ("two", least, most), ("three", 3, 4)]);
            assert_eq!(outcome, VerifyOutcome::Failed);
            assert!(
                text.contains("two's clock is") && text.contains(way),
                "{text}"
            );
            assert!(!text.contains("one's clock is"), "{text}");
        }
    }

    #[test]
    fn two_that_are_off_in_opposite_ways_do_not_agree() {
        let (outcome, text) = verdict(&[("one", 0, 10), ("two", 700, 710), ("three", -700, -690)]);
        assert_eq!(outcome, VerifyOutcome::Failed);
        assert!(
            text.contains("two's clock is 1.4 s or more ahead of three's"),
            "{text}"
        );
    }

    #[test]
    fn slow_answers_prove_nothing() {
        let (outcome, text) = verdict(&[("one", 0, 10), ("two", -900, 1100), ("three", 3, 4)]);
        assert_eq!(outcome, VerifyOutcome::Failed);
        assert!(
            text.contains("inconclusive: two's answers took so long"),
            "{text}"
        );
    }

    #[test]
    fn rounding_keeps_the_range() {
        let ahead = Ahead {
            least: -1500,
            most: 1500,
        };
        assert_eq!(measured_ms(ahead), (-2, 2));
    }

    #[test]
    fn the_shell_tells_the_time() {
        let Ok(bash) = caravan_process::Program::find("bash") else {
            return;
        };
        let reference = Reference::now();
        let mut talk = bash.call(["-c", TELL]).converse().expect("bash starts");
        let reply = talk.ask("7", Duration::from_secs(60)).expect("an answer");
        let said = said_us(&reply.line, 7).expect("a time");
        let ahead = Ahead::from_answer(reference.at(reply.asked), said, reference.at(reply.heard));
        // This computer's own clock; a step of it meanwhile is unlikely, and the range is rounded by the shell.
        assert!(ahead.least <= MS && ahead.most >= -MS, "{ahead:?}");
    }
}
