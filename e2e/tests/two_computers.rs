//! One lab over two computers that share a switch: brought up from a third one, which is not on the lab's network, and from
//! one of the two; broken, and by Vagrant alone from what `export` wrote.
//!
//! `cargo test -p caravan-e2e --test two_computers -- --ignored --test-threads=1 --nocapture`
#![allow(missing_docs)]

use std::fs;
use std::time::{Duration, Instant};

use caravan_bundle::apt::Suite;
use caravan_cluster::verify::{Report, VerifyOutcome};
use caravan_e2e::{Ended, Fresh, Lan, Site, Tool, runs_long};

/// What somebody installs on a computer that is to run containers of a lab, and what a Debian for servers has anyway.
const PACKAGES: [&str; 8] = [
    "docker.io",
    "vagrant",
    "openssh-server",
    "iproute2",
    "iptables",
    "procps",
    "ca-certificates",
    "gawk",
];

/// The lab: that of `labs/ha.toml` over two computers.
const LAB: &str = "ha";

/// Addresses of the two on the lab's network, and of all three on the network that ssh uses.
const SERVERS: [(&str, &str, &str); 2] = [
    ("server1", "192.168.29.11", "10.93.0.11"),
    ("server2", "192.168.29.12", "10.93.0.12"),
];
const OPERATOR: &str = "10.93.0.10";

/// How long a server of a computer may take to listen.
const LISTENS: Duration = Duration::from_secs(60);

/// What nodes raise while a lab has machines. Each engine puts back what it found, and these share one kernel: the second
/// finds what the first has raised.
const WATCHERS: &str = "/proc/sys/fs/inotify/max_user_instances";

/// Puts the kernel's setting back when this is dropped.
struct Watchers(String);

impl Watchers {
    fn now() -> Self {
        Self(fs::read_to_string(WATCHERS).expect("read"))
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        fs::write(WATCHERS, &self.0).expect("put back");
    }
}

struct World {
    operator: Fresh,
    servers: [Fresh; 2],
    /// The lab's network.
    lan: Lan,
    /// The one that ssh uses.
    office: Lan,
    // Dropped last: the computers lie in it.
    _site: Site,
    _watchers: Watchers,
}

impl World {
    /// One with an operator; the server called `maker` has made images before, as it has to where it is administered from.
    fn new(tool: &Tool, maker: Option<&str>) -> Self {
        let watchers = Watchers::now();
        let site = Site::new(tool);
        let system = site.system(Suite::Bookworm, "servers", &PACKAGES);
        let (lan, office) = (Lan::new(), Lan::new());
        let operator = site.start(&system, "operator");
        office.plug(&operator, "enp4s0", "operator");
        operator.shell(&format!("ip addr add {OPERATOR}/24 dev enp4s0"));
        operator.shell(
            "mkdir -m 700 /root/.ssh && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519",
        );
        start_engine(&operator);
        let key = fs::read_to_string(operator.file("root/.ssh/id_ed25519.pub")).expect("a key");
        let servers = SERVERS.map(|(name, address, way)| {
            let server = match maker == Some(name) {
                true => site.start(&system, name),
                false => site.start_without_cache(&system, name),
            };
            lan.plug(&server, "enp3s0", name);
            office.plug(&server, "enp4s0", name);
            server.shell(&format!(
                "ip link add br0 type bridge && ip link set enp3s0 master br0 && ip link set br0 up && \
                 ip addr add {address}/24 dev br0 && ip addr add {way}/24 dev enp4s0"
            ));
            server.shell("mkdir -m 700 -p /root/.ssh /run/sshd && ssh-keygen -A");
            fs::write(server.file("root/.ssh/authorized_keys"), &key).expect("written");
            server.start(&["/usr/sbin/sshd", "-D", "-e"]);
            start_engine(&server);
            let host_key = fs::read_to_string(server.file("etc/ssh/ssh_host_ed25519_key.pub"));
            let host_key = host_key.expect("a host key");
            let line = format!("{way} {host_key}");
            operator.shell(&format!("echo '{}' >>/root/.ssh/known_hosts", line.trim()));
            server
        });
        let world = Self {
            operator,
            servers,
            lan,
            office,
            _site: site,
            _watchers: watchers,
        };
        for computer in [&world.operator, &world.servers[0]] {
            world.write_lab(computer);
        }
        world
    }

    /// The lab file, as both administrators have it.
    fn write_lab(&self, computer: &Fresh) {
        let labs = computer.file("root/caravan/labs");
        let mut text = fs::read_to_string(labs.join("ha.toml")).expect("a lab file");
        for (name, address, way) in SERVERS {
            let section = format!("[servers.{name}]\n");
            assert!(text.contains(&section));
            text = text.replace(
                &section,
                &format!(
                    "{section}host = \"ssh://root@{way}\"\nbridge = \"br0\"\naddress = \"{address}\"\nprovider = \"docker\"\n"
                ),
            );
        }
        fs::write(labs.join("ha.toml"), text).expect("written");
    }

