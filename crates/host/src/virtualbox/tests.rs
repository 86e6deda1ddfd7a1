use super::*;

const HA: &str = include_str!("../../../../labs/ha.toml");

fn interface(name: &str, wireless: bool, up: bool) -> HostInterface {
    HostInterface {
        name: name.to_owned(),
        network: None,
        wireless,
        up,
    }
}

/// What is said of a bridge called `name`, on a Mac.
fn of_bridge(name: &str) -> Option<String> {
    let text = HA
        .replace(
            "[servers.server1]",
            &format!("[servers.server1]\nbridge = \"{name}\""),
        )
        .replace(
            "[servers.server2]",
            &format!("[servers.server2]\nbridge = \"{name}\""),
        )
        .replace(
            "kubernetes =",
            "provider = \"virtualbox\"\noperators = [\"192.168.29.5\"]\nkubernetes =",
        );
    let lab = Lab::parse("ha", &text).expect("valid");
    let interfaces = [
        interface("en0: Ethernet", false, true),
        interface("en1: Wi-Fi (AirPort)", true, true),
        interface("en2: Thunderbolt 1", false, false),
    ];
    let server = lab.server("server1").expect("there");
    let fault = bridge_fault(&lab, server, &interfaces)?;
    Some(format!("{}\n{}", fault.found, fault.remedy))
}

#[test]
fn bridges_are_those_that_virtualbox_knows() {
    assert_eq!(of_bridge("en0: Ethernet"), None);
    assert_eq!(of_bridge("EN0: ethernet"), None);
    let there = "take one of these, as `VBoxManage list bridgedifs` has them: `en0: Ethernet`; wireless, and unfit: `en1: Wi-Fi (AirPort)`";
    for (name, why) in [
        ("en7: Other", "VirtualBox knows no such interface"),
        ("en1: Wi-Fi (AirPort)", "it is wireless"),
        ("en2: Thunderbolt 1", "it is down"),
    ] {
        let said = of_bridge(name).expect("refused");
        let begin = format!("labs/ha.toml:14: the bridge `{name}` of server `server1`");
        assert!(said.starts_with(&begin), "{said}");
        assert!(said.contains(why) && said.contains(there), "{said}");
    }
}

#[test]
fn the_exact_line_for_a_range_that_is_refused() {
    let subnet: Ipv4Net = "192.168.29.0/24".parse().expect("a network");
    let fault = range_fault(subnet, &NetworksConf::read(None)).expect("refused");
    assert!(
        fault.found.contains("`192.168.29.0/24`")
            && fault.found.contains("only `192.168.56.0/21` is allowed"),
        "{}",
        fault.found
    );
    // What is allowed without a file stays so, for the user's other networks.
    assert!(
        fault.remedy.starts_with("write the line `* 192.168.29.0/24` into `/etc/vbox/networks.conf`")
            && fault.remedy.contains("printf '* 192.168.56.0/21\\n* 192.168.29.0/24\\n' | sudo tee -a /etc/vbox/networks.conf"),
        "{}",
        fault.remedy
    );
    let conf = NetworksConf::read(Some("* 10.0.0.0/8\n"));
    let fault = range_fault(subnet, &conf).expect("refused");
    assert!(
        fault.found.ends_with("allows `10.0.0.0/8`"),
        "{}",
        fault.found
    );
    assert!(
        fault.remedy.contains("printf '* 192.168.29.0/24\\n'"),
        "{}",
        fault.remedy
    );
    let fault = range_fault(subnet, &NetworksConf::read(Some("# none\n"))).expect("refused");
    assert!(fault.found.ends_with("allows none"), "{}", fault.found);
    let fault = range_fault(subnet, &NetworksConf::read(Some("* 192.168.29.0/24 any\n")));
    assert!(
        fault
            .expect("refused")
            .found
            .contains("networks.conf:1` has `any`")
    );
    assert_eq!(
        range_fault(subnet, &NetworksConf::read(Some("* 192.168.0.0/16\n"))),
        None
    );
}

#[test]
fn a_vagrant_that_does_not_know_a_virtualbox() {
    let trouble = UnfitVirtualBox {
        class: "Vagrant::Errors::VirtualBoxInvalidVersion".to_owned(),
        text: "Please install one of the supported versions listed below to use Vagrant: 4.0, 6.1, 7.0 A Vagrant update may".to_owned(),
    };
    let of = |vagrant: (u16, u16, u16), virtualbox: (u16, u16, u16)| {
        let version = |(a, b, c)| Version::new(a, b, c);
        let fault = vagrant_fault(&trouble, version(vagrant), version(virtualbox));
        assert!(
            fault.found.ends_with(", but 4.0, 6.1, 7.0"),
            "{}",
            fault.found
        );
        fault.remedy
    };
    assert!(
        of((2, 3, 4), (7, 2, 4)).contains("Vagrant 2.4.9 is the first that knows VirtualBox 7.2")
    );
    assert!(of((2, 3, 4), (7, 1, 0)).contains("Vagrant 2.4.2 is the first"));
    assert!(of((2, 4, 9), (8, 0, 0)).contains("install a VirtualBox that it knows"));
}

#[test]
fn kvm_that_holds_the_processor() {
    let host = HostFacts {
        linux: true,
        kernel: Some(Version::new(6, 12, 9)),
        kvm: Some("kvm_amd".to_owned()),
        kvm_at_load: Some(true),
        virtualbox: Some(Version::new(7, 0, 20)),
    };
    let fault = held_by_kvm(&host).expect("held");
    assert!(
        fault.found.contains("VERR_SVM_IN_USE") && fault.found.contains("6.12.9"),
        "{}",
        fault.found
    );
    assert!(
        fault.remedy.contains("kvm.enable_virt_at_load=0"),
        "{}",
        fault.remedy
    );
    assert_eq!(held_by_kvm(&HostFacts { kvm: None, ..host }), None);
}
