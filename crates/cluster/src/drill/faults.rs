//! Faults that are done over ssh: to units, to packets, to disks. Those of whole machines are done by whatever runs them.

use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use caravan_lab::{Lab, Machine, Role};

use super::fault::{DrillFault, FaultProof};
use crate::disturb::slow::{LogWrites, SlowPart};
use crate::disturb::{Harm, SAFETY, UnitFault, adverts, silence};
use crate::until::until;
use crate::{Access, Error, facts, parallel};

/// How long it may take until another load balancer has the address.
const TAKEOVER: Duration = Duration::from_secs(15);

/// How long an owner is left alone before it is disturbed again.
const REST: Duration = Duration::from_secs(2);

/// How often the owner is disturbed in a flap.
const FLAPS: usize = 4;

/// How long a machine may take to say what addresses it has.
const ADDRESSES: Duration = Duration::from_secs(20);

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
        self.fault.inflict(self.lab, self.access)?;
        Ok(self.text())
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

    fn owner(&self) -> Option<&Machine> {
        owner(self.lab, self.access)
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

    fn inflict(&self) -> Result<String, Error> {
        let mut owners: Vec<&str> = Vec::new();
        for _ in 0..FLAPS {
            if caravan_process::interrupt::raised() {
                return Err(Error::Interrupted);
            }
            let before = self.owner().ok_or_else(|| nobody(&self.text()))?;
            owners.push(&before.name);
            let fault = self.fault_of(before);
            let broken = fault.inflict(self.lab, self.access);
            let moved = broken.and_then(|()| {
                until(
                    self.access.pace().of(TAKEOVER),
                    "another owner of the virtual address",
                    || Ok(self.owner().is_some_and(|now| now.name != before.name)),
                )
            });
            fault.undo(self.lab, self.access)?;
            moved?;
            sleep(self.access.pace().of(REST));
        }
        let last = self.owner().ok_or_else(|| nobody(&self.text()))?;
        owners.push(&last.name);
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

/// The load balancer that has the virtual address now; none where none says so.
pub fn owner<'a>(lab: &'a Lab, access: &Access) -> Option<&'a Machine> {
    let vip = lab.vip()?;
    let found = parallel::each(lab.of_role(Role::LoadBalancer), |machine| {
        let has_it = facts::has_address(access, machine, vip, ADDRESSES);
        has_it.unwrap_or(false).then_some(machine)
    });
    found.into_iter().flatten().next()
}

fn nobody(fault: &str) -> Error {
    Error::FaultRefused {
        fault: fault.to_owned(),
        why: "no load balancer says that it has the virtual address".to_owned(),
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

    fn inflict(&self) -> Result<String, Error> {
        let before = adverts::heard(self.lab, self.access)?;
        let sent = adverts::forge(self.lab, self.access, self.machine, self.lasts)?;
        if sent == 0 {
            return Err(Error::FaultRefused {
                fault: self.text(),
                why: "it could send nothing, so nothing would be proved".to_owned(),
            });
        }
        let after = adverts::heard(self.lab, self.access)?;
        let refused = after.iter().map(|(name, heard)| {
            let was = before.get(name).and_then(|it| it.refused).unwrap_or(0);
            match heard.refused {
                Some(now) => format!("{name} refused {}", now.saturating_sub(was)),
                None => format!("{name} has no filter that counts them"),
            }
        });
        let refused: Vec<String> = refused.collect();
        Ok(format!(
            "{} sent {sent}; {}",
            self.machine.name,
            refused.join(", ")
        ))
    }

    /// There is nothing to be undone: they have ended.
    fn repair(&self) -> Result<Option<FaultProof>, Error> {
        Ok(None)
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
    /// What etcd said of its writes before.
    pub before: Mutex<Option<LogWrites>>,
}

impl DrillFault for SlowFault<'_> {
    fn text(&self) -> String {
        format!("{}: {}", self.machine.name, self.part.text())
    }

    fn how(&self) -> String {
        let name = &self.machine.name;
        match self.part {
            SlowPart::Disk => format!("systemd on {name}: IOWriteIOPSMax of etcd.service"),
            SlowPart::Net => format!("tc on {name}: a queue of its interface"),
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
