//! The clients of a drill: what they ask, and what an answer means.

use std::io::ErrorKind;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use caravan_lab::{Lab, Machine, Role};
use serde_json::{Value, json};

use super::calm::Calm;
use super::haste::Haste;
use super::pacer::{DrillClock, Pacer};
use super::record::{ClientName, RequestOutcome, RequestRecord};
use crate::attempt::{Client, End};
use crate::etcd::Member;
use crate::kube;
use crate::kube::Api;
use crate::{Access, Error};

pub(super) mod watch;

/// How long a request may take at the usual pace. None is made again: a second try is a second request.
pub const DEADLINE: Duration = Duration::from_secs(1);

/// How often clients that read ask at the usual pace.
pub const READ_EVERY: Duration = Duration::from_millis(20);
/// How often clients that write do.
pub const WRITE_EVERY: Duration = Duration::from_millis(50);

/// How often it is read over connections that are kept, and the chain takes a step: what is asked beside must not keep the lab
/// busy that is measured.
const SELDOM: Duration = Duration::from_millis(100);

/// How often masters, members and load balancers are asked directly: they show which part is away, and are no users.
const EACH_EVERY: Duration = Duration::from_millis(500);

/// How many times less often all of them ask where the lab is reached through another computer: each connection is then one of
/// ssh's as well, and at the usual pace clients measure what they are carried by, and keep it busy.
const THROUGH_OTHERS: u32 = 5;

/// How often clients ask this lab, over the way to it, that ask so often at the usual pace over a straight one.
pub(super) fn every(access: &Access, usual: Duration) -> Duration {
    let paced = access.pace().of(usual);
    match access.way.is_straight() {
        true => paced,
        false => paced * THROUGH_OTHERS,
    }
}

/// What is read: there in every cluster, kept in etcd.
const READ: &str = "/api/v1/namespaces/kube-system";

/// What stands before the chain's value in its object, which etcd keeps in a form of its own.
pub(super) const CHAIN_MARK: &str = "caravan-chain=";

/// What marks the namespaces of drills, so that a later one finds what an earlier one had to leave.
const LABEL: &str = "caravan.local/drill";

/// Where a drill writes.
#[derive(Debug, Clone)]
pub(super) struct DrillSpace {
    /// The namespace.
    pub(super) name: String,
}

impl DrillSpace {
    /// Makes it, with a chain that is at 0; removes those of runners that were killed.
    pub(super) fn make(api: &Api, name: &str) -> Result<Self, Error> {
        let left = format!(
            "/api/v1/namespaces?labelSelector={}",
            LABEL.replace('/', "%2F")
        );
        for namespace in kube::items(&api.get(&left)?) {
            let name = namespace["metadata"]["name"].as_str().unwrap_or_default();
            api.delete(&format!("/api/v1/namespaces/{name}"))?;
        }
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": name, "labels": { LABEL: "true" } },
        });
        api.ensure("/api/v1/namespaces", &namespace)?;
        let space = Self {
            name: name.to_owned(),
        };
        api.ensure(&space.maps(), &space.chain(0, None))?;
        Ok(space)
    }

    /// Removes it with all that was written.
    pub(super) fn remove(&self, api: &Api) -> Result<(), Error> {
        api.delete(&format!("/api/v1/namespaces/{}", self.name))
    }

    pub(super) fn maps(&self) -> String {
        format!("/api/v1/namespaces/{}/configmaps", self.name)
    }

    fn chain(&self, value: u64, version: Option<&str>) -> Value {
        let mut object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "chain", "namespace": self.name },
            "data": { "value": format!("{CHAIN_MARK}{value};") },
        });
        if let Some(version) = version {
            object["metadata"]["resourceVersion"] = json!(version);
        }
        object
    }

    /// What etcd calls the objects that are made here.
    pub(super) fn keys(&self) -> String {
        format!("/registry/configmaps/{}/", self.name)
    }
}

