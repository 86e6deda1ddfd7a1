//! The bridge between `render` and the disk: what the files of a lab say, where they lie, and what machines were given.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use caravan_lab::{Lab, Machine, Server};
use caravan_render::{GuestFile, Material, Renderer, Settings, Software, group_files};
use sha2::{Digest, Sha256};

use crate::{Error, LabChoices, LabDir, MachineRecord};

/// What the files of a lab are made of.
pub struct RenderSources<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// Versions.
    pub software: Software,
    /// Provider, image, airgap.
    pub settings: Settings,
    /// Keys.
    pub material: Material,
    /// The user's own Vagrantfile template.
    pub template: Option<String>,
}

/// How a file of a machine differs from what the machine was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The absolute path on the machine.
    pub path: String,
    /// What the machine was given and what is rendered now, empty where the file is new or gone; none where it may hold a
    /// secret.
    pub texts: Option<(String, String)>,
}

impl RenderSources<'_> {
    /// Writes the Vagrant projects of `servers`, each file only if it differs; returns how many were written.
    ///
    /// # Errors
    ///
    /// [`Error::Render`], [`Error::Write`].
    pub fn write(&self, dir: &LabDir, servers: &[&Server]) -> Result<usize, Error> {
        let mut written = 0;
        for server in servers {
            let files = group_files(
                self.lab,
                server,
                &self.software,
                &self.settings,
                &self.material,
                self.template.as_deref(),
            )?;
            let group = dir.group(&server.name);
            caravan_files::make_private_folder(&group)?;
            for file in files {
                let path = group.join(&file.path);
                if let Some(folder) = path.parent() {
                    caravan_files::make_private_folder(folder)?;
                }
                if caravan_files::write_if_changed(&path, file.mode, &file.content)? {
                    written += 1;
                }
            }
        }
        Ok(written)
    }

    /// Writes the Vagrant projects of all servers, and with them what they were made from: the lab file, whose text is
    /// `source`, and the choices. Returns how many files of the projects were written.
    ///
    /// # Errors
    ///
    /// [`Error::Render`], [`Error::Write`].
    pub fn write_projects(
        &self,
        dir: &LabDir,
        source: &str,
        choices: &LabChoices,
    ) -> Result<usize, Error> {
        let servers: Vec<&Server> = self.lab.servers().iter().collect();
        let written = self.write(dir, &servers)?;
        caravan_files::make_private_folder(&dir.deployed())?;
        caravan_files::write_if_changed(&dir.deployed_lab(), 0o600, source.as_bytes())?;
        choices.write(dir)?;
        Ok(written)
    }

    /// Keeps what `machines` are given, to compare with later: of files with secrets the digests.
    ///
    /// # Errors
    ///
    /// [`Error::Render`], [`Error::Write`].
    pub fn note_deployed(&self, dir: &LabDir, machines: &[&Machine]) -> Result<(), Error> {
        let renderer = self.renderer()?;
        for machine in machines {
            let record = MachineRecord::given_now(machine, &self.software, &self.settings);
            record.write(dir, &machine.name)?;
            let folder = dir.deployed_files(&machine.name);
            let files = renderer.guest_files(machine)?;
            for gone in deployed(&folder)?.keys() {
                if !files.iter().any(|file| file.path == *gone) {
                    caravan_files::remove_file(&inside(&folder, gone))?;
                }
            }
            for file in files {
                let path = inside(&folder, &file.path);
                if let Some(parent) = path.parent() {
                    caravan_files::make_private_folder(parent)?;
                }
                // Nothing here is run or read by others, whatever its mode on the machine.
                caravan_files::write_if_changed(&path, 0o600, kept(&file).as_bytes())?;
            }
        }
        Ok(())
    }

    /// Keeps that `machines` were given the file `path` as it is now, beside what they were given before; of a machine that
    /// was given nothing, nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Render`], [`Error::Write`].
    pub fn note_given(&self, dir: &LabDir, machines: &[&Machine], path: &str) -> Result<(), Error> {
        let renderer = self.renderer()?;
        for machine in machines {
            let files = renderer.guest_files(machine)?;
            let file = files.iter().find(|file| file.path == path);
            if let Some(file) = file.filter(|_| is_deployed(dir, &machine.name)) {
                let path = inside(&dir.deployed_files(&machine.name), path);
                caravan_files::write_if_changed(&path, 0o600, kept(file).as_bytes())?;
            }
        }
        Ok(())
    }

    /// Renders the files of many machines.
    ///
    /// # Errors
    ///
    /// [`Error::Render`].
    pub fn renderer(&self) -> Result<Renderer<'_>, Error> {
        Ok(Renderer::new(
            self.lab,
            &self.software,
            &self.settings,
            &self.material,
        )?)
    }
}

