//! A Service of the user's own, asked while a drill runs. Where it answers is found before anything is broken; then it is asked
//! at its own pace, whatever becomes of it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use caravan_lab::Lab;
use serde_json::Value;
use ureq::Agent;
use ureq::http::Uri;

use super::calm::Calm;
use super::clients::{DEADLINE, WRITE_EVERY, every, of_failure, of_status};
use super::haste::Haste;
use super::pacer::{DrillClock, Pacer, micros};
use super::record::{ClientName, RequestOutcome, RequestRecord, WatchedHeader};
use crate::kube::Api;
use crate::until::until;
use crate::{Access, Error, parallel, web};

/// How often it is asked at the usual pace.
const EVERY: Duration = WRITE_EVERY;

/// How long it may take until it answers well, before anything is broken.
const ANSWERS: Duration = Duration::from_secs(10);

/// What is to be watched: a Service by its name, or a URL at an address of the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchTarget {
    asked: String,
    kind: TargetKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TargetKind {
    Url(SocketAddrV4),
    Service {
        namespace: String,
        name: String,
        /// Its number or name.
        port: Option<String>,
        path: String,
    },
}

/// Why something cannot be watched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchFault {
    /// It has neither form.
    #[error(
        "it is neither a Service, such as `default/web`, `default/web:http` or `default/web:80/healthz`, nor a URL at an \
         address of the lab, such as `http://192.168.29.71:30080/`"
    )]
    Form,
    /// The URL's address is not the lab's.
    #[error("{address} is no address of the lab, which has {subnet}")]
    Outside {
        /// The address.
        address: Ipv4Addr,
        /// The lab's.
        subnet: caravan_lab::Ipv4Net,
    },
    /// There is no such Service.
    #[error("there is no Service `{name}` in the namespace `{namespace}`")]
    NoService {
        /// The namespace.
        namespace: String,
        /// The Service.
        name: String,
    },
    /// The Service has several ports, or not the one that is asked for.
    #[error("its ports are {}", .ports.join(", "))]
    Port {
        /// What ports it has, by name or number.
        ports: Vec<String>,
    },
    /// Nodes do not answer for it.
    #[error("its type is {kind}, for which no node answers")]
    NoNodePort {
        /// The Service's type.
        kind: String,
    },
    /// It does not answer well, and nothing is broken yet.
    #[error("it does not answer well, and nothing is broken yet: {why}")]
    Silent {
        /// What was seen last.
        why: String,
    },
}

impl WatchFault {
    /// The next thing to do about it; `tool` is how the program that calls this is started.
    pub(crate) fn hint(&self, tool: &str) -> Option<String> {
        let hint = match self {
            Self::Form => return None,
            Self::Outside { .. } => "only the lab's own addresses are asked",
            Self::NoService { .. } => {
                return Some(format!(
                    "`{tool} kubectl LAB -- get services --all-namespaces` shows which there are"
                ));
            }
            Self::Port { .. } => "name one: `NAMESPACE/SERVICE:PORT`",
            Self::NoNodePort { .. } => {
                "give it the type NodePort or LoadBalancer, or watch what leads to it from outside, such as an ingress, by a URL"
            }
            Self::Silent { .. } => {
                "a good answer has a status from 200 to 399; a path may follow: `NAMESPACE/SERVICE:PORT/healthz`"
            }
        };
        Some(hint.to_owned())
    }
}

impl FromStr for WatchTarget {
    type Err = WatchFault;

    fn from_str(asked: &str) -> Result<Self, WatchFault> {
        let kind = match asked.contains("://") {
            true => TargetKind::Url(address_of(asked).ok_or(WatchFault::Form)?),
            false => service_of(asked).ok_or(WatchFault::Form)?,
        };
        Ok(Self {
            asked: asked.to_owned(),
            kind,
        })
    }
}

/// Where a URL leads: names are not looked up, because who answers to them is not for the lab to say.
fn address_of(url: &str) -> Option<SocketAddrV4> {
    let url: Uri = url.parse().ok()?;
    let usual = match url.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = url.authority()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let address = authority.host().parse().ok()?;
    Some(SocketAddrV4::new(
        address,
        authority.port_u16().unwrap_or(usual),
    ))
}

