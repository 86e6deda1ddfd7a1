//! The one place that joins paths below `.lab/`; `docs/state.md` mirrors it.

use std::fs;
use std::path::{Path, PathBuf};

use caravan_lab::state;
use caravan_process::Computer;
use caravan_vagrant::provider::LabProjects;

use crate::Error;

/// The state folder of one lab, `.lab/<lab>/`: 0700, like every folder below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabDir {
    root: PathBuf,
}

impl LabDir {
    /// The state folder of `lab` in the workspace at `workspace`; nothing is made yet.
    pub fn new(workspace: &Path, lab: &str) -> Self {
        Self {
            root: all(workspace).join(lab),
        }
    }

    /// Makes the folder where it is absent, and takes away what group and others may do in it.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] where it cannot be made.
    pub fn make(&self) -> Result<(), Error> {
        if let Some(all) = self.root.parent() {
            caravan_files::make_private_folder(all)?;
        }
        caravan_files::make_private_folder(&self.root)?;
        caravan_files::make_private_folder(&self.logs())?;
        caravan_files::make_private_folder(&self.timelines())?;
        Ok(())
    }

    /// Whether there is any state of this lab.
    pub fn exists(&self) -> bool {
        self.root.is_dir()
    }

    /// The name of the lab.
    pub fn lab(&self) -> String {
        let name = self.root.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Who runs a verb on this lab now.
    pub fn lock(&self) -> PathBuf {
        self.root.join(state::LOCK)
    }

    /// What `up` was asked for.
    pub fn choices(&self) -> PathBuf {
        self.root.join("choices.toml")
    }

    /// Which cluster was made.
    pub fn cluster(&self) -> PathBuf {
        self.root.join("cluster.toml")
    }

    /// Which operation of several steps is under way.
    pub fn operation(&self) -> PathBuf {
        self.root.join("operation.json")
    }

    /// A client of the certificate authority that a rotation under way is to end, certificate and key; or a token of the key.
    pub fn retiring(&self) -> PathBuf {
        self.root.join("retiring.pem")
    }

    /// The store of keys and certificates.
    pub fn pki(&self) -> PathBuf {
        self.root.join(state::PKI)
    }

    /// The lab's own ssh key and the host keys of its machines.
    pub fn ssh(&self) -> PathBuf {
        self.root.join(state::SSH)
    }

    /// The private key that every machine lets in.
    pub fn ssh_key(&self) -> PathBuf {
        self.ssh().join("id_ecdsa")
    }

    /// The host keys seen so far.
    pub fn known_hosts(&self) -> PathBuf {
        self.ssh().join("known_hosts")
    }

    /// What Vagrant takes for the user's own folder, for machines that need nothing of it. No server's name has a dot.
    pub fn vagrant_home(&self) -> PathBuf {
        self.root.join("vagrant.d")
    }

    /// The Vagrant projects of the lab.
    pub fn projects(&self) -> LabProjects {
        LabProjects {
            computer: Computer::Here,
            folder: self.root.clone(),
            logs: self.logs(),
            vagrant_home: self.vagrant_home(),
            only: None,
        }
    }

    /// The Vagrant project of one server.
    pub fn group(&self, server: &str) -> PathBuf {
        self.root.join(server)
    }

    /// The Vagrantfile of one server.
    pub fn vagrantfile(&self, server: &str) -> PathBuf {
        self.group(server).join("Vagrantfile")
    }

    /// The files of one machine, as the archive that its provisioner unpacks.
    pub fn archive(&self, server: &str, machine: &str) -> PathBuf {
        self.group(server)
            .join("machines")
            .join(format!("{machine}.sh"))
    }

    /// What was given to the machines that exist.
    pub fn deployed(&self) -> PathBuf {
        self.root.join(state::DEPLOYED)
    }

    /// The lab file as it was when the machines were made.
    pub fn deployed_lab(&self) -> PathBuf {
        self.deployed().join("lab.toml")
    }

    /// The files of one machine as they were when it was made, in a tree shaped like its own.
    pub fn deployed_files(&self, machine: &str) -> PathBuf {
        self.deployed().join("machines").join(machine)
    }

    /// What one machine was made from.
    pub fn deployed_record(&self, machine: &str) -> PathBuf {
        self.deployed()
            .join("records")
            .join(format!("{machine}.toml"))
    }

    /// The operator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join(state::KUBECONFIG)
    }

    /// Which files its contexts were merged into.
    pub fn merged(&self) -> PathBuf {
        self.root.join("merged.toml")
    }

    /// What came of the last `verify`, whoever ran it.
    pub fn verify_report(&self) -> PathBuf {
        self.root.join("verify.json")
    }

    /// What `bench up` has measured last. Beside the folder, which goes with the machines that were measured.
    pub fn bench(&self) -> PathBuf {
        self.root
            .with_file_name(format!("{}.bench.json", self.lab()))
    }

