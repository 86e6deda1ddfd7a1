//! etcd, through the JSON gateway that each member has on its client port
//! (<https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/>). Numbers of 64 bits come as text.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use caravan_lab::{Lab, Machine, Role, ports};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::http::Method;

use crate::web::Server;
use crate::{Access, Error};

pub mod alarm;
pub mod gate;
pub mod maintenance;
pub mod report;
pub mod restore;
pub mod snapshot;

pub use alarm::Alarm;

/// Where a member says whether a majority confirms a read, alarms apart; with one it says so of the alarm instead.
pub(crate) const HEALTH_WITHOUT_ALARMS: &str = "/health?exclude=NOSPACE&exclude=CORRUPT";

/// One member.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its machine's name.
    pub name: String,
    server: Server,
}

/// What a member says of itself and its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The cluster it belongs to.
    #[serde(with = "hex")]
    pub cluster_id: u64,
    /// Itself.
    #[serde(with = "hex")]
    pub member_id: u64,
    /// Who leads, as it sees it; 0 for nobody.
    #[serde(with = "hex")]
    pub leader: u64,
    /// How many elections the cluster has had, as it knows it; 0 in what older versions of this tool wrote.
    #[serde(default)]
    pub term: u64,
    /// The last revision of the data that it has.
    pub revision: u64,
    /// Its version, such as `3.6.14`.
    pub version: String,
    /// The size of its data, in bytes.
    pub db_size: u64,
    /// Whether it only learns and does not vote.
    pub learner: bool,
    /// What it complains about, such as a quota.
    pub errors: Vec<String>,
}

/// A member as the cluster knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMember {
    /// Its name; empty for one that was added and has not started yet.
    pub name: String,
    /// Its id.
    pub id: u64,
    /// The addresses of its machine, which are known before it starts.
    pub addresses: Vec<Ipv4Addr>,
    /// Whether it only learns and does not vote.
    pub learner: bool,
    /// Whether it has ever been ready.
    pub started: bool,
}

/// A hash over all data at one revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hash {
    /// The hash.
    pub hash: u64,
    /// The revision that older data was compacted at, which the hash depends on.
    pub compact_revision: u64,
}

/// All members of the lab, in the order of its file.
///
/// # Errors
///
/// [`Error::Credentials`].
pub fn members(lab: &Lab, access: &Access) -> Result<Vec<Member>, Error> {
    lab.of_role(Role::Etcd)
        .map(|machine| Member::of(machine, access))
        .collect()
}

/// The one of `members` that leads, as it says itself; none where none does.
///
/// # Errors
///
/// As [`Member::status`], of the first that does not answer.
pub fn leader(members: &[Member]) -> Result<Option<&Member>, Error> {
    let mut leader = None;
    for member in members {
        let status = member.status()?;
        if status.leader == status.member_id {
            leader = Some(member);
        }
    }
    Ok(leader)
}

impl Member {
    /// The member on `machine`.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`].
    pub fn of(machine: &Machine, access: &Access) -> Result<Self, Error> {
        let address = SocketAddrV4::new(machine.ip, ports::ETCD_CLIENT);
        Self::at(&machine.name, address, access, access.question())
    }

    /// The member called `name` at `address`; one request may take up to `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`].
    pub fn at(
        name: &str,
        address: SocketAddrV4,
        access: &Access,
        limit: Duration,
    ) -> Result<Self, Error> {
        let server = Server::new(
            format!("the etcd member `{name}`"),
            format!("https://{address}"),
            &access.etcd_ca,
            Some(&access.etcd_client),
            limit,
            &access.way,
        )?;
        Ok(Self {
            name: name.to_owned(),
            server,
        })
    }

    fn ask(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.server.json(&Method::POST, path, Some(body))
    }

    /// Whether a read goes through, which a majority of members must confirm; else why not.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`]; [`Error::Answered`] with its reason when it is not healthy.
    pub fn health(&self) -> Result<(), Error> {
        self.server.text(&Method::GET, "/health", None).map(drop)
    }

    /// What it says of itself and its cluster.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`], [`Error::Answered`], [`Error::Unreadable`].
    pub fn status(&self) -> Result<Status, Error> {
        Ok(status(&self.ask("/v3/maintenance/status", &json!({}))?))
    }

    /// The members that it knows itself, which may be of a while ago.
    ///
    /// # Errors
    ///
    /// As [`Member::status`].
    pub fn known_members(&self) -> Result<Vec<KnownMember>, Error> {
        self.members(false)
    }

    /// The members that the cluster has, as a majority confirms.
    ///
    /// # Errors
    ///
    /// As [`Member::status`]; without a majority there is no answer.
    pub fn confirmed_members(&self) -> Result<Vec<KnownMember>, Error> {
        self.members(true)
    }

    fn members(&self, linearizable: bool) -> Result<Vec<KnownMember>, Error> {
        let body = json!({ "linearizable": linearizable });
        let list = self.ask("/v3/cluster/member/list", &body)?;
        let all = list["members"].as_array().into_iter().flatten();
        Ok(all.map(known).collect())
    }

