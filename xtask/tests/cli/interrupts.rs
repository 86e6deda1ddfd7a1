use std::path::Path;
use std::time::{Duration, Instant};

use caravan_process::Program;
use expect_test::expect;

use crate::world::{World, shown};

/// How long something may take that takes no time.
const LIMIT: Duration = Duration::from_secs(60);

fn wait_for(path: &Path) {
    let limit = Instant::now() + LIMIT;
    while !path.exists() {
        assert!(Instant::now() < limit, "{} did not come", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn kill(signal: &str, pid: u32) {
    Program::find("kill")
        .and_then(|kill| kill.call([signal, &pid.to_string()]).run())
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn two_runners() {
    let world = World::new();
    world.write("state/slow", "20");
    let (said, lines) = std::sync::mpsc::channel();
    let first = world
        .call(&["up", "small", "etcdone", "--image", "caravan-machine:test"])
        .follow(move |line| drop(said.send(line.to_owned())))
        .expect("the tool starts");
    wait_for(&world.path("state/began"));
    let pid = first.pids()[0];
    for verb in [
        &["destroy", "small", "--yes"][..],
        &["up", "small"],
        &["halt", "small"],
    ] {
        let second = world.run(verb);
        assert_eq!(second.status, Some(1), "{}", second.stderr);
        let said = format!("another run is at work on lab `small`: `up`, process {pid}, since ");
        assert!(second.stderr.contains(&said), "{}", second.stderr);
    }
    // Killed in whatever it does: what it left behind is no obstacle.
    kill("-KILL", pid);
    drop(first);
    drop(lines);
    let after = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(after.status, Some(0), "{}", after.stderr);
    assert!(!world.path(".lab").exists());
}

#[test]
fn a_killed_run_leaves_its_timeline() {
    let world = World::new();
    world.write("state/slow", "20");
    let first = world
        .call(&["up", "small", "etcdone", "--image", "caravan-machine:test"])
        .follow(|_| {})
        .expect("the tool starts");
    wait_for(&world.path("state/began"));
    kill("-KILL", first.pids()[0]);
    drop(first);
    let folder = std::fs::read_dir(world.path(".lab/small/timeline")).expect("kept");
    let path = folder.flatten().next().expect("one").path();
    let text = std::fs::read_to_string(path).expect("read");
    let timeline: serde_json::Value = serde_json::from_str(&text).expect("whole");
    assert_eq!(timeline["outcome"], "running");
    let phases: Vec<&str> = timeline["spans"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|span| span["phase"].as_str())
        .collect();
    assert_eq!(phases, ["preflight", "keys", "files", "machines", "create"]);
}

#[test]
fn asked_to_stop() {
    let world = World::new();
    world.write("state/slow", "2");
    let (said, lines) = std::sync::mpsc::channel();
    let run = world
        .call(&["up", "small", "etcdone", "--image", "caravan-machine:test"])
        .follow(move |line| drop(said.send(line.to_owned())))
        .expect("the tool starts");
    wait_for(&world.path("state/began"));
    // A terminal would send it to Vagrant as well, which then ends in its own way.
    kill("-INT", run.pids()[0]);
    let limit = Instant::now() + LIMIT;
    let mut all = Vec::new();
    while !run.ended() && Instant::now() < limit {
        all.extend(lines.recv_timeout(Duration::from_millis(100)));
    }
    all.extend(lines.try_iter());
    let told = all.join("\n");
    assert!(told.contains("error: interrupted"), "{told}");
    assert!(
        told.contains("`cargo xtask up small` goes on from here"),
        "{told}"
    );
    drop(run);
    let after = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(after.status, Some(0), "{}", after.stderr);
}

#[test]
fn what_a_full_disk_says() {
    let world = World::new();
    // A folder that is a file stands for every way in which a write can fail.
    world.write(".lab", "");
    let ended = world.run(&["up", "small", "--image", "caravan-machine:test"]);
    assert_eq!(ended.status, Some(1));
    expect![[r#"
        status 1
        --- stderr
        error: cannot write `.lab`
          File exists (os error 17)
    "#]]
    .assert_eq(&shown(&ended));
}
