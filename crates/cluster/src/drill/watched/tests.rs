use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use serde_json::json;

use super::*;
use crate::verify::tests::lab;

fn target(asked: &str) -> Result<TargetKind, WatchFault> {
    asked.parse().map(|it: WatchTarget| it.kind)
}

fn service(port: Option<&str>, path: &str) -> TargetKind {
    TargetKind::Service {
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        port: port.map(str::to_owned),
        path: path.to_owned(),
    }
}

#[test]
fn what_may_be_watched_is_a_service_or_a_url() {
    assert_eq!(target("shop/web"), Ok(service(None, "/")));
    assert_eq!(target("shop/web:http"), Ok(service(Some("http"), "/")));
    assert_eq!(
        target("shop/web:80/healthz?full=1"),
        Ok(service(Some("80"), "/healthz?full=1"))
    );
    let at = |text: &str| Ok(TargetKind::Url(text.parse().expect("an address")));
    assert_eq!(
        target("http://192.168.29.71:30080/x"),
        at("192.168.29.71:30080")
    );
    assert_eq!(target("https://192.168.29.71"), at("192.168.29.71:443"));
    for none in [
        "",
        "web",
        "/web",
        "shop/",
        "shop/web:",
        "Shop/web",
        "shop/web/a b",
        "shop/../../secrets",
        "ftp://192.168.29.71/",
        "http://web.example.com/",
        "http://me@192.168.29.71/",
        "http://[::1]/",
    ] {
        assert_eq!(target(none), Err(WatchFault::Form), "{none}");
    }
}

#[test]
fn nobody_outside_the_lab_is_asked() {
    let ha = lab("ha");
    let held = |asked: &str| {
        let target: WatchTarget = asked.parse().expect("a URL");
        target.hold_inside(&ha)
    };
    assert!(held("http://192.168.29.71:30080/").is_ok());
    assert!(held("shop/web").is_ok());
    for outside in ["http://192.168.30.71/", "http://127.0.0.1:8080/"] {
        let fault = held(outside).expect_err(outside);
        assert!(fault.to_string().contains("192.168.29.0/24"), "{fault}");
    }
}

#[test]
fn nodes_answer_at_a_port_of_their_own() {
    let ports = json!([
        {"name": "http", "port": 80, "nodePort": 30080},
        {"name": "admin", "port": 9000, "nodePort": 30090},
    ]);
    let several = json!({"spec": {"type": "NodePort", "ports": ports}});
    assert_eq!(node_port(&several, Some("http")), Ok(30080));
    assert_eq!(node_port(&several, Some("9000")), Ok(30090));
    for wanted in [None, Some("30080"), Some("https")] {
        let fault = node_port(&several, wanted).expect_err("not told which");
        assert_eq!(
            fault.to_string(),
            "its ports are `http` (80), `admin` (9000)"
        );
    }
    let one = json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}});
    assert_eq!(
        node_port(&one, None),
        Err(WatchFault::NoNodePort {
            kind: "ClusterIP".to_owned()
        })
    );
}

/// Answers one connection with each status; it has ended, and its port is closed, when its thread has.
fn server(statuses: &'static [u16]) -> (SocketAddrV4, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    let answering = std::thread::spawn(move || {
        for status in statuses {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            let mut asked = [0; 1024];
            let read = stream.read(&mut asked).unwrap_or_default();
            assert!(asked[..read].starts_with(b"GET /x HTTP/1.1\r\n"));
            let answer = format!(
                "HTTP/1.1 {status} x\r\nlocation: http://192.0.2.1/\r\ncontent-length: 2\r\n\r\nok"
            );
            // Whoever has gone has seen enough.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    match at {
        std::net::SocketAddr::V4(at) => (at, answering),
        std::net::SocketAddr::V6(_) => unreachable!("it was bound to an IPv4 address"),
    }
}

fn watched(places: Vec<(String, String)>) -> WatchedService {
    WatchedService {
        client: ClientName::Watched("shop/web".to_owned()),
        places,
        agent: web::trusting(None, DEADLINE, &crate::way::NetworkWay::default()).expect("a client"),
        every: EVERY,
        deadline: DEADLINE,
        good_in_a_row: Arc::default(),
    }
}

#[test]
fn each_request_is_a_connection_of_its_own_and_follows_nobody() {
    let (at, answering) = server(&[200, 302, 404, 503]);
    let place = ("workerone".to_owned(), format!("http://{at}/x"));
    let service = watched(vec![place.clone()]);
    let seen: Vec<RequestOutcome> = (0..4).map(|_| service.at(&place)).collect();
    assert_eq!(
        seen,
        [
            RequestOutcome::Ok,
            RequestOutcome::Ok,
            RequestOutcome::Failed("status 404 (workerone)".to_owned()),
            RequestOutcome::Unknown("status 503 (workerone)".to_owned()),
        ]
    );
    // A connection that the system accepted before the port was closed would be reset instead.
    answering.join().expect("it answered all of them");
    assert_eq!(
        service.at(&place),
        RequestOutcome::Failed("refused (workerone)".to_owned())
    );
}

#[test]
fn all_places_are_asked_in_turn_and_all_must_answer_to_be_well() {
    let ((one, _), (two, _)) = (server(&[200; 100]), server(&[200; 100]));
    let url = |at: SocketAddrV4| format!("http://{at}/x");
    let service = watched(vec![
        ("one".to_owned(), url(one)),
        ("two".to_owned(), url(two)),
    ]);
    assert!(!service.is_well(), "nobody has asked yet");
    let stop = AtomicBool::new(false);
    let records = std::thread::scope(|scope| {
        let asking = scope.spawn(|| service.run(DrillClock::begin(), &Haste::default(), &stop));
        let answered = until(ANSWERS, "an answer of both", || Ok(service.is_well()));
        answered.expect("both answer");
        stop.store(true, Ordering::Relaxed);
        asking.join().expect("it ends")
    });
    assert!(records.len() >= 2, "{records:?}");
    assert!(records.iter().all(|it| it.client == service.client));
    assert_eq!(
        service.header().urls,
        [url(one), url(two)],
        "what was asked is in the records"
    );
}
