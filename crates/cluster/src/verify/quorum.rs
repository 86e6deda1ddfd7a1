//! etcd with one member less.

use std::time::Duration;

use caravan_lab::Role;
use caravan_process::Pace;

use super::context::{Context, told};
use super::findings::Findings;
use super::{Measured, MemberLoss, drills};
use crate::disturb::{Harm, SAFETY, UnitFault};
use crate::drill::judge::DrillResult;
use crate::drill::record::{ClientName, Micros};
use crate::etcd;

/// How long the leader stays away: far longer than an election.
const LASTS: Duration = Duration::from_secs(6);

/// How long writes may be away.
const WRITES: Duration = Duration::from_secs(30);

/// Kills the leader, the hardest case: one that is stopped hands its lead over before it ends. The others elect another, and
/// the API takes writes.
pub(super) fn survives_one(context: &Context) -> Result<Findings, String> {
    let members = etcd::members(&context.lab, &context.access).map_err(told)?;
    let leader = etcd::leader(&members).map_err(told)?;
    let leader = leader.ok_or("etcd has no leader to begin with")?;
    let pace = context.access.pace();
    let lasts = pace.of(LASTS);
    let fault = UnitFault::new(&leader.name, "etcd", Harm::KillForGood, lasts + SAFETY);
    let result = drills::unit(context, fault, LASTS)?;
    let masters = context.lab.of_role(Role::ControlPlane);
    let masters: Vec<String> = masters.map(|master| master.name.clone()).collect();
    let mut findings = Findings::new();
    let judged = judge(&leader.name, &masters, &result, pace);
    let measured = Measured::MemberLoss(figures(&result));
    findings.add_measured(&leader.name, judged, measured);
    Ok(findings)
}

fn figures(result: &DrillResult) -> MemberLoss {
    let milliseconds = |micros: Option<Micros>| micros.unwrap_or_default() / 1000;
    let fault = result.fault.as_ref();
    let creates = result.client(&ClientName::Creates);
    MemberLoss {
        killed_ms: milliseconds(fault.map(|fault| fault.confirmed - fault.sent)),
        writes_away_ms: milliseconds(creates.map(|creates| creates.away.1)),
        back_ms: milliseconds(fault.and_then(|it| it.healed?.checked_sub(it.repair_sent?))),
    }
}

fn judge(
    member: &str,
    masters: &[String],
    result: &DrillResult,
    pace: Pace,
) -> Result<String, String> {
    let asked_while_away = |client: ClientName| {
        let figures = result.client(&client);
        figures.map_or((0, 0), |figures| figures.during)
    };
    let (asked, failed) = asked_while_away(ClientName::Member(member.to_owned()));
    if asked == 0 || failed < asked {
        return Err(format!(
            "nothing is proved, because {member} was not away all the time: {} of {asked} questions were answered",
            asked - failed
        ));
    }
    if let Some(loss) = result.losses.first() {
        return Err(format!("with {member} killed: {loss}"));
    }
    let (writes, failed) = asked_while_away(ClientName::Creates);
    if writes == 0 || failed == writes {
        return Err(format!(
            "with {member} killed none of {writes} writes went through"
        ));
    }
    for master in masters {
        let (asked, failed) = asked_while_away(ClientName::Master(master.clone()));
        if asked == 0 || failed == asked {
            return Err(format!(
                "with {member} killed nothing could be read from {master}"
            ));
        }
    }
    let MemberLoss {
        writes_away_ms,
        back_ms,
        ..
    } = figures(result);
    let seen = format!(
        "{member}, the leader, was killed: writes were away for {writes_away_ms} ms, {} were acknowledged in all and none lost, \
         and {} masters answered meanwhile",
        result.writes.acknowledged,
        masters.len()
    );
    if u128::from(writes_away_ms) > pace.of(WRITES).as_millis() {
        return Err(seen);
    }
    match result.fault.as_ref().and_then(|fault| fault.healed) {
        Some(_) => Ok(format!("{seen}; all well {back_ms} ms after its repair")),
        None => Err(format!("{seen}; not everything was well again in time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::drills::tests::{client, well};

    const MEMBER: &str = "etcdtwo";

    /// A leader away, and everything else as it must be.
    fn course() -> DrillResult {
        let mut result = well();
        result.clients = vec![
            client(ClientName::Member(MEMBER.to_owned()), (12, 12)),
            client(ClientName::Creates, (120, 9)),
            client(ClientName::Master("masterone".to_owned()), (12, 1)),
        ];
        result
    }

    fn judged(spoil: impl FnOnce(&mut DrillResult)) -> Result<String, String> {
        judged_at(Pace::USUAL, spoil)
    }

    fn judged_at(pace: Pace, spoil: impl FnOnce(&mut DrillResult)) -> Result<String, String> {
        let mut result = course();
        spoil(&mut result);
        judge(MEMBER, &["masterone".to_owned()], &result, pace)
    }

    #[test]
    fn writes_with_one_less() {
        assert_eq!(
            judged(|_| {}),
            Ok("etcdtwo, the leader, was killed: writes were away for 740 ms, 70 were acknowledged in all and none lost, and 1 masters answered meanwhile; all well 2000 ms after its repair".to_owned())
        );
        // It was there all the same.
        assert!(judged(|it| it.clients[0].during = (12, 11)).is_err());
        assert!(judged(|it| it.clients[0].during = (0, 0)).is_err());
        assert!(judged(|it| it.clients[1].during = (120, 120)).is_err());
        assert!(judged(|it| it.clients[1].away = (0, 31_000_000)).is_err());
        assert!(judged_at(Pace::EMULATED, |it| it.clients[1].away = (0, 31_000_000)).is_ok());
        assert!(judged(|it| it.clients[2].during = (12, 12)).is_err());
        assert!(judged(|it| it.losses.push("lost".to_owned())).is_err());
        assert!(judged(|it| it.fault.as_mut().expect("done").healed = None).is_err());
    }

    #[test]
    fn figures_of_a_loss() {
        assert_eq!(
            figures(&course()),
            MemberLoss {
                killed_ms: 400,
                writes_away_ms: 740,
                back_ms: 2000
            }
        );
    }
}
