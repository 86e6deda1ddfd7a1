//! Announcements of the virtual address (VRRP) that are not a load balancer's: whoever is believed gets the address.
//!
//! They come from machines of the lab and go to its load balancers, and nowhere else.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use caravan_lab::{Lab, Machine, Role};

use crate::facts::{self, Facts};
use crate::{Access, Error, parallel};

/// How long a machine may take to say what it has heard.
const LIMIT: Duration = Duration::from_secs(40);

/// The pause between two of them, as the script keeps it.
const PAUSE: Duration = Duration::from_millis(50);

/// What a load balancer has heard until now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeardAdverts {
    /// Announcements that its filter has refused since it was loaded; none where it has no such filter.
    pub refused: Option<u64>,
    /// How often Keepalived has changed its mind since it started; none where that is not told.
    pub changes: Option<u64>,
}

/// The script that has a machine, and a probe's pod on it, send `count` announcements of the highest priority to each load
/// balancer, each as if another one had sent it; none where the lab has no virtual address. It tells how many it sent in the
/// sections `machine` and `pod`.
pub fn script(lab: &Lab, count: u64) -> Option<String> {
    let vip = lab.vip()?;
    let balancers: Vec<&Machine> = lab.of_role(Role::LoadBalancer).collect();
    let mut script = format!(
        "ROUTER={} VIP={vip} COUNT={count}\nTARGETS='",
        lab.virtual_router_id()
    );
    for (place, to) in balancers.iter().enumerate() {
        let from = balancers[(place + 1) % balancers.len()];
        let _ = writeln!(script, "{} {}", to.ip, from.ip);
    }
    script.push_str(
        "'\necho '@@ forged-before'; nft list counter inet caravan_guard forged 2>/dev/null\n",
    );
    script.push_str(include_str!("scripts/forge.sh"));
    Some(script)
}

/// Has `machine` send them for as long as that, and returns how many it sent.
///
/// # Errors
///
/// [`Error::FaultRefused`] where the lab has no virtual address, [`Error::Machine`], [`Error::Script`].
pub fn forge(lab: &Lab, access: &Access, machine: &Machine, lasts: Duration) -> Result<u64, Error> {
    let balancers = lab.of_role(Role::LoadBalancer).count().max(1);
    let all = lasts.as_millis() / PAUSE.as_millis();
    let each = u64::try_from(all).unwrap_or(u64::MAX) / balancers as u64;
    let script = script(lab, each.max(1)).ok_or_else(|| Error::FaultRefused {
        fault: format!("announcements by {}", machine.name),
        why: "the lab has no virtual address".to_owned(),
    })?;
    let facts = facts::ask(access, machine, &script, LIMIT + lasts)?;
    Ok(facts.text("machine").trim().parse().unwrap_or(0))
}

/// What all load balancers have heard until now, by name.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn heard(lab: &Lab, access: &Access) -> Result<BTreeMap<String, HeardAdverts>, Error> {
    let script = "echo '@@ adverts'; nft list counter inet caravan_filter adverts 2>/dev/null; echo '@@ changes'; journalctl --boot --unit keepalived --output cat | grep --count 'Entering'; echo '@@ end'";
    let asked = parallel::each(lab.of_role(Role::LoadBalancer), |machine| {
        let facts = facts::ask(access, machine, script, LIMIT)?;
        Ok::<_, Error>((machine.name.clone(), read(&facts)))
    });
    asked.into_iter().collect()
}

fn read(facts: &Facts) -> HeardAdverts {
    HeardAdverts {
        refused: facts.packets("adverts", "adverts"),
        changes: facts.text("changes").trim().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::lab;

    #[test]
    fn they_go_to_the_labs_load_balancers_alone() {
        let script = script(&lab("ha"), 7).expect("a virtual address");
        let targets = script.split("TARGETS='").nth(1).expect("there");
        let targets = targets.split('\'').next().expect("there");
        assert_eq!(
            targets,
            "192.168.29.81 192.168.29.82\n192.168.29.82 192.168.29.81\n"
        );
        assert!(script.contains("VIP=192.168.29.80 COUNT=7\n"));
        assert_eq!(super::script(&lab("external-etcd"), 7), None);
    }

    #[test]
    fn counters_are_read() {
        let facts = Facts::parse(
            "@@ adverts\ntable inet caravan_filter {\n\tcounter adverts {\n\t\tpackets 7 bytes 280\n\t}\n}\n@@ changes\n2\n",
        );
        let wanted = HeardAdverts {
            refused: Some(7),
            changes: Some(2),
        };
        assert_eq!(read(&facts), wanted);
        assert_eq!(read(&Facts::parse("")), HeardAdverts::default());
    }
}
