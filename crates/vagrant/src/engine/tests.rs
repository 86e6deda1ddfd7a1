use super::*;

fn networks() -> Vec<Network> {
    let raw: Vec<inspect::Network> =
        serde_json::from_str(include_str!("../../tests/samples/networks.json")).expect("a sample");
    raw.into_iter().map(Network::from).collect()
}

fn wish<'a>(lab: &'a str, subnet: &str) -> Wish<'a> {
    Wish {
        lab,
        subnet: subnet.parse().expect("a subnet"),
        addresses: &[],
    }
}

const ROUTES: &str = "\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
";

#[test]
fn networks_are_read() {
    let networks = networks();
    let ours = &networks[0];
    assert_eq!(ours.name, "caravan-sample");
    assert_eq!(ours.lab.as_deref(), Some("sample"));
    assert!(ours.internal);
    assert_eq!(ours.subnets, ["172.29.77.0/24".parse().expect("a subnet")]);
    assert_eq!(ours.bridge, Some(format!("br-{}", &ours.id[..12])));
    assert_eq!(ours.members.len(), 2);
    assert_eq!(networks[1].bridge.as_deref(), Some("docker0"));
    assert_eq!(networks[2].bridge, None);
}

/// `/proc/net/route` is in the byte order of the machine, and the sample is of a little-endian one.
#[cfg(target_endian = "little")]
#[test]
fn routes_are_read() {
    let routes = routes(ROUTES);
    let shown: Vec<String> = routes
        .iter()
        .map(|route| format!("{} {}", route.to, route.device))
        .collect();
    assert_eq!(
        shown,
        [
            "0.0.0.0/0 eth0",
            "172.17.0.0/16 docker0",
            "192.0.2.0/24 eth0"
        ]
    );
    assert_eq!(super::routes("nonsense\nx y z\n\n"), []);
}

#[cfg(target_endian = "little")]
#[test]
fn what_overlaps_is_a_conflict() {
    let check = |lab: &str, subnet: &str, wanted: &[&str]| {
        let found = conflicts(&wish(lab, subnet), &[], &networks(), &routes(ROUTES));
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
}
