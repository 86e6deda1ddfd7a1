//! What differs between two versions of a lab, as data and in words.

use caravan_lab::{Changed, Lab, LabChange, MachineChange};

const HA: &str = include_str!("../../../labs/ha.toml");

fn changes(edit: impl Fn(&str) -> String) -> Vec<LabChange> {
    let old = Lab::parse("ha", HA).expect("valid");
    let edited = edit(HA);
    assert_ne!(edited, HA, "the edit did nothing");
    let new = Lab::parse("ha", &edited).unwrap_or_else(|faults| panic!("{faults}"));
    new.changes_since(&old)
}

fn told(edit: impl Fn(&str) -> String) -> Vec<String> {
    changes(edit).iter().map(ToString::to_string).collect()
}

#[test]
fn comments_and_order_do_not_count() {
    assert_eq!(changes(|text| format!("# more\n{text}")), []);
    let reordered = changes(|text| {
        let (head, machines) = text.split_once("[[machines]]").expect("machines");
        let mut machines: Vec<_> = machines.split("[[machines]]").collect();
        machines.reverse();
        format!("{head}[[machines]]{}", machines.join("\n[[machines]]"))
    });
    assert_eq!(reordered, []);
}

#[test]
fn what_counts_is_named() {
    assert_eq!(
        told(|text| text.replace("192.168.29.71", "192.168.29.72")),
        ["machine `workerone`: `ip` was `192.168.29.71` and is `192.168.29.72`"]
    );
    assert_eq!(
        told(|text| text.replace("29.80\"", "29.90\"")),
        [
            "`vip` was `192.168.29.80` and is `192.168.29.90`",
            "`virtual_router_id` was `80` and is `90`"
        ]
    );
    assert_eq!(
        told(|text| text.replace("workerone", "workertwo")),
        ["machine `workertwo` is new", "machine `workerone` is gone"]
    );
}

/// Puts a line before all others.
fn with(line: &str) -> impl Fn(&str) -> String {
    move |text| format!("{line}\n{text}")
}

#[test]
fn each_key_that_machines_are_made_from_is_told() {
    assert_eq!(
        told(|text| text.replace("\"example.com\"", "\"example.org\"")),
        ["`domain` was `example.com` and is `example.org`"]
    );
    assert_eq!(
        told(|text| text.replace("\"1.36\"", "\"1.35\"")),
        ["`kubernetes` was `1.36` and is `1.35`"]
    );
    assert_eq!(
        told(|text| text.replace("29.0/24", "28.0/23")),
        [
            "`subnet` was `192.168.29.0/24` and is `192.168.28.0/23`",
            "`operators` was `[192.168.29.1]` and is `[192.168.28.1]`"
        ]
    );
    assert_eq!(
        told(with("pod_cidr = \"10.200.0.0/16\"")),
        ["`pod_cidr` was `10.244.0.0/16` and is `10.200.0.0/16`"]
    );
    assert_eq!(
        told(with("service_cidr = \"10.32.0.0/16\"")),
        ["`service_cidr` was `10.96.0.0/12` and is `10.32.0.0/16`"]
    );
    assert_eq!(
        told(with("pod_network = \"flannel\"")),
        ["`pod_network` was `vxlan` and is `flannel`"]
    );
    assert_eq!(
        told(with("operators = [\"192.168.29.5\"]")),
        ["`operators` was `[192.168.29.1]` and is `[192.168.29.1, 192.168.29.5]`"]
    );
}

#[test]
fn each_add_on_is_told() {
    let asked = |lines: &'static str| {
        move |text: &str| {
            text.replacen(
                "[servers.server1]",
                &format!("[cluster]\n{lines}\n\n[servers.server1]"),
                1,
            )
        }
    };
    assert_eq!(
        told(asked(
            "storage = \"local-path\"\nmetrics = true\nload_balancer = \"192.168.29.200-192.168.29.219\""
        )),
        [
            "`storage` was `absent` and is `local-path`",
            "`metrics` was `false` and is `true`",
            "`load_balancer` was `absent` and is `192.168.29.200-192.168.29.219`"
        ]
    );
    assert_eq!(changes(asked("metrics = false")), []);
}

