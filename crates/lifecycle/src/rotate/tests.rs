//! The order of a rotation with made-up machines that refuse what would do harm, cut off everywhere and continued.

use std::cell::{Cell, RefCell};

use super::drive::{RotatedLab, rotate};
use super::*;

/// Which authorities a server trusts, or which one has signed what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Old,
    Both,
    New,
}

impl Trust {
    fn accepts(self, is_new: bool) -> bool {
        match self {
            Self::Old => !is_new,
            Self::Both => true,
            Self::New => is_new,
        }
    }
}

/// A machine: what it has on its disk, and what its server goes by, which has read that when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ModelMachine {
    name: &'static str,
    is_server: bool,
    runs: bool,
    disk_trust: Trust,
    trust: Trust,
    /// Read at each handshake.
    leaf_is_new: bool,
}

/// The runner was killed.
#[derive(Debug)]
struct Killed;

/// A lab that does what steps ask for and refuses what would do harm.
struct Model {
    store: Cell<StoreStanding>,
    machines: RefCell<Vec<ModelMachine>>,
    settled: Cell<bool>,
    words: RefCell<Vec<String>>,
    /// After how many changes the runner is killed.
    left: Cell<Option<usize>>,
    /// Who leads changes with each restart.
    leads: Cell<usize>,
}

impl Model {
    fn new() -> Self {
        let machine = |name, is_server| ModelMachine {
            name,
            is_server,
            runs: true,
            disk_trust: Trust::Old,
            trust: Trust::Old,
            leaf_is_new: false,
        };
        let servers = ["etcdone", "etcdtwo", "etcdthree"].map(|it| machine(it, true));
        let followers = ["masterone", "mastertwo"].map(|it| machine(it, false));
        Self {
            store: Cell::new(StoreStanding::Old),
            machines: RefCell::new([&servers[..], &followers[..]].concat()),
            settled: Cell::new(false),
            words: RefCell::default(),
            left: Cell::new(None),
            leads: Cell::new(0),
        }
    }

    /// Something was changed: nobody may be refused who is to be let in, and the runner may end here.
    fn changed(&self) -> Result<(), Killed> {
        let machines = self.machines.borrow();
        let down: Vec<&str> = machines
            .iter()
            .filter(|it| !it.runs)
            .map(|it| it.name)
            .collect();
        assert!(down.len() <= 1, "at once: {down:?}");
        for client in machines.iter() {
            for server in machines.iter().filter(|it| it.is_server && it.runs) {
                assert!(
                    server.trust.accepts(client.leaf_is_new),
                    "{client:?} {server:?}"
                );
                assert!(
                    client.trust.accepts(server.leaf_is_new),
                    "{client:?} {server:?}"
                );
            }
        }
        match self.left.get() {
            Some(0) => Err(Killed),
            Some(left) => {
                self.left.set(Some(left - 1));
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut ModelMachine)) -> Result<(), Killed> {
        let mut machines = self.machines.borrow_mut();
        let machine = machines
            .iter_mut()
            .find(|it| it.name == name)
            .expect("a machine");
        change(machine);
        drop(machines);
        self.changed()
    }

    fn get(&self, name: &str) -> ModelMachine {
        let machines = self.machines.borrow();
        machines
            .iter()
            .find(|it| it.name == name)
            .expect("a machine")
            .clone()
    }

    /// Runs until it is done, or has changed so much; returns whether it is done.
    fn run(&self, changes: Option<usize>) -> bool {
        self.left.set(changes);
        rotate(self).is_ok()
    }

    fn end(&self) -> (StoreStanding, Vec<ModelMachine>, bool) {
        (
            self.store.get(),
            self.machines.borrow().clone(),
            self.settled.get(),
        )
    }
}

impl RotatedLab for Model {
    type Error = Killed;

    fn standing(&self) -> Result<StoreStanding, Killed> {
        Ok(self.store.get())
    }

    fn advance(&self, stage: RotationStage) -> Result<(), Killed> {
        let to = match (stage, self.store.get()) {
            (RotationStage::TrustBoth, StoreStanding::Old) => StoreStanding::Both,
            (RotationStage::Reissue, StoreStanding::Both) => StoreStanding::Switched,
            (RotationStage::TrustNew, StoreStanding::Switched) => StoreStanding::New,
            (_, same) => same,
        };
        self.store.set(to);
        self.changed()
    }

