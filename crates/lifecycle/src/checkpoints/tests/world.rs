//! A lab whose machines are in memory.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use caravan_lab::Lab;
use caravan_vagrant::Error as VagrantError;
use caravan_vagrant::parts::{
    MachinePart, PartPlace, PartSink, PartSpace, PartStanding, PartStore, TransferError,
};
use tempfile::TempDir;

use crate::checkpoints::keep::Summing;
use crate::checkpoints::*;
use crate::events::{LifecycleEvent, LifecycleObserver};
use crate::{LabRun, OperationRecord};

const LAB: &str = r#"domain = "example.com"
kubernetes = "1.36"
subnet = "10.213.7.0/24"

[servers.server1]
[servers.server2]

[[machines]]
name = "etcdone"
role = "etcd"
server = "server2"
ip = "10.213.7.61"
memory_mib = 1024
cpus = 1

[[machines]]
name = "masterone"
role = "control-plane"
server = "server1"
ip = "10.213.7.51"
memory_mib = 2048
cpus = 2
"#;

/// What a part has, what is to be, and what it had.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    now: String,
    standing: PartStanding,
    new: Option<String>,
    old: Option<String>,
}

/// Parts in memory.
pub(super) struct FakeStore {
    parts: Vec<MachinePart>,
    models: Mutex<BTreeMap<String, Model>>,
    /// How much may be done before the runner is cut off.
    left: AtomicU64,
    pub(super) free: AtomicU64,
}

/// More than anything takes.
pub(super) const UNCUT: u64 = 1 << 40;

impl FakeStore {
    fn new() -> Self {
        let part = |machine: &str, name: &str| MachinePart {
            machine: machine.to_owned(),
            name: name.to_owned(),
            image: "sha256:cafe".to_owned(),
            place: PartPlace::Volume(format!("{machine}.{name}")),
        };
        let parts = vec![
            part("etcdone", "etcd"),
            part("etcdone", "root"),
            part("masterone", "root"),
        ];
        let model = |part: &MachinePart| {
            let model = Model {
                now: format!("first of {}", part.id()),
                standing: PartStanding::Untouched,
                new: None,
                old: None,
            };
            (part.id(), model)
        };
        Self {
            models: Mutex::new(parts.iter().map(model).collect()),
            parts,
            left: AtomicU64::new(UNCUT),
            free: AtomicU64::new(UNCUT),
        }
    }

    /// The runner is killed here, where it has done enough.
    fn step(&self) -> Result<(), VagrantError> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(VagrantError::Part {
                verb: "nothing",
                part: "any".to_owned(),
                said: "killed".to_owned(),
            });
        }
        self.left.store(left - 1, Ordering::Relaxed);
        Ok(())
    }

    /// Does something to a part, and is cut off before or after it.
    fn act(&self, part: &MachinePart, act: impl FnOnce(&mut Model)) -> Result<(), VagrantError> {
        self.step()?;
        let mut models = self.models.lock().expect("nobody panics");
        act(models.get_mut(&part.id()).expect("there"));
        drop(models);
        self.step()
    }

    pub(super) fn now(&self) -> Vec<String> {
        let models = self.models.lock().expect("nobody panics");
        models.values().map(|it| it.now.clone()).collect()
    }

    fn write(&self, word: &str) {
        for (id, model) in self.models.lock().expect("nobody panics").iter_mut() {
            model.now = format!("{word} of {id}");
        }
    }
}

/// An archive that has `text`.
pub(super) fn archive(text: &str) -> Vec<u8> {
    let mut archive = text.as_bytes().to_vec();
    archive.resize(512, b' ');
    archive.resize(512 + 1024, 0);
    archive
}

impl PartStore for FakeStore {
    fn parts(&self) -> &[MachinePart] {
        &self.parts
    }

    fn spaces(&self) -> Result<Vec<PartSpace>, VagrantError> {
        let space = PartSpace {
            used: 1024,
            free: self.free.load(Ordering::Relaxed),
        };
        Ok(vec![space; self.parts.len()])
    }

    fn standings(&self) -> Result<Vec<PartStanding>, VagrantError> {
        let models = self.models.lock().expect("nobody panics");
        let standing = |part: &MachinePart| models[&part.id()].standing.clone();
        Ok(self.parts.iter().map(standing).collect())
    }

    fn copy(&self, part: &MachinePart, to: &mut PartSink<'_>) -> Result<(), TransferError> {
        let mut text = String::new();
        let read = self.act(part, |model| text.clone_from(&model.now));
        read.map_err(TransferError::Part)?;
        to(&archive(&text)).map_err(TransferError::File)
    }

    fn stage(
        &self,
        part: &MachinePart,
        sum: &str,
        from: &mut dyn Read,
    ) -> Result<(), TransferError> {
        let mut content = Vec::new();
        from.read_to_end(&mut content)
            .map_err(TransferError::File)?;
        let mut summing = Summing::new(io::sink());
        summing.write_all(&content).expect("it sinks");
        assert_eq!(summing.end().2, sum, "what arrives is compared");
        let text = String::from_utf8_lossy(&content[..512]).trim().to_owned();
        let staged = self.act(part, |model| {
            assert_eq!(model.standing, PartStanding::Untouched);
            model.new = Some(text);
            model.standing = PartStanding::Staged(sum.to_owned());
        });
        staged.map_err(TransferError::Part)
    }