    /// The folder of what drills have seen.
    pub fn drills(&self) -> PathBuf {
        self.root.join(state::DRILLS)
    }

    /// The records of the drill called `name`, such as `20261129T120000Z-etcd-leader-crash`.
    pub fn drill(&self, name: &str) -> PathBuf {
        self.drills().join(format!("{name}.jsonl"))
    }

    /// The folder of the user's own images.
    pub fn images(&self) -> PathBuf {
        self.root.join(state::IMAGES)
    }

    /// Which images were asked for, and for which machines.
    pub fn image_record(&self) -> PathBuf {
        self.images().join("images.toml")
    }

    /// The archive of the image with this digest, `sha256:` and 64 hexadecimal digits.
    pub fn image_archive(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        self.images().join(format!("{hex}.tar"))
    }

    /// The folder of etcd's snapshots.
    pub fn snapshots(&self) -> PathBuf {
        self.root.join(state::SNAPSHOTS)
    }

    /// The folder of checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join(state::CHECKPOINTS)
    }

    /// The folder of timelines.
    pub fn timelines(&self) -> PathBuf {
        self.root.join(state::TIMELINE)
    }

    /// The timeline of the run that began at `utc`, such as `20261121T120000Z`.
    pub fn timeline(&self, utc: &str) -> PathBuf {
        self.timelines().join(format!("{utc}.json"))
    }

    /// The folder of logs.
    pub fn logs(&self) -> PathBuf {
        self.root.join(state::LOGS)
    }

    /// Everything Vagrant said about one server.
    pub fn log(&self, server: &str) -> PathBuf {
        self.logs().join(format!("{server}.log"))
    }
}

/// The folder that holds the state of all labs.
pub(crate) fn all(workspace: &Path) -> PathBuf {
    workspace.join(".lab")
}

/// The names of the labs that have state, sorted.
pub fn names(workspace: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(all(workspace)) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("made").permissions().mode() & 0o777
    }

    #[test]
    fn folders_are_the_owners_alone() {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        assert!(!dir.exists());
        dir.make().expect("made");
        for path in [
            all(workspace.path()),
            dir.root().to_owned(),
            dir.logs(),
            dir.timelines(),
        ] {
            assert_eq!(mode(&path), 0o700, "{}", path.display());
        }
        assert_eq!(names(workspace.path()), ["ha"]);
    }

    #[test]
    fn a_folder_that_was_open_is_closed() {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        fs::create_dir_all(dir.root()).expect("made");
        fs::set_permissions(dir.root(), Permissions::from_mode(0o755)).expect("opened");
        dir.make().expect("made");
        assert_eq!(mode(dir.root()), 0o700);
    }

    #[test]
    fn no_server_can_have_the_name_of_another_part() {
        let dir = LabDir::new(Path::new("/w"), "ha");
        let parts = [
            dir.lock(),
            dir.choices(),
            dir.cluster(),
            dir.operation(),
            dir.retiring(),
            dir.pki(),
            dir.ssh(),
            dir.vagrant_home(),
            dir.deployed(),
            dir.kubeconfig(),
            dir.merged(),
            dir.verify_report(),
            dir.timelines(),
            dir.drills(),
            dir.images(),
            dir.snapshots(),
            dir.checkpoints(),
            dir.logs(),
        ];
        for part in parts {
            let name = part.file_name().expect("a name").to_str().expect("text");
            let source = include_str!("../../../labs/ha.toml")
                .replace("server1]", &format!("\"{name}\"]"))
                .replace("\"server1\"", &format!("\"{name}\""));
            let faults = caravan_lab::Lab::parse("ha", &source).expect_err(name);
            let rules: Vec<_> = faults.iter().map(|fault| fault.rule.name()).collect();
            let expected = match name.contains('.') {
                true => "invalid-name",
                false => "reserved-name",
            };
            assert_eq!(rules, [expected], "{name}: {faults}");
        }
    }

    #[test]
    fn every_path_is_inside() {
        let dir = LabDir::new(Path::new("/w"), "ha");
        for path in [
            dir.lock(),
            dir.choices(),
            dir.cluster(),
            dir.pki(),
            dir.ssh_key(),
            dir.known_hosts(),
            dir.vagrant_home(),
            dir.vagrantfile("server1"),
            dir.archive("server1", "masterone"),
            dir.deployed_lab(),
            dir.deployed_files("masterone"),
            dir.deployed_record("masterone"),
            dir.kubeconfig(),
            dir.merged(),
            dir.timeline("20261121T120000Z"),
            dir.log("server1"),
            dir.image_record(),
            dir.image_archive("sha256:00"),
        ] {
            assert!(path.starts_with("/w/.lab/ha"), "{}", path.display());
        }
    }
}
