//! Runs checks: those that break nothing at the same time, each with its own limit, then the others one by one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use caravan_lab::Lab;
use caravan_process::{Pace, interrupt};

use super::context::Context;
use super::findings::{Findings, Verdict};
use super::table::{self, Row};
use super::{Check, Depth, Evidence, Options, Report, VerifyEvent, VerifyOutcome};
use crate::Access;
use crate::timeline::recorder::unix_ms;

/// How often the time limits and the user's wish to stop are looked at.
const POLL: Duration = Duration::from_millis(50);

/// Tests every promise of the lab; `on_event` hears of each check as it begins and ends.
///
/// Never fails: what could not be asked is a failed check with the reason as its evidence.
pub fn run(
    access: &Access,
    lab: &Lab,
    options: &Options,
    on_event: &mut dyn FnMut(VerifyEvent<'_>),
) -> Report {
    let (began, began_unix_ms) = (Instant::now(), unix_ms());
    let context = Arc::new(Context::new(access, lab, options));
    // Checks begin with shared questions; asking all machines now lets none of them wait for another check's turn.
    if options.depth >= Depth::Full {
        for machine in lab.machines().to_vec() {
            let context = Arc::clone(&context);
            std::thread::spawn(move || drop(context.survey(&machine).map(drop)));
        }
    }
    let (gentle, disruptive): (Vec<_>, Vec<_>) =
        table::rows_of(lab, options.depth).partition(|row| row.depth < Depth::Disrupt);
    let made = Made(context);
    let mut checks = at_once(&made.0, &gentle, on_event);
    // Before anything is broken: pods are not to be judged for it.
    on_event(VerifyEvent::CleansUp);
    let mut left_behind = made.0.clean_up().err();
    if !disruptive.is_empty() {
        // Nothing that was asked, or made in the cluster, before holds any more.
        let made = Made(Arc::new(Context::new(access, lab, options)));
        for row in disruptive {
            checks.extend(at_once(&made.0, &[row], on_event));
        }
        left_behind = made.0.clean_up().err().or(left_behind);
    }
    checks.sort_by_key(|check| table::ROWS.iter().position(|row| row.id == check.id));
    Report {
        lab: lab.name().to_owned(),
        began_unix_ms,
        depth: options.depth,
        checks,
        seconds: rounded(began.elapsed()),
        left_behind,
    }
}

/// What the checks made in the cluster is taken away also when the caller breaks off, as by a terminal that is gone.
struct Made(Arc<Context>);

impl Drop for Made {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.0.clean_up());
        }
    }
}

/// A check that has begun.
struct BegunRow {
    row: &'static Row,
    began: Instant,
}

