//! What others do to a lab: another workspace, a Vagrant that was left behind, somebody with the engine's own client.

use expect_test::expect;

use crate::interrupts::{kill, wait_for, wait_until};
use crate::world::{World, shown};

const UP: [&str; 4] = ["up", "small", "--image", "caravan-machine:test"];

#[test]
fn a_lab_of_the_same_name_in_another_workspace() {
    let world = World::new();
    world.has_machine_of("other", "etcdone", "server2");
    let up = world.run(&UP);
    expect![[r#"
        status 1
        --- stderr
        error: the machines of a lab `small` were made from `other`: `etcdone`

        hint: `cd other && cargo xtask destroy small`, or give the lab here another name and `subnet`
    "#]].assert_eq(&shown(&up));
    for verb in [&["destroy", "small", "--yes"][..], &["halt", "small"]] {
        let ended = world.run(verb);
        assert_eq!(
            (ended.status, &ended.stderr),
            (Some(1), &up.stderr),
            "{verb:?}"
        );
    }
    assert!(world.path("state/containers/etcdone").exists());
    assert!(!world.calls().contains("vagrant"));
    // Where that workspace is gone, nobody else can remove its machines.
    std::fs::remove_dir_all(world.path("other")).expect("removed");
    let halt = world.run(&["halt", "small"]);
    assert!(
        halt.stderr
            .contains("that were not made from this workspace"),
        "{}",
        halt.stderr
    );
    let ended = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(!world.path("state/containers/etcdone").exists());
}

#[test]
fn a_lab_file_that_was_removed() {
    let world = World::new();
    world.is_up();
    world.write("labs/other.toml", "");
    std::fs::remove_file(world.path("labs/small.toml")).expect("removed");
    let ended = world.run(&UP);
    expect![[r#"
        status 2
        --- stderr
        error: the lab file `labs/small.toml` is gone, and lab `small` was made from it

        hint: `cp .lab/small/deployed/lab.toml labs/small.toml` brings it back; `cargo xtask destroy small` removes the lab, which needs no file
    "#]].assert_eq(&shown(&ended));
}

#[test]
fn a_vagrant_that_a_killed_run_left_behind() {
    let world = World::new();
    world.write("state/hold", "");
    let run = world.call(&UP).follow(|_| {}).expect("the tool starts");
    wait_for(&world.path("state/began"));
    kill("-KILL", run.pids()[0]);
    drop(run);
    // No machine is there yet; one would come after the lab is gone.
    let (said, lines) = std::sync::mpsc::channel();
    let destroy = world
        .call(&["destroy", "small", "--yes"])
        .follow(move |line| drop(said.send(line.to_owned())))
        .expect("the tool starts");
    let mut all = String::new();
    wait_until("it waits", || {
        all.extend(lines.try_iter());
        all.contains("waits for `vagrant up")
    });
    assert!(world.path(".lab/small").exists());
    std::fs::remove_file(world.path("state/hold")).expect("removed");
    wait_until("it ends", || destroy.ended());
    all.extend(lines.try_iter());
    assert!(all.contains("lab `small` is gone"), "{all}");
    let left = std::fs::read_dir(world.path("state/containers")).expect("machines were made");
    assert_eq!(left.count(), 0, "{all}");
    assert!(!world.path(".lab").exists());
}

#[test]
fn a_machine_that_was_removed_by_hand_is_made_from_its_beginning() {
    let world = World::new();
    world.is_up();
    std::fs::remove_file(world.path("state/containers/etcdone")).expect("removed");
    world.write("state/hold", "");
    let run = world.call(&UP).follow(|_| {}).expect("the tool starts");
    wait_for(&world.path("state/began"));
    kill("-KILL", run.pids()[0]);
    drop(run);
    std::fs::remove_file(world.path("state/hold")).expect("removed");
    // What the one before it was given says nothing of this one: it would count as made when it only just runs.
    assert!(!world.path(".lab/small/deployed/machines/etcdone").exists());
    assert!(
        world
            .path(".lab/small/deployed/machines/masterone")
            .exists()
    );
}

#[test]
fn no_address_is_dialled_when_machines_run_and_their_network_is_not_here() {
    let world = World::new();
    world.is_up();
    let ended = world.run(&["up", "small"]);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains("no network of this computer has")
            && !ended.stderr.contains("not well"),
        "{}",
        ended.stderr
    );
}