    /// Takes a member out of the cluster. One that is not in it any more is out.
    ///
    /// # Errors
    ///
    /// As [`Member::status`]; etcd refuses what would leave it without a majority that is connected.
    pub fn remove(&self, id: u64) -> Result<(), Error> {
        match self.ask(
            "/v3/cluster/member/remove",
            &json!({ "ID": id.to_string() }),
        ) {
            // gRPC's NotFound, as the gateway tells it.
            Err(error) if !error.is_status(404) => Err(error),
            _ => Ok(()),
        }
    }

    /// Hands the lead over to the member `to`; only the leader can.
    ///
    /// # Errors
    ///
    /// As [`Member::status`].
    pub fn hand_over(&self, to: u64) -> Result<(), Error> {
        let body = json!({ "targetID": to.to_string() });
        self.ask("/v3/maintenance/transfer-leadership", &body)
            .map(drop)
    }

    /// The hash of its data at `revision`.
    ///
    /// # Errors
    ///
    /// As [`Member::status`]; a revision that it does not have yet, or no more, is [`Error::Answered`].
    pub fn hash(&self, revision: u64) -> Result<Hash, Error> {
        let answer = self.ask(
            "/v3/maintenance/hashkv",
            &json!({ "revision": revision.to_string() }),
        )?;
        Ok(Hash {
            hash: number(&answer["hash"]),
            compact_revision: number(&answer["compact_revision"]),
        })
    }

    /// Writes a key. Kubernetes' own keys begin with `/registry/`.
    ///
    /// # Errors
    ///
    /// As [`Member::status`].
    pub fn put(&self, key: &str, value: &str) -> Result<(), Error> {
        let body = json!({ "key": BASE64.encode(key), "value": BASE64.encode(value) });
        self.ask("/v3/kv/put", &body).map(drop)
    }

    /// Reads a key, confirmed by a majority.
    ///
    /// # Errors
    ///
    /// As [`Member::status`].
    pub fn get(&self, key: &str) -> Result<Option<String>, Error> {
        let answer = self.ask("/v3/kv/range", &json!({ "key": BASE64.encode(key) }))?;
        Ok(answer["kvs"][0]["value"]
            .as_str()
            .and_then(|value| BASE64.decode(value).ok())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// All keys that begin with `prefix`, with their values, confirmed by a majority.
    ///
    /// # Errors
    ///
    /// As [`Member::status`].
    pub fn below(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut end = prefix.as_bytes().to_vec();
        if let Some(last) = end.last_mut() {
            // Prefixes are text, which has no byte 255.
            *last += 1;
        }
        let body = json!({ "key": BASE64.encode(prefix), "range_end": BASE64.encode(end) });
        let answer = self.ask("/v3/kv/range", &body)?;
        let decoded = |value: &Value| BASE64.decode(value.as_str().unwrap_or_default());
        let found = answer["kvs"].as_array().into_iter().flatten();
        Ok(found
            .filter_map(|pair| {
                let key = String::from_utf8(decoded(&pair["key"]).ok()?).ok()?;
                Some((key, decoded(&pair["value"]).ok()?))
            })
            .collect())
    }

    /// Deletes a key, which need not be there.
    ///
    /// # Errors
    ///
    /// As [`Member::status`].
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        let body = json!({ "key": BASE64.encode(key) });
        self.ask("/v3/kv/deleterange", &body).map(drop)
    }
}

/// Ids as etcd's own tools show them: 64 bits are more than a number of JSON can hold everywhere.
mod hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{id:x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// A number that may come as text, or not at all when it is zero.
fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.parse().unwrap_or(0),
        other => other.as_u64().unwrap_or(0),
    }
}

fn known(member: &Value) -> KnownMember {
    let urls = |field: &str| member[field].as_array().cloned().unwrap_or_default();
    // https://192.168.29.61:2380
    let address = |url: &Value| {
        let host = url.as_str()?.split_once("://")?.1;
        host.rsplit_once(':')?.0.parse().ok()
    };
    KnownMember {
        name: member["name"].as_str().unwrap_or_default().to_owned(),
        id: number(&member["ID"]),
        addresses: urls("peerURLs").iter().filter_map(address).collect(),
        learner: member["isLearner"].as_bool().unwrap_or(false),
        started: !urls("clientURLs").is_empty(),
    }
}

fn status(answer: &Value) -> Status {
    let header = &answer["header"];
    let errors = answer["errors"].as_array().into_iter().flatten();
    Status {
        cluster_id: number(&header["cluster_id"]),
        member_id: number(&header["member_id"]),
        leader: number(&answer["leader"]),
        term: number(&answer["raftTerm"]),
        revision: number(&header["revision"]),
        version: answer["version"].as_str().unwrap_or_default().to_owned(),
        db_size: number(&answer["dbSize"]),
        learner: answer["isLearner"].as_bool().unwrap_or(false),
        errors: errors
            .filter_map(|error| error.as_str().map(ToOwned::to_owned))
            .collect(),
    }
}
