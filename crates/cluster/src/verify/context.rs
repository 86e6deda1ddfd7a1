//! What checks share: each thing is asked once, by the first that wants to know, and the others wait for it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::OnceLock;
use std::time::Duration;

use caravan_lab::{Lab, Machine, Role, ports};
use caravan_process::{Pace, interrupt};
use caravan_vagrant::ssh::Remote;

use super::Options;
use super::findings::Findings;
use super::pods::{Field, Space};
use super::{strangers, units};
use crate::attempt::{self, Client};
use crate::facts::{self, Facts};
use crate::kube::Api;
use crate::until::until;
use crate::{Access, Certificate, Error, Pair, access, parallel};

/// An address that no lab has and no route should lead to; it is looked up and never dialled (RFC 5737, TEST-NET-3).
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// How long the questions to one machine may take.
const SURVEY_LIMIT: Duration = Duration::from_secs(45);

/// How long a question may take. No promise is about speed, and three dozen checks keep a small computer busy: there a TLS
/// connection was once not made within five seconds.
const PATIENCE: Duration = Duration::from_secs(40);

/// The same for the beginning of a login.
const CONNECT_SECONDS: u8 = 20;

/// Where secrets may lie on a machine. What the base system and the engine's image store hold is nobody's secret.
const SECRET_PLACES: &str = "/etc /home /root /tmp /var/tmp /run/caravan /var/lib/caravan /var/lib/etcd /var/lib/kubelet /usr/lib/caravan";

/// A lab, the keys to it, and what has been asked of it.
pub(super) struct Context {
    pub(super) lab: Lab,
    pub(super) access: Access,
    pub(super) options: Options,
    api: OnceLock<Result<Api, String>>,
    surveys: BTreeMap<String, OnceLock<Result<Facts, String>>>,
    space: OnceLock<Result<Space, String>>,
    field: OnceLock<Result<Field, String>>,
}

impl Context {
    pub(super) fn new(access: &Access, lab: &Lab, options: &Options) -> Self {
        let machines = lab.machines().iter();
        Self {
            surveys: machines
                .map(|machine| (machine.name.clone(), OnceLock::new()))
                .collect(),
            api: OnceLock::new(),
            lab: lab.clone(),
            access: Access {
                patience: PATIENCE,
                ssh: access.ssh.with_connect_seconds(CONNECT_SECONDS),
                ..access.clone()
            },
            options: options.clone(),
            space: OnceLock::new(),
            field: OnceLock::new(),
        }
    }

    /// The way into a machine.
    pub(super) fn remote(&self, machine: &Machine) -> Remote {
        access::remote(&self.access.ssh, machine)
    }

    /// What a machine says about itself.
    pub(super) fn survey(&self, machine: &Machine) -> Result<&Facts, String> {
        self.surveys[&machine.name]
            .get_or_init(|| {
                let script = survey_script(&self.lab, machine, self.access.pace());
                facts::ask(&self.access, machine, &script, SURVEY_LIMIT)
                    .map_err(|error| error.chain())
            })
            .as_ref()
            .map_err(|why| format!("`{}` could not be asked: {why}", machine.name))
    }

