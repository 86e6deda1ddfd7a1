//! What workloads need in a lab with three workers: volumes, figures of every node, and an address that outlives the worker
//! that answers for it.
//!
//! `cargo test -p caravan-e2e --test apps -- --ignored --test-threads=1 --nocapture`
#![allow(missing_docs)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use caravan_e2e::{LabFile, Tool, assert_verified, kubectl, on_a_clean_host, runs_long};
use caravan_process::Program;
use serde_json::{Value, json};

/// A small lab: what is looked at are its workers. `ha-apps` asks for the same.
const LAB: &str = "e2e-apps";
const NODES: [&str; 4] = ["master1", "worker1", "worker2", "worker3"];

/// How often the service is asked, and how long each question may take.
const EVERY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_millis(500);

/// Asks for what comes along with `ha-apps`, on the addresses of this lab's own subnet.
fn with_add_ons(tool: &Tool) -> LabFile {
    let shape = [
        "--etcd",
        "1",
        "--masters",
        "1",
        "--balancers",
        "0",
        "--workers",
        "3",
    ];
    let file = LabFile::write(tool, LAB, &shape);
    let text = fs::read_to_string(file.path()).expect("written");
    let asked: Vec<String> = (text.lines())
        .map(|line| {
            let keys = ["[cluster]", "storage = ", "metrics = ", "load_balancer = "];
            let key = line.strip_prefix("# ").unwrap_or_default();
            let asked = keys.iter().any(|it| key.starts_with(it));
            if asked { key } else { line }.to_owned()
        })
        .collect();
    assert_ne!(
        asked.join("\n"),
        text.trim_end(),
        "`new` tells of `[cluster]`"
    );
    fs::write(file.path(), asked.join("\n")).expect("written");
    file
}

/// One question to the service: when it was asked, and the node whose pod answered.
type Asked = (Instant, Option<String>);

/// Asks the service all the time, each time over a new connection.
struct Client {
    asked: Arc<Mutex<Vec<Asked>>>,
    ends: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

fn ask(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let node = answer
        .split_whitespace()
        .find_map(|word| word.strip_prefix("node="));
    node.map(ToOwned::to_owned)
}

impl Client {
    fn start(address: Ipv4Addr) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let ends = Arc::new(AtomicBool::new(false));
        let (shared, told) = (asked.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                let began = Instant::now();
                let answer = ask(SocketAddr::from((address, 80)));
                shared
                    .lock()
                    .expect("nobody panics with it")
                    .push((began, answer));
                std::thread::sleep(EVERY.saturating_sub(began.elapsed()));
            }
        });
        Self {
            asked,
            ends,
            thread: Some(thread),
        }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics with it").clone()
    }

    /// The nodes that answered the last `count` questions; none if one of them was not answered.
    fn last(&self, count: usize) -> Option<Vec<String>> {
        let asked = self.asked();
        let last = asked.get(asked.len().checked_sub(count)?..)?;
        last.iter().map(|(_, answer)| answer.clone()).collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Asks `done` every second until it has something to say.
fn within<T>(limit: Duration, what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn get(tool: &Tool, args: &[&str]) -> Value {
    let args = [&["get"], args, &["--output", "json"]].concat();
    serde_json::from_str(&kubectl(tool, LAB, &args)).expect("JSON")
}

/// The node that answers for the service's address.
fn announcer(tool: &Tool) -> Option<String> {
    let statuses = get(tool, &["servicel2statuses.metallb.io", "--all-namespaces"]);
    let statuses = statuses["items"].as_array()?;
    let ours = statuses
        .iter()
        .find(|it| it["status"]["serviceName"] == "app")?;
    ours["status"]["node"].as_str().map(ToOwned::to_owned)
}

/// A pod on each worker that says where it is, and a service of the type LoadBalancer for them. Returns its address.
fn serve(tool: &Tool) -> Ipv4Addr {
    let image = caravan_bundle::software_of("1.36")
        .expect("pinned")
        .probe_image;
    let spread = json!([{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "app"}}}]);
    let node =
        json!([{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]);
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": {
        "replicas": 3, "selector": {"matchLabels": {"app": "app"}},
        "template": {"metadata": {"labels": {"app": "app"}}, "spec": {
            "topologySpreadConstraints": spread,
            "containers": [{"name": "app", "image": image, "imagePullPolicy": "Never", "args": ["serve", "8080"], "env": node}]}}}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "app"}, "spec": {
        "type": "LoadBalancer", "selector": {"app": "app"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("app.json");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [deployment, service]});
    fs::write(&file, list.to_string()).expect("written");
    kubectl(
        tool,
        LAB,
        &["apply", "--filename", &file.display().to_string()],
    );
    kubectl(
        tool,
        LAB,
        &["rollout", "status", "deployment/app", "--timeout=50s"],
    );
    within(Duration::from_secs(30), "an address", || {
        let service = get(tool, &["service", "app"]);
        let address = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str()?;
        address.parse().ok()
    })
}