    fn swap(&self, parts: &[&MachinePart]) -> Result<(), VagrantError> {
        for part in parts {
            self.act(part, |model| {
                if let PartStanding::Staged(sum) = model.standing.clone() {
                    model.old = Some(std::mem::take(&mut model.now));
                    model.standing = PartStanding::Emptied(sum);
                }
            })?;
            self.act(part, |model| {
                if let PartStanding::Emptied(sum) = model.standing.clone() {
                    model.now = model.new.take().expect("staged");
                    model.standing = PartStanding::Swapped(sum);
                }
            })?;
        }
        Ok(())
    }

    fn take_back(&self, parts: &[&MachinePart]) -> Result<(), VagrantError> {
        for part in parts {
            self.act(part, |model| {
                if let Some(old) = model.old.take() {
                    model.now = old;
                }
                model.new = None;
                model.standing = PartStanding::Untouched;
            })?;
        }
        Ok(())
    }

    fn clean(&self, parts: &[&MachinePart]) -> Result<(), VagrantError> {
        for part in parts {
            self.act(part, |model| {
                assert!(
                    !matches!(
                        model.standing,
                        PartStanding::Staged(_) | PartStanding::Emptied(_)
                    ),
                    "{model:?}"
                );
                model.old = None;
                model.standing = PartStanding::Untouched;
            })?;
        }
        Ok(())
    }
}

struct Silent;

impl LifecycleObserver for Silent {
    fn event(&self, _: &LifecycleEvent<'_>) {}
}

/// A lab with state and machines in memory.
pub(super) struct World {
    _workspace: TempDir,
    pub(super) dir: LabDir,
    lab: Lab,
    pub(super) store: FakeStore,
    pub(super) runs: AtomicBool,
    versions: BTreeMap<String, String>,
}

/// What belongs to the state that is kept, and what else there is.
const KEPT: [&str; 4] = [
    "choices.toml",
    "pki/ca.key",
    "server1/machines/m.sh",
    "ssh/id",
];
pub(super) const NOT_KEPT: [&str; 2] = ["server1/.vagrant/id", "verify.json"];

impl World {
    pub(super) fn new() -> Self {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "small");
        dir.make().expect("made");
        let world = Self {
            _workspace: workspace,
            dir,
            lab: Lab::parse("small", LAB).expect("valid"),
            store: FakeStore::new(),
            runs: AtomicBool::new(false),
            versions: BTreeMap::new(),
        };
        world.write("first");
        world
    }

    pub(super) fn write(&self, word: &str) {
        self.store.write(word);
        for path in KEPT.iter().chain(&NOT_KEPT) {
            let path = self.dir.root().join(path);
            let folder = path.parent().expect("a folder");
            caravan_files::make_private_folder(folder).expect("made");
            fs::write(&path, word).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        }
    }

    fn missing(&self) -> Result<Vec<String>, Error> {
        match self.runs.load(Ordering::Relaxed) {
            false => Ok(Vec::new()),
            true => Err(Error::from(CheckpointError::Runs {
                lab: "small".to_owned(),
                machines: vec!["etcdone (running)".to_owned()],
            })),
        }
    }

    fn with<T>(&self, act: impl FnOnce(HaltedLab<'_>, &LabRun<'_>) -> T) -> T {
        let missing = || self.missing();
        let lab = HaltedLab {
            lab: &self.lab,
            dir: &self.dir,
            store: &self.store,
            versions: &self.versions,
            missing: &missing,
        };
        act(
            lab,
            &LabRun::begin("checkpoint", "small", &self.dir, &Silent),
        )
    }

    pub(super) fn save(&self, name: &str) -> Result<Checkpoint, Error> {
        let request = CheckpointRequest {
            name,
            reason: "asked for",
            automatic: false,
        };
        self.with(|lab, run| lab.save(run, &request))
    }

    pub(super) fn restore(&self, named: Option<&str>) -> Result<(), Error> {
        self.with(|lab, run| {
            let restoration = CheckpointRestoration { lab };
            restoration.run(run, &restoration.survey(named)?)
        })
    }

    pub(super) fn give_up(&self) -> Result<(), Error> {
        self.with(|lab, run| {
            let restoration = CheckpointRestoration { lab };
            restoration.give_up(run, &restoration.survey(None)?)
        })
    }

    /// Is killed when so much was done.
    pub(super) fn cut(&self, left: u64) {
        self.store.left.store(left, Ordering::Relaxed);
    }

    pub(super) fn is_under_way(&self) -> bool {
        OperationRecord::read(&self.dir).expect("read").is_some()
    }

    pub(super) fn automatic(&self) -> Vec<Checkpoint> {
        let all = list(&self.dir).into_iter();
        all.filter(|it| it.record.automatic).collect()
    }

    /// Holds that machines and state are what they were when `word` was written, and nothing is left over.
    pub(super) fn assert_is(&self, word: &str) {
        let all = |part: &String| part.starts_with(&format!("{word} of "));
        assert!(self.store.now().iter().all(all), "{:?}", self.store.now());
        for path in KEPT {
            let path = self.dir.root().join(path);
            assert_eq!(fs::read_to_string(&path).expect("there"), word);
            assert_eq!(mode(&path), 0o600);
        }
        assert_eq!(mode(&self.dir.pki()), 0o700);
        let models = self.store.models.lock().expect("nobody panics");
        for model in models.values() {
            assert_eq!(model.standing, PartStanding::Untouched);
            assert_eq!((&model.new, &model.old), (&None, &None));
        }
        assert!(!self.is_under_way());
    }

    pub(super) fn hidden(&self) -> usize {
        let entries = fs::read_dir(self.dir.checkpoints())
            .expect("read")
            .flatten();
        let names = entries.map(|it| it.file_name());
        names
            .filter(|it| it.to_string_lossy().starts_with('.'))
            .count()
    }
}

pub(super) fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}
