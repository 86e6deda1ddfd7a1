use super::*;

const VERSION: &str = r#"{"Client":{"Version":"28.2.2","ApiVersion":"1.41","Context":"default"},
    "Server":{"Components":[{"Name":"Engine","Version":"20.10.24"},{"Name":"containerd","Version":"1.6.20"}],"Version":"20.10.24"}}"#;

/// What an engine says of itself on the computer that [`here`] is.
const INFO: &str = r#"{"Name":"desk","KernelVersion":"6.1.0","OperatingSystem":"Debian GNU/Linux 12 (bookworm)",
    "DockerRootDir":"/var/lib/docker","SecurityOptions":["name=seccomp,profile=default"]}"#;

fn here() -> Here {
    Here {
        kernel: "6.1.0".to_owned(),
        name: "desk".to_owned(),
        devices: ["lo", "eth0", "docker0"].map(str::to_owned).to_vec(),
    }
}

fn judged(endpoint: &str, version: &str, info: &str, bridge: &str) -> String {
    let network: Network = serde_json::from_str(&format!(
        r#"{{"Name":"bridge","Options":{{"com.docker.network.bridge.name":"{bridge}"}}}}"#
    ))
    .expect("a network");
    match judge(
        &Endpoint::parse(endpoint),
        &DockerVersion::parse(version).expect("of Docker's command"),
        &serde_json::from_str(info).expect("JSON"),
        Some(&network),
        &here(),
    ) {
        EngineVerdict::Fit { version } => format!("fit: {version}"),
        EngineVerdict::Unfit(why) => why,
    }
}

const OWN: &str = "default unix:///var/run/docker.sock\n";

#[test]
fn an_engine_of_this_computer_is_fit() {
    for endpoint in [
        OWN,
        "default unix:///run/docker.sock",
        "default tcp://127.0.0.1:2375",
        "default tcp://[::1]:2375",
        "mine unix:///run/other/docker.sock",
        "default ",
    ] {
        assert_eq!(
            judged(endpoint, VERSION, INFO, "docker0"),
            "fit: 20.10.24",
            "{endpoint}"
        );
    }
    // An engine without a default network, or with an old way to tell of itself.
    let alone = judge(
        &Endpoint::parse(OWN),
        &DockerVersion::parse(VERSION).expect("of Docker's command"),
        &EngineInfo::default(),
        None,
        &here(),
    );
    assert!(matches!(alone, EngineVerdict::Fit { .. }), "{alone:?}");
}

#[test]
fn an_engine_elsewhere_is_named() {
    let check = |endpoint: &str, version: &str, info: &str, bridge: &str, words: &[&str]| {
        let why = judged(endpoint, version, info, bridge);
        for word in words {
            assert!(why.contains(word), "no `{word}` in: {why}");
        }
    };
    // 192.0.2.0/24 is for documents, so no computer has it.
    check(
        "default tcp://192.0.2.7:2376",
        VERSION,
        INFO,
        "docker0",
        &["`tcp://192.0.2.7:2376`", "another computer, `192.0.2.7`"],
    );
    check(
        "build ssh://me@192.0.2.7",
        VERSION,
        INFO,
        "docker0",
        &["(context `build`)", "another computer, `192.0.2.7`"],
    );
    // Through a tunnel, which begins here.
    let there = INFO.replace("desk", "build");
    check(
        "default tcp://127.0.0.1:2375",
        VERSION,
        &there,
        "docker0",
        &["another computer, `build` (here `desk`)"],
    );
    let kernel = INFO.replace("6.1.0", "5.15.49-linuxkit");
    check(
        OWN,
        VERSION,
        &kernel,
        "docker0",
        &["another kernel", "5.15.49-linuxkit"],
    );
    let desktop = INFO.replace("Debian GNU/Linux 12 (bookworm)", "Docker Desktop");
    check(OWN, VERSION, &desktop, "docker0", &["Docker Desktop"]);
    let rootless = INFO.replace("\"name=seccomp", "\"name=rootless\",\"name=seccomp");
    check(
        "rootless unix:///run/user/1000/docker.sock",
        VERSION,
        &rootless,
        "docker0",
        &["a rootless engine", "cannot be reached from here"],
    );
    // A container that was given the socket of the engine that runs it.
    check(OWN, VERSION, INFO, "br0", &["`br0` is not here"]);
    let snap = INFO.replace("/var/lib/docker", "/var/snap/docker/common/var-lib-docker");
    check(
        OWN,
        VERSION,
        &snap,
        "docker0",
        &["of a snap", "hidden folders"],
    );
    let podman = VERSION.replace("\"Engine\"", "\"Podman Engine\"");
    check(
        "default unix:///run/podman/podman.sock",
        &podman,
        INFO,
        "docker0",
        &["is Podman"],
    );
}
