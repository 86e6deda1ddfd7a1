//! The virtual address: whose it is, and who takes it over.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use caravan_lab::{Machine, Role};
use caravan_process::interrupt;

use super::context::{Context, told};
use super::findings::Findings;
use super::refusals::OPEN;
use super::{Depth, Measured};
use crate::attempt::End;
use crate::disturb::outage::{self, ApiProbe, Outage};
use crate::disturb::{Disturbance, Harm, OverSsh, UnitFault};
use crate::{facts, parallel};

/// How long a takeover may take, and how long clients may be without the API.
const TAKEOVER: Duration = Duration::from_secs(15);

/// How long a machine may take to say what addresses it has.
const ADDRESSES: Duration = Duration::from_secs(30);

/// How long a repaired owner is watched.
const RETURN: Duration = Duration::from_secs(2);

/// How often a repaired owner is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Which machines have the virtual address.
pub(super) fn one_owner(context: &Context) -> Result<Findings, String> {
    let vip = vip(context)?;
    let holders: Vec<Holder<'_>> = if context.options.depth == Depth::Quick {
        holders(context, vip)
    } else {
        // Every machine is asked anyway.
        let mut found =
            context.each_survey(context.lab.machines(), |_, facts| facts.has_address(vip));
        // Not in the same instant, so the address may have been on its way: then those that may have it are asked again.
        let owners = found.iter().filter(|(_, owns)| *owns == Ok(true)).count();
        if owners != 1 {
            std::thread::sleep(RETURN);
            found.retain(|(machine, owns)| owns.is_err() || machine.role != Role::LoadBalancer);
            found.extend(holders(context, vip));
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

pub(super) fn vip(context: &Context) -> Result<Ipv4Addr, String> {
    context
        .lab
        .vip()
        .ok_or_else(|| "the lab has no virtual address".to_owned())
}

/// A machine, and whether it has the address.
type Holder<'a> = (&'a Machine, Result<bool, String>);

/// Asks the load balancers, now.
fn holders(context: &Context, vip: Ipv4Addr) -> Vec<Holder<'_>> {
    let balancers: Vec<&Machine> = context.lab.of_role(Role::LoadBalancer).collect();
    parallel::each(balancers, |machine| {
        let owns = facts::has_address(&context.access, machine, vip, ADDRESSES);
        (machine, owns.map_err(told))
    })
}

/// The one load balancer that has the address now.
pub(super) fn owner(context: &Context, vip: Ipv4Addr) -> Result<&Machine, String> {
    Looks::default().owner(context, vip)
}

/// How often it was asked who has the address, and what was wrong then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Looks {
    count: u32,
    /// The last look found several owners.
    several: bool,
    /// Two looks one after the other did. One alone may have met the address on its way: machines are not asked in the
    /// same instant.
    shared: bool,
}

impl Looks {
    /// The one load balancer that has the address now.
    fn owner<'a>(&mut self, context: &'a Context, vip: Ipv4Addr) -> Result<&'a Machine, String> {
        let holders: Vec<(&Machine, bool)> = holders(context, vip)
            .into_iter()
            .map(|(machine, owns)| Ok((machine, owns?)))
            .collect::<Result<_, String>>()?;
        let mut owners = holders.iter().filter(|(_, owns)| *owns);
        let (first, second) = (owners.next(), owners.next());
        self.note(second.is_some());
        match (first, second) {
            (Some((owner, _)), None) => Ok(owner),
            (None, _) => Err(format!("nobody has {vip}")),
            _ => Err(format!("several machines have {vip}")),
        }
    }

    fn note(&mut self, several: bool) {
        self.count += 1;
        self.shared |= several && self.several;
        self.several = several;
    }
}

/// What is done to the owner of the address, one after the other: all the ways in which its programs can fail.
const HARMS: [(&str, Harm); 5] = [
    ("keepalived", Harm::Stop),
    ("keepalived", Harm::Kill),
    ("haproxy", Harm::Stop),
    ("haproxy", Harm::Kill),
    ("haproxy", Harm::Freeze),
];