    /// What stands on a server that a lab could have left behind.
    fn stands(&self, server: &Fresh) -> String {
        server.shell(
            "docker ps --all --format '{{.Names}}'; docker network ls --format '{{.Name}}'; docker volume ls --quiet; \
             ip -brief addr show br0; ls -A /root/.local/share 2>/dev/null || true; \
             iptables -S | grep -v 'FORWARD -j DOCKER'",
        )
    }
}

fn start_engine(computer: &Fresh) {
    computer.start(&["dockerd", "--bridge=none"]);
    let began = Instant::now();
    while !computer.asks("docker version") {
        assert!(began.elapsed() < LISTENS, "no engine");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn verified(computer: &Fresh, more: &[&str]) {
    let args = [&["verify", LAB, "--wait", "--json"][..], more].concat();
    let ended = computer.run(&args);
    let report: Report = ended.read();
    let broken: Vec<String> = (report.checks.iter())
        .filter(|check| check.outcome == VerifyOutcome::Failed)
        .map(|check| format!("{}: {}", check.id, check.evidence))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert_eq!(ended.status, Some(0));
}

/// What `doctor` says of both servers; what the operator's own computer lacks is another matter.
fn assert_computers_are_well(computer: &Fresh) {
    let findings = computer.run(&["doctor", LAB, "--json"]).json();
    let of_servers = findings.as_array().expect("a list").iter();
    let of_servers = of_servers.filter(|finding| finding["name"] == "server");
    let verdicts: Vec<_> = of_servers
        .map(|finding| finding["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["good", "good"], "{findings:#}");
}

fn up(computer: &Fresh) -> Ended {
    computer.ok(&["up", LAB, "--yes", "--airgap"])
}

#[test]
#[ignore = "needs root, namespaces and package servers"]
fn two_computers_are_one_lab() {
    let tool = Tool::build();
    let world = World::new(&tool, None);
    let before: Vec<String> = world.servers.iter().map(|it| world.stands(it)).collect();

    let first = up(&world.operator);
    assert!(first.stderr.contains("verified:"), "{}", first.stderr);
    verified(&world.operator, &["--disrupt"]);
    let second = up(&world.operator);
    assert!(second.stderr.contains("nothing to do"), "{}", second.stderr);
    assert_computers_are_well(&world.operator);

    // Between the two: masters are on one, etcd on the other, so nothing goes on, and nothing is lost.
    world.lan.pull("server2");
    let cut = world.operator.run(&["status", LAB]);
    assert_eq!(cut.status, Some(3), "{}", cut.stdout);
    world.lan.put_back("server2");
    verified(&world.operator, &[]);

    world.operator.ok(&["halt", LAB]);
    let again = up(&world.operator);
    assert!(again.stderr.contains("0 files, 0 KiB"), "{}", again.stderr);
    assert!(again.stderr.contains("verified:"), "{}", again.stderr);

    // A computer that is cut off from who administers it: the other one ends well.
    world.office.pull("server2");
    let halted = world.operator.run(&["halt", LAB]);
    assert_eq!(halted.status, Some(1));
    assert!(
        halted
            .stderr
            .contains("server `server2` on `ssh://root@10.93.0.12`"),
        "{}",
        halted.stderr
    );
    world.office.put_back("server2");
    up(&world.operator);
    world.operator.ok(&["destroy", LAB, "--yes"]);

    let after: Vec<String> = world.servers.iter().map(|it| world.stands(it)).collect();
    assert_eq!(after, before, "what stands on the servers");
}

#[test]
#[ignore = "needs root, namespaces and package servers"]
fn a_lab_over_two_computers_comes_up_from_one_of_them() {
    if !runs_long() {
        return;
    }
    let tool = Tool::build();
    let world = World::new(&tool, Some("server1"));
    let [here, there] = &world.servers;
    // The administrator of the first server reaches the second as the operator does.
    here.shell("ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519");
    let key = fs::read_to_string(here.file("root/.ssh/id_ed25519.pub")).expect("a key");
    let keys = there.file("root/.ssh/authorized_keys");
    let known = fs::read_to_string(&keys).expect("keys");
    fs::write(&keys, known + &key).expect("written");
    fs::copy(
        world.operator.file("root/.ssh/known_hosts"),
        here.file("root/.ssh/known_hosts"),
    )
    .expect("copied");

    let first = up(here);
    assert!(first.stderr.contains("verified:"), "{}", first.stderr);
    assert!(
        !first.stderr.contains("sent to `ssh://root@10.93.0.11`"),
        "{}",
        first.stderr
    );
    verified(here, &[]);
    here.ok(&["halt", LAB, "--server", "server2"]);
    up(here);
    here.ok(&["destroy", LAB, "--yes"]);
}