/// The name of the object of this number, and back.
pub(super) fn object_name(number: u64) -> String {
    format!("w-{number:06}")
}

/// The number of an object that a drill made, by its name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("w-")?.parse().ok()
}

/// What an answer of the API says of a request.
pub(super) fn outcome_of<T>(answer: &Result<T, Error>) -> RequestOutcome {
    match answer {
        Ok(_) => RequestOutcome::Ok,
        Err(Error::Answered { status, .. }) => of_status(*status),
        Err(Error::Unreachable { source, .. }) => of_failure(source),
        Err(other) => RequestOutcome::Unknown(other.to_string()),
    }
}

/// What it says of a request that there was no answer.
pub(super) fn of_failure(error: &ureq::Error) -> RequestOutcome {
    match error {
        ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            RequestOutcome::Failed("refused".to_owned())
        }
        ureq::Error::Io(error) => RequestOutcome::Unknown(error.kind().to_string()),
        ureq::Error::Timeout(_) => RequestOutcome::Unknown("no answer in time".to_owned()),
        other => RequestOutcome::Unknown(other.to_string()),
    }
}

/// A request that was refused by what it asked for (4xx) was certainly not done; after an error of the server (5xx) nobody
/// knows.
pub(super) fn of_status(status: u16) -> RequestOutcome {
    match status {
        200..=299 => RequestOutcome::Ok,
        400..=499 => RequestOutcome::Failed(format!("status {status}")),
        _ => RequestOutcome::Unknown(format!("status {status}")),
    }
}

fn of_end(end: &End) -> RequestOutcome {
    match end {
        End::Answered { status, .. } => of_status(*status),
        End::Unreachable(why) if why.contains("refused") => {
            RequestOutcome::Failed("refused".to_owned())
        }
        End::Unreachable(_) => RequestOutcome::Unknown("no connection".to_owned()),
        End::Silent => RequestOutcome::Unknown("no answer in time".to_owned()),
        End::Alert(alert) => RequestOutcome::Unknown(format!("TLS alert {alert}")),
        End::Distrusted(why) => RequestOutcome::Unknown(format!("not trusted: {why}")),
        End::Closed(_) => RequestOutcome::Unknown("hung up".to_owned()),
    }
}

/// Which clients there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientSet {
    /// All.
    All,
    /// Those that use the lab as its users do, through the endpoint: who is asked directly shows only which part is away.
    Users,
}

/// All clients of a drill but its watch.
pub(super) struct Clients<'a> {
    pub(super) set: ClientSet,
    pub(super) lab: &'a Lab,
    pub(super) access: &'a Access,
    pub(super) space: &'a DrillSpace,
    pub(super) clock: DrillClock,
    pub(super) calm: &'a Calm,
    pub(super) haste: &'a Haste,
    pub(super) stop: &'a AtomicBool,
}

