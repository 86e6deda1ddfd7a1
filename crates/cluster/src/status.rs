//! What is: asked all at once, with short limits, because half of it may be dead.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caravan_lab::{Lab, Machine, Role, ports};
use caravan_vagrant::MachineState;
use serde::{Deserialize, Serialize};

use crate::attempt::{Client, End};
use crate::etcd::Alarm;
use crate::kube::{Api, Node};
use crate::{Access, Error, etcd, facts, parallel};

mod judge;

/// How long one question may take at the usual pace. Two that follow each other, as the second needs an answer to the first,
/// stay below three seconds together.
const LIMIT: Duration = Duration::from_millis(1300);

/// How long a machine's ssh port may take to answer before ssh itself, which waits longer, is started.
const PORT_LIMIT: Duration = Duration::from_millis(600);

/// How long a script on a machine may take, getting in included.
const SCRIPT_LIMIT: Duration = Duration::from_millis(2000);

/// How many days before its end a certificate is a problem.
pub const EXPIRY_DAYS: i64 = 30;

/// What a load balancer is asked.
const BALANCER: &str = r"
echo '@@ addresses'; ip -4 -oneline address show
echo '@@ adverts'; nft list counter inet caravan_filter adverts
echo '@@ versions'
haproxy -v | sed -n '1s/^[^0-9]*\([0-9.]*\).*/haproxy \1/p'
keepalived --version 2>&1 | sed -n '1s/^[^0-9]*v\{0,1\}\([0-9.]*\).*/keepalived \1/p'
";

/// What a lab is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabStatus {
    /// The lab.
    pub lab: String,
    /// Its machines, in the order of its file.
    pub machines: Vec<MachineReport>,
    /// The API as everybody reaches it.
    pub endpoint: EndpointReport,
    /// The virtual address; `None` where the lab has none.
    pub vip: Option<VipReport>,
    /// etcd.
    pub etcd: EtcdReport,
    /// The nodes that the API tells of.
    pub nodes: Vec<Node>,
    /// The certificates that servers show, soonest end first.
    pub certificates: Vec<CertificateReport>,
    /// What is not as it should be, for people; nothing when all is well.
    pub problems: Vec<String>,
}

impl LabStatus {
    /// Whether anything is not as it should be.
    pub fn degraded(&self) -> bool {
        !self.problems.is_empty()
    }
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineReport {
    /// Its name.
    pub name: String,
    /// What it is there for.
    pub role: Role,
    /// The server it belongs to.
    pub server: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Whether it runs.
    pub state: MachineState,
    /// Versions of what it runs, by name, as far as they could be asked.
    pub versions: BTreeMap<String, String>,
    /// Whether its own service answers: API server, etcd member, node; `None` where there is nothing to ask.
    pub well: Option<bool>,
    /// Why it does not.
    pub why: Option<String>,
}

/// The API as everybody reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointReport {
    /// Where.
    pub address: SocketAddrV4,
    /// The version that answers; `None` when nothing does.
    pub version: Option<String>,
    /// Why nothing does.
    pub why: Option<String>,
}

/// The virtual address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VipReport {
    /// The address.
    pub address: Ipv4Addr,
    /// The load balancers that have it; one, when all is well.
    pub owners: Vec<String>,
    /// How many announcements of VRRP that are not the other load balancers' each one's packet filter has refused since it
    /// was loaded, those that `verify` sent included; only of those that could be asked.
    pub refused_adverts: BTreeMap<String, u64>,
    /// The load balancers that could not be asked, with the reason.
    pub unasked: Vec<String>,
}

/// etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdReport {
    /// The members of the lab, in the order of its file.
    pub members: Vec<MemberReport>,
    /// Whether enough members agree to take decisions. An alarm may forbid writes all the same.
    pub quorum: bool,
    /// The alarms that are raised.
    pub alarms: Vec<Alarm>,
    /// The member that leads, if the members agree.
    pub leader: Option<String>,
    /// How many different clusters the members belong to; one, when all is well.
    pub clusters: usize,
}

/// One member of etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its machine's name.
    pub name: String,
    /// Whether a read through it is confirmed by a majority.
    pub healthy: bool,
    /// Why not.
    pub why: Option<String>,
    /// What it says of itself; `None` when it does not answer.
    pub status: Option<etcd::Status>,
}

/// A certificate that a server shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateReport {
    /// The machine.
    pub machine: String,
    /// The address and port that showed it.
    pub at: SocketAddrV4,
    /// Its subject's common name.
    pub subject: String,
    /// When its validity ends, in seconds since 1970.
    pub not_after: i64,
    /// How many whole days are left.
    pub days_left: i64,
}

/// What a TLS server of a machine said.
struct Served {
    machine: String,
    at: SocketAddrV4,
    /// Nothing when it served us with status 200, else why not.
    why: Option<String>,
    /// Whether it answered at all.
    spoke: bool,
    shown: Option<Vec<u8>>,
}

