//! Checkpoints of a lab whose machines are in memory, with the runner cut off before and after all that is done to them.

mod world;

use std::fs;
use std::io::{self, Write as _};
use std::sync::atomic::Ordering;

use self::world::{NOT_KEPT, UNCUT, World, archive, mode};
use super::keep::Summing;
use super::*;
use crate::CheckpointFault;

#[test]
fn a_checkpoint_is_complete_or_absent() {
    let mut cuts = 0;
    loop {
        let world = World::new();
        world.cut(cuts);
        let saved = world.save("monday");
        world.cut(UNCUT);
        let Err(error) = saved else { break };
        assert!(matches!(error, Error::Vagrant(_)), "{error}");
        assert!(list(&world.dir).is_empty());
        // A runner that is killed leaves what it had copied; the next one removes it.
        fs::create_dir(world.dir.checkpoints().join(".saving-x")).expect("made");
        world.save("monday").expect("saved");
        assert_eq!((list(&world.dir).len(), world.hidden()), (1, 0));
        cuts += 1;
    }
    assert!(cuts >= 6, "cut {cuts} times");
}

#[test]
fn a_checkpoint_tells_what_it_is_of_and_is_its_owners_alone() {
    let world = World::new();
    let saved = world.save("monday").expect("saved");
    assert_eq!(find(&world.dir, "monday").expect("found"), saved);
    assert_eq!(find(&world.dir, "latest").expect("found"), saved);
    let machines: Vec<(&str, usize)> = (saved.record.machines.iter())
        .map(|it| (it.name.as_str(), it.parts.len()))
        .collect();
    assert_eq!(machines, [("etcdone", 2), ("masterone", 1)]);
    assert_eq!(mode(&saved.folder), 0o700);
    for file in saved.record.files() {
        let path = saved.folder.join(&file.file);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::metadata(&path).expect("there").len(), file.bytes);
    }
    assert_eq!(mode(&saved.folder.join(RECORD)), 0o600);
    keep::hold_whole(&saved).expect("whole");
    let again = world.save("monday").expect_err("there is one");
    assert!(matches!(
        again,
        Error::Checkpoint(CheckpointError::Exists { .. })
    ));
}

#[test]
fn a_runner_killed_anywhere_is_continued() {
    let mut cuts = 0;
    loop {
        let world = World::new();
        world.save("monday").expect("saved");
        world.write("second");
        world.cut(cuts);
        let restored = world.restore(Some("monday"));
        world.cut(UNCUT);
        if let Err(error) = &restored {
            assert!(matches!(error, Error::Vagrant(_)), "{error}");
            // Before anything is noted nothing was changed, and the same command begins anew.
            let named = (!world.is_under_way()).then_some("monday");
            world.restore(named).expect("gone on with");
        }
        world.assert_is("first");
        for path in NOT_KEPT {
            let text = fs::read_to_string(world.dir.root().join(path)).expect("there");
            assert_eq!(text, "second", "{path} is not a part of it");
        }
        let kept = world.automatic();
        assert_eq!(kept.len(), 1, "what was there before is kept once");
        assert_eq!(world.hidden(), 0);
        // Nothing is lost: what was there before can be had again.
        world.restore(Some(&kept[0].name())).expect("restored");
        world.assert_is("second");
        if restored.is_ok() {
            break;
        }
        cuts += 1;
    }
    assert!(cuts >= 20, "cut {cuts} times");
}

