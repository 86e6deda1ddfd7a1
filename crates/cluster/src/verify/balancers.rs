//! The virtual address: whose it is, and who takes it over.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use caravan_lab::{Machine, Role};
use caravan_process::{Pace, interrupt};

use super::context::{Context, told};
use super::findings::Findings;
use super::refusals::OPEN;
use super::{Depth, Measured, Outage, drills};
use crate::attempt::End;
use crate::disturb::{Harm, SAFETY, UnitFault};
use crate::drill::judge::DrillResult;
use crate::drill::record::ClientName;
use crate::vip;

/// How long all takeovers may take before no further one is tried: far longer than usual, and what is still to come then ends
/// within the check's own limit.
const ENOUGH: Duration = Duration::from_secs(150);

/// How long a takeover may take, and how long clients may be without the API.
const TAKEOVER: Duration = Duration::from_secs(15);

/// How long the address may be on its way from one machine to another.
const RETURN: Duration = Duration::from_secs(2);

/// How long two may have the address: one that wakes up, or was too slow to hear the other, gives it up then.
const SHARED: Duration = Duration::from_millis(500);

/// Which machines have the virtual address.
pub(super) fn one_owner(context: &Context) -> Result<Findings, String> {
    let vip = address(context)?;
    let holders: Vec<Holder<'_>> = if context.options.depth == Depth::Quick {
        holders(context)
    } else {
        // Every machine is asked anyway.
        let mut found =
            context.each_survey(context.lab.machines(), |_, facts| facts.has_address(vip));
        // Not in the same instant, so the address may have been on its way: then those that may have it are asked again.
        let owners = found.iter().filter(|(_, owns)| *owns == Ok(true)).count();
        if owners != 1 {
            std::thread::sleep(RETURN);
            found.retain(|(machine, owns)| owns.is_err() || machine.role != Role::LoadBalancer);
            found.extend(holders(context));
        }
        found
    };
    let answers = context
        .client(&context.access.kubernetes_ca, None)?
        .get(context.lab.api_endpoint(), OPEN)
        .end;
    Ok(judge_owner(vip, &holders, &answers))
}

fn judge_owner(vip: Ipv4Addr, holders: &[Holder<'_>], answers: &End) -> Findings {
    let mut findings = Findings::new();
    let mut owners = Vec::new();
    for (machine, owns) in holders {
        match owns {
            Ok(true) => owners.push(*machine),
            Ok(false) => {}
            Err(why) => findings.wrong(&machine.name, why),
        }
    }
    let address = vip.to_string();
    match owners[..] {
        [owner] if owner.role == Role::LoadBalancer => findings.right(
            &address,
            format!(
                "{} has {vip}, and no other of {} machines asked",
                owner.name,
                holders.len()
            ),
        ),
        [owner] => findings.wrong(
            &address,
            format!("{vip} is on {}, a {}", owner.name, owner.role),
        ),
        [] => findings.wrong(&address, format!("no machine has {vip}")),
        _ => {
            let names: Vec<&str> = owners.iter().map(|it| it.name.as_str()).collect();
            findings.wrong(&address, format!("{vip} is on {}", names.join(" and on ")));
        }
    }
    match answers {
        End::Answered { status: 200, .. } => {
            findings.right(&address, "the API says there that it is ready")
        }
        other => findings.wrong(&address, format!("the API does not answer there: {other}")),
    }
    findings
}

pub(super) fn address(context: &Context) -> Result<Ipv4Addr, String> {
    context
        .lab
        .vip()
        .ok_or_else(|| "the lab has no virtual address".to_owned())
}

/// A machine, and whether it has the address.
type Holder<'a> = (&'a Machine, Result<bool, String>);

/// Asks the load balancers, now.
fn holders(context: &Context) -> Vec<Holder<'_>> {
    let asked = vip::holders(&context.lab, &context.access).into_iter();
    let asked = asked.map(|(machine, owns)| (machine, owns.map_err(told)));
    asked.collect()
}

/// What is done to the owner of the address, one after the other: all the ways in which its programs can fail, and for how long
/// it stays so. A HAProxy that hangs is asked each second whether it answers, twice.
const HARMS: [(&str, Harm, u64); 5] = [
    ("keepalived", Harm::Stop, 3),
    ("keepalived", Harm::Kill, 3),
    ("haproxy", Harm::Stop, 3),
    ("haproxy", Harm::Kill, 3),
    ("haproxy", Harm::Freeze, 6),
];

/// Breaks Keepalived and HAProxy on whoever owns the address, each a drill; another one must have it each time.
pub(super) fn take_over(context: &Context) -> Result<Findings, String> {
    let address = address(context)?.to_string();
    let (began, pace) = (Instant::now(), context.access.pace());
    let mut findings = Findings::new();
    for (unit, harm, seconds) in HARMS {
        let what = format!("{unit} {harm}");
        if interrupt::raised() {
            findings.wrong(
                &address,
                format!("{what}: not tried, because of the interrupt"),
            );
            break;
        }
        if began.elapsed() > pace.of(ENOUGH) {
            findings.wrong(
                &address,
                format!(
                    "{what}: not tried, because those before took {} s",
                    began.elapsed().as_secs()
                ),
            );
            break;
        }
        let lasts = pace.of(Duration::from_secs(seconds));
        let owner = vip::owner(&context.lab, &context.access).map_err(told);
        let drilled = owner.and_then(|owner| {
            let fault = UnitFault::new(&owner.name, unit, harm, lasts + SAFETY);
            drills::unit(context, fault, Duration::from_secs(seconds))
        });
        match drilled {
            Ok(result) => {
                let figures = drills::outage(&result, &ClientName::Reads);
                let from = result.owners.sole().first().copied().unwrap_or(&address);
                let judged = judge_takeover(&what, &result, figures, pace);
                findings.add_measured(from, judged, Measured::Outage(figures));
            }
            Err(why) => {
                findings.wrong(&address, format!("{what}: {why}"));
                break;
            }
        }
    }
    Ok(findings)
}