/// What differs between `files`, which `machine` would be given now, and what it was given; none where it was given
/// nothing.
///
/// # Errors
///
/// [`Error::Read`].
pub fn changes_since_deployed(
    dir: &LabDir,
    machine: &Machine,
    files: Vec<GuestFile>,
) -> Result<Option<Vec<FileChange>>, Error> {
    let before = deployed(&dir.deployed_files(&machine.name))?;
    if before.is_empty() {
        return Ok(None);
    }
    Ok(Some(changes(before, files)))
}

/// What the file `path` of `machine` was when it was given; `None` where it was not given.
///
/// # Errors
///
/// [`Error::Read`].
pub fn deployed_text(dir: &LabDir, machine: &str, path: &str) -> Result<Option<String>, Error> {
    let path = inside(&dir.deployed_files(machine), path);
    match path.is_file() {
        true => crate::workspace::read_text(&path).map(Some),
        false => Ok(None),
    }
}

/// Forgets what `machine` was given, as when it is destroyed.
///
/// # Errors
///
/// [`Error::Write`].
pub fn forget_deployed(dir: &LabDir, machine: &str) -> Result<(), Error> {
    caravan_files::remove_folder(&dir.deployed_files(machine))?;
    MachineRecord::forget(dir, machine)
}

/// Whether it was noted what `machine` was given.
pub fn is_deployed(dir: &LabDir, machine: &str) -> bool {
    dir.deployed_files(machine).is_dir()
}

/// What is kept of a file that a machine was given.
fn kept(file: &GuestFile) -> Cow<'_, str> {
    if !file.secret {
        return Cow::Borrowed(&file.content);
    }
    let digest = Sha256::digest(file.content.as_bytes());
    Cow::Owned(format!("sha256:{}\n", hex(&digest)))
}

/// A digest as `sha256sum` writes it.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn changes(mut before: BTreeMap<String, String>, after: Vec<GuestFile>) -> Vec<FileChange> {
    let mut found = Vec::new();
    for file in after {
        let old = before.remove(file.path.as_ref());
        // Earlier versions kept the content of all files.
        let same = old
            .as_deref()
            .is_some_and(|old| old == kept(&file) || old == file.content);
        if !same {
            let secret = file.secret;
            found.push(FileChange {
                path: file.path.into_owned(),
                texts: (!secret).then(|| (old.unwrap_or_default(), file.content.into_owned())),
            });
        }
    }
    // Whether a file that is no longer rendered was secret is not known any more.
    found.extend(
        before
            .into_keys()
            .map(|path| FileChange { path, texts: None }),
    );
    found
}

/// The path of a machine's file in the tree at `folder`.
fn inside(folder: &Path, path: &str) -> PathBuf {
    folder.join(path.trim_start_matches('/'))
}