impl Clients<'_> {
    /// A client that asks every `usual`; slower machines are asked less often, and have longer for it.
    fn pacer(&self, client: ClientName, usual: Duration) -> Pacer<'_> {
        Pacer {
            clock: self.clock,
            client,
            period: every(self.access, usual),
            deadline: self.deadline(),
            calm: self.calm,
            haste: self.haste,
            stop: self.stop,
        }
    }

    fn deadline(&self) -> Duration {
        self.access.pace().of(DEADLINE)
    }

    fn endpoint(&self) -> Result<Api, Error> {
        let at = self.lab.api_endpoint();
        let operator = Some(&self.access.operator);
        Api::at("the API", at, self.access, operator, self.deadline())
    }

    /// The machines of a role that are asked directly.
    fn each(&self, role: Role) -> impl Iterator<Item = &Machine> {
        let all = self.lab.of_role(role);
        all.filter(move |_| self.set == ClientSet::All)
    }

    /// Makes requests until it is told to stop; returns those of all clients.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`], before any request is made.
    pub(super) fn run(&self) -> Result<Vec<RequestRecord>, Error> {
        let (access, deadline) = (self.access, self.deadline());
        let endpoint = self.lab.api_endpoint();
        let reader = Client::new(&access.kubernetes_ca, Some(&access.operator))?
            .with_deadline(deadline)
            .by(&access.way);
        let (kept, creator, chained) = (self.endpoint()?, self.endpoint()?, self.endpoint()?);
        let operator = Some(&access.operator);
        let masters: Vec<(String, Api)> = (self.each(Role::ControlPlane))
            .map(|master| {
                let at = std::net::SocketAddrV4::new(master.ip, caravan_lab::ports::API);
                let api = Api::at(&master.name, at, access, operator, deadline)?;
                Ok((master.name.clone(), api))
            })
            .collect::<Result<_, Error>>()?;
        let members: Vec<Member> = (self.each(Role::Etcd))
            .map(|machine| {
                let at = std::net::SocketAddrV4::new(machine.ip, caravan_lab::ports::ETCD_CLIENT);
                Member::at(&machine.name, at, access, deadline)
            })
            .collect::<Result<_, Error>>()?;
        let balancers: Vec<&Machine> = self.each(Role::LoadBalancer).collect();
        Ok(std::thread::scope(|scope| {
            let mut threads = vec![
                scope.spawn(|| {
                    let pacer = self.pacer(ClientName::Reads, READ_EVERY);
                    pacer.run(&|_| (of_end(&reader.get(endpoint, READ).end), None))
                }),
                scope.spawn(|| {
                    let pacer = self.pacer(ClientName::ReadsKept, SELDOM);
                    pacer.run(&|_| (outcome_of(&kept.get(READ)), None))
                }),
                scope.spawn(|| {
                    let pacer = self.pacer(ClientName::Creates, WRITE_EVERY);
                    pacer.run(&|number| (self.create(&creator, number), Some(number)))
                }),
                scope.spawn(|| {
                    let mut chain = Chain::new(self.space, &chained);
                    let pacer = self.pacer(ClientName::Chain, SELDOM);
                    pacer.one_by_one(|| chain.step())
                }),
            ];
            for (name, api) in &masters {
                threads.push(scope.spawn(move || {
                    let pacer = self.pacer(ClientName::Master(name.clone()), EACH_EVERY);
                    pacer.run(&|_| (outcome_of(&api.get(READ)), None))
                }));
            }
            for member in &members {
                threads.push(scope.spawn(move || {
                    let client = ClientName::Member(member.name.clone());
                    let pacer = self.pacer(client, EACH_EVERY);
                    pacer.run(&|_| (outcome_of(&member.get("/caravan-drill")), None))
                }));
            }
            for machine in balancers {
                // It shows the certificate of the shared address, wherever it is asked.
                let at = std::net::SocketAddrV4::new(machine.ip, caravan_lab::ports::API);
                let (reader, named) = (&reader, *endpoint.ip());
                threads.push(scope.spawn(move || {
                    let client = ClientName::Balancer(machine.name.clone());
                    let pacer = self.pacer(client, EACH_EVERY);
                    pacer.run(&|_| (of_end(&reader.get_as(at, named, READ).end), None))
                }));
            }
            let ended = threads.into_iter().flat_map(|thread| match thread.join() {
                Ok(records) => records,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            let mut records: Vec<RequestRecord> = ended.collect();
            records.sort_by_key(|record| record.ended);
            records
        }))
    }

    fn create(&self, api: &Api, number: u64) -> RequestOutcome {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": object_name(number) },
        });
        outcome_of(&api.create(&self.space.maps(), &map))
    }
}

/// A number that only grows by one, where nobody else has changed it.
struct Chain<'a> {
    space: &'a DrillSpace,
    api: &'a Api,
    /// Its value and the version of its object, as it was last read or written; none where that is not known.
    known: Option<(u64, String)>,
}