    fn servers(&self) -> Result<Vec<String>, Killed> {
        let machines = self.machines.borrow();
        let names = machines.iter().filter(|it| it.is_server);
        let mut names: Vec<String> = names.map(|it| it.name.to_owned()).collect();
        let count = names.len();
        names.rotate_left(self.leads.get() % count);
        Ok(names)
    }

    fn followers(&self) -> Vec<String> {
        let machines = self.machines.borrow();
        let names = machines.iter().filter(|it| !it.is_server);
        names.map(|it| it.name.to_owned()).collect()
    }

    fn give(&self, stage: RotationStage, name: &str) -> Result<(), Killed> {
        let trust = match self.store.get() {
            StoreStanding::Old => Trust::Old,
            StoreStanding::Both | StoreStanding::Switched => Trust::Both,
            StoreStanding::New => Trust::New,
        };
        if stage == RotationStage::Reissue {
            return self.change(name, |it| it.leaf_is_new = true);
        }
        if self.get(name).disk_trust != trust {
            self.change(name, |it| it.disk_trust = trust)?;
        }
        let now = self.get(name);
        if now.trust != trust || !now.runs {
            self.change(name, |it| it.runs = false)?;
            self.leads.set(self.leads.get() + 1);
            self.change(name, |it| {
                it.runs = true;
                it.trust = it.disk_trust;
            })?;
        }
        Ok(())
    }

    fn conclude(&self, _stage: RotationStage) -> Result<(), Killed> {
        self.changed()
    }

    fn settle(&self) -> Result<(), Killed> {
        let machines = self.machines.borrow();
        for it in machines.iter() {
            assert!(
                it.leaf_is_new && it.trust == Trust::New && it.runs,
                "{it:?}"
            );
        }
        drop(machines);
        self.settled.set(true);
        self.changed()
    }

    fn reached(&self, word: &str) -> Result<(), Killed> {
        self.words.borrow_mut().push(word.to_owned());
        // A test's kill switch ends it here.
        self.changed()
    }
}

#[test]
fn each_step_has_its_word() {
    let model = Model::new();
    assert!(model.run(None));
    let words = model.words.borrow();
    for word in [
        "trust-both begun",
        "trust-both 2/3",
        "trust-both masterone",
        "trust-both",
        "reissue 1/3",
        "trust-new 2/3",
        "trust-new mastertwo",
        "settled",
    ] {
        assert_eq!(words.iter().filter(|it| *it == word).count(), 1, "{word}");
    }
}

#[test]
fn a_runner_killed_anywhere_is_continued() {
    let undisturbed = Model::new();
    assert!(undisturbed.run(None));
    let count = (1..)
        .find(|count| Model::new().run(Some(*count)))
        .expect("it ends");
    assert!(count > 50, "{count} changes");
    for first in 0..count {
        for second in (0..count).step_by(3) {
            let model = Model::new();
            assert!(!model.run(Some(first)));
            model.run(Some(second));
            assert!(model.run(None));
            assert_eq!(
                model.end(),
                undisturbed.end(),
                "killed at {first}, then {second}"
            );
        }
    }
}

#[test]
fn a_second_rotation_after_the_first_changes_nothing_twice() {
    let model = Model::new();
    assert!(model.run(None));
    let end = model.end();
    // Settled and killed before that was forgotten.
    assert!(model.run(None));
    assert_eq!(model.end(), end);
}

#[test]
fn what_the_store_is_beyond_is_not_done_again() {
    let words = |store| stages(store).iter().map(|it| it.word()).collect::<Vec<_>>();
    assert_eq!(
        words(StoreStanding::Old),
        ["trust-both", "reissue", "trust-new"]
    );
    assert_eq!(
        words(StoreStanding::Both),
        ["trust-both", "reissue", "trust-new"]
    );
    assert_eq!(words(StoreStanding::Switched), ["reissue", "trust-new"]);
    assert_eq!(words(StoreStanding::New), ["trust-new"]);
}