/// `NAMESPACE/SERVICE[:PORT][/PATH]`.
fn service_of(asked: &str) -> Option<TargetKind> {
    let is_label = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !text.is_empty() && text.len() < 64 && text.bytes().all(plain)
    };
    let (namespace, rest) = asked.split_once('/')?;
    let (service, path) = match rest.split_once('/') {
        Some((service, path)) => (service, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    let (name, port) = match service.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (service, None),
    };
    let is_whole = is_label(namespace) && is_label(name) && port.is_none_or(is_label);
    let is_path = path.parse::<Uri>().is_ok();
    (is_whole && is_path).then(|| TargetKind::Service {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        port: port.map(str::to_owned),
        path,
    })
}

impl WatchTarget {
    /// As it was asked for.
    pub fn asked(&self) -> &str {
        &self.asked
    }

    /// Its client.
    pub fn client(&self) -> ClientName {
        ClientName::Watched(self.asked.clone())
    }

    /// Whether it may be asked: nothing is sent to who is not of the lab.
    ///
    /// # Errors
    ///
    /// [`Error::NotWatched`].
    pub fn hold_inside(&self, lab: &Lab) -> Result<(), Error> {
        let subnet = lab.subnet();
        match self.kind {
            TargetKind::Url(at) if !subnet.contains(at.ip()) => {
                Err(self.refused(WatchFault::Outside {
                    address: *at.ip(),
                    subnet,
                }))
            }
            _ => Ok(()),
        }
    }

    fn refused(&self, fault: WatchFault) -> Error {
        Error::NotWatched {
            asked: self.asked.clone(),
            fault,
        }
    }

    /// Finds where it answers, and holds that it answers well there. Of a Service that is every node; with the policy `Local`
    /// those without its pods say nothing, and are left out.
    ///
    /// # Errors
    ///
    /// [`Error::NotWatched`]; those of the API.
    pub fn find(&self, lab: &Lab, access: &Access) -> Result<WatchedService, Error> {
        let refused = |fault| self.refused(fault);
        self.hold_inside(lab)?;
        let mut is_local = false;
        let places = match &self.kind {
            TargetKind::Url(_) => vec![(String::new(), self.asked.clone())],
            TargetKind::Service {
                namespace,
                name,
                port,
                path,
            } => {
                let api = Api::endpoint(lab, access)?;
                let read = api.get(&format!("/api/v1/namespaces/{namespace}/services/{name}"));
                let service = read.map_err(|error| match error.is_status(404) {
                    true => refused(WatchFault::NoService {
                        namespace: namespace.clone(),
                        name: name.clone(),
                    }),
                    false => error,
                })?;
                let port = node_port(&service, port.as_deref()).map_err(refused)?;
                is_local = service["spec"]["externalTrafficPolicy"] == "Local";
                let nodes = lab.machines().iter().filter(|it| it.role.is_node());
                let url = |ip: Ipv4Addr| format!("http://{ip}:{port}{path}");
                nodes.map(|it| (it.name.clone(), url(it.ip))).collect()
            }
        };
        let deadline = access.pace().of(DEADLINE);
        let mut service = WatchedService {
            client: self.client(),
            places,
            agent: web::trusting(None, deadline, &access.way)?,
            every: every(access, EVERY),
            deadline,
            good_in_a_row: Arc::default(),
        };
        let mut answering = Vec::new();
        let found = until(access.pace().of(ANSWERS), "a good answer", || {
            let asked = parallel::each(&service.places, |place| (place, service.at(place)));
            let wrong = asked.iter().find(|(_, outcome)| !outcome.is_ok());
            let why = wrong.map_or_else(String::new, |(_, outcome)| told(outcome));
            let good = asked.into_iter().filter(|(_, outcome)| outcome.is_ok());
            answering = good.map(|(place, _)| place.clone()).collect();
            let least = if is_local { 1 } else { service.places.len() };
            match answering.len() < least {
                true => Err(why),
                false => Ok(true),
            }
        });
        if let Err(error) = found {
            return Err(match error {
                Error::NotInTime { why, .. } => refused(WatchFault::Silent {
                    why: why.unwrap_or_default(),
                }),
                error => error,
            });
        }
        service.places = answering;
        Ok(service)
    }
}

