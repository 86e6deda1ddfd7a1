//! The virtual address: whose it is, and who takes it over.

use std::net::Ipv4Addr;
use std::time::Duration;

use caravan_lab::{Machine, Role};

use super::Depth;
use super::context::{Context, client, told};
use super::findings::Findings;
use super::outage::{self, Outage};
use super::restore::Stopped;
use crate::attempt::{Client, End};
use crate::{facts, parallel};

/// How long a takeover may take, and how long clients may be without the API.
const TAKEOVER: Duration = Duration::from_secs(15);

/// How long a machine may take to say what addresses it has.
const ADDRESSES: Duration = Duration::from_secs(30);

/// How long a client waits before it tries anew.
const PATIENCE: Duration = Duration::from_millis(400);

/// Which machines have the virtual address.
pub(super) fn one_owner(context: &Context) -> Result<Findings, String> {
    let vip = vip(context)?;
    let holders = if context.options.depth == Depth::Quick {
        holders(context, vip)
    } else {
        // Every machine is asked anyway.
        context.each_survey(context.lab.machines(), |machine, facts| {
            (machine, facts.has_address(vip))
        })
    };
    let answers = client(&context.access.kubernetes_ca, None)?
        .get(context.lab.api_endpoint(), "/readyz")
        .end;
    Ok(judge_owner(vip, &holders, &answers))
}

fn judge_owner(
    vip: Ipv4Addr,
    holders: &[Result<(&Machine, bool), String>],
    answers: &End,
) -> Findings {
    let mut findings = Findings::new();
    let mut owners = Vec::new();
    for holder in holders {
        match holder {
            Ok((machine, true)) => owners.push(*machine),
            Ok((_, false)) => {}
            Err(why) => findings.wrong(why),
        }
    }
    match owners[..] {
        [owner] if owner.role == Role::LoadBalancer => findings.right(format!(
            "{} has {vip}, and no other of {} machines asked",
            owner.name,
            holders.len()
        )),
        [owner] => findings.wrong(format!("{vip} is on {}, a {}", owner.name, owner.role)),
        [] => findings.wrong(format!("no machine has {vip}")),
        _ => {
            let names: Vec<&str> = owners.iter().map(|it| it.name.as_str()).collect();
            findings.wrong(format!("{vip} is on {}", names.join(" and on ")));
        }
    }
    match answers {
        End::Answered { status: 200, .. } => findings.right("the API says there that it is ready"),
        other => findings.wrong(format!("the API does not answer there: {other}")),
    }
    findings
}

fn vip(context: &Context) -> Result<Ipv4Addr, String> {
    context
        .lab
        .vip()
        .ok_or_else(|| "the lab has no virtual address".to_owned())
}

/// Asks the load balancers, now.
fn holders(context: &Context, vip: Ipv4Addr) -> Vec<Result<(&Machine, bool), String>> {
    let balancers: Vec<&Machine> = context.lab.of_role(Role::LoadBalancer).collect();
    parallel::each(balancers, |machine| {
        let script = "echo '@@ addresses'; ip -4 -oneline address show";
        let Context { lab, access, .. } = context;
        let facts = facts::ask(lab, access, machine, script, ADDRESSES).map_err(told)?;
        Ok((machine, facts.has_address(vip)))
    })
}

/// The one load balancer that has the address now.
fn owner(context: &Context, vip: Ipv4Addr) -> Result<&Machine, String> {
    let holders: Vec<(&Machine, bool)> = holders(context, vip)
        .into_iter()
        .collect::<Result<_, _>>()?;
    let mut owners = holders.iter().filter(|(_, owns)| *owns);
    match (owners.next(), owners.next()) {
        (Some((owner, _)), None) => Ok(owner),
        (None, _) => Err(format!("nobody has {vip}")),
        _ => Err(format!("several machines have {vip}")),
    }
}

/// Stops first Keepalived, then HAProxy on whoever owns the address; another one must have it each time.
pub(super) fn take_over(context: &Context) -> Result<Findings, String> {
    let client = client(&context.access.kubernetes_ca, None)?.with_limit(PATIENCE);
    let mut findings = Findings::new();
    for unit in ["keepalived", "haproxy"] {
        let (moved, outage) =
            outage::measured(|| serves(context, &client), || lose(context, unit, &client));
        match moved {
            Ok((from, to)) => findings.add(judge_takeover(unit, &from, &to, outage)),
            Err(why) => {
                findings.wrong(format!("{unit} stopped: {why}"));
                break;
            }
        }
    }
    Ok(findings)
}

fn serves(context: &Context, client: &Client) -> bool {
    let answer = client.get(context.lab.api_endpoint(), "/readyz");
    matches!(answer.end, End::Answered { status: 200, .. })
}

/// Stops `unit` on the owner until another machine has the address; returns both their names.
fn lose(
    context: &Context,
    unit: &'static str,
    client: &Client,
) -> Result<(String, String), String> {
    let vip = vip(context)?;
    let before = owner(context, vip)?;
    let stopped = Stopped::stop(context, before, unit)?;
    let mut after = None;
    let taken = outage::until(TAKEOVER, "another owner that serves", || {
        let now = owner(context, vip)?;
        after = Some(now.name.clone());
        Ok(now.name != before.name && serves(context, client))
    });
    stopped.restore()?;
    taken?;
    // Back with its higher priority the former owner may take the address again, which clients see too.
    outage::until(TAKEOVER, "the former owner's health", || {
        context
            .remote(before)
            .run(
                &["systemctl", "is-active", "haproxy", "keepalived"],
                ADDRESSES,
            )
            .map(|said| said.success())
            .map_err(|error| error.to_string())
    })?;
    std::thread::sleep(Duration::from_secs(3));
    outage::until(TAKEOVER, "one owner again", || {
        owner(context, vip).map(|_| serves(context, client))
    })?;
    Ok((before.name.clone(), after.unwrap_or_default()))
}

fn judge_takeover(unit: &str, from: &str, to: &str, outage: Outage) -> Result<String, String> {
    let seen = format!(
        "{unit} stopped on {from}: {to} took over; of {} tries {} failed, at most {:.2} s without the API",
        outage.tries,
        outage.failures,
        outage.longest.as_secs_f64()
    );
    if from == to || to.is_empty() {
        return Err(format!("{unit} stopped on {from}, and nobody took over"));
    }
    if outage.longest > TAKEOVER {
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
                .map(|machine| Ok((machine, owners.contains(&machine.name.as_str()))))
                .collect();
            judge_owner(vip, &holders, answers).holds()
        };
        assert!(judge(&["lbone"], &ready));
        assert!(!judge(&[], &ready));
        assert!(!judge(&["lbone", "lbtwo"], &ready));
        assert!(!judge(&["masterone"], &ready));
        assert!(!judge(&["lbone"], &End::Silent));
        let unasked = [
            Ok((lab.machine("lbone").expect("there"), true)),
            Err("down".to_owned()),
        ];
        assert!(!judge_owner(vip, &unasked, &ready).holds());
    }

    #[test]
    fn somebody_else_takes_over_soon() {
        let outage = |seconds| Outage {
            tries: 100,
            failures: 5,
            longest: Duration::from_secs(seconds),
        };
        assert!(judge_takeover("haproxy", "lbone", "lbtwo", outage(1)).is_ok());
        assert!(judge_takeover("haproxy", "lbone", "lbone", outage(1)).is_err());
        assert!(judge_takeover("haproxy", "lbone", "", outage(1)).is_err());
        assert!(judge_takeover("haproxy", "lbone", "lbtwo", outage(16)).is_err());
    }
}
