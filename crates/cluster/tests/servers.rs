//! The clients of the API and of etcd against servers on loopback, which replay what real ones have said.
#![allow(missing_docs)]

#[path = "fake/server.rs"]
mod server;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::time::Duration;

use caravan_cluster::Error;
use caravan_cluster::etcd::{KnownMember, Member};
use caravan_cluster::kube::{Api, CREATE_TRIES};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(5);

use server::*;

#[test]
fn nodes_and_pods_are_read_as_a_real_cluster_tells_them() {
    let ca = authority("ca");
    let access = access(&ca);
    let server = Server::start(
        &ca,
        &[
            ("GET /api/v1/nodes", 200, include_str!("samples/nodes.json")),
            (
                "GET /api/v1/namespaces/kube-system/pods",
                200,
                include_str!("samples/pods.json"),
            ),
        ],
    );
    let api = server.api(&access);
    let nodes = api.nodes().expect("nodes");
    let seen: Vec<_> = nodes
        .iter()
        .map(|it| (it.name.as_str(), it.ready, it.address, it.version.as_str()))
        .collect();
    let ip = |last| Some(Ipv4Addr::new(192, 168, 29, last));
    assert_eq!(
        seen,
        [
            ("masterone", true, ip(51), "v1.36.3"),
            ("workerone", false, ip(71), "v1.36.3"),
        ]
    );
    assert_eq!(nodes[1].message, "container runtime network not ready");
    let pods = api.pods("kube-system").expect("pods");
    let seen: Vec<_> = pods
        .iter()
        .map(|it| {
            (
                it.app.as_str(),
                it.ready,
                it.state.as_str(),
                it.node.is_some(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("kube-dns", false, "Pending, ContainerCreating", false),
            ("kube-dns", true, "Running", true),
            ("kube-apiserver", true, "Running", true),
        ]
    );
    assert_eq!(pods[0].address, None);
    assert_eq!(pods[2].address, ip(51));
    assert!(pods[2].name.ends_with("masterone") && !pods[2].uid.is_empty());
}

#[test]
fn a_bad_answer_says_who_what_and_why() {
    let ca = authority("ca");
    let access = access(&ca);
    let forbidden = json!({ "kind": "Status", "message": "secrets is forbidden" }).to_string();
    let server = Server::start(
        &ca,
        &[
            ("GET /api/v1/secrets", 403, &forbidden),
            (
                "GET /readyz",
                500,
                "[+]ping ok\n[-]etcd failed: reason withheld\n[-]shutdown failed\nreadyz check failed\n",
            ),
            ("GET /version", 200, "no json"),
        ],
    );
    let api = server.api(&access);
    let error = api.get("/api/v1/secrets").expect_err("forbidden");
    assert_eq!(
        error.to_string(),
        "the API answered `GET /api/v1/secrets` with status 403: secrets is forbidden"
    );
    assert!(error.is_status(403) && error.hint("cargo xtask").is_some());
    assert_eq!(api.status_of("/readyz").expect("an answer"), 500);
    let error = api.text("/readyz").expect_err("not ready");
    assert!(
        error
            .to_string()
            .ends_with("status 500: etcd failed: reason withheld, shutdown failed"),
        "{error}"
    );
    let error = api.get("/version").expect_err("no JSON");
    assert!(matches!(error, Error::Unreadable { .. }), "{error:?}");
}

#[test]
fn objects_are_made_and_unmade() {
    let ca = authority("ca");
    let access = access(&ca);
    let made = json!({ "metadata": { "name": "caravan-1" } }).to_string();
    let server = Server::start(
        &ca,
        &[
            ("POST /api/v1/namespaces", 201, &made),
            ("DELETE /api/v1/namespaces/caravan-1", 200, "{}"),
            (
                "DELETE /api/v1/namespaces/locked",
                409,
                "{\"message\":\"no\"}",
            ),
        ],
    );
    let api = server.api(&access);
    let object = json!({ "kind": "Namespace" });
    let answer = api.create("/api/v1/namespaces", &object).expect("made");
    assert_eq!(answer["metadata"]["name"], "caravan-1");
    api.delete("/api/v1/namespaces/caravan-1").expect("deleted");
    api.delete("/api/v1/namespaces/gone").expect("gone already");
    let error = api.delete("/api/v1/namespaces/locked").expect_err("no");
    assert!(error.is_status(409), "{error:?}");
    let asked = server.asked();
    assert_eq!(asked[0], "POST /api/v1/namespaces {\"kind\":\"Namespace\"}");
    assert!(
        asked[1].contains("\"gracePeriodSeconds\":0"),
        "a grace period is not ours to wait for: {}",
        asked[1]
    );
}

#[test]
fn an_object_is_made_though_the_first_answer_was_lost() {
    let ca = authority("ca");
    let access = access(&ca);
    let taken = json!({ "kind": "Status", "message": "already exists" }).to_string();
    let made = json!({ "metadata": { "name": "one", "uid": "7" } }).to_string();
    let server = Server::start(
        &ca,
        &[
            ("POST /done", CLOSES, ""),
            ("POST /done again", 409, &taken),
            ("GET /done/one", 200, &made),
            ("POST /undone", CLOSES, ""),
            ("POST /undone again", 201, &made),
            ("POST /taken", 409, &taken),
            ("POST /never", CLOSES, ""),
        ],
    );
    let api = server.api(&access);
    let object = json!({ "metadata": { "name": "one" } });
    for path in ["/done", "/undone"] {
        let answer = api.ensure(path, &object).expect("made");
        assert_eq!(answer["metadata"]["uid"], "7", "{path}");
    }
    let error = api.ensure("/taken", &object).expect_err("somebody else's");
    assert!(error.is_status(409), "{error:?}");
    let before = server.asked().len();
    let error = api.ensure("/never", &object).expect_err("no answer");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(server.asked().len() - before, CREATE_TRIES as usize);
    let error = api.create("/never", &object).expect_err("no answer");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(server.asked().len() - before, CREATE_TRIES as usize + 1);
}

#[test]
fn etcd_is_read_as_a_real_member_tells_it() {
    let ca = authority("ca");
    let access = access(&ca);
    let found = json!({ "kvs": [{ "key": "Zm9v", "value": "YmFy" }] }).to_string();
    let server = Server::start(
        &ca,
        &[
            ("GET /health", 200, "{\"health\":\"true\",\"reason\":\"\"}"),
            (
                "POST /v3/maintenance/status",
                200,
                include_str!("samples/etcd-status.json"),
            ),
            (
                "POST /v3/cluster/member/list",
                200,
                include_str!("samples/etcd-members.json"),
            ),
            (
                "POST /v3/maintenance/hashkv",
                200,
                include_str!("samples/etcd-hash.json"),
            ),
            ("POST /v3/kv/range", 200, &found),
            ("POST /v3/kv/put", 200, "{}"),
            ("POST /v3/kv/deleterange", 200, "{}"),
        ],
    );
    let member = server.member(&access);
    member.health().expect("healthy");
    let status = member.status().expect("a status");
    assert_eq!(status.cluster_id, 3_978_255_394_982_877_827);
    assert_eq!(status.member_id, 7_260_773_961_207_640_775);
    assert_eq!(status.leader, 5_555_633_427_600_757_671);
    assert_eq!((status.revision, status.db_size), (1221, 1_728_512));
    assert_eq!(status.term, 2);
    assert_eq!(status.version, "3.6.14");
    assert!(!status.learner && status.errors.is_empty());
    let shown = serde_json::to_value(&status).expect("JSON");
    assert_eq!(shown["cluster_id"], "37359a343bbc5a83");
    let members = member.known_members().expect("members");
    assert_eq!(
        members[2],
        KnownMember {
            name: "etcdthree".to_owned(),
            id: 16_404_297_974_825_097_283,
            addresses: vec![Ipv4Addr::new(192, 168, 29, 63)],
            learner: false,
            started: true,
        }
    );
    assert_eq!(member.hash(1221).expect("a hash").hash, 3_083_705_897);
    member.put("foo", "bar").expect("written");
    assert_eq!(member.get("foo").expect("read").as_deref(), Some("bar"));
    member.delete("foo").expect("deleted");
    let asked = server.asked();
    assert_eq!(
        asked[3],
        "POST /v3/maintenance/hashkv {\"revision\":\"1221\"}"
    );
    assert_eq!(
        asked[4],
        "POST /v3/kv/put {\"key\":\"Zm9v\",\"value\":\"YmFy\"}"
    );
}

#[test]
fn a_key_that_is_not_there_and_a_member_that_is_not_well() {
    let ca = authority("ca");
    let access = access(&ca);
    let server = Server::start(
        &ca,
        &[
            (
                "POST /v3/kv/range",
                200,
                include_str!("samples/etcd-range-none.json"),
            ),
            (
                "GET /health",
                503,
                "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}",
            ),
        ],
    );
    let member = server.member(&access);
    assert_eq!(member.get("foo").expect("an answer"), None);
    let error = member.health().expect_err("no leader");
    assert!(error.to_string().contains("RAFT NO LEADER"), "{error}");
}

#[test]
fn what_was_cut_off_is_read_again() {
    let ca = authority("ca");
    let access = access(&ca);
    let server = Server::start(
        &ca,
        &[
            ("GET /version", CLOSES, ""),
            ("GET /version again", 200, "{}"),
            ("GET /never", CLOSES, ""),
            ("GET /gone", 404, "{}"),
        ],
    );
    let api = server.api(&access);
    let error = api.get("/never").expect_err("who measures asks once");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(server.asked().len(), 1);
    let api = api.reading_again();
    api.get("/version").expect("an answer at last");
    assert_eq!(server.asked().len(), 3);
    let error = api.get("/never").expect_err("not for ever");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(server.asked().len(), 3 + CREATE_TRIES as usize);
    api.get("/gone").expect_err("an answer is one");
    assert_eq!(server.asked().len(), 4 + CREATE_TRIES as usize);
}

#[test]
fn another_ca_on_either_side_is_no_answer() {
    let (ours, theirs) = (authority("ca"), authority("ca"));
    let access = access(&ours);
    let stranger = Server::start(&theirs, &[("GET /version", 200, "{}")]);
    let error = stranger.api(&access).get("/version").expect_err("not ours");
    assert!(
        error.chain().contains("invalid peer certificate"),
        "{}",
        error.chain()
    );
    let hint = error.hint("cargo xtask").expect("a hint");
    assert!(hint.contains("another lab"), "{hint}");
    assert_eq!(stranger.asked(), [""; 0]);

    let server = Server::start(&ours, &[("GET /version", 200, "{}")]);
    let foreign = &access.foreign.client;
    for pair in [None, Some(foreign)] {
        let api = Api::at("the API", server.address, &access, pair, LIMIT).expect("a client");
        let error = api.get("/version").expect_err("no certificate of its CA");
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    }
    assert_eq!(server.asked(), [""; 0]);
    server.api(&access).get("/version").expect("ours");
}

#[test]
fn nobody_there_is_told_as_such() {
    let ca = authority("ca");
    let access = access(&ca);
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let SocketAddr::V4(address) = free.local_addr().expect("an address") else {
        panic!("not IPv4")
    };
    drop(free);
    let member = Member::at("etcdone", address, &access, LIMIT).expect("a client");
    let error = member.status().expect_err("nobody");
    assert_eq!(
        error.to_string(),
        "cannot ask the etcd member `etcdone` for `POST /v3/maintenance/status`"
    );
    assert!(error.chain().contains("refused"), "{}", error.chain());
}

#[test]
fn broken_keys_are_told_before_anybody_is_asked() {
    let ca = authority("ca");
    let mut access = access(&ca);
    access.operator.key = "nonsense".to_owned();
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
    let made = Api::at("the API", address, &access, Some(&access.operator), LIMIT);
    assert!(matches!(made, Err(Error::Credentials { .. })), "{made:?}");
    access.kubernetes_ca.clear();
    let made = Api::at("the API", address, &access, None, LIMIT);
    assert!(matches!(made, Err(Error::Credentials { .. })), "{made:?}");
}

#[test]
fn no_key_is_shown() {
    let access = access(&authority("ca"));
    let shown = format!("{access:?} {:?} {:?}", access.operator, access.foreign);
    assert!(!shown.contains("PRIVATE"), "{shown}");
}
