//! The two commands on computers where nothing is installed: Debian 12 and 13, with and without a `docker` command that has
//! no engine.
//!
//! Nothing that is installed on the computer of the test counts: see [`caravan_e2e::Site`]. It lends its kernel, its
//! network for packages, and `mmdebstrap` for the bare systems.
#![allow(missing_docs)]

use std::fs;

use caravan_bundle::apt::Suite;
use caravan_e2e::{Bare, Fresh, Site, Tool};

/// The command `docker` of another version than Debian 12's engine, taken from Debian 13, as it may lie in `/usr/local/bin`.
const CLIENT: &str = "docker-client";

#[test]
#[ignore = "needs root, namespaces and package servers"]
fn setup_makes_any_bare_computer_ready() {
    let tool = Tool::build();
    let devices = devices();
    let site = Site::new(&tool);

    let trixie = site.bare(Suite::Trixie);
    with_a_lone_client(&site, &trixie, "debian-13-client");
    let computer = site.start(&trixie, "debian-13");
    becomes_ready(&computer, "no `docker` command");
    a_lab_lives(&computer);
    drop(computer);

    let bookworm = site.bare(Suite::Bookworm);
    with_a_lone_client(&site, &bookworm, "debian-12-client");
    let computer = site.start(&bookworm, "debian-12");
    becomes_ready(&computer, "no `docker` command");
    libvirt_answers(&computer);
    drop(computer);

    drop(site);
    assert_eq!(self::devices(), devices, "network devices of the host");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read");
    assert!(!mounts.contains("fresh-computers"), "{mounts}");
}

/// A computer where somebody has put the command, and no engine.
fn with_a_lone_client(site: &Site, bare: &Bare, name: &str) {
    let computer = site.start(bare, name);
    let client = site.path(CLIENT);
    if !client.exists() {
        computer.shell(
            "mkdir /tmp/client && cd /tmp/client && apt-get --quiet update && apt-get --quiet download docker-cli && \
             dpkg-deb --extract docker-cli_*.deb . && cp usr/bin/docker /root/docker && rm -r /var/lib/apt/lists/*",
        );
        fs::rename(computer.file("root/docker"), &client).expect("moved");
    }
    fs::copy(&client, computer.file("usr/local/bin/docker")).expect("copied");
    becomes_ready(&computer, "an engine is not");
    let asked = computer.shell("command -v docker; docker version --format '{{.Server.Version}}'");
    assert!(asked.starts_with("/usr/local/bin/docker\n"), "{asked}");
}

/// `doctor` names what lacks, `setup` brings it, and then both find nothing more.
fn becomes_ready(computer: &Fresh, engine: &str) {
    let before = computer.run(&["doctor", "--json"]);
    assert_eq!(before.status, Some(1));
    for name in ["Vagrant", "container engine", "ssh client", "C compiler"] {
        assert_eq!(verdict(&before.json(), name), "missing", "{name}");
    }
    assert!(before.stdout.contains(engine), "{}", before.stdout);

    computer.ok(&["setup", "--yes"]);

    let after = computer.ok(&["doctor", "--json"]).json();
    assert_eq!(verdict(&after, "container engine"), "good");
    let missing: Vec<&str> = after
        .as_array()
        .expect("a list")
        .iter()
        .filter(|finding| finding["verdict"] == "missing")
        .filter_map(|finding| finding["name"].as_str())
        .collect();
    assert_eq!(missing, [""; 0]);
    // Would ask, and get no answer, if anything lacked.
    computer.ok(&["setup"]);
}

/// libvirt, QEMU and Vagrant's plugin come, and run where systemd does not.
fn libvirt_answers(computer: &Fresh) {
    let setup = ["setup", "--yes", "--provider", "libvirt"];
    let brought = computer.ok(&setup);
    assert!(
        brought.stderr.contains("started libvirt"),
        "{}",
        brought.stderr
    );
    let asked =
        computer.shell("virsh --connect qemu:///system version --daemon; vagrant plugin list");
    for word in ["Running against daemon:", "vagrant-libvirt"] {
        assert!(asked.contains(word), "{asked}");
    }
    // Nothing lacks any more, and nothing is started twice.
    let again = computer.ok(&setup);
    assert!(!again.stderr.contains("started"), "{}", again.stderr);
}

fn verdict<'a>(findings: &'a serde_json::Value, name: &str) -> &'a str {
    findings
        .as_array()
        .and_then(|all| all.iter().find(|finding| finding["name"] == name))
        .and_then(|finding| finding["verdict"].as_str())
        .unwrap_or_else(|| panic!("nothing about {name}"))
}

fn a_lab_lives(computer: &Fresh) {
    let up = computer.ok(&["up", "external-etcd", "--airgap", "--yes"]);
    assert!(up.stderr.contains("verified:"), "{}", up.stderr);
    computer.ok(&["destroy", "external-etcd", "--yes"]);
    assert_eq!(computer.shell("docker ps --all --quiet"), "");
}

/// The host's network devices, but for those of labs that others run beside.
fn devices() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir("/sys/class/net")
        .expect("read")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with("veth") && !name.starts_with("br-"))
        .collect();
    names.sort();
    names
}