    /// Lets each machine's own words be judged, all asked at once.
    pub(super) fn each_survey<'a, T: Send>(
        &'a self,
        machines: impl IntoIterator<Item = &'a Machine>,
        judge: impl Fn(&'a Machine, &'a Facts) -> T + Sync,
    ) -> Vec<(&'a Machine, Result<T, String>)> {
        parallel::each(machines, |machine| {
            let judged = self.survey(machine).map(|facts| judge(machine, facts));
            (machine, judged)
        })
    }

    /// The same, with one thing to be said of each machine: `Err` is what is wrong.
    pub(super) fn judge_surveys<'a>(
        &'a self,
        machines: impl IntoIterator<Item = &'a Machine>,
        judge: impl Fn(&'a Machine, &'a Facts) -> Result<String, String> + Sync,
    ) -> Findings {
        let asked = self.each_survey(machines, judge).into_iter();
        asked
            .map(|(machine, asked)| (&machine.name, asked.and_then(|judged| judged)))
            .collect()
    }

    /// The same, with several things to be said of each.
    pub(super) fn gather_surveys<'a>(
        &'a self,
        machines: impl IntoIterator<Item = &'a Machine>,
        judge: impl Fn(&'a Machine, &'a Facts) -> Findings + Sync,
    ) -> Findings {
        let mut findings = Findings::new();
        for (machine, asked) in self.each_survey(machines, judge) {
            match asked {
                Ok(judged) => findings.extend(judged),
                Err(why) => findings.wrong(&machine.name, why),
            }
        }
        findings
    }

    /// The machines with a kubelet.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Machine> + Clone {
        self.lab
            .machines()
            .iter()
            .filter(|machine| machine.role.is_node())
    }

    /// The machines that have no business with etcd.
    pub(super) fn strangers(&self) -> impl Iterator<Item = &Machine> + Clone {
        self.lab
            .machines()
            .iter()
            .filter(|machine| is_stranger(machine.role))
    }

    /// The API through the endpoint; checks share its connections.
    pub(super) fn api(&self) -> Result<Api, String> {
        self.api
            .get_or_init(|| Api::endpoint(&self.lab, &self.access).map_err(told))
            .clone()
    }

    /// A client that etcd serves.
    pub(super) fn etcd_client(&self) -> Result<Client, String> {
        self.client(&self.access.etcd_ca, Some(&self.access.etcd_client))
    }

    /// A client that trusts `ca` and shows `pair`.
    pub(super) fn client(&self, ca: &str, pair: Option<&Pair>) -> Result<Client, String> {
        let client = Client::new(ca, pair).map_err(|error| error.to_string())?;
        Ok(client.with_limit(self.answer_limit()).by(&self.access.way))
    }

    /// How long a connection may take to be made, and each wait on it.
    pub(super) fn answer_limit(&self) -> Duration {
        self.access.pace().of(attempt::LIMIT)
    }

    /// Asks `done` until it says yes, and returns how long that took.
    ///
    /// # Errors
    ///
    /// [`Error::NotInTime`] after `usual`, or later where machines are slower, with the last words of `done`.
    pub(super) fn until(
        &self,
        usual: Duration,
        what: &str,
        done: impl FnMut() -> Result<bool, String>,
    ) -> Result<Duration, Error> {
        until(self.access.pace().of(usual), what, done)
    }

    /// What the certificates in a PEM text say; those that cannot be read are left out.
    pub(super) fn certificates(&self, pem: &str) -> Vec<Certificate> {
        let ders = attempt::chain("a certificate", pem).unwrap_or_default();
        ders.iter()
            .filter_map(|der| (self.access.inspect)(der))
            .collect()
    }

    /// The namespace that everything is made in; made when first asked for.
    pub(super) fn space(&self) -> Result<&Space, String> {
        self.space
            .get_or_init(|| Space::make(self))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The pods to test with; made when first asked for.
    pub(super) fn field(&self) -> Result<&Field, String> {
        self.field
            .get_or_init(|| Field::lay_out(self))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Takes away what the checks have made in the cluster; also what an earlier run could not.
    pub(super) fn clean_up(&self) -> Result<(), String> {
        // A check that was left behind by an interrupt may be making it right now.
        if self.space.get().is_some() || interrupt::raised() {
            Space::remove_all(self)
        } else {
            Ok(())
        }
    }
}

/// An error with its causes.
pub(super) fn told(error: Error) -> String {
    error.chain()
}

/// Where a machine's API server listens.
pub(super) fn api_address(machine: &Machine) -> SocketAddrV4 {
    SocketAddrV4::new(machine.ip, ports::API)
}

/// Where a member serves clients.
pub(super) fn etcd_address(machine: &Machine) -> SocketAddrV4 {
    SocketAddrV4::new(machine.ip, ports::ETCD_CLIENT)
}

/// Whether machines of this role have no business with etcd.
pub(super) fn is_stranger(role: Role) -> bool {
    match role {
        Role::Etcd | Role::ControlPlane => false,
        Role::LoadBalancer | Role::Worker => true,
    }
}

/// The last address of the service range but one, which no service gets unless it asks for it.
pub(super) fn unused_service(lab: &Lab) -> Ipv4Addr {
    let last = u32::from(lab.service_cidr().broadcast());
    Ipv4Addr::from(last - 1)
}

/// A line that sets a variable of a script to addresses, paths or names: nothing that a shell would read otherwise.
pub(super) fn assignment(name: &str, value: &str) -> String {
    format!("{name}='{value}'\n")
}

/// The line that tells a script how many times as long as usual everything may take.
pub(super) fn times(pace: Pace) -> String {
    assignment("TIMES", &pace.times().to_string())
}

/// The questions to a machine: those to all, then those to its role.
fn survey_script(lab: &Lab, machine: &Machine, pace: Pace) -> String {
    let members = |without: &str| {
        let members = lab.of_role(Role::Etcd).filter(|it| it.name != without);
        let addresses: Vec<String> = members.map(|member| member.ip.to_string()).collect();
        addresses.join(" ")
    };
    let mut script = times(pace);
    for (name, value) in [
        ("UNITS", units::wanted(machine.role).to_owned()),
        ("MEMBERS", members(&machine.name)),
        ("ALL_MEMBERS", members("")),
        ("OUTSIDE", OUTSIDE.to_string()),
        ("SECRET_PLACES", SECRET_PLACES.to_owned()),
        ("ENDPOINT", lab.api_endpoint().to_string()),
        ("UNUSED", unused_service(lab).to_string()),
        ("API_PORT", ports::API.to_string()),
        ("ETCD_PORT", ports::ETCD_CLIENT.to_string()),
        ("ETCD_PEER_PORT", ports::ETCD_PEER.to_string()),
        (
            "ETCD_PORTS",
            strangers::ETCD_PORTS.map(|port| port.to_string()).join(" "),
        ),
        ("API_SERVICE", lab.kubernetes_service_ip().to_string()),
    ] {
        script.push_str(&assignment(name, &value));
    }
    let mut parts = vec![units::SCRIPT, include_str!("scripts/machine.sh")];
    if machine.role == Role::Etcd {
        parts.push(include_str!("scripts/etcd.sh"));
    }
    if machine.role.is_node() {
        parts.push(include_str!("scripts/node.sh"));
    }
    if machine.role == Role::ControlPlane {
        parts.push(include_str!("scripts/master.sh"));
    }
    if is_stranger(machine.role) {
        parts.push(include_str!("scripts/stranger.sh"));
    }
    script.push_str(&parts.join("\n"));
    // Its questions may well be answered with no; only an end before this is a failure.
    script.push_str("\necho '@@ end'\n");
    script
}

#[cfg(test)]
mod tests {
    use super::super::tests::lab;
    use super::*;

    #[test]
    fn each_role_is_asked_what_concerns_it() {
        let lab = lab("ha");
        let asked = |machine: &str, section: &str| {
            let machine = lab.machine(machine).expect("in the lab");
            survey_script(&lab, machine, Pace::USUAL).contains(&format!("echo '@@ {section}'"))
        };
        for (section, machines) in [
            (
                "etcd-ports",
                &["etcdone", "lbone", "masterone", "workerone"][..],
            ),
            ("peer-answers", &["etcdone"]),
            ("guard", &["masterone", "workerone"]),
            ("apiserver-etcd-client", &["masterone"]),
            ("certificates", &["lbone", "workerone"]),
        ] {
            for machine in ["etcdone", "lbone", "masterone", "workerone"] {
                assert_eq!(
                    asked(machine, section),
                    machines.contains(&machine),
                    "{section} on {machine}"
                );
            }
        }
    }

    #[test]
    fn scripts_take_ports_from_the_lab() {
        let lab = lab("ha");
        for machine in lab.machines() {
            let script = survey_script(&lab, machine, Pace::USUAL);
            let (assignments, questions) = script.split_at(script.find("@@").expect("a section"));
            assert!(
                assignments.contains("ETCD_PORTS='2379 2380 22'\n"),
                "{assignments}"
            );
            for port in ports::ALL.into_iter().filter(|port| *port != ports::SSH) {
                assert!(
                    !questions.contains(&port.to_string()),
                    "{port} on {}",
                    machine.name
                );
            }
        }
    }

    #[test]
    fn a_member_does_not_dial_itself() {
        let lab = lab("ha");
        let script = survey_script(&lab, lab.machine("etcdtwo").expect("there"), Pace::USUAL);
        assert!(script.contains("MEMBERS='192.168.29.61 192.168.29.63'\n"));
        assert_eq!(unused_service(&lab), Ipv4Addr::new(10, 111, 255, 254));
    }
}
