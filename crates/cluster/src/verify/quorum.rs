//! etcd with one member less.

use std::time::{Duration, Instant};

use caravan_lab::Role;
use serde_json::json;

use super::context::{Context, told};
use super::findings::Findings;
use super::{Measured, MemberLoss};
use crate::disturb::{Disturbance, Harm, OverSsh, UnitFault};
use crate::etcd;
use crate::kube::Api;

/// How long an election and the next write may take.
const WRITE: Duration = Duration::from_secs(30);

/// How long the member may take to come back and catch up.
const RETURN: Duration = Duration::from_secs(60);

/// How soon after each other each step came about.
struct Course {
    member: String,
    /// It did not answer, neither before the write nor after it: its machine may have started it again in between.
    gone: bool,
    stopped_in: Duration,
    wrote: Duration,
    read_on: usize,
    back: Duration,
}

/// Stops the leader, the hardest case; the others elect another, and the API takes writes, read back on every master.
pub(super) fn survives_one(context: &Context) -> Result<Findings, String> {
    let members = etcd::members(&context.lab, &context.access).map_err(told)?;
    let leader = etcd::leader(&members).map_err(told)?;
    let leader = leader.ok_or("etcd has no leader to begin with")?;
    let maps = format!("{}/configmaps", context.space()?.path());
    let api = context.api()?;

    let began = Instant::now();
    let means = OverSsh::new(&context.lab, &context.access);
    let fault = UnitFault::new(&leader.name, "etcd", Harm::Stop);
    let stopped = Disturbance::begin(&means, fault).map_err(told)?;
    let stopped_in = began.elapsed();
    let gone = leader.health().is_err();
    let mut written = String::new();
    let wrote = context.until(WRITE, "a write through the endpoint", || {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "generateName": "quorum-" },
            "data": { "stopped": leader.name },
        });
        let made = api.create(&maps, &map).map_err(told)?;
        let name = made["metadata"]["name"].as_str().unwrap_or_default();
        written = format!("{maps}/{name}");
        Ok(true)
    });
    let read_on = wrote.as_ref().map_or(0, |_| read(context, &written));
    let gone = gone && leader.health().is_err();
    stopped.end().map_err(told)?;
    let back = context.until(RETURN, "the member's return", || {
        for member in &members {
            member.health().map_err(told)?;
        }
        Ok(true)
    });
    let course = Course {
        member: leader.name.clone(),
        gone,
        stopped_in,
        wrote: wrote.map_err(told)?,
        read_on,
        back: back.map_err(told)?,
    };
    let masters = context.lab.of_role(Role::ControlPlane).count();
    let mut findings = Findings::new();
    let figures = MemberLoss {
        stopped_ms: milliseconds(course.stopped_in),
        written_ms: milliseconds(course.wrote),
        back_ms: milliseconds(course.back),
    };
    let judged = judge(&course, masters);
    findings.add_measured(&course.member, judged, Measured::MemberLoss(figures));
    Ok(findings)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// On how many masters the object can be read.
fn read(context: &Context, path: &str) -> usize {
    context
        .lab
        .of_role(Role::ControlPlane)
        .filter(|master| {
            Api::master(master, &context.access)
                .and_then(|api| api.get(path))
                .is_ok()
        })
        .count()
}

fn judge(course: &Course, masters: usize) -> Result<String, String> {
    let Course {
        member,
        gone,
        stopped_in,
        wrote,
        read_on,
        back,
    } = course;
    if !gone {
        return Err(format!(
            "nothing is proved, because {member} was not stopped all the time"
        ));
    }
    if *read_on != masters {
        return Err(format!(
            "with {member} stopped a write is read on {read_on} of {masters} masters"
        ));
    }
    Ok(format!(
        "{member}, the leader, stopped in {:.1} s; {:.1} s later a write went through, and was read on {read_on} masters; all healthy {:.1} s after its start",
        stopped_in.as_secs_f64(),
        wrote.as_secs_f64(),
        back.as_secs_f64()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_with_one_less() {
        let course = |gone, read_on| Course {
            member: "etcdtwo".to_owned(),
            gone,
            stopped_in: Duration::from_secs(1),
            wrote: Duration::from_secs(3),
            read_on,
            back: Duration::from_secs(2),
        };
        assert!(judge(&course(true, 3), 3).is_ok());
        assert!(judge(&course(true, 2), 3).is_err());
        assert!(judge(&course(false, 3), 3).is_err());
    }
}
