//! What each machine was made from: an upgrade, or a lab whose machines were made at different times, has several.

use caravan_lab::Machine;
use caravan_render::{Settings, Software};
use serde::{Deserialize, Serialize};

use crate::{Error, LabDir, state_file};

/// What a machine was given when it was last made or provisioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// The machine image or box.
    pub image: String,
    /// The version of Kubernetes, such as `1.36.3`.
    pub kubernetes: String,
    /// The version of etcd.
    pub etcd: String,
    /// The version of containerd.
    pub containerd: String,
    /// When, RFC 3339, UTC.
    pub given: String,
}

impl MachineRecord {
    /// `machine` is given this, now.
    pub fn given_now(machine: &Machine, software: &Software, settings: &Settings) -> Self {
        let provider = settings.provider_of(machine);
        Self {
            image: settings.image_name(provider).to_owned(),
            kubernetes: software.kubernetes.clone(),
            etcd: software.etcd.clone(),
            containerd: software.containerd.clone(),
            given: crate::state_file::now(),
        }
    }

    /// Reads what `machine` was given; nothing where it was given nothing, or by a version that kept no record.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], also where the file makes no sense.
    pub fn read(dir: &LabDir, machine: &str) -> Result<Option<Self>, Error> {
        state_file::read(dir.deployed_record(machine))
    }

    /// Keeps it for `machine`.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn write(&self, dir: &LabDir, machine: &str) -> Result<(), Error> {
        let path = dir.deployed_record(machine);
        if let Some(folder) = path.parent() {
            caravan_files::make_private_folder(folder)?;
        }
        state_file::write(&path, "", self)
    }

    /// Forgets what `machine` was given; nothing need be kept.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn forget(dir: &LabDir, machine: &str) -> Result<(), Error> {
        Ok(caravan_files::remove_file(&dir.deployed_record(machine))?)
    }
}

#[cfg(test)]
mod tests {
    use caravan_lab::{Lab, Provider};
    use caravan_render::MachineImage;

    use super::*;

    #[test]
    fn it_is_kept_and_forgotten() {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        assert_eq!(MachineRecord::read(&dir, "lbone").expect("absent"), None);
        let lab = Lab::parse("ha", include_str!("../../../labs/ha.toml")).expect("valid");
        let image = MachineImage::named("caravan-machine:one");
        let mut settings = Settings::of_one_provider(&lab, Provider::Docker, image);
        settings
            .providers
            .insert("server1".to_owned(), Provider::Libvirt);
        let record = |machine: &str| {
            let machine = lab.machine(machine).expect("in the lab");
            MachineRecord::given_now(machine, &Software::example(), &settings)
        };
        assert_eq!(record("lbtwo").image, "caravan-machine:one");
        // Of another server.
        assert_eq!(record("masterone").image, "caravan-machine:not-made-yet");
        let record = record("lbtwo");
        record.write(&dir, "lbone").expect("written");
        assert_eq!(
            MachineRecord::read(&dir, "lbone").expect("read"),
            Some(record)
        );
        assert_eq!(MachineRecord::read(&dir, "lbtwo").expect("absent"), None);
        MachineRecord::forget(&dir, "lbone").expect("forgotten");
        MachineRecord::forget(&dir, "lbone").expect("forgotten already");
        std::fs::write(dir.deployed_record("lbone"), "image = 1\n").expect("written");
        assert!(MachineRecord::read(&dir, "lbone").is_err());
    }
}
