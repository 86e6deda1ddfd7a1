//! Faults that are done over ssh: to units, to packets, to disks. Those of whole machines are done by whatever runs them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use caravan_lab::{Lab, Machine, Role};

use super::fault::{DrillFault, FaultProof};
use crate::disturb::adverts::{self, HeardAdverts};
use crate::disturb::slow::{SlowFigures, SlowPart};
use crate::disturb::{Harm, SAFETY, UnitFault, silence};
use crate::until::{pause, until};
use crate::{Access, Error, parallel, vip};

/// How long it may take until another load balancer has the address.
const TAKEOVER: Duration = Duration::from_secs(15);

/// How long an owner is left alone before it is disturbed again.
const REST: Duration = Duration::from_secs(2);

/// How often the owner is disturbed in a flap.
const FLAPS: usize = 4;

/// A unit of a machine.
pub struct UnitDrillFault<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The keys to it.
    pub access: &'a Access,
    /// What is done to which unit.
    pub fault: UnitFault,
}

impl DrillFault for UnitDrillFault<'_> {
    fn text(&self) -> String {
        self.fault.to_string()
    }

    fn how(&self) -> String {
        format!("systemctl on {}: {}", self.fault.machine, self.fault)
    }

    fn inflict(&self) -> Result<String, Error> {
        self.fault.inflict(self.lab, self.access)
    }

    fn repair(&self) -> Result<Option<FaultProof>, Error> {
        self.fault.undo(self.lab, self.access).map(|()| None)
    }
}

/// Whoever has the virtual address loses it, again and again.
pub struct FlapFault<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The keys to it.
    pub access: &'a Access,
    /// What is done to Keepalived of the owner (stopped) or to HAProxy there (killed).
    pub harm: Harm,
}

impl FlapFault<'_> {
    fn unit(&self) -> &'static str {
        match self.harm {
            Harm::Stop => "keepalived",
            Harm::Kill | Harm::KillForGood | Harm::Freeze => "haproxy",
        }
    }

    fn fault_of(&self, machine: &Machine) -> UnitFault {
        // It is repaired as soon as another one has the address, or that takes too long.
        let safety = self.access.pace().of(TAKEOVER) + SAFETY;
        UnitFault::new(&machine.name, self.unit(), self.harm, safety)
    }

    fn owner(&self) -> Result<&Machine, Error> {
        vip::owner(self.lab, self.access)
    }
}

impl DrillFault for FlapFault<'_> {
    fn text(&self) -> String {
        format!(
            "{} {} on the owner of the virtual address, {FLAPS} times",
            self.unit(),
            self.harm
        )
    }

    fn how(&self) -> String {
        format!(
            "systemctl on whoever has the address: {} {}, repaired when another one has it, {} s of rest",
            self.unit(),
            self.harm,
            REST.as_secs()
        )
    }

    fn takes_its_time(&self) -> bool {
        true
    }

    fn inflict(&self) -> Result<String, Error> {
        let pace = self.access.pace();
        let mut owners: Vec<&str> = vec![&self.owner()?.name];
        for _ in 0..FLAPS {
            let before = self.owner()?;
            let fault = self.fault_of(before);
            let broken = fault.inflict(self.lab, self.access);
            let moved = broken.and_then(|_| {
                let what = format!("another owner of the virtual address than {}", before.name);
                until(pace.of(TAKEOVER), &what, || {
                    let now = self.owner().map_err(|error| error.chain())?;
                    Ok(now.name != before.name)
                })
            });
            fault.undo(self.lab, self.access)?;
            moved?;
            pause(pace.of(REST))?;
            owners.push(&self.owner()?.name);
        }
        Ok(format!("it went from {}", owners.join(" to ")))
    }

    fn repair(&self) -> Result<Option<FaultProof>, Error> {
        let balancers: Vec<&Machine> = self.lab.of_role(Role::LoadBalancer).collect();
        let undone = parallel::each(balancers, |machine| {
            self.fault_of(machine).undo(self.lab, self.access)
        });
        undone.into_iter().collect::<Result<(), _>>().map(|()| None)
    }
}

/// Announcements of the highest priority, by a machine that is no load balancer and in the name of one. Where the lab's
/// protection holds it breaks nothing.
pub struct ForgedFault<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The keys to it.
    pub access: &'a Access,
    /// The machine that sends them.
    pub machine: &'a Machine,
    /// For how long.
    pub lasts: Duration,
    /// What load balancers had heard before.
    pub before: Mutex<BTreeMap<String, HeardAdverts>>,
}

