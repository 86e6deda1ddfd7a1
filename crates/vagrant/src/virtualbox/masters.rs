//! Masters of linked clones: machines that Vagrant imports once per box and never starts.

use std::collections::{BTreeMap, BTreeSet};

use super::{VirtualBox, read, side_by_side};
use crate::Error;

/// A machine, with the disks that it has and those below them.
struct Disks {
    name: String,
    uuid: String,
    all: BTreeSet<String>,
}

impl VirtualBox {
    /// Removes machines that were imported of boxes whose names begin with `prefix`, but those of boxes in `keep`, and those
    /// whose disks others stand on; returns their names.
    ///
    /// Vagrant calls such a machine as its box, followed by `_` and figures.
    ///
    /// # Errors
    ///
    /// [`Error::Process`]: what was removed until then is gone.
    pub fn remove_masters(&self, prefix: &str, keep: &[String]) -> Result<Vec<String>, Error> {
        let machines = read::machines(&self.ask(["list", "vms"])?);
        let is_ours = |name: &str| {
            let of_kept = |kept: &String| name.split('_').next() == Some(kept);
            name.starts_with(prefix) && !keep.iter().any(of_kept)
        };
        if !machines.iter().any(|(name, _)| is_ours(name)) {
            return Ok(Vec::new());
        }
        let parents = read::parents(&self.ask(["list", "hdds"])?);
        let disks = side_by_side(&machines, |(name, uuid)| {
            let info = self.ask_of(uuid, &["showvminfo", uuid, "--machinereadable"])?;
            Ok(Disks {
                name: name.clone(),
                uuid: uuid.clone(),
                all: read::disks(&info.unwrap_or_default())
                    .into_iter()
                    .flat_map(|disk| chain(disk, &parents))
                    .collect(),
            })
        })?;
        let mut removed = Vec::new();
        for master in disks.iter().filter(|machine| is_ours(&machine.name)) {
            let others = disks.iter().filter(|other| other.uuid != master.uuid);
            if others
                .into_iter()
                .any(|other| !other.all.is_disjoint(&master.all))
            {
                continue;
            }
            self.remove(&[&master.uuid])?;
            removed.push(master.name.clone());
        }
        Ok(removed)
    }
}

/// A disk and those below it.
fn chain(disk: String, parents: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = vec![disk];
    while let Some(parent) = found.last().and_then(|disk| parents.get(disk)) {
        if found.contains(parent) {
            break;
        }
        found.push(parent.clone());
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use caravan_process::Program;

    use super::*;

    /// A fake VirtualBox with machines: name, UUID's last digit, disk.
    fn with_machines(machines: &[(&str, u8, &str)], hdds: &str) -> (tempfile::TempDir, VirtualBox) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, digit, disk) in machines {
            let uuid = format!("00000000-0000-4000-8000-00000000000{digit}");
            let vm = folder.path().join("vms").join(uuid);
            fs::create_dir_all(&vm).expect("made");
            for (file, text) in [("name", *name), ("state", "poweroff"), ("disk", disk)] {
                fs::write(vm.join(file), text).expect("written");
            }
        }
        fs::write(folder.path().join("hdds"), hdds).expect("written");
        let fake = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fakes/VBoxManage");
        let program = folder.path().join("VBoxManage");
        std::os::unix::fs::symlink(fake, &program).expect("linked");
        let virtualbox = VirtualBox::with(Program::at(program));
        (folder, virtualbox)
    }

    const HDDS: &str = "UUID:           base-a\nParent UUID:    base\nState:          created\n\n\
                        UUID:           master-a\nParent UUID:    base-a\nState:          created\n\n\
                        UUID:           clone-a\nParent UUID:    base-a\nState:          created\n\n\
                        UUID:           base-b\nParent UUID:    base\nState:          created\n\n\
                        UUID:           base-c\nParent UUID:    base\nState:          created\n";

    #[test]
    fn a_master_stays_while_a_clone_stands_on_it() {
        let (_folder, virtualbox) = with_machines(
            &[
                ("caravan-machine-a_17_1", 1, "master-a"),
                ("caravan-ha-etcdone", 2, "clone-a"),
                ("caravan-machine-b_17_2", 3, "base-b"),
                ("caravan-machine-c_17_3", 4, "base-c"),
                ("somebody's", 5, "base-x"),
            ],
            HDDS,
        );
        let keep = ["caravan-machine-c".to_owned()];
        let removed = virtualbox
            .remove_masters("caravan-machine-", &keep)
            .expect("done");
        assert_eq!(removed, ["caravan-machine-b_17_2"]);
        // Once the clone is gone, its master may go.
        let clone = "00000000-0000-4000-8000-000000000002";
        virtualbox.remove(&[clone]).expect("removed");
        let removed = virtualbox
            .remove_masters("caravan-machine-", &keep)
            .expect("done");
        assert_eq!(removed, ["caravan-machine-a_17_1"]);
        let left = read::machines(&virtualbox.ask(["list", "vms"]).expect("listed"));
        assert_eq!(left.len(), 2);
    }

    #[test]
    fn without_a_master_nothing_else_is_asked() {
        let (folder, virtualbox) = with_machines(&[("somebody's", 1, "x")], "");
        assert!(
            virtualbox
                .remove_masters("caravan-machine-", &[])
                .expect("done")
                .is_empty()
        );
        let calls = fs::read_to_string(folder.path().join("vbox-calls")).expect("calls");
        assert_eq!(calls, "list vms\n");
    }
}
