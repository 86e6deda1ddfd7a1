use std::path::Path;
use std::time::{Duration, Instant};

use caravan_process::Program;
use expect_test::expect;

use crate::world::{World, shown};

/// How long something may take that takes no time.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < limit, "{what}: in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn wait_for(path: &Path) {
    wait_until(&path.display().to_string(), || path.exists());
}

pub(crate) fn kill(signal: &str, pid: u32) {
    // The shell's own: the program is in a package that small systems lack.
    Program::find("sh")
        .and_then(|sh| {
            sh.call(["-c", "kill \"$0\" \"$1\"", signal, &pid.to_string()])
                .run()
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn two_runners() {
    let world = World::new();
    world.write("state/hold", "");
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
        let said = format!("another run is changing lab `small`: `up`, process {pid}, since ");
        assert!(second.stderr.contains(&said), "{}", second.stderr);
    }
    // Killed in whatever it does: what it left behind is no obstacle.
    kill("-KILL", pid);
    drop(first);
    drop(lines);
    std::fs::remove_file(world.path("state/hold")).expect("removed");
    let after = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(after.status, Some(0), "{}", after.stderr);
    assert!(!world.path(".lab").exists());
}

#[test]
fn a_killed_run_leaves_its_timeline() {
    let world = World::new();
    world.write("state/hold", "");
    let first = world
        .call(&["up", "small", "etcdone", "--image", "caravan-machine:test"])
        .follow(|_| {})
        .expect("the tool starts");
    wait_for(&world.path("state/began"));
    kill("-KILL", first.pids()[0]);
    drop(first);
    std::fs::remove_file(world.path("state/hold")).expect("removed");
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

/// Runs `up`, asks it to stop `times` times as soon as Vagrant is at work, and returns its last words and status.
fn stopped(world: &World, times: usize) -> String {
    let script = r#""$XTASK" up small --image caravan-machine:test & echo "pid $!"; wait $!; echo "status $?""#;
    let (said, lines) = std::sync::mpsc::channel();
    let run = world
        .dress(Program::at("/bin/sh").call(["-c", script]))
        .follow(move |line| drop(said.send(line.to_owned())))
        .expect("the shell starts");
    wait_for(&world.path("state/began"));
    let mut all: Vec<String> = lines.try_iter().collect();
    let pid = all
        .iter()
        .find_map(|line| line.strip_prefix("pid ")?.parse().ok())
        .expect("its process id");
    for _ in 0..times {
        kill("-INT", pid);
        // Two of the same signal that wait to be taken are one.
        std::thread::sleep(Duration::from_millis(300));
    }
    wait_until("it ends", || run.ended());
    all.extend(lines.try_iter());
    all.join("\n")
}

#[test]
fn asked_to_stop() {
    let world = World::new();
    world.has_machine("etcdone", "server2", "running");
    world.write(".lab/small/deployed/lab.toml", crate::world::LAB);
    world.write("state/hold", "");
    // There is no terminal that would send it to Vagrant as well; it hears of it all the same.
    let told = stopped(&world, 1);
    assert!(told.contains("error: interrupted\n"), "{told}");
    assert!(
        told.contains("`cargo xtask up small` goes on from here"),
        "{told}"
    );
    assert!(told.ends_with("status 130"), "{told}");
    std::fs::remove_file(world.path("state/hold")).expect("removed");
    let after = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(after.status, Some(0), "{}", after.stderr);
}

#[test]
fn when_the_time_is_up_it_stops_and_says_how_to_go_on() {
    let world = World::new();
    world.write("state/hold", "");
    let ended = world.run(&[
        "up",
        "small",
        "etcdone",
        "--image",
        "caravan-machine:test",
        "--timeout",
        "2s",
    ]);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    for words in [
        "error: lab `small` is not up after 2s",
        "`cargo xtask up small` goes on from here",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    std::fs::remove_file(world.path("state/hold")).expect("removed");
}

#[test]
fn asked_twice_it_waits_for_nobody() {
    let world = World::new();
    world.write("state/hold", "deaf");
    let told = stopped(&world, 2);
    assert!(told.contains("Ctrl-C again stops it at once"), "{told}");
    assert!(told.ends_with("status 130"), "{told}");
    std::fs::remove_file(world.path("state/hold")).expect("removed");
}

#[test]
fn nobody_reads() {
    let world = World::new();
    let script = r#"
        { while [ ! -e closed ]; do /bin/sleep 0.05; done; "$XTASK" plan small 2>said; echo $? >status; } |
        { exec <&-; : >closed; }
        while [ ! -s status ]; do /bin/sleep 0.05; done"#;
    let output = world
        .dress(Program::at("/bin/sh").call(["-c", script]))
        .output();
    assert_eq!(output.expect("the shell starts").status, Some(0));
    assert_eq!(
        (world.read("status").trim(), world.read("said").as_str()),
        ("141", "")
    );
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