#[test]
fn of_servers_the_bridge_and_the_address_count() {
    let bridged = |text: &str| {
        let lines = "bridge = \"br0\"\naddress = \"192.168.29.11\"";
        let text = text.replace("[servers.server1]", &format!("[servers.server1]\n{lines}"));
        text.replace("[servers.server2]", &format!("[servers.server2]\n{lines}"))
    };
    assert_eq!(
        told(bridged),
        [
            "`operators` was `[192.168.29.1]` and is `[192.168.29.11]`",
            "server `server1`: `bridge` was `absent` and is `br0`",
            "server `server2`: `bridge` was `absent` and is `br0`"
        ]
    );
    let provided = |text: &str| {
        text.replace(
            "[servers.server2]",
            "[servers.server2]\nprovider = \"libvirt\"",
        )
    };
    assert_eq!(changes(provided), []);
    assert_eq!(changes(with("emulated = true")), []);
}

#[test]
fn changes_are_data() {
    let old = Lab::parse("ha", HA).expect("valid");
    let (from, to) = (old.machine("workerone").unwrap().cpus, 7);
    let edited = changes(|text| {
        let (before, worker) = text.split_once("\"workerone\"").expect("a worker");
        let worker = worker.replacen(&format!("cpus = {from}"), "cpus = 7", 1);
        format!("{before}\"workerone\"{worker}")
    });
    let changes = vec![MachineChange::Cpus(Changed { from, to })];
    let name = "workerone".to_owned();
    assert_eq!(edited, [LabChange::MachineChanged { name, changes }]);
}

#[test]
fn a_virtual_address_may_come_and_go() {
    const ONE_MASTER: &str = include_str!("../../../labs/external-etcd.toml");
    let old = Lab::parse("lab", ONE_MASTER).expect("valid");
    let mut edited = ONE_MASTER.to_owned()
        + "\n[[machines]]\nname = \"lbone\"\nrole = \"load-balancer\"\nserver = \"server1\"\nip = \"192.168.29.81\"\nmemory_mib = 512\ncpus = 1\n";
    edited.insert_str(0, "vip = \"192.168.29.80\"\n");
    let new = Lab::parse("lab", &edited).unwrap_or_else(|faults| panic!("{faults}"));
    let told = |changes: Vec<LabChange>| -> Vec<String> {
        changes.iter().map(ToString::to_string).collect()
    };
    let there = told(new.changes_since(&old));
    assert_eq!(there[0], "`vip` was `absent` and is `192.168.29.80`");
    assert_eq!(there.last().unwrap(), "machine `lbone` is new");
    let back = told(old.changes_since(&new));
    assert_eq!(back[0], "`vip` was `192.168.29.80` and is `absent`");
    assert_eq!(back.last().unwrap(), "machine `lbone` is gone");
}

#[test]
fn settings_are_told_by_their_paths_and_can_be_applied() {
    let before_servers = |text: &str, settings: &str| {
        text.replacen("[servers.", &format!("{settings}\n[servers."), 1)
    };
    let settings = "[cluster]\nfeature_gates = { A = true }\naudit = \"metadata\"\n[api_server]\nargs = { v = \"4\" }\n[kubelet]\nconfig = { maxPods = 50, logging = { verbosity = 4 } }\n";
    let found = changes(|text| before_servers(text, settings));
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "`api_server.args.v` was `absent` and is `4`",
            "`cluster.audit` was `absent` and is `metadata`",
            "`cluster.feature_gates.A` was `absent` and is `true`",
            "`kubelet.config.logging` was `absent` and is `{\"verbosity\":4}`",
            "`kubelet.config.maxPods` was `absent` and is `50`",
        ]
    );
    assert!(found.iter().all(LabChange::can_be_applied));
    let marks = changes(|text| {
        let name = "name = \"workerone\"\n";
        text.replace(
            name,
            &format!("{name}labels = {{ disk = \"ssd\" }}\ntaints = [\"a:NoExecute\"]\n"),
        )
    });
    assert_eq!(
        marks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "machine `workerone`: `labels` was `` and is `disk=ssd`, `taints` was `` and is `a:NoExecute`"
        ]
    );
    assert!(marks.iter().all(LabChange::can_be_applied));
    let encryption =
        changes(|text| before_servers(text, "[cluster]\nencryption = \"secretbox\"\n"));
    assert!(!encryption[0].can_be_applied());
    let domain = changes(|text| text.replace("\"example.com\"", "\"example.org\""));
    assert!(!domain[0].can_be_applied());
}
