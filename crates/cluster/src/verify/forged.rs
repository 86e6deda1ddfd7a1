//! Announcements of VRRP that are not the load balancers': whoever is believed gets the virtual address.

use std::time::Duration;

use caravan_lab::{Machine, Role};

use super::balancers;
use super::context::{Context, told};
use super::findings::Findings;
use crate::disturb::adverts::{self, HeardAdverts};
use crate::{facts, parallel, vip};

/// How many announcements are sent from each place to each load balancer: two seconds of them, ten times as long as an
/// owner that believes one needs to give the address up.
const COUNT: u64 = 20;

/// How long a machine may take to send them, or to answer.
const LIMIT: Duration = Duration::from_secs(40);

/// Where announcements were sent from.
struct Attempt {
    machine: String,
    /// By the machine itself and by a pod on it, as far as it runs pods.
    sent: [u64; 2],
    /// What its own filter has refused since it was loaded, before and after; `None` where it has none.
    refused: Option<(u64, u64)>,
}

/// Sends them from an etcd member, which is a neighbour of the load balancers, and from all nodes and pods on them.
pub(super) fn refused(context: &Context) -> Result<Findings, String> {
    let lab = &context.lab;
    let address = balancers::address(context)?;
    if context.options.probe_image.is_some() {
        context.field()?;
    }
    let owner = || vip::owner(lab, &context.access).map_err(told);
    let first = &owner()?.name;
    let before = adverts::heard(lab, &context.access).map_err(told)?;
    let neighbour = lab.of_role(Role::Etcd).next();
    let senders: Vec<&Machine> = neighbour.into_iter().chain(context.nodes()).collect();
    let script = adverts::script(lab, COUNT).ok_or("the lab has no virtual address")?;
    let attempts = parallel::each(senders, |machine| {
        (&machine.name, attempt(context, machine, &script))
    });
    let after = adverts::heard(lab, &context.access).map_err(told)?;
    let mut findings = Findings::new();
    let mut passed = 0;
    for (name, attempt) in attempts {
        match attempt {
            Ok(attempt) => {
                if attempt.refused.is_none() {
                    passed += attempt.sent[0];
                }
                findings.extend(judge_attempt(&attempt));
            }
            Err(why) => findings.wrong(name, why),
        }
    }
    let balancers = lab.of_role(Role::LoadBalancer).count().max(1) as u64;
    for (name, heard) in &after {
        let earlier = before.get(name).cloned().unwrap_or_default();
        findings.add(name, judge_heard(name, &earlier, heard, passed / balancers));
    }
    let now = owner()?;
    findings.add(
        &address.to_string(),
        if now.name == *first {
            Ok(format!("{first} kept {address}"))
        } else {
            Err(format!("{address} went from {first} to {}", now.name))
        },
    );
    Ok(findings)
}

fn attempt(context: &Context, machine: &Machine, script: &str) -> Result<Attempt, String> {
    let facts = facts::ask(&context.access, machine, script, LIMIT).map_err(told)?;
    let number = |section: &str| facts.text(section).trim().parse().unwrap_or(0);
    let counted = |section: &str| facts.packets(section, "forged");
    Ok(Attempt {
        machine: machine.name.clone(),
        sent: [number("machine"), number("pod")],
        refused: counted("forged-before").zip(counted("forged")),
    })
}

/// The attempts were made; where the machine has a filter for what leaves, that refused each.
fn judge_attempt(attempt: &Attempt) -> Findings {
    let Attempt {
        machine,
        sent: [own, pod],
        refused,
    } = attempt;
    let mut findings = Findings::new();
    if *own == 0 {
        findings.wrong(
            machine,
            format!("{machine} could send nothing to be refused"),
        );
    }
    match refused {
        None => findings.right(machine, format!("{machine} sent {own}")),
        Some((before, after)) => {
            let refused = after.saturating_sub(*before);
            let told =
                format!("{machine} sent {own} and a pod on it {pod}; {refused} were refused there");
            if refused < own + pod {
                findings.wrong(machine, told);
            } else {
                findings.right(machine, told);
            }
        }
    }
    findings
}

/// A load balancer refused at least `sent`, and Keepalived heard nothing that changed its mind.
fn judge_heard(
    name: &str,
    before: &HeardAdverts,
    after: &HeardAdverts,
    sent: u64,
) -> Result<String, String> {
    let (Some(was), Some(is)) = (before.refused, after.refused) else {
        return Err(format!(
            "{name} has no packet filter that counts announcements"
        ));
    };
    let refused = is.saturating_sub(was);
    if refused < sent {
        return Err(format!("{name} refused {refused} of {sent} announcements"));
    }
    match (before.changes, after.changes) {
        (Some(was), Some(is)) if was == is => Ok(format!(
            "{name} refused {refused} announcements ({} since its filter was loaded), and Keepalived stayed what it was",
            after.refused.unwrap_or_default()
        )),
        (Some(_), Some(_)) => Err(format!("Keepalived on {name} changed its state meanwhile")),
        _ => Err(format!("Keepalived on {name} does not tell its states")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_and_nothing_else() {
        let heard = |refused, changes| HeardAdverts {
            refused: Some(refused),
            changes: Some(changes),
        };
        assert!(judge_heard("lb", &heard(3, 2), &heard(23, 2), 20).is_ok());
        assert!(judge_heard("lb", &heard(3, 2), &heard(22, 2), 20).is_err());
        assert!(judge_heard("lb", &heard(3, 2), &heard(23, 3), 20).is_err());
        assert!(judge_heard("lb", &heard(3, 2), &HeardAdverts::default(), 20).is_err());
        assert!(judge_heard("lb", &HeardAdverts::default(), &heard(23, 2), 20).is_err());
    }

    #[test]
    fn what_was_not_sent_proves_nothing() {
        let judge = |sent, refused| {
            let machine = "workerone".to_owned();
            judge_attempt(&Attempt {
                machine,
                sent,
                refused,
            })
            .holds()
        };
        assert!(judge([40, 0], None));
        assert!(!judge([0, 0], None));
        assert!(judge([40, 40], Some((1, 81))));
        assert!(!judge([40, 40], Some((1, 41))), "the pod's went through");
        assert!(!judge([0, 40], Some((1, 81))));
    }
}