/// The port of nodes that leads to a Service's port, by that one's name or number; where it has one, none need be named.
fn node_port(service: &Value, wanted: Option<&str>) -> Result<u64, WatchFault> {
    let ports = service["spec"]["ports"].as_array();
    let ports: &[Value] = ports.map_or(&[], Vec::as_slice);
    let is_it = |port: &&Value| {
        wanted.is_none_or(|wanted| {
            port["name"] == wanted || wanted.parse().is_ok_and(|it: u64| port["port"] == it)
        })
    };
    let found: Vec<&Value> = ports.iter().filter(is_it).collect();
    let [port] = found.as_slice() else {
        let named = |port: &Value| match port["name"].as_str() {
            Some(name) => format!("`{name}` ({})", port["port"]),
            None => format!("`{}`", port["port"]),
        };
        return Err(WatchFault::Port {
            ports: ports.iter().map(named).collect(),
        });
    };
    port["nodePort"].as_u64().ok_or_else(|| {
        let kind = service["spec"]["type"].as_str().unwrap_or("ClusterIP");
        WatchFault::NoNodePort {
            kind: kind.to_owned(),
        }
    })
}

fn told(outcome: &RequestOutcome) -> String {
    match outcome {
        RequestOutcome::Ok => "answered".to_owned(),
        RequestOutcome::Failed(why) | RequestOutcome::Unknown(why) => why.clone(),
    }
}

/// A Service that answers, and where.
#[derive(Debug, Clone)]
pub struct WatchedService {
    client: ClientName,
    /// The machines that are asked in turn, each with what is asked of it; one that a URL leads to has no name.
    places: Vec<(String, String)>,
    agent: Agent,
    every: Duration,
    deadline: Duration,
    /// How many requests were answered well since the last that was not.
    good_in_a_row: Arc<AtomicUsize>,
}

impl WatchedService {
    /// What the records say of it.
    pub fn header(&self) -> WatchedHeader {
        WatchedHeader {
            asked: match &self.client {
                ClientName::Watched(asked) => asked.clone(),
                other => other.to_string(),
            },
            urls: self.places.iter().map(|(_, url)| url.clone()).collect(),
            period: micros(self.every),
        }
    }

    /// Whether it answers well, wherever it is asked.
    pub(super) fn is_well(&self) -> bool {
        self.good_in_a_row.load(Ordering::Relaxed) >= self.places.len()
    }

    /// Asks in turn, over a new connection each time, until it is told to stop. That it fails keeps no drill from beginning: it
    /// is the user's, and said in its own lane.
    pub(super) fn run(
        &self,
        clock: DrillClock,
        haste: &Haste,
        stop: &AtomicBool,
    ) -> Vec<RequestRecord> {
        let calm = Calm::default();
        let pacer = Pacer {
            clock,
            client: self.client.clone(),
            period: self.every,
            deadline: self.deadline,
            calm: &calm,
            haste,
            stop,
        };
        pacer.run(&|number| {
            let count = self.places.len() as u64;
            let place = usize::try_from(number % count).unwrap_or_default();
            let outcome = self.at(&self.places[place]);
            match outcome.is_ok() {
                true => self.good_in_a_row.fetch_add(1, Ordering::Relaxed),
                false => self.good_in_a_row.swap(0, Ordering::Relaxed),
            };
            (outcome, None)
        })
    }

    /// One request, good as kubelets' probes have it: from 200 to 399. Which machine failed is part of why.
    fn at(&self, (machine, url): &(String, String)) -> RequestOutcome {
        let outcome = match self.agent.get(url).call().map(|it| it.status().as_u16()) {
            Ok(300..=399) => RequestOutcome::Ok,
            Ok(status) => of_status(status),
            Err(error) => of_failure(&error),
        };
        let named = |why: String| match machine.as_str() {
            "" => why,
            machine => format!("{why} ({machine})"),
        };
        match outcome {
            RequestOutcome::Ok => RequestOutcome::Ok,
            RequestOutcome::Failed(why) => RequestOutcome::Failed(named(why)),
            RequestOutcome::Unknown(why) => RequestOutcome::Unknown(named(why)),
        }
    }
}

#[cfg(test)]
mod tests;