/// Asks everything at once; takes less than three seconds at the usual pace, whatever is dead.
///
/// `states` are the machines' states by name, from whoever runs them; a machine that is not among them is absent.
/// Machines that do not run are not asked. `tool` is how the program that calls this is started, such as `cargo xtask`:
/// problems say what to do.
///
/// # Errors
///
/// [`Error::Credentials`]: nothing that a lab can do is an error here.
pub fn ask(
    lab: &Lab,
    access: &Access,
    tool: &str,
    states: &BTreeMap<String, MachineState>,
) -> Result<LabStatus, Error> {
    let limit = access.pace().of(LIMIT);
    let etcd_client = Client::new(&access.etcd_ca, Some(&access.etcd_client))?
        .with_limit(limit)
        .by(&access.way);
    let api_client = Client::new(&access.kubernetes_ca, Some(&access.operator))?
        .with_limit(limit)
        .by(&access.way);
    let runs = |machine: &&Machine| states.get(&machine.name) == Some(&MachineState::Running);
    let running = |role: Role| lab.of_role(role).filter(runs);
    let served = |machine: &Machine, port: u16, client: &Client, path: &str| {
        let at = SocketAddrV4::new(machine.ip, port);
        let attempt = client.get(at, path);
        let why = match &attempt.end {
            End::Answered { status: 200, .. } => None,
            End::Answered { body, .. } => Some(etcd::alarm::reason(body)),
            other => Some(other.to_string()),
        };
        Served {
            machine: machine.name.clone(),
            at,
            why,
            spoke: matches!(attempt.end, End::Answered { .. }),
            shown: attempt.shown,
        }
    };
    std::thread::scope(|scope| {
        let members = scope.spawn(|| {
            parallel::each(running(Role::Etcd), |machine| {
                let served = served(
                    machine,
                    ports::ETCD_CLIENT,
                    &etcd_client,
                    etcd::HEALTH_WITHOUT_ALARMS,
                );
                let status = served.spoke.then(|| {
                    etcd::Member::at(&machine.name, served.at, access, limit)
                        .and_then(|member| member.status())
                        .ok()
                });
                (served, status.flatten())
            })
        });
        let masters = scope.spawn(|| {
            parallel::each(running(Role::ControlPlane), |machine| {
                served(machine, ports::API, &api_client, "/readyz")
            })
        });
        let balancers = scope.spawn(|| {
            parallel::each(running(Role::LoadBalancer), |machine| {
                (machine.name.clone(), balancer(access, machine))
            })
        });
        let (endpoint, nodes) = endpoint(lab, access, states);
        let found = judge::StatusAnswers {
            endpoint,
            nodes,
            members: joined(members),
            masters: joined(masters),
            balancers: joined(balancers),
        };
        let now_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs().cast_signed());
        let terms = judge::Terms {
            inspect: access.inspect,
            now_s,
            tool,
        };
        let mut status = judge::report(lab, states, found, &terms);
        status.problems.extend(own_ended(lab, access, now_s, tool));
        Ok(status)
    })
}

/// What to do where this computer's own certificates have ended: then whoever runs may show nothing at all.
fn own_ended(lab: &Lab, access: &Access, now_s: i64, tool: &str) -> Option<String> {
    let own = [&access.operator, &access.etcd_client];
    let mut ends = own.into_iter().flat_map(|pair| {
        let all = crate::certificates::certificates(&pair.certificate);
        let first = all.first().and_then(|der| (access.inspect)(der));
        first.map(|it| it.not_after)
    });
    ends.any(|end| end < now_s).then(|| {
        format!(
            "the operator's certificate has ended: `{tool} certs renew {} --expired` makes all anew",
            lab.name()
        )
    })
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(answer) => answer,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn endpoint(
    lab: &Lab,
    access: &Access,
    states: &BTreeMap<String, MachineState>,
) -> (EndpointReport, Vec<Node>) {
    let address = lab.api_endpoint();
    let silent = |why: String| EndpointReport {
        address,
        version: None,
        why: Some(why),
    };
    // With nobody there, dialling the address could only reach somebody else.
    if !states.values().any(|state| *state == MachineState::Running) {
        return (silent("no machine runs".to_owned()), Vec::new());
    }
    let name = format!("the API at {address}");
    let limit = access.pace().of(LIMIT);
    let asked = Api::at(&name, address, access, Some(&access.operator), limit).and_then(|api| {
        let version = api.get("/version")?;
        Ok((version, api.nodes()))
    });
    match asked {
        Ok((version, nodes)) => {
            let report = EndpointReport {
                address,
                version: version["gitVersion"].as_str().map(ToOwned::to_owned),
                why: nodes.as_ref().err().map(Error::chain),
            };
            (report, nodes.unwrap_or_default())
        }
        Err(error) => (silent(error.chain()), Vec::new()),
    }
}

/// What a load balancer says about itself, or why it does not.
fn balancer(access: &Access, machine: &Machine) -> Result<facts::Facts, String> {
    if access.ssh.ways().get(&machine.server).is_none() {
        TcpStream::connect_timeout(&(machine.ip, 22).into(), access.pace().of(PORT_LIMIT))
            .map_err(|error| format!("ssh: {error}"))?;
    }
    facts::ask(access, machine, BALANCER, SCRIPT_LIMIT).map_err(|error| error.chain())
}
