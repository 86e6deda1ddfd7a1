//! Moves what a machine does for the whole lab to others, before it is taken away: etcd's lead, the virtual address, the
//! connections of an API server.
//!
//! Each may be done again: it asks where things are, and does nothing where they are elsewhere already.

use std::time::Duration;

use caravan_lab::{Lab, Machine, Role, ports};

use crate::attempt::{Client, End};
use crate::etcd::Member;
use crate::etcd::gate::WellMembers;
use crate::kube::Api;
use crate::until::until;
use crate::{Access, Error, control_plane, facts, parallel, vip};

/// How long a handover may take at the usual pace.
const LIMIT: Duration = Duration::from_secs(30);

/// How long the API may take to say that it is ready.
const ANSWER: Duration = Duration::from_secs(1);

/// How long a script on a machine may take.
const SCRIPT: Duration = Duration::from_secs(20);

/// What a load balancer is asked about itself: whether both its programs run, and HAProxy answers.
const BALANCER: &str = r"
echo '@@ units'; systemctl is-active haproxy keepalived
echo '@@ ready'; curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}\n' http://127.0.0.1:PORT/ready
exit 0
";

/// Has the member on `machine` hand over etcd's lead, where it has it; returns who leads then.
///
/// # Errors
///
/// [`Error::NotInTime`] where nobody else leads in time, [`Error::Answered`] and [`Error::Unreachable`] where the leader
/// refuses, [`Error::Credentials`].
pub fn lead<'a>(
    lab: &Lab,
    access: &Access,
    machine: &Machine,
    others: &'a WellMembers,
) -> Result<Option<&'a str>, Error> {
    let is_its = |id: u64| {
        let mut known = others.known.iter();
        known.any(|it| it.id == id && it.addresses.contains(&machine.ip))
    };
    if !is_its(others.leader) {
        return Ok(None);
    }
    let heir = others.members.iter().find_map(|member| {
        let its = lab.machine(&member.name)?;
        let known = others
            .known
            .iter()
            .find(|known| known.addresses.contains(&its.ip))?;
        Some((member, known.id))
    });
    let Some((heir, id)) = heir else {
        return Ok(None);
    };
    Member::of(machine, access)?.hand_over(id)?;
    let limit = access.pace().of(LIMIT);
    until(limit, "another leader of etcd", || {
        let said = heir.status().map_err(|error| error.chain())?;
        Ok(said.leader != 0 && !is_its(said.leader))
    })?;
    Ok(Some(&heir.name))
}

/// What is wrong with a load balancer; nothing where it would serve.
fn fault_of_balancer(access: &Access, machine: &Machine) -> Option<String> {
    let script = BALANCER.replace("PORT", &ports::HAPROXY_HEALTH.to_string());
    let facts = match facts::ask(access, machine, &script, SCRIPT) {
        Ok(facts) => facts,
        Err(error) => return Some(error.chain()),
    };
    let units = facts.get("units").unwrap_or_default();
    let ready = facts.text("ready");
    if units.len() != 2 || units.iter().any(|unit| unit != "active") {
        return Some("HAProxy or Keepalived does not run".to_owned());
    }
    (ready != "200").then(|| "its HAProxy knows of no master that is ready".to_owned())
}

/// What is wrong with each other load balancer than `machine`, by name; nothing where it would serve.
pub fn other_balancers(
    lab: &Lab,
    access: &Access,
    machine: &Machine,
) -> Vec<(String, Option<String>)> {
    let others = lab.of_role(Role::LoadBalancer);
    let others = others.filter(|other| other.name != machine.name);
    parallel::each(others, |other| {
        (other.name.clone(), fault_of_balancer(access, other))
    })
}

/// What is wrong with each other API server than that of `machine`, by its master's name; nothing where it is ready.
pub fn other_masters(
    lab: &Lab,
    access: &Access,
    machine: &Machine,
) -> Vec<(String, Option<String>)> {
    let others = lab.of_role(Role::ControlPlane);
    let others = others.filter(|other| other.name != machine.name);
    parallel::each(others, |other| {
        let ready = Api::master(other, access).and_then(|api| api.text("/readyz"));
        (other.name.clone(), ready.err().map(|error| error.chain()))
    })
}

/// Has the load balancer `machine` give the virtual address up, where it has it; returns who has it then.
///
/// # Errors
///
/// [`Error::NotInTime`] where no other one takes it in time, [`Error::Machine`] and [`Error::Script`] where the machine does
/// not do it, [`Error::Credentials`].
pub fn address(lab: &Lab, access: &Access, machine: &Machine) -> Result<Option<String>, Error> {
    let Some(address) = lab.vip() else {
        return Ok(None);
    };
    if !facts::has_address(access, machine, address, SCRIPT)? {
        return Ok(None);
    }
    let api = Client::new(&access.kubernetes_ca, None)?
        .with_deadline(access.pace().of(ANSWER))
        .by(&access.way);
    let answers = || {
        let end = api.get(lab.api_endpoint(), "/readyz").end;
        matches!(end, End::Answered { status: 200, .. })
    };
    // It says goodbye, so another one takes the address within a tenth of a second.
    facts::ask(access, machine, "systemctl stop keepalived", SCRIPT)?;
    let mut owner = None;
    let what = format!("another load balancer with {address}");
    until(access.pace().of(LIMIT), &what, || {
        let found = vip::owner(lab, access).map_err(|error| error.chain())?;
        owner = (found.name != machine.name).then(|| found.name.clone());
        Ok(owner.is_some() && answers())
    })?;
    Ok(owner)
}

/// Has the API server of `machine` finish what it does and end, so that load balancers send nobody there any more, and waits
/// until it does not answer.
///
/// Connections that it had end: clients make new ones, which go to other masters at once. A connection to a machine that is
/// merely gone would be waited for.
///
/// # Errors
///
/// [`Error::NotInTime`] where it still answers, [`Error::Machine`] and [`Error::Script`] where the machine does not do it,
/// [`Error::Credentials`].
pub fn api_server(access: &Access, machine: &Machine) -> Result<(), Error> {
    control_plane::stop(access, machine)
}
