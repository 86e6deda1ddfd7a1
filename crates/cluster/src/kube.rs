//! The Kubernetes API, as far as it is needed: JSON in, JSON out.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use caravan_lab::{Lab, Machine, ports};
use serde_json::Value;
use ureq::http::Method;

use crate::until::pause;
use crate::web::{Server, TRIES, before_again};
use crate::{Access, Error};

/// How many requests [`Api::ensure`] makes at most that are not answered.
pub const CREATE_TRIES: u32 = TRIES;

/// An API server, or the endpoint that leads to one.
#[derive(Debug, Clone)]
pub struct Api {
    server: Server,
}

/// One node, as the API tells it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Whether its condition `Ready` is true.
    pub ready: bool,
    /// Its address of the type `InternalIP`.
    pub address: Option<Ipv4Addr>,
    /// The version of its kubelet, such as `v1.36.3`.
    pub version: String,
    /// What the condition says when it is not ready.
    pub message: String,
}

/// One pod, as the API tells it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its unique id.
    pub uid: String,
    /// The node that it is on, if any.
    pub node: Option<String>,
    /// Its address, once it has one.
    pub address: Option<Ipv4Addr>,
    /// Whether its condition `Ready` is true.
    pub ready: bool,
    /// Its phase, and why a container waits, for people.
    pub state: String,
    /// Its labels `k8s-app`, `component` or `app`, whichever it has.
    pub app: String,
}

impl Api {
    /// The API as everybody reaches it, through the endpoint; it is read again where a connection is cut, up to
    /// [`CREATE_TRIES`] times in all.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`].
    pub fn endpoint(lab: &Lab, access: &Access) -> Result<Self, Error> {
        let at = lab.api_endpoint();
        Self::at(
            &format!("the API at {at}"),
            at,
            access,
            Some(&access.operator),
            access.question(),
        )
        .map(Self::reading_again)
    }

    /// The API server of one master, read again likewise.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`].
    pub fn master(machine: &Machine, access: &Access) -> Result<Self, Error> {
        let at = SocketAddrV4::new(machine.ip, ports::API);
        Self::at(
            &format!("the API server of `{}`", machine.name),
            at,
            access,
            Some(&access.operator),
            access.question(),
        )
        .map(Self::reading_again)
    }

    /// The same, that is read again where a connection is cut before the answer has come: up to [`CREATE_TRIES`] requests in
    /// all. What is not answered in time, or refused, is not asked for again.
    #[must_use]
    pub fn reading_again(self) -> Self {
        Self {
            server: self.server.reading_again(),
        }
    }

    /// The API at an address, as `name` in messages, with any identity or none; each request is made once.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`].
    pub fn at(
        name: &str,
        address: SocketAddrV4,
        access: &Access,
        pair: Option<&crate::Pair>,
        limit: Duration,
    ) -> Result<Self, Error> {
        Ok(Self {
            server: Server::new(
                name.to_owned(),
                format!("https://{address}"),
                &access.kubernetes_ca,
                pair,
                limit,
                &access.way,
            )?,
        })
    }

    /// Reads an object or a list.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`], [`Error::Answered`], [`Error::Unreadable`].
    pub fn get(&self, path: &str) -> Result<Value, Error> {
        self.server.json(&Method::GET, path, None)
    }

    /// Reads text, such as a log or `/readyz`.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] and [`Error::Answered`].
    pub fn text(&self, path: &str) -> Result<String, Error> {
        self.server.text(&Method::GET, path, None)
    }

    /// The status of an answer, whatever it is.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`].
    pub fn status_of(&self, path: &str) -> Result<u16, Error> {
        Ok(self.server.raw(&Method::GET, path, None)?.0)
    }

    /// Creates an object in a collection.
    ///
    /// # Errors
    ///
    /// As [`Api::get`].
    pub fn create(&self, path: &str, object: &Value) -> Result<Value, Error> {
        self.server.json(&Method::POST, path, Some(object))
    }

