//! What follows from the labs that come along, word for word.

use std::fmt::Write as _;
use std::path::Path;

use caravan_lab::{EtcdRefused, EtcdVersion, Lab, Provider, Role};
use expect_test::expect_file;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn lab(name: &str) -> Lab {
    let path = folder().join(format!("../../labs/{name}.toml"));
    let source = std::fs::read_to_string(path).unwrap();
    Lab::parse(name, &source).unwrap_or_else(|faults| panic!("{faults}"))
}

fn tell(lab: &Lab) -> String {
    let mut told = String::new();
    let mut fact = |name: &str, value: String| writeln!(told, "{name}: {value}").unwrap();
    fact("name", lab.name().to_owned());
    fact("kubernetes", lab.kubernetes().to_string());
    fact("subnet", lab.subnet().to_string());
    fact("gateway", lab.gateway().to_string());
    fact("vip", format!("{:?}", lab.vip()));
    fact("api endpoint", lab.api_endpoint().to_string());
    fact("api name", lab.api_name());
    fact("api sans", lab.api_sans().join(" "));
    fact("first master", lab.first_master().name.clone());
    fact("pod network", lab.pod_network().to_string());
    fact("pod cidr", lab.pod_cidr().to_string());
    fact("service cidr", lab.service_cidr().to_string());
    fact(
        "kubernetes service",
        lab.kubernetes_service_ip().to_string(),
    );
    fact("dns service", lab.dns_service_ip().to_string());
    fact("cluster domain", lab.cluster_domain().to_owned());
    fact("etcd endpoints", lab.etcd_endpoints().join(" "));
    fact("etcd initial cluster", lab.etcd_initial_cluster());
    fact("etcd quorum", lab.etcd_quorum().to_string());
    fact("virtual router id", lab.virtual_router_id().to_string());
    fact("operators", format!("{:?}", lab.operators()));
    fact("airgap", lab.airgap().to_string());
    if lab.add_ons().iter().next().is_some() {
        fact("storage", format!("{:?}", lab.storage()));
        fact("metrics", lab.metrics().to_string());
        let addresses = lab.service_addresses().map(|it| it.to_string());
        fact("service addresses", format!("{addresses:?}"));
    }
    fact("provider", format!("{:?}", lab.provider()));
    fact("spans computers", lab.spans_computers().to_string());
    fact("warnings", lab.warnings().len().to_string());
    for server in lab.servers() {
        let names: Vec<_> = lab.machines_on(server).map(|it| it.name.as_str()).collect();
        let provider = lab.provider_of(server);
        let made = provider.map(|it| format!(" by {it}")).unwrap_or_default();
        fact(&server.name, names.join(" ") + &made);
    }
    for machine in lab.machines() {
        let pods = lab.pod_subnet(machine);
        let facts = format!(
            "{} {} {} {} pods {} vrrp {}",
            machine.role,
            machine.ip,
            lab.mac(machine),
            lab.fqdn(machine),
            pods.map_or("none".to_owned(), |net| net.to_string()),
            lab.vrrp_priority(machine),
        );
        fact(&machine.name, facts);
    }
    told
}

#[test]
fn facts_of_ha() {
    expect_file![folder().join("tests/good/ha.txt")].assert_eq(&tell(&lab("ha")));
}

#[test]
fn facts_of_external_etcd() {
    let told = tell(&lab("external-etcd"));
    expect_file![folder().join("tests/good/external-etcd.txt")].assert_eq(&told);
}

#[test]
fn facts_of_ha_apps() {
    let told = tell(&lab("ha-apps"));
    expect_file![folder().join("tests/good/ha-apps.txt")].assert_eq(&told);
}

#[test]
fn facts_of_mixed() {
    let told = tell(&lab("mixed"));
    expect_file![folder().join("tests/good/mixed.txt")].assert_eq(&told);
}

#[test]
fn facts_of_three_servers() {
    let told = tell(&lab("three-servers"));
    expect_file![folder().join("tests/good/three-servers.txt")].assert_eq(&told);
}

