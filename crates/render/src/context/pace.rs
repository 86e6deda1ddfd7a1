//! How long things may take: the one place where it matters whether machines are emulated.
//!
//! What is written here for emulated machines is what a run without it has shown to be needed; everything else that
//! templates say of time is the same everywhere.

use caravan_lab::{Lab, Role};
use serde::Serialize;

use crate::settings::Settings;

/// Limits, intervals and shares that follow from how fast machines are.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Pace {
    /// How many times as long as usual the scripts of a machine wait before they give up.
    patience: u8,
    /// How often the scripts of a machine ask a server whether it is ready, in seconds.
    ask_every_s: f64,
    /// How often a kubelet asks the parts of the control plane on its machine whether they have started, in seconds.
    probe_every_s: u8,
    /// After how many such questions without a good answer it starts them again.
    start_failures: u16,
    /// How often etcd's leader is heard, in milliseconds.
    etcd_heartbeat_ms: u16,
    /// After how long a silence the other members elect another one, in milliseconds.
    etcd_election_ms: u16,
    /// After how long without an answer of etcd's an API server says that it is not ready, in seconds.
    etcd_check_s: u8,
    /// How long an API server that is told to end says that it is not ready and goes on all the same, in seconds: until load
    /// balancers have asked it and send nobody there any more.
    api_drain_s: u8,
    /// How long the controller manager or scheduler that leads may be silent before another one does, in seconds.
    lease_s: u8,
    /// How long it tries to renew that before it gives up and ends, in seconds; a request may take half of it.
    renew_s: u8,
    /// How often it is renewed, and looked at by the others, in seconds.
    retry_s: u8,
    /// What share of a busy processor the parts of the control plane have among themselves, in thousandths of a processor.
    api_server_millicpu: u16,
    controller_manager_millicpu: u16,
    scheduler_millicpu: u16,
    /// How long a connection to a master may take before another one is tried, in seconds.
    connect_s: u8,
    /// How long a master may take to answer a health check, in seconds.
    check_s: u8,
    /// How often a master is checked, in milliseconds: usually, and while it is not known whether it works.
    check_every_ms: u16,
    check_again_ms: u16,
    /// How often the owner of the shared address is heard, in seconds, and after how many silences it counts as dead.
    advert_s: f64,
    adverts_missed: u8,
    /// How often a load balancer checks itself and how long that may take, in seconds.
    self_check_every_s: u8,
    self_check_s: u8,
}

/// Containers, which share a kernel and hear each other within a millisecond.
const USUAL: Pace = Pace {
    patience: 1,
    ask_every_s: 0.5,
    probe_every_s: 1,
    start_failures: 900,
    etcd_heartbeat_ms: 100,
    etcd_election_ms: 500,
    etcd_check_s: 2,
    api_drain_s: 3,
    lease_s: 15,
    renew_s: 10,
    retry_s: 1,
    api_server_millicpu: 250,
    controller_manager_millicpu: 200,
    scheduler_millicpu: 100,
    connect_s: 1,
    check_s: 2,
    check_every_ms: 1000,
    check_again_ms: 300,
    advert_s: 0.1,
    adverts_missed: 5,
    self_check_every_s: 1,
    self_check_s: 10,
};

/// Virtual machines whose processor helps: as fast, but a host may stop one for a moment.
const VIRTUAL_MEMBERS: Pace = Pace {
    etcd_heartbeat_ms: 200,
    etcd_election_ms: 2000,
    ..USUAL
};

/// Virtual machines that are emulated: ten times slower, and silent for seconds while they are well.
const EMULATED: Pace = Pace {
    patience: 3,
    // Each question is a key exchange, a second of the asked machine's processor. An API server that starts was asked by its
    // kubelet, its bootstrap and each worker twice a second, was not up within the half minute that its own parts give each
    // other, ended, and began again: three times in fifteen minutes.
    ask_every_s: 10.0,
    probe_every_s: 10,
    start_failures: 90,
    etcd_heartbeat_ms: 500,
    etcd_election_ms: 5000,
    etcd_check_s: 15,
    // Longer than the ten seconds between two checks and a slow answer; the kubelet gives it thirty to end.
    api_drain_s: 18,
    lease_s: 60,
    renew_s: 40,
    retry_s: 5,
    // An API server that does not come up in time ends and begins again; those that wait for it take its processor
    // meanwhile. The kubelet turns these into weights, so it goes before them. An emulated machine has one processor, whatever
    // the lab says, and the kubelet starts nothing beyond that.
    api_server_millicpu: 500,
    controller_manager_millicpu: 50,
    scheduler_millicpu: 25,
    connect_s: 5,
    check_s: 10,
    // Each of these checks is a key exchange, and a load balancer makes two of every master. At one a second, two balancers
    // that wait for their masters took a third of a processor each from those.
    check_every_ms: 10_000,
    check_again_ms: 5000,
    advert_s: 0.5,
    adverts_missed: 8,
    self_check_every_s: 10,
    self_check_s: 30,
};

impl Pace {
    /// Members of one etcd must agree on its timers, and all masters on theirs, so the slowest machines decide for the lab.
    pub(super) fn of(lab: &Lab, settings: &Settings) -> Pace {
        let mut members = lab.of_role(Role::Etcd);
        if settings.emulated {
            EMULATED
        } else if members.any(|member| settings.provider_of(member).is_virtual()) {
            VIRTUAL_MEMBERS
        } else {
            USUAL
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_values_are_explained() {
        let text = include_str!("../../templates/values.toml");
        let explained: toml::Table = text.parse().expect("TOML");
        let values = [USUAL, EMULATED].map(|pace| serde_json::to_value(pace).expect("plain data"));
        for (field, usual) in values[0].as_object().expect("fields") {
            let how = explained[&format!("pace.{field}")]["how"]
                .as_str()
                .expect("text");
            for value in [usual, &values[1][field]] {
                let words = how.split(|c: char| !c.is_ascii_digit() && c != '.');
                let value = value.to_string();
                assert!(
                    words.into_iter().any(|word| word == value),
                    "{field}, {value}: {how}"
                );
            }
        }
    }

    #[test]
    fn timers_fit_together() {
        for pace in [USUAL, VIRTUAL_MEMBERS, EMULATED] {
            // The kubelet waits as long as kubeadm.
            let waits = pace.start_failures * u16::from(pace.probe_every_s);
            assert_eq!(waits, super::super::START_LIMIT_S);
            // etcd refuses less, and leader election too.
            assert!(pace.etcd_election_ms >= 5 * pace.etcd_heartbeat_ms);
            assert!(pace.lease_s > pace.renew_s);
            assert!(f64::from(pace.renew_s) > 1.2 * f64::from(pace.retry_s));
            // VRRP counts hundredths of a second, twelve bits of them.
            assert!((0.01..40.95).contains(&pace.advert_s));
            // check-api asks HAProxy for 0.4 s, then the others for 0.8 s, by as much patience; a busy host needs many times that.
            assert!(f64::from(pace.self_check_s) > 5.0 * 1.2 * f64::from(pace.patience));
            // A master has two processors.
            let sum = pace.api_server_millicpu
                + pace.controller_manager_millicpu
                + pace.scheduler_millicpu;
            assert!(sum <= 1500, "{sum}");
        }
    }
}