/// All files of the tree at `root`, by their paths on the machine; none where there is no tree.
fn deployed(root: &Path) -> Result<BTreeMap<String, String>, Error> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |source| Error::Read {
            path: folder.clone(),
            source,
        };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(inner) = path.strip_prefix(root) {
                let text = crate::workspace::read_text(&path)?;
                found.insert(format!("/{}", inner.display()), text);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(lab: &Lab) -> RenderSources<'_> {
        RenderSources {
            lab,
            software: Software::example(),
            settings: Settings {
                airgap: true,
                ..Settings::default()
            },
            material: Material::placeholder(lab).expect("names"),
            template: None,
        }
    }

    #[test]
    fn what_was_given_is_compared_with_what_would_be() {
        let lab = Lab::parse("ha", include_str!("../../../labs/ha.toml")).expect("valid");
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        let machine = lab.machine("lbone").expect("in the lab");
        let mut now = sources(&lab);
        let changed = |now: &RenderSources<'_>| {
            let renderer = now.renderer().expect("renders");
            let files = renderer.guest_files(machine).expect("renders");
            changes_since_deployed(&dir, machine, files).expect("compared")
        };
        assert_eq!(changed(&now), None);
        now.note_deployed(&dir, &[machine]).expect("noted");
        assert_eq!(changed(&now), Some(Vec::new()));
        now.material.ssh_public_key = "<another key>".to_owned();
        let found = changed(&now).expect("noted before");
        assert_eq!(found.len(), 1, "{found:?}");
        let (before, after) = found[0].texts.clone().expect("a public file");
        assert!(
            before != after && after.contains("<another key>"),
            "{after}"
        );
        now.note_deployed(&dir, &[machine]).expect("noted");
        assert_eq!(changed(&now), Some(Vec::new()));
        forget_deployed(&dir, "lbone").expect("forgotten");
        assert!(!is_deployed(&dir, "lbone"));
    }

    #[test]
    fn no_secret_is_kept_a_second_time() {
        let lab = Lab::parse("ha", include_str!("../../../labs/ha.toml")).expect("valid");
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        let mut now = sources(&lab);
        let machines: Vec<&Machine> = lab.machines().iter().collect();
        now.note_deployed(&dir, &machines).expect("noted");
        let renderer = now.renderer().expect("renders");
        let mut count = 0;
        for machine in &machines {
            let kept = deployed(&dir.deployed_files(&machine.name)).expect("read");
            for file in renderer.guest_files(machine).expect("renders") {
                let text = &kept[file.path.as_ref()];
                assert_eq!(text.starts_with("sha256:"), file.secret, "{}", file.path);
                assert!(!text.contains("<key: "), "{}: {text}", file.path);
                count += usize::from(file.secret);
            }
        }
        assert!(count > 20, "{count} files with secrets");
        let member = lab.machine("etcdone").expect("in the lab");
        let compare = |now: &RenderSources<'_>| {
            let renderer = now.renderer().expect("renders");
            let files = renderer.guest_files(member).expect("renders");
            changes_since_deployed(&dir, member, files)
                .expect("compared")
                .expect("noted before")
        };
        // As an earlier version left it: the content itself.
        let old = dir.deployed_files("etcdone").join("etc/etcd/pki/peer.key");
        fs::write(&old, "<key: etcdone peer>\n").expect("written");
        assert_eq!(compare(&now), []);
        now.note_deployed(&dir, &[member]).expect("noted");
        let text = fs::read_to_string(&old).expect("read");
        assert!(text.starts_with("sha256:"), "{text}");
        // Another secret is told of, and not shown.
        now.material.etcd_cluster_token = "another".to_owned().into();
        let changed = compare(&now);
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert_eq!(changed[0].path, "/etc/etcd/cluster.env");
        assert_eq!(changed[0].texts, None);
        // One file alone may be given anew.
        now.note_given(&dir, &[member], "/etc/etcd/cluster.env")
            .expect("noted");
        assert_eq!(compare(&now), []);
    }

    #[test]
    fn a_second_write_changes_nothing() {
        let lab = Lab::parse("ha", include_str!("../../../labs/ha.toml")).expect("valid");
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        let servers: Vec<&Server> = lab.servers().iter().collect();
        let now = sources(&lab);
        // Nine archives and two Vagrantfiles.
        assert_eq!(now.write(&dir, &servers).expect("written"), 11);
        assert_eq!(now.write(&dir, &servers).expect("compared"), 0);
    }
}