impl DrillFault for ForgedFault<'_> {
    fn text(&self) -> String {
        format!(
            "{} announces the virtual address with priority 255 in each load balancer's name",
            self.machine.name
        )
    }

    fn how(&self) -> String {
        format!(
            "on {}: VRRP packets to each load balancer with another one's source address, every 50 ms",
            self.machine.name
        )
    }

    fn takes_its_time(&self) -> bool {
        true
    }

    fn inflict(&self) -> Result<String, Error> {
        let before = adverts::heard(self.lab, self.access)?;
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = before;
        let sent = adverts::forge(self.lab, self.access, self.machine, self.lasts)?;
        Ok(format!("{} sent {sent}", self.machine.name))
    }

    /// There is nothing to be undone: they have ended. Whether they arrived is for those to say that they were sent to.
    fn repair(&self) -> Result<Option<FaultProof>, Error> {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        match before.is_empty() {
            true => Ok(None),
            false => adverts::heard(self.lab, self.access).map(|now| Some(arrived(&before, &now))),
        }
    }
}

/// What load balancers say that they were sent: their filters count what they refuse, and one without a filter shows it by
/// believing it.
fn arrived(
    before: &BTreeMap<String, HeardAdverts>,
    now: &BTreeMap<String, HeardAdverts>,
) -> FaultProof {
    let since = |now: Option<u64>, before: Option<u64>| {
        let now = now?;
        // A filter that was loaded anew counts from nothing, and so does a Keepalived that was started.
        Some(now.checked_sub(before.unwrap_or(0)).unwrap_or(now))
    };
    let told = now.iter().map(|(name, now)| {
        let before = before.get(name).cloned().unwrap_or_default();
        let refused = since(now.refused, before.refused);
        let changes = since(now.changes, before.changes).unwrap_or(0);
        let text = match refused {
            Some(refused) => format!("{name} refused {refused}"),
            None => format!("{name} has no filter, and changed its mind {changes} times"),
        };
        (text, refused.map_or(changes, |it| it) > 0)
    });
    let told: Vec<(String, bool)> = told.collect();
    let texts: Vec<&str> = told.iter().map(|(text, _)| text.as_str()).collect();
    FaultProof {
        text: texts.join(", "),
        was_real: !told.is_empty() && told.iter().all(|(_, arrived)| *arrived),
    }
}

/// Packets that are dropped: all of some machines, or those between some and others.
pub struct SilenceFault<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The keys to it.
    pub access: &'a Access,
    /// The machines whose own filters do it.
    pub machines: Vec<&'a Machine>,
    /// Whom they do not hear; none where it is everybody. Nobody is cut off from itself.
    pub from: Option<Vec<&'a Machine>>,
    /// After how long the machines end it themselves.
    pub safety: Duration,
}

fn names(machines: &[&Machine]) -> String {
    let names: Vec<&str> = machines.iter().map(|it| it.name.as_str()).collect();
    names.join(", ")
}

impl DrillFault for SilenceFault<'_> {
    fn text(&self) -> String {
        let machines = names(&self.machines);
        match &self.from {
            None => format!("{machines} silenced"),
            Some(from) if *from == self.machines => {
                format!("{machines} cut off from each other")
            }
            Some(from) => format!("{machines} cut off from {}", names(from)),
        }
    }

    fn how(&self) -> String {
        let machines = names(&self.machines);
        match &self.from {
            None => format!(
                "on {machines}: a packet filter that drops everything in both directions but ssh, and announcements of the \
                 virtual address"
            ),
            Some(from) => format!(
                "on {machines}: a packet filter that drops what comes from {} and goes there",
                names(from)
            ),
        }
    }

    fn inflict(&self) -> Result<String, Error> {
        each(&self.machines, |machine| match &self.from {
            None => silence::begin(self.lab, self.access, machine, self.safety),
            Some(from) => {
                let others = from.iter().filter(|other| other.name != machine.name);
                let others: Vec<Ipv4Addr> = others.map(|other| other.ip).collect();
                silence::begin_between(self.access, machine, &others, self.safety)
            }
        })?;
        Ok("the filter is loaded".to_owned())
    }

    fn repair(&self) -> Result<Option<FaultProof>, Error> {
        let ended = parallel::each(&self.machines, |machine| {
            let dropped = silence::end(self.access, machine)?;
            Ok::<_, Error>((machine.name.as_str(), dropped))
        });
        let ended: Vec<(&str, Option<u64>)> = ended.into_iter().collect::<Result<_, Error>>()?;
        Ok(Some(dropped(&ended)))
    }
}

/// What the filters have dropped. A machine whose filter was gone already was silent for a while, or never: that is no proof.
fn dropped(ended: &[(&str, Option<u64>)]) -> FaultProof {
    let told = ended.iter().map(|(name, dropped)| match dropped {
        Some(dropped) => format!("{name} dropped {dropped} packets"),
        None => format!("the filter of {name} was gone before"),
    });
    let told: Vec<String> = told.collect();
    FaultProof {
        text: told.join(", "),
        was_real: !ended.is_empty() && ended.iter().all(|(_, dropped)| *dropped > Some(0)),
    }
}

