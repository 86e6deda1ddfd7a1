//! The labs that the tests render.

use std::path::{Path, PathBuf};

use caravan_lab::{Lab, Provider};
use caravan_render::{MachineImage, Settings};

/// Returns the lab of that name in the repository, `flannel` or `settings`.
pub(crate) fn lab(name: &str) -> Lab {
    parse(name, &source(name))
}

/// Returns settings without a way out, and with an image that no test needs.
pub(crate) fn settings(provider: Provider) -> Settings {
    let image = match provider {
        Provider::Docker => "caravan-machine:0123456789ab",
        Provider::Libvirt | Provider::VirtualBox => "caravan/ubuntu-22.04",
    };
    let servers = ["server1", "server2"];
    Settings {
        providers: servers.map(|it| (it.to_owned(), provider)).into(),
        airgap: true,
        images: [(provider, MachineImage::named(image))].into(),
        ..Settings::default()
    }
}

/// Containers, and one kind of virtual machine: of what is on a machine both kinds have the same.
pub(crate) const KINDS: [Provider; 2] = [Provider::Docker, Provider::Libvirt];

/// Returns settings of a lab whose servers have the providers that its file says.
pub(crate) fn settings_of_file(lab: &Lab) -> Settings {
    let mut all = settings(Provider::default());
    for server in lab.servers() {
        let provider = lab.provider_of(server).unwrap_or_default();
        all.images.extend(settings(provider).images);
        all.providers.insert(server.name.clone(), provider);
    }
    all
}

/// Returns where a golden file lies.
pub(crate) fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(path.trim_start_matches('/'))
}

/// All that a lab file can set of its cluster.
const SETTINGS: &str = r#"[cluster]
feature_gates = { APIResponseCompression = false, HPAScaleToZero = true }
runtime_config = { "api/alpha" = "true" }
audit = "metadata"
encryption = "secretbox"

[api_server]
args = { event-ttl = "2h" }

[controller_manager]
args = { node-monitor-grace-period = "30s" }

[scheduler]
args = { v = "3" }

[kubelet]
config = { maxPods = 50, evictionHard = { "memory.available" = "200Mi" } }

"#;

/// And of a node.
const MARKS: &str = r#"labels = { "topology.kubernetes.io/zone" = "a" }
taints = ["dedicated=db:NoSchedule"]
"#;

/// Returns the text of a lab file of the repository; that of `flannel` is external-etcd's with that pod network, that of
/// `settings` the same with all that a file can set of its cluster.
pub(crate) fn source(name: &str) -> String {
    if name == "flannel" {
        let domain = "domain = \"example.com\"\n";
        let with_network = format!("{domain}pod_network = \"flannel\"\n");
        return source("external-etcd").replacen(domain, &with_network, 1);
    }
    if name == "settings" {
        let mut text = source("external-etcd");
        for (before, lines) in [("[servers.", SETTINGS), ("role = \"worker\"", MARKS)] {
            assert!(
                text.contains(before),
                "labs/external-etcd.toml has no {before}"
            );
            text = text.replacen(before, &format!("{lines}{before}"), 1);
        }
        return text;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../labs/{name}.toml"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the text of `ha` whose servers, both of this computer, are on a bridge; `bridge` is its name as TOML.
pub(crate) fn bridged(bridge: &str) -> String {
    let lines = format!("bridge = {bridge}\naddress = \"192.168.29.11\"\n");
    let mut text = source("ha");
    for server in ["[servers.server1]\n", "[servers.server2]\n"] {
        assert!(text.contains(server), "labs/ha.toml has other servers");
        text = text.replace(server, &format!("{server}{lines}"));
    }
    text
}

/// Returns the lab that `source` describes.
pub(crate) fn parse(name: &str, source: &str) -> Lab {
    Lab::parse(name, source).unwrap_or_else(|faults| panic!("{faults:?}"))
}