/// What the file says in comments about three computers is as good as the rest of it.
#[test]
fn three_servers_are_three_computers_without_the_comment_signs() {
    let source = std::fs::read_to_string(folder().join("../../labs/three-servers.toml")).unwrap();
    let uncommented: Vec<_> = source
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key)
                if ["host = ", "bridge = ", "address = "]
                    .iter()
                    .any(|it| key.starts_with(it)) =>
            {
                key
            }
            _ => line,
        })
        .collect();
    let lab = Lab::parse("three-servers", &uncommented.join("\n"))
        .unwrap_or_else(|faults| panic!("{faults}"));
    assert!(lab.spans_computers() && lab.is_on_lan());
    assert!(
        lab.servers()
            .iter()
            .all(|it| it.bridge.as_deref() == Some("br0"))
    );
    let elsewhere = lab.servers().iter().filter(|it| it.host.is_some());
    assert_eq!(elsewhere.count(), 2);
    let operators = [11, 12, 13].map(|last| std::net::Ipv4Addr::new(192, 168, 29, last));
    assert_eq!(lab.operators(), operators);
    assert_eq!(lab.warnings(), []);
}

#[test]
fn lookups_find_by_name() {
    let lab = lab("ha");
    assert_eq!(lab.machine("lbone").unwrap().role, Role::LoadBalancer);
    assert_eq!(lab.machine("lbfour"), None);
    assert_eq!(lab.server("server2").unwrap().name, "server2");
    assert_eq!(lab.server("server3"), None);
}

#[test]
fn hardware_addresses_are_spelled_for_libvirt_and_for_virtualbox() {
    let lab = lab("ha");
    let mac = lab.mac(lab.machine("lbone").unwrap());
    let [first, ..] = mac.octets();
    assert_eq!(first & 0b11, 0b10, "locally administered, of one receiver");
    assert!(mac.to_string().starts_with("52:54:00:"), "{mac}");
    let capitals = mac.to_string().replace(':', "").to_uppercase();
    assert_eq!(mac.without_colons(), capitals);
}

#[test]
fn labs_with_the_same_addresses_have_other_hardware_addresses() {
    let source = std::fs::read_to_string(folder().join("../../labs/ha.toml")).unwrap();
    let [one, other] = ["ha", "hb"].map(|name| Lab::parse(name, &source).unwrap());
    let macs = |lab: &Lab| -> Vec<_> { lab.machines().iter().map(|it| lab.mac(it)).collect() };
    assert!(macs(&one).iter().all(|mac| !macs(&other).contains(mac)));
}

#[test]
fn optional_keys_take_the_place_of_defaults() {
    let source = std::fs::read_to_string(folder().join("../../labs/ha.toml")).unwrap();
    let keys = r#"
        provider = "libvirt"
        airgap = true
        etcd = "3.6.10"
        pod_network = "calico"
        pod_cidr = "10.0.0.0/20"
        service_cidr = "10.1.0.0/24"
        virtual_router_id = 7
        operators = ["10.9.0.1", "192.168.29.1"]
    "#;
    let lab = Lab::parse("ha", &format!("{keys}\n{source}")).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(lab.provider().unwrap().to_string(), "libvirt");
    assert!(lab.airgap());
    assert_eq!(lab.pod_network().to_string(), "calico");
    assert_eq!(lab.kubernetes_service_ip().to_string(), "10.1.0.1");
    assert_eq!(lab.dns_service_ip().to_string(), "10.1.0.10");
    assert_eq!(lab.virtual_router_id(), 7);
    let operators: Vec<_> = lab.operators().iter().map(ToString::to_string).collect();
    assert_eq!(operators, ["192.168.29.1", "10.9.0.1"], "the gateway once");
    // Sixteen pod subnets: 51 is 3 after three rounds.
    let first = lab.pod_subnet(lab.machine("masterone").unwrap()).unwrap();
    assert_eq!(first.to_string(), "10.0.3.0/24");
    assert_eq!(lab.check_etcd(EtcdVersion::new(3, 6, 14)), Ok(()));
    assert!(matches!(
        lab.check_etcd(EtcdVersion::new(3, 6, 9)),
        Err(EtcdRefused::ByLab { .. })
    ));
    assert!(matches!(
        lab.check_etcd(EtcdVersion::new(3, 5, 23)),
        Err(EtcdRefused::ByKubernetes { .. })
    ));
}