/// Another load balancer has the address, never two had it for long, and nothing that clients wrote is lost. How long it took is
/// told, and no promise but that it is over in [`TAKEOVER`].
fn judge_takeover(
    what: &str,
    result: &DrillResult,
    outage: Outage,
    pace: Pace,
) -> Result<String, String> {
    let owners = result.owners.sole();
    let (Some(from), Some(to)) = (owners.first(), owners.get(1)) else {
        return Err(format!(
            "{what}, and nobody took over: the address was on {}",
            result.owners.text()
        ));
    };
    let seen = format!(
        "{what} on {from}: {to} took over, the API was away for {} ms ({} of {} tries failed), {} writes acknowledged and none \
         lost",
        outage.away_ms, outage.failed, outage.asked, result.writes.acknowledged
    );
    if let Some(loss) = result.losses.first() {
        return Err(format!("{what} on {from}: {loss}"));
    }
    let shared = Duration::from_micros(result.owners.shared);
    if shared > pace.of(SHARED) {
        return Err(format!(
            "{seen}, and for {} ms two machines had the address",
            shared.as_millis()
        ));
    }
    if owners.len() > 2 {
        return Err(format!(
            "{seen}, and it did not stay there: {}",
            result.owners.text()
        ));
    }
    if u128::from(outage.away_ms) > pace.of(TAKEOVER).as_millis() {
        return Err(seen);
    }
    if result.fault.as_ref().is_none_or(|it| it.healed.is_none()) {
        return Err(format!("{seen}, and {from} was not well again in time"));
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::super::tests::lab;
    use super::*;

    #[test]
    fn one_owner_that_balances() {
        let lab = lab("ha");
        let vip = lab.vip().expect("a virtual address");
        let ready = End::Answered {
            status: 200,
            body: "ok".to_owned(),
        };
        let judge = |owners: &[&str], answers: &End| {
            let holders: Vec<_> = lab
                .machines()
                .iter()
                .map(|machine| (machine, Ok(owners.contains(&machine.name.as_str()))))
                .collect();
            judge_owner(vip, &holders, answers).holds()
        };
        assert!(judge(&["lbone"], &ready));
        assert!(!judge(&[], &ready));
        assert!(!judge(&["lbone", "lbtwo"], &ready));
        assert!(!judge(&["masterone"], &ready));
        assert!(!judge(&["lbone"], &End::Silent));
        let unasked = [
            (lab.machine("lbone").expect("there"), Ok(true)),
            (lab.machine("lbtwo").expect("there"), Err("down".to_owned())),
        ];
        assert!(!judge_owner(vip, &unasked, &ready).holds());
    }

    #[test]
    fn somebody_else_takes_over_soon() {
        let outage = |seconds: u64| Outage {
            asked: 100,
            failed: 5,
            away_ms: seconds * 1000,
        };
        let seconds = |at: u64| at * 1_000_000;
        let drilled = |course: &[(u64, &[&str])]| {
            let mut result = drills::tests::well();
            result.owners.course = (course.iter())
                .map(|(at, owners)| {
                    let owners = owners.iter().map(|it| (*it).to_owned());
                    (seconds(*at), owners.collect())
                })
                .collect();
            result
        };
        let judge = |result: &DrillResult, away| {
            judge_takeover("haproxy killed", result, outage(away), Pace::USUAL)
        };
        let moved = drilled(&[(1, &["lbone"]), (5, &[]), (6, &["lbtwo"])]);
        assert_eq!(
            judge(&moved, 1),
            Ok("haproxy killed on lbone: lbtwo took over, the API was away for 1000 ms (5 of 100 tries failed), 70 writes acknowledged and none lost".to_owned())
        );
        assert!(judge(&moved, 16).is_err());
        assert!(judge(&drilled(&[(1, &["lbone"])]), 1).is_err());
        assert!(judge(&drilled(&[]), 1).is_err());
        // It came back and took it away again.
        let back = [(1, &["lbone"][..]), (5, &["lbtwo"]), (9, &["lbone"])];
        assert!(judge(&drilled(&back), 1).is_err());
        let mut shared = moved.clone();
        shared.owners.shared = seconds(2);
        assert!(judge(&shared, 1).is_err_and(|why| why.contains("for 2000 ms two")));
        // Emulated machines may take as many times as long.
        let slowly = |seconds| judge_takeover("x", &shared, outage(seconds), Pace::EMULATED);
        assert!(slowly(16).is_ok());
        assert!(slowly(15 * 8 + 1).is_err());
        let mut lost = moved.clone();
        lost.losses.push("a write is lost".to_owned());
        assert!(judge(&lost, 1).is_err());
        let mut unwell = moved;
        unwell.fault.as_mut().expect("done").healed = None;
        assert!(judge(&unwell, 1).is_err());
    }
}
