use super::*;
use crate::routes::Route;

fn networks() -> Vec<Network> {
    Network::read(include_str!("../../../docker/samples/networks.json")).expect("a sample")
}

fn wish<'a>(lab: &'a str, subnet: &str) -> NetworkWish<'a> {
    NetworkWish {
        lab,
        subnet: subnet.parse().expect("a subnet"),
        addresses: &[],
    }
}

fn route(to: &str, device: &str, table: u32) -> Route {
    Route {
        to: to.parse().expect("a range"),
        device: Some(device.to_owned()),
        table,
        direct: false,
    }
}

fn host_routes() -> Vec<Route> {
    vec![
        route("0.0.0.0/0", "eth0", 254),
        route("128.0.0.0/1", "tun0", 254),
        route("172.17.0.0/16", "docker0", 254),
        route("192.0.2.0/24", "eth0", 254),
        route("198.51.100.0/24", "tun0", 52),
    ]
}

#[test]
fn what_overlaps_is_a_conflict() {
    let check = |lab: &str, subnet: &str, wanted: &[&str]| {
        let found = conflicts(&wish(lab, subnet), &[], &networks(), &host_routes());
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, wanted, "{lab} {subnet}");
    };
    check("other", "192.168.29.0/24", &[]);
    check("sample", "172.29.77.0/24", &[]);
    check(
        "other",
        "172.29.0.0/16",
        &[
            "the lab `sample` runs on the network `caravan-sample` with `172.29.77.0/24`, which overlaps `172.29.0.0/16`",
        ],
    );
    check(
        "sample",
        "172.29.78.0/24",
        &[
            "the lab's network `caravan-sample` was made for `172.29.77.0/24`, and the lab file now says `172.29.78.0/24`",
        ],
    );
    // The route through `docker0` is the same fact, and is told once.
    check(
        "other",
        "172.17.3.0/24",
        &["the engine's network `bridge` has `172.17.0.0/16`, which overlaps `172.17.3.0/24`"],
    );
    check(
        "other",
        "192.0.2.128/25",
        &["this computer reaches `192.0.2.0/24` through `eth0`, which overlaps `192.0.2.128/25`"],
    );
    check(
        "other",
        "198.51.0.0/16",
        &[
            "this computer reaches `198.51.100.0/24` through `tun0` (routing table 52), which overlaps `198.51.0.0/16`",
        ],
    );
}

#[test]
fn an_engine_has_one_network_on_a_bridge() {
    let told = |lab: &str, bridge: &str| -> Vec<String> {
        let found = on_bridge(lab, bridge, &networks());
        let line = |it: &Conflict| format!("{it}; {}", it.hint("caravan").expect("a hint"));
        found.iter().map(line).collect()
    };
    let ours = networks()
        .into_iter()
        .find(|it| lab_of(it) == Some("sample"));
    let bridge = ours.and_then(|it| it.bridge).expect("a bridge");
    assert_eq!(told("sample", &bridge), [""; 0]);
    assert_eq!(told("other", "br0"), [""; 0]);
    assert_eq!(
        told("other", &bridge),
        [format!(
            "the lab `sample`'s network `caravan-sample` is on the bridge `{bridge}`, and the engine puts one network on a \
             bridge; `caravan destroy sample`, or give one of the labs another `bridge`"
        )]
    );
    assert_eq!(
        told("other", "docker0"),
        [
            "the engine's network `bridge` is on the bridge `docker0`, and the engine puts one network on a bridge; `docker \
             network rm bridge`, if nobody needs it, or give the lab another `bridge`"
        ]
    );
}

#[test]
fn the_route_by_a_labs_own_bridge_stands_in_nobodys_way() {
    let routes = [
        route("192.168.29.0/24", "br0", 254),
        route("192.168.29.0/28", "tun0", 254),
    ];
    let mut found = conflicts(&wish("ha", "192.168.29.0/24"), &[], &networks(), &routes);
    assert_eq!(found.len(), 2);
    found.retain(|it| !it.is_route_by(&["br0", "br1"]));
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().contains("`tun0`"), "{}", found[0]);
}