/// The lab ha with `lines` of its own, and lines of each server.
fn ha(lines: &str, server1: &str, server2: &str) -> Lab {
    let source = std::fs::read_to_string(folder().join("../../labs/ha.toml")).unwrap();
    let source = source
        .replace(
            "[servers.server1]\n",
            &format!("[servers.server1]\n{server1}\n"),
        )
        .replace(
            "[servers.server2]\n",
            &format!("[servers.server2]\n{server2}\n"),
        );
    Lab::parse("ha", &format!("{lines}\n{source}")).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn servers_elsewhere_span_computers() {
    let lab = ha(
        "",
        "bridge = \"enp4s0\"\naddress = \"192.168.29.11\"",
        "host = \"ssh://lab@there\"\nbridge = \"enp3s0\"\naddress = \"192.168.29.12\"",
    );
    assert!(lab.spans_computers());
    assert_eq!(lab.servers()[1].bridge.as_deref(), Some("enp3s0"));
    assert_eq!(lab.servers()[1].address, Some([192, 168, 29, 12].into()));
}

#[test]
fn operators_are_who_runs_machines_and_who_is_named() {
    let operators = |lines: &str, server1: &str, server2: &str| {
        let lab = ha(lines, server1, server2);
        (lab.is_on_lan(), format!("{:?}", lab.operators()))
    };
    let check = |lines: &str, servers: [&str; 2], on_lan: bool, expected: &str| {
        let found = operators(lines, servers[0], servers[1]);
        assert_eq!(found, (on_lan, expected.to_owned()), "{lines} {servers:?}");
    };
    let named = "operators = [\"192.168.29.5\", \"10.1.2.3\"]";
    check("", ["", ""], false, "[192.168.29.1]");
    check(
        named,
        ["", ""],
        false,
        "[192.168.29.1, 192.168.29.5, 10.1.2.3]",
    );
    // On a LAN the gateway is a router.
    let [one, two] = [
        "bridge = \"br0\"\naddress = \"192.168.29.11\"",
        "bridge = \"br0\"\naddress = \"192.168.29.12\"\nhost = \"ssh://there\"",
    ];
    check("", [one, one], true, "[192.168.29.11]");
    check("", [one, two], true, "[192.168.29.11, 192.168.29.12]");
    check(
        named,
        [one, two],
        true,
        "[192.168.29.11, 192.168.29.12, 192.168.29.5, 10.1.2.3]",
    );
    // Unless a server is the router; nobody is there twice.
    let router = one.replace(".11", ".1");
    check(
        "operators = [\"192.168.29.12\"]",
        [&router, two],
        true,
        "[192.168.29.1, 192.168.29.12]",
    );
    // Virtual machines have a way in that no filter sees; somebody must be let in all the same.
    let bare = "bridge = \"br0\"\nprovider = \"libvirt\"";
    check(named, [bare, bare], true, "[192.168.29.5, 10.1.2.3]");
    check(
        "",
        [bare, &format!("{one}\nprovider = \"libvirt\"")],
        true,
        "[192.168.29.11]",
    );
}

#[test]
fn labs_share_no_bridge() {
    let source = std::fs::read_to_string(folder().join("../../labs/ha.toml")).unwrap();
    let bridge = |name: &str| Lab::parse(name, &source).unwrap().shared_bridge();
    assert_eq!(bridge("ha"), "cv-8693873cd8f8");
    assert_ne!(bridge("ha"), bridge("ha-bench"));
    assert_eq!(bridge(&"a".repeat(63)).len(), 15);
}

#[test]
fn a_server_may_have_another_provider_than_the_lab() {
    let source = std::fs::read_to_string(folder().join("../../labs/ha.toml")).unwrap();
    let of = |lab: &str, server: &str| {
        let edited = format!("{lab}\n{source}").replace("[servers.server2]", server);
        let lab = Lab::parse("ha", &edited).unwrap_or_else(|faults| panic!("{faults}"));
        let providers = lab.servers().iter().map(|server| lab.provider_of(server));
        (providers.collect::<Vec<_>>(), lab.emulated())
    };
    let (docker, libvirt) = (Some(Provider::Docker), Some(Provider::Libvirt));
    let own = "[servers.server2]\nprovider = \"libvirt\"";
    assert_eq!(of("", "[servers.server2]"), (vec![None, None], None));
    assert_eq!(of("", own), (vec![None, libvirt], None));
    assert_eq!(
        of("provider = \"docker\"\nemulated = false", own),
        (vec![docker, libvirt], Some(false))
    );
}