#[test]
fn given_up_in_time_all_is_as_it_was() {
    let (mut cuts, mut returned, mut refused) = (0, 0, 0);
    loop {
        let world = World::new();
        world.save("monday").expect("saved");
        world.write("second");
        world.cut(cuts);
        let restored = world.restore(Some("monday"));
        world.cut(UNCUT);
        if restored.is_ok() {
            break;
        }
        cuts += 1;
        if !world.is_under_way() {
            world.assert_is("second");
            continue;
        }
        match world.give_up() {
            Ok(()) => {
                world.assert_is("second");
                returned += 1;
            }
            Err(Error::Checkpoint(CheckpointError::NoWayBack { .. })) => {
                let now = world.store.now();
                assert!(now.iter().all(|it| it.starts_with("first")), "{now:?}");
                world.restore(None).expect("gone on with");
                world.assert_is("first");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(returned >= 5 && refused >= 3, "{returned}, {refused}");
    let world = World::new();
    let error = world.give_up().expect_err("nothing is under way");
    assert!(matches!(
        error,
        Error::Checkpoint(CheckpointError::NotUnderWay { .. })
    ));
}

#[test]
fn giving_up_that_is_killed_is_gone_on_with() {
    let at_the_first_swap = 6 + 6 + 3;
    for cuts in 0..6 {
        let world = World::new();
        world.save("monday").expect("saved");
        world.write("second");
        world.cut(at_the_first_swap);
        world.restore(Some("monday")).expect_err("killed");
        world.cut(cuts);
        world.give_up().expect_err("killed");
        world.cut(UNCUT);
        world.give_up().expect("given up");
        world.assert_is("second");
    }
}

/// Why a restoration is refused; nothing may be changed by then.
fn refused(world: &World, named: &str) -> CheckpointError {
    let before = world.store.now();
    let error = world.restore(Some(named)).expect_err("refused");
    assert_eq!(world.store.now(), before);
    assert!(!world.is_under_way());
    assert!(world.automatic().is_empty(), "not even kept");
    match error {
        Error::Checkpoint(error) => error,
        error => panic!("{error}"),
    }
}

fn fault(world: &World) -> CheckpointFault {
    match refused(world, "monday") {
        CheckpointError::Refused { fault, .. } => fault,
        error => panic!("{error}"),
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_changed() {
    let world = World::new();
    assert!(matches!(
        refused(&world, "monday"),
        CheckpointError::NoSuch { .. }
    ));
    let saved = world.save("monday").expect("saved");
    world.write("second");

    world.runs.store(true, Ordering::Relaxed);
    assert!(matches!(
        refused(&world, "monday"),
        CheckpointError::Runs { .. }
    ));
    world.runs.store(false, Ordering::Relaxed);

    world.store.free.store(1 << 20, Ordering::Relaxed);
    assert!(matches!(
        refused(&world, "monday"),
        CheckpointError::NoRoom { .. }
    ));
    world.store.free.store(UNCUT, Ordering::Relaxed);

    let told = saved.folder.join(RECORD);
    let text = fs::read_to_string(&told).expect("read");
    for (from, to) in [
        ("\"lab\": \"small\"", "\"lab\": \"other\""),
        ("10.213.7.61", "10.213.7.62"),
        ("\"server\": \"server2\"", "\"server\": \"server1\""),
        ("\"image\": \"sha256:cafe\"", "\"image\": \"sha256:beef\""),
        ("\"name\": \"etcd\"", "\"name\": \"kubelet\""),
    ] {
        assert!(text.contains(from), "{from} in {text}");
        fs::write(&told, text.replace(from, to)).expect("written");
        let fault = fault(&world);
        let expected = match from {
            _ if from.contains("lab") => matches!(fault, CheckpointFault::OtherLab { .. }),
            _ if from.contains("image") => matches!(fault, CheckpointFault::OtherImage { .. }),
            _ if from.contains("etcd") => matches!(fault, CheckpointFault::OtherParts { .. }),
            _ => matches!(fault, CheckpointFault::OtherMachine { .. }),
        };
        assert!(expected, "{from}: {fault:?}");
    }
    fs::write(&told, text).expect("written");

    let file = saved.folder.join("etcdone.etcd.tar");
    let content = fs::read(&file).expect("read");
    let mut flipped = content.clone();
    flipped[7] ^= 1;
    for damaged in [Some(&flipped[..]), Some(&content[1..]), None] {
        match damaged {
            Some(damaged) => fs::write(&file, damaged).expect("written"),
            None => fs::remove_file(&file).expect("removed"),
        }
        assert!(matches!(fault(&world), CheckpointFault::File { .. }));
    }
    fs::write(&file, content).expect("written");
    world.restore(Some("monday")).expect("whole again");
    world.assert_is("first");
}

#[test]
fn while_one_is_put_back_nothing_else_is_begun() {
    let world = World::new();
    world.save("monday").expect("saved");
    world.save("tuesday").expect("saved");
    world.cut(6 + 1);
    world.restore(Some("monday")).expect_err("killed");
    world.cut(UNCUT);
    assert!(world.is_under_way());
    for refused in [
        world.save("wednesday").map(drop),
        world.restore(Some("tuesday")),
    ] {
        let error = refused.expect_err("refused");
        assert!(matches!(error, Error::OperationOpen { .. }), "{error}");
        let hint = error.hint("the tool").expect("a hint");
        assert!(
            hint.contains("`the tool checkpoint restore small monday` goes on"),
            "{hint}"
        );
    }
    world.runs.store(true, Ordering::Relaxed);
    assert!(matches!(
        world.restore(None),
        Err(Error::Checkpoint(CheckpointError::Runs { .. }))
    ));
    world.runs.store(false, Ordering::Relaxed);
    world.restore(Some("monday")).expect("the same goes on");
    world.assert_is("first");
}

#[test]
fn a_copy_that_does_not_end_as_one_is_none() {
    for (piece, is_whole) in [
        (archive("text"), true),
        (archive("text")[..1024].to_vec(), false),
        (archive("text")[1..].to_vec(), false),
        (Vec::new(), false),
    ] {
        let mut sum = Summing::new(io::sink());
        for part in piece.chunks(100) {
            sum.write_all(part).expect("it sinks");
        }
        assert_eq!(sum.is_whole_archive(), is_whole);
    }
}

#[test]
fn names_are_a_folders() {
    for name in ["monday", "20261130T120000Z", "v1.36_before-upgrade", "a"] {
        hold_name(name).expect(name);
    }
    let long = "a".repeat(65);
    for name in [
        "", ".hidden", "-x", "a/b", "..", "latest", "ä", "a b", &long,
    ] {
        assert!(hold_name(name).is_err(), "{name}");
    }
}

#[test]
fn one_that_is_removed_is_gone_at_once() {
    let world = World::new();
    world.save("monday").expect("saved");
    remove(&world.dir, "monday").expect("removed");
    assert!(names(&world.dir).is_empty());
    assert_eq!(world.hidden(), 0);
    assert!(remove(&world.dir, "monday").is_err());
}

#[test]
fn no_two_steps_have_one_word() {
    let words: std::collections::BTreeSet<_> =
        CheckpointStep::ALL.iter().map(|it| it.word()).collect();
    assert_eq!(words.len(), CheckpointStep::ALL.len());
}