/// What a check's thread reports.
type Ended = (&'static str, Result<Findings, String>, Duration);

fn at_once(
    context: &Arc<Context>,
    rows: &[&'static Row],
    on_event: &mut dyn FnMut(VerifyEvent<'_>),
) -> Vec<Check> {
    let (lab, pace) = (context.lab.name(), context.access.pace());
    let (sender, ended) = channel();
    let mut sender = Some(sender);
    let mut checks = Vec::new();
    let mut due: VecDeque<&'static Row> = rows.iter().copied().collect();
    let mut waiting: Vec<BegunRow> = Vec::new();
    let mut report = |check: Check, on_event: &mut dyn FnMut(VerifyEvent<'_>)| {
        on_event(VerifyEvent::Ends(&check));
        checks.push(check);
    };
    loop {
        while waiting.len() < abreast(pace)
            && let Some(row) = due.pop_front()
        {
            let reason = if interrupt::raised() {
                Some("interrupted".to_owned())
            } else {
                (row.unless)(&context.lab, &context.options)
            };
            match (reason, &sender) {
                (Some(reason), _) => report(check(row, skipped(reason), Duration::ZERO), on_event),
                (None, Some(sender)) => {
                    on_event(VerifyEvent::Begins {
                        id: row.id,
                        promise: row.promise,
                    });
                    begin(context, row, sender.clone());
                    let began = Instant::now();
                    waiting.push(BegunRow { row, began });
                }
                (None, None) => unreachable!("kept while a check is due"),
            }
        }
        // Without it only the checks themselves could still report, and that the last of them broke off can be seen.
        if due.is_empty() {
            sender = None;
        }
        if waiting.is_empty() {
            return checks;
        }
        match ended.recv_timeout(POLL) {
            Ok((id, seen, took)) => {
                // One that was over its limit has been reported.
                if let Some(place) = waiting.iter().position(|begun| begun.row.id == id) {
                    let row = waiting.swap_remove(place).row;
                    report(check(row, verdict(lab, seen), took), on_event);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                for BegunRow { row, began } in waiting.drain(..) {
                    let defect = "the check itself broke off, which is a defect of Caravan";
                    let untested = untested(lab, defect.to_owned());
                    report(check(row, untested, began.elapsed()), on_event);
                }
            }
        }
        let stop = interrupt::raised();
        // One that breaks something must end by itself, because it also repairs it, and the next one is to find a lab that is
        // whole. Everything that it waits for has a limit of its own.
        let late = waiting.extract_if(.., |BegunRow { row, began }| {
            row.depth < Depth::Disrupt && (stop || began.elapsed() > pace.of(row.limit))
        });
        for BegunRow { row, began } in late.collect::<Vec<_>>() {
            let verdict = if stop {
                skipped("interrupted".to_owned())
            } else {
                untested(
                    lab,
                    format!("not done within {} s", pace.of(row.limit).as_secs()),
                )
            };
            report(check(row, verdict, began.elapsed()), on_event);
        }
    }
}

/// How many checks ask at the same time: all of them, or few where machines are so slow that what each is asked by three
/// dozen at once would be answered to none in time.
fn abreast(pace: Pace) -> usize {
    if pace == Pace::USUAL { usize::MAX } else { 6 }
}

/// Starts a check. Its thread is not scoped: one that hangs is left behind, so that the others are reported.
fn begin(context: &Arc<Context>, row: &'static Row, sender: Sender<Ended>) {
    let context = Arc::clone(context);
    std::thread::spawn(move || {
        let began = Instant::now();
        let seen = (row.run)(&context);
        // Nobody listens any more when it was over its limit.
        drop(sender.send((row.id, seen, began.elapsed())));
    });
}

fn verdict(lab: &str, seen: Result<Findings, String>) -> Verdict {
    match seen {
        Ok(findings) => findings.verdict(),
        Err(why) => untested(lab, why),
    }
}

/// It could not be tested: what is said of no part in particular is said of the lab.
fn untested(lab: &str, why: String) -> Verdict {
    Verdict {
        outcome: VerifyOutcome::Failed,
        findings: vec![Evidence {
            subject: lab.to_owned(),
            holds: false,
            text: why.clone(),
            measured: None,
        }],
        text: why,
    }
}

fn skipped(why: String) -> Verdict {
    Verdict {
        outcome: VerifyOutcome::Skipped,
        text: why,
        findings: Vec::new(),
    }
}

fn check(row: &Row, verdict: Verdict, took: Duration) -> Check {
    Check {
        id: row.id.to_owned(),
        promise: row.promise.to_owned(),
        outcome: verdict.outcome,
        evidence: verdict.text,
        findings: verdict.findings,
        seconds: rounded(took),
    }
}

/// Seconds with three digits.
fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::super::tests::{access, lab};
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    const fn row(
        id: &'static str,
        limit: Duration,
        run: fn(&Context) -> Result<Findings, String>,
    ) -> Row {
        Row {
            asked: |_| true,
            id,
            promise: "a promise",
            depth: Depth::Quick,
            unless: |_, _| None,
            limit,
            run,
        }
    }

    fn good(_: &Context) -> Result<Findings, String> {
        Ok([("one", Ok("seen".to_owned()))].into_iter().collect())
    }

    static ROWS: [Row; 6] = [
        row("good", LONG, good),
        row("bad", LONG, |_| {
            Ok([("one", Err("broken".to_owned()))].into_iter().collect())
        }),
        row("unasked", LONG, |_| Err("nobody there".to_owned())),
        row("blind", LONG, |_| Ok(Findings::new())),
        row("slow", Duration::ZERO, |_| {
            std::thread::sleep(Duration::from_secs(2));
            Ok(Findings::new())
        }),
        Row {
            unless: |_, _| Some("not promised".to_owned()),
            ..row("skipped", LONG, good)
        },
    ];

    fn context() -> Arc<Context> {
        context_at(Pace::USUAL)
    }

    fn context_at(pace: Pace) -> Arc<Context> {
        let options = Options {
            depth: Depth::Quick,
            airgap: true,
            probe_image: None,
            volume_image: None,
            tool: "cargo xtask".to_owned(),
        };
        let mut access = access();
        access.ssh = access.ssh.with_pace(pace);
        Arc::new(Context::new(&access, &lab("ha"), &options))
    }

    #[test]
    fn each_check_ends_in_its_own_way() {
        let rows: Vec<&'static Row> = ROWS.iter().collect();
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        let mut checks = at_once(&context(), &rows, &mut |event| match event {
            VerifyEvent::Begins { id, .. } => begun.push(id),
            VerifyEvent::Ends(check) => ended.push(check.id.clone()),
            VerifyEvent::CleansUp => {}
        });
        checks.sort_by_key(|check| ROWS.iter().position(|row| row.id == check.id));
        let outcomes: Vec<_> = checks
            .iter()
            .map(|check| (check.id.as_str(), check.outcome, check.evidence.as_str()))
            .collect();
        assert_eq!(
            outcomes,
            [
                ("good", VerifyOutcome::Passed, "seen"),
                ("bad", VerifyOutcome::Failed, "broken"),
                ("unasked", VerifyOutcome::Failed, "nobody there"),
                (
                    "blind",
                    VerifyOutcome::Failed,
                    "nothing was found to be tested"
                ),
                ("slow", VerifyOutcome::Failed, "not done within 0 s"),
                ("skipped", VerifyOutcome::Skipped, "not promised"),
            ]
        );
        let counts: Vec<usize> = checks.iter().map(|check| check.findings.len()).collect();
        assert_eq!(counts, [1, 1, 1, 0, 1, 0]);
        assert_eq!(checks[2].findings[0].subject, "ha");
        assert_eq!(begun, ["good", "bad", "unasked", "blind", "slow"]);
        ended.sort_unstable();
        assert_eq!(
            ended,
            ["bad", "blind", "good", "skipped", "slow", "unasked"]
        );
    }

    #[test]
    fn slow_machines_are_asked_by_a_few_at_a_time() {
        static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);
        static COUNTED: Row = row("counted", LONG, |_| {
            let others = UNDER_WAY.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
            Ok([("others", Ok(others.to_string()))].into_iter().collect())
        });
        let most = |pace| {
            let checks = at_once(&context_at(pace), &[&COUNTED; 20], &mut |_| {});
            assert_eq!(checks.len(), 20);
            let others = checks
                .iter()
                .map(|check| check.evidence.parse::<usize>().expect("a number"));
            others.max().expect("twenty")
        };
        assert!(most(Pace::EMULATED) < 6);
    }

    #[test]
    fn what_breaks_something_is_waited_for() {
        static IS_BROKEN: AtomicBool = AtomicBool::new(false);
        static BREAKS: Row = Row {
            depth: Depth::Disrupt,
            ..row("breaks", Duration::ZERO, |context| {
                IS_BROKEN.store(true, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(200));
                IS_BROKEN.store(false, Ordering::SeqCst);
                good(context)
            })
        };
        static NEXT: Row = row("next", LONG, |_| {
            let found = match IS_BROKEN.load(Ordering::SeqCst) {
                true => Err("it meets what the one before has broken".to_owned()),
                false => Ok("whole".to_owned()),
            };
            Ok([("one", found)].into_iter().collect())
        });
        let checks = [&BREAKS, &NEXT].map(|row| at_once(&context(), &[row], &mut |_| {}).remove(0));
        for check in checks {
            assert_eq!(check.outcome, VerifyOutcome::Passed, "{}", check.evidence);
        }
    }

    #[test]
    fn a_check_that_breaks_off_is_reported() {
        static BROKEN: Row = row("panics", LONG, |_| panic!("on purpose"));
        let checks = at_once(&context(), &[&BROKEN], &mut |_| {});
        assert_eq!(checks[0].outcome, VerifyOutcome::Failed);
        assert!(checks[0].evidence.contains("defect"));
    }
}
