//! Promises about failures, tested by drills: what breaks a part, and the clients that use the lab meanwhile, are those of
//! [`drill`](crate::drill).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Outage;
use super::context::Context;
use crate::disturb::UnitFault;
use crate::drill::catalogue::DrillLimits;
use crate::drill::faults::UnitDrillFault;
use crate::drill::judge::{DrillResult, judge};
use crate::drill::record::ClientName;
use crate::drill::{self, ClientSet, DrillPlan, DrillTimes};
use crate::timeline::recorder::unix_ms;

/// How long the parts of such a drill take. No promise is about how long something takes to the millisecond, so it is not
/// waited until this computer is calm.
fn times(lasts: Duration) -> DrillTimes {
    DrillTimes {
        warm_up: Duration::from_secs(2),
        settle: Duration::ZERO,
        baseline: Duration::from_secs(1),
        heals: Duration::from_secs(60),
        after: Duration::from_secs(1),
        lasts,
    }
}

/// What came of a drill of a unit that is broken for as long as that, at the usual pace. The times that a client saw are told, and judged by who
/// calls this.
pub(super) fn unit(
    context: &Context,
    fault: UnitFault,
    lasts: Duration,
) -> Result<DrillResult, String> {
    /// Two of one run are not to write to one place.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (lab, access) = (&context.lab, &context.access);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let plan = DrillPlan {
        header: drill::header(
            lab,
            access.pace(),
            &fault.to_string(),
            "",
            DrillLimits::default(),
        ),
        space: format!("caravan-drill-verify-{}-{number}", unix_ms()),
        clients: ClientSet::All,
        watched: Vec::new(),
        times: times(lasts),
    };
    let fault = UnitDrillFault { lab, access, fault };
    let tool = &context.options.tool;
    let records = drill::run(lab, access, &plan, &fault, tool, &|_| {});
    let records = records.map_err(|failure| match failure.is_repaired {
        true => failure.error.chain(),
        false => format!(
            "{}; what was broken is not repaired, the machine does that itself after a while",
            failure.error.chain()
        ),
    })?;
    if let Some(cut) = records.fault.as_ref().and_then(|fault| fault.cut.as_ref()) {
        return Err(cut.why.clone());
    }
    if records.finals.is_empty() {
        return Err("no etcd member could be asked in the end for what was written".to_owned());
    }
    Ok(judge(&records))
}

/// What a client saw in a drill.
pub(super) fn outage(result: &DrillResult, client: &ClientName) -> Outage {
    let figures = result.client(client);
    figures.map_or_else(Outage::default, |figures| Outage {
        asked: figures.asked,
        failed: figures.failed,
        away_ms: figures.away.1 / 1000,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::drill::judge::ClientFigures;
    use crate::drill::record::FaultRecord;
    use caravan_process::Pace;

    use crate::verify::tests::lab;

    /// A drill in which everything was as it must be.
    pub(in crate::verify) fn well() -> DrillResult {
        let header = drill::header(&lab("ha"), Pace::USUAL, "x", "", DrillLimits::default());
        let mut result = DrillResult::refused(&header, String::new());
        result.fault = Some(FaultRecord {
            fault: "x killed".to_owned(),
            how: "kill".to_owned(),
            sent: 3_000_000,
            confirmed: 3_400_000,
            repair_sent: Some(6_000_000),
            repaired: Some(6_300_000),
            healed: Some(8_000_000),
            evidence: String::new(),
            is_doubtful: false,
            cut: None,
        });
        result.writes.acknowledged = 70;
        result
    }

    /// What a client saw of whom so many requests failed while it was broken.
    pub(in crate::verify) fn client(name: ClientName, during: (usize, usize)) -> ClientFigures {
        ClientFigures {
            client: name,
            asked: 100,
            failed: during.1,
            errors: Vec::new(),
            away: (700_000, 740_000),
            slowest: 9000,
            first_success: Some(450_000),
            back: Some(20_000),
            steady: 800_000,
            outages: 1,
            during,
            budget_ms: None,
            budget_is_of_file: false,
        }
    }

    #[test]
    fn an_outage_is_what_the_client_saw() {
        let mut result = well();
        result.clients = vec![client(ClientName::Reads, (40, 7))];
        let seen = outage(&result, &ClientName::Reads);
        assert_eq!((seen.asked, seen.failed, seen.away_ms), (100, 7, 740));
        assert_eq!(outage(&result, &ClientName::Creates), Outage::default());
    }
}