/// Does `act` to all machines at once.
fn each(
    machines: &[&Machine],
    act: impl Fn(&Machine) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let done = parallel::each(machines, |machine| act(machine));
    done.into_iter().collect()
}

/// A disk, or a network, that is slow.
pub struct SlowFault<'a> {
    /// The keys to the lab.
    pub access: &'a Access,
    /// The machine.
    pub machine: &'a Machine,
    /// What of it is slow.
    pub part: SlowPart,
    /// After how long the machine itself ends it.
    pub safety: Duration,
    /// What was seen before.
    pub before: Mutex<Option<SlowFigures>>,
}

impl DrillFault for SlowFault<'_> {
    fn text(&self) -> String {
        format!("{}: {}", self.machine.name, self.part.text())
    }

    fn how(&self) -> String {
        let name = &self.machine.name;
        match self.part {
            SlowPart::Disk => format!("systemd on {name}: IOWriteIOPSMax of etcd.service"),
            SlowPart::Net(_) => format!("tc on {name}: a queue of its interface"),
        }
    }

    fn hold_possible(&self) -> Result<(), Error> {
        match self.part.obstacle(self.access, self.machine)? {
            None => Ok(()),
            Some(why) => Err(Error::FaultRefused {
                fault: self.text(),
                why: format!("{}: {why}", self.machine.name),
            }),
        }
    }

    fn inflict(&self) -> Result<String, Error> {
        let (text, before) = self.part.begin(self.access, self.machine, self.safety)?;
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = before;
        Ok(text)
    }

    fn repair(&self) -> Result<Option<FaultProof>, Error> {
        let before = *self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, was_real) = self.part.end(self.access, self.machine, before)?;
        Ok(Some(FaultProof { text, was_real }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::{access, lab};

    fn silence<'a>(
        lab: &'a Lab,
        access: &'a Access,
        machines: &[&str],
        from: Option<&[&str]>,
    ) -> SilenceFault<'a> {
        let of = |names: &[&str]| -> Vec<&'a Machine> {
            names
                .iter()
                .map(|name| lab.machine(name).expect("there"))
                .collect()
        };
        SilenceFault {
            lab,
            access,
            machines: of(machines),
            from: from.map(of),
            safety: Duration::from_secs(60),
        }
    }

    #[test]
    fn who_does_not_hear_whom() {
        let (lab, access) = (lab("ha"), access());
        let text = |machines: &[&str], from: Option<&[&str]>| {
            silence(&lab, &access, machines, from).text()
        };
        assert_eq!(text(&["etcdone"], None), "etcdone silenced");
        let both = ["lbone", "lbtwo"];
        assert_eq!(
            text(&both, Some(&both)),
            "lbone, lbtwo cut off from each other"
        );
        assert_eq!(
            text(&["masterthree"], Some(&["etcdone", "etcdtwo"])),
            "masterthree cut off from etcdone, etcdtwo"
        );
    }

    #[test]
    fn announcements_are_shown_by_those_that_they_were_sent_to() {
        let heard = |counts: [(Option<u64>, Option<u64>); 2]| -> BTreeMap<String, HeardAdverts> {
            let names = ["lbone".to_owned(), "lbtwo".to_owned()];
            let counts = counts.map(|(refused, changes)| HeardAdverts { refused, changes });
            names.into_iter().zip(counts).collect()
        };
        let before = heard([(Some(7), Some(2)), (Some(0), Some(1))]);
        let proof = arrived(&before, &heard([(Some(67), Some(2)), (Some(58), Some(1))]));
        assert_eq!(proof.text, "lbone refused 60, lbtwo refused 58");
        assert!(proof.was_real);
        // They were sent, and never arrived at one of them.
        let lost = arrived(&before, &heard([(Some(67), Some(2)), (Some(0), Some(1))]));
        assert!(!lost.was_real, "{}", lost.text);
        // Without a filter there is no proof but that they are believed.
        let open = arrived(&before, &heard([(Some(67), Some(2)), (None, Some(1))]));
        assert!(!open.was_real, "{}", open.text);
        let believed = arrived(&before, &heard([(Some(67), Some(2)), (None, Some(3))]));
        assert!(believed.was_real, "{}", believed.text);
        assert!(!arrived(&BTreeMap::new(), &BTreeMap::new()).was_real);
    }

    #[test]
    fn packets_that_were_dropped_show_a_silence() {
        let proof = dropped(&[("lbone", Some(312)), ("lbtwo", Some(7))]);
        assert_eq!(
            proof.text,
            "lbone dropped 312 packets, lbtwo dropped 7 packets"
        );
        assert!(proof.was_real);
        assert!(!dropped(&[("lbone", Some(312)), ("lbtwo", Some(0))]).was_real);
        assert!(!dropped(&[("lbone", None)]).was_real);
        assert!(!dropped(&[]).was_real);
    }
}