impl<'a> Chain<'a> {
    fn new(space: &'a DrillSpace, api: &'a Api) -> Self {
        Self {
            space,
            api,
            known: None,
        }
    }

    /// One step; writes nothing where it does not know what to write onto.
    fn step(&mut self) -> (RequestOutcome, Option<u64>) {
        let path = format!("{}/chain", self.space.maps());
        if self.known.is_none() {
            let read = self.api.get(&path);
            self.known = read.as_ref().ok().and_then(standing);
            if self.known.is_none() {
                return (outcome_of(&read), None);
            }
        }
        let Some((value, version)) = self.known.take() else {
            return (RequestOutcome::Unknown("not read".to_owned()), None);
        };
        let next = self.space.chain(value + 1, Some(&version));
        let written = self.api.replace(&path, &next);
        self.known = written.as_ref().ok().and_then(standing);
        (outcome_of(&written), Some(value + 1))
    }
}

fn standing(object: &Value) -> Option<(u64, String)> {
    let value = chain_value(object["data"]["value"].as_str()?.as_bytes())?;
    let version = object["metadata"]["resourceVersion"].as_str()?;
    Some((value, version.to_owned()))
}

/// The chain's value, wherever it stands in the bytes of its object.
pub(super) fn chain_value(bytes: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(bytes);
    let (_, after) = text.split_once(CHAIN_MARK)?;
    after.split_once(';')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use caravan_process::{CONNECT_SECONDS, Pace, Program, SshAccess, SshComputer, UnknownHost};

    use super::*;
    use crate::NetworkWay;
    use crate::verify::tests::{access, lab};

    #[test]
    fn a_lab_behind_another_computer_is_asked_less_often() {
        let (lab, mut access) = (lab("ha"), access());
        assert_eq!(every(&access, READ_EVERY), READ_EVERY);
        let ssh = Program::at("/bin/false");
        let how = SshAccess {
            identity: None,
            known_hosts: "/nonexistent".into(),
            unknown_host: UnknownHost::Refuse,
            through: None,
            connect_seconds: CONNECT_SECONDS,
            connect_attempts: 1,
            pace: Pace::USUAL,
            shared: None,
        };
        let computer = SshComputer::new(ssh, "me@server", how);
        let through = lab
            .servers()
            .iter()
            .map(|it| (it.name.clone(), computer.clone()));
        access.way = NetworkWay::of(&lab, &through.collect::<BTreeMap<_, _>>());
        assert_eq!(every(&access, READ_EVERY), READ_EVERY * THROUGH_OTHERS);
    }

    #[test]
    fn what_an_answer_means() {
        assert!(of_status(201).is_ok());
        for refused in [401, 403, 404, 409, 422, 429] {
            assert!(matches!(of_status(refused), RequestOutcome::Failed(_)));
        }
        for unsure in [500, 503, 504] {
            assert!(matches!(of_status(unsure), RequestOutcome::Unknown(_)));
        }
        assert_eq!(
            of_end(&End::Silent),
            RequestOutcome::Unknown("no answer in time".to_owned())
        );
        let refused = End::Unreachable("Connection refused (os error 111)".to_owned());
        assert_eq!(
            of_end(&refused),
            RequestOutcome::Failed("refused".to_owned())
        );
    }

    #[test]
    fn names_and_values_are_read_back() {
        assert_eq!(number_of(&object_name(0)), Some(0));
        assert_eq!(number_of(&object_name(1_234_567)), Some(1_234_567));
        for other in ["chain", "kube-root-ca.crt", "w-x"] {
            assert_eq!(number_of(other), None);
        }
        let kept = [
            b"k8s\x00\n\xff\x12".as_slice(),
            b"value\x12\x15caravan-chain=42;\x1a\x00",
        ]
        .concat();
        assert_eq!(chain_value(&kept), Some(42));
        assert_eq!(chain_value(b"caravan-chain=;"), None);
        assert_eq!(chain_value(b""), None);
    }
}