/// Breaks Keepalived and HAProxy on whoever owns the address; another one must have it each time.
pub(super) fn take_over(context: &Context) -> Result<Findings, String> {
    let api = ApiProbe::new(&context.lab, &context.access).map_err(told)?;
    let address = vip(context)?.to_string();
    let mut findings = Findings::new();
    for (unit, harm) in HARMS {
        let what = format!("{unit} {harm}");
        if interrupt::raised() {
            findings.wrong(
                &address,
                format!("{what}: not tried, because of the interrupt"),
            );
            break;
        }
        let (moved, outage) =
            outage::measured(|| api.answers(), || lose(context, unit, harm, &api));
        match moved {
            Ok(course) => {
                let judged = judge_takeover(&what, &course, outage);
                findings.add_measured(&course.from, judged, Measured::Outage(outage));
            }
            Err(why) => {
                let why = Err(format!("{what}: {why}"));
                findings.add_measured(&address, why, Measured::Outage(outage));
                break;
            }
        }
    }
    Ok(findings)
}

/// Who had the address, and who had it then.
struct Course {
    from: String,
    to: String,
    looks: Looks,
}

/// Does `harm` to `unit` on the owner until another machine has the address.
fn lose(context: &Context, unit: &str, harm: Harm, api: &ApiProbe) -> Result<Course, String> {
    let vip = vip(context)?;
    let before = owner(context, vip)?;
    let means = OverSsh::new(&context.lab, &context.access);
    let fault = UnitFault::new(&before.name, unit, harm);
    let broken = Disturbance::begin(&means, fault).map_err(told)?;
    let mut looks = Looks::default();
    let mut after = None;
    let taken = context.until(TAKEOVER, "another owner that serves", || {
        let now = looks.owner(context, vip)?;
        after = Some(now.name.clone());
        Ok(now.name != before.name && api.answers())
    });
    broken.end().map_err(told)?;
    taken.map_err(told)?;
    context
        .until(TAKEOVER, "the former owner's health", || {
            context
                .remote(before)
                .run(
                    &["systemctl", "is-active", "haproxy", "keepalived"],
                    ADDRESSES,
                )
                .map(|said| said.success())
                .map_err(|error| error.to_string())
        })
        .map_err(told)?;
    // If the former owner took the address back now, clients would see that too.
    let back = Instant::now();
    while back.elapsed() < RETURN {
        drop(looks.owner(context, vip));
        std::thread::sleep(LOOK);
    }
    context
        .until(TAKEOVER, "one owner again", || {
            looks.owner(context, vip).map(|_| api.answers())
        })
        .map_err(told)?;
    Ok(Course {
        from: before.name.clone(),
        to: after.unwrap_or_default(),
        looks,
    })
}

fn judge_takeover(what: &str, course: &Course, outage: Outage) -> Result<String, String> {
    let Course { from, to, looks } = course;
    if from == to || to.is_empty() {
        return Err(format!("{what} on {from}, and nobody took over"));
    }
    let seen = format!(
        "{what}: {to} took over, the API was away for {} ms ({} of {} tries failed)",
        outage.away_ms, outage.failed, outage.asked
    );
    if looks.shared {
        return Err(format!(
            "{seen}, and in several of {} looks two machines had the address",
            looks.count
        ));
    }
    if u128::from(outage.away_ms) > TAKEOVER.as_millis() {
        return Err(seen);
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
        let course = |to: &str, severals: &[bool]| {
            let mut looks = Looks::default();
            for several in severals {
                looks.note(*several);
            }
            Course {
                from: "lbone".to_owned(),
                to: to.to_owned(),
                looks,
            }
        };
        let judge = |to, severals: &[bool], seconds| {
            judge_takeover("haproxy killed", &course(to, severals), outage(seconds))
        };
        assert_eq!(
            judge("lbtwo", &[false, true, false, true], 1),
            Ok("haproxy killed: lbtwo took over, the API was away for 1000 ms (5 of 100 tries failed)".to_owned())
        );
        assert!(judge("lbone", &[false], 1).is_err());
        assert!(judge("", &[], 1).is_err());
        assert!(judge("lbtwo", &[false], 16).is_err());
        assert!(judge("lbtwo", &[false, true, true, false], 1).is_err());
    }
}