#[test]
#[ignore = "needs real machines"]
fn workloads_have_volumes_figures_and_an_address_that_moves() {
    // Its three add-ons are built first, where nobody has done so.
    if !runs_long() {
        return;
    }
    on_a_clean_host(|tool| {
        let _file = with_add_ons(tool);
        tool.ok(&["up", LAB, "--yes", "--airgap"]);
        let up = Instant::now();
        within(Duration::from_secs(60), "figures of every node", || {
            let top = tool.run(&["kubectl", LAB, "--", "top", "nodes", "--no-headers"]);
            let there = |node: &&str| top.stdout.lines().any(|it| it.starts_with(*node));
            NODES.iter().all(there).then_some(())
        });
        println!(
            "TIME figures of every node after `up`: {:.1} s",
            up.elapsed().as_secs_f32()
        );
        // A stateful set's data survives its pod, and a service answers: the checks of those names.
        assert_verified(tool, LAB, &[]);

        let address = serve(tool);
        let client = Client::start(address);
        within(Duration::from_secs(30), "answers of all pods", || {
            let mut nodes = client.last(60)?;
            nodes.sort();
            nodes.dedup();
            (nodes.len() == 3).then_some(())
        });
        let owner = announcer(tool).expect("somebody announces it");
        println!("{address} is announced by {owner}");
        let docker = Program::find("docker").expect("an engine");
        let killed = Instant::now();
        let container = format!("caravan-{LAB}-{owner}");
        docker
            .call(["kill", &container])
            .run()
            .unwrap_or_else(|error| panic!("{error}"));
        // Until the API has given the dead node's pods up, some of the new connections lead to them.
        within(
            Duration::from_secs(120),
            "answers of the pods that are left",
            || {
                let nodes = client.last(100)?;
                nodes.iter().all(|node| *node != owner).then_some(())
            },
        );
        let asked: Vec<Asked> = client
            .asked()
            .into_iter()
            .filter(|(at, _)| *at >= killed)
            .collect();
        let after = |at: Instant| at.duration_since(killed).as_secs_f32();
        let good: Vec<f32> = asked
            .iter()
            .filter(|it| it.1.is_some())
            .map(|it| after(it.0))
            .collect();
        let bad = asked
            .iter()
            .rev()
            .find(|it| it.1.is_none())
            .map_or(0.0, |it| after(it.0));
        let failed = asked
            .iter()
            .filter(|it| it.1.is_none() && after(it.0) > good[0])
            .count();
        let between = asked
            .iter()
            .filter(|it| (good[0]..=bad).contains(&after(it.0)))
            .count();
        let gap = good
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .fold(good[0], f32::max);
        println!(
            "TIME {owner} killed: no answer for {gap:.1} s at most; from {:.1} s to {bad:.1} s {failed} of {between} \
             questions failed; none after that",
            good[0]
        );
        assert!(gap < 30.0, "no answer for {gap} s");
        let now = within(Duration::from_secs(30), "another announcer", || {
            announcer(tool).filter(|node| *node != owner)
        });
        println!("{address} is announced by {now}");
        drop(client);
        tool.ok(&["up", LAB, "--yes"]);
        assert_verified(tool, LAB, &["--wait"]);
        tool.ok(&["destroy", LAB, "--yes"]);
    });
}