    /// Creates an object, and asks again where no answer came: a connection that is kept may lead to what has just been cut
    /// off, and nothing is known then of what was done. That an object of this name is there counts as done only after such
    /// a request; one without a name may be made twice.
    ///
    /// Clients that measure use [`Api::create`], which asks once.
    ///
    /// # Errors
    ///
    /// As [`Api::get`], after [`CREATE_TRIES`] requests without an answer.
    pub fn ensure(&self, path: &str, object: &Value) -> Result<Value, Error> {
        let mut unanswered = 0;
        loop {
            match self.create(path, object) {
                Err(Error::Unreachable { .. }) if unanswered + 1 < CREATE_TRIES => {
                    unanswered += 1;
                    pause(before_again(unanswered))?;
                }
                Err(error) if unanswered > 0 && error.is_status(409) => {
                    return self.get(&format!("{path}/{}", text(&object["metadata"]["name"])));
                }
                answer => return answer,
            }
        }
    }

    /// Replaces an object.
    ///
    /// # Errors
    ///
    /// As [`Api::get`].
    pub fn replace(&self, path: &str, object: &Value) -> Result<Value, Error> {
        self.server.json(&Method::PUT, path, Some(object))
    }

    /// Changes fields of an object, as a JSON merge patch.
    ///
    /// # Errors
    ///
    /// As [`Api::get`].
    pub fn patch(&self, path: &str, changes: &Value) -> Result<Value, Error> {
        self.server.merge(path, changes)
    }

    /// Deletes an object at once, without a grace period; one that is gone already is deleted.
    ///
    /// # Errors
    ///
    /// As [`Api::get`].
    pub fn delete(&self, path: &str) -> Result<(), Error> {
        let options = serde_json::json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "gracePeriodSeconds": 0, "propagationPolicy": "Background",
        });
        match self.server.json(&Method::DELETE, path, Some(&options)) {
            Err(error) if !error.is_status(404) => Err(error),
            _ => Ok(()),
        }
    }

    /// The uid of the namespace `kube-system`: made with the cluster, kept in etcd, and the same as long as its data lives.
    ///
    /// # Errors
    ///
    /// As [`Api::get`].
    pub fn cluster_uid(&self) -> Result<String, Error> {
        let namespace = self.get("/api/v1/namespaces/kube-system")?;
        Ok(text(&namespace["metadata"]["uid"]))
    }

    /// All nodes.
    ///
    /// # Errors
    ///
    /// As [`Api::get`].
    pub fn nodes(&self) -> Result<Vec<Node>, Error> {
        Ok(items(&self.get("/api/v1/nodes")?).map(node).collect())
    }

    /// The pods of a namespace.
    ///
    /// # Errors
    ///
    /// As [`Api::get`].
    pub fn pods(&self, namespace: &str) -> Result<Vec<Pod>, Error> {
        let list = self.get(&format!("/api/v1/namespaces/{namespace}/pods"))?;
        Ok(items(&list).map(pod).collect())
    }
}

/// The items of a list.
pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The condition `Ready` of a node's or pod's status.
fn condition(object: &Value) -> Option<&Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == "Ready")
}

fn node(object: &Value) -> Node {
    let ready = condition(object);
    let address = object["status"]["addresses"].as_array().and_then(|all| {
        all.iter().find(|address| address["type"] == "InternalIP")?["address"]
            .as_str()?
            .parse()
            .ok()
    });
    Node {
        name: text(&object["metadata"]["name"]),
        ready: ready.is_some_and(|it| it["status"] == "True"),
        address,
        version: text(&object["status"]["nodeInfo"]["kubeletVersion"]),
        message: ready.map(|it| text(&it["message"])).unwrap_or_default(),
    }
}

fn pod(object: &Value) -> Pod {
    let waiting = object["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|container| container["state"]["waiting"]["reason"].as_str());
    let phase = text(&object["status"]["phase"]);
    let labels = &object["metadata"]["labels"];
    Pod {
        name: text(&object["metadata"]["name"]),
        uid: text(&object["metadata"]["uid"]),
        node: object["spec"]["nodeName"].as_str().map(ToOwned::to_owned),
        address: object["status"]["podIP"]
            .as_str()
            .and_then(|address| address.parse().ok()),
        ready: condition(object).is_some_and(|it| it["status"] == "True"),
        state: match waiting {
            Some(reason) => format!("{phase}, {reason}"),
            None => phase,
        },
        app: ["k8s-app", "component", "app"]
            .iter()
            .find_map(|key| labels[key].as_str())
            .unwrap_or_default()
            .to_owned(),
    }
}
