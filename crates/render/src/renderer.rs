//! Renders the files of machines, and what all machines of a lab share only once.

use std::borrow::Cow;
use std::collections::HashMap;

use caravan_lab::{Lab, Machine};
use handlebars::Context;
use serde::Serialize;

use crate::context::{LabContext, ListsContext, MachineContext};
use crate::error::Error;
use crate::file::{GuestFile, Owner};
use crate::key_files::Material;
use crate::settings::{Settings, Software};
use crate::table::{self, FileSource, MachineKind, Scope};
use crate::{calico, cluster_files, templates};

/// Renders the files of one lab's machines.
pub struct Renderer<'a> {
    lab: &'a Lab,
    software: &'a Software,
    material: &'a Material,
    context: LabContext,
    /// Results of templates that are the same on every machine, by template.
    shared: HashMap<&'static str, String>,
}

impl<'a> Renderer<'a> {
    /// Prepares what all machines of the lab have in common.
    ///
    /// # Errors
    ///
    /// [`Error::EtcdVersion`], and [`Error::Unfit`] for a value that its file cannot hold.
    pub fn new(
        lab: &'a Lab,
        software: &'a Software,
        settings: &Settings,
        material: &'a Material,
    ) -> Result<Renderer<'a>, Error> {
        let context = LabContext::new(lab, software, settings, material)?;
        let lists = wrap(&ListsContext::new(lab, &context));
        let mut shared = HashMap::new();
        for template in table::templates() {
            if template.scope == Scope::Lab {
                shared.insert(template.name, templates::render(template.name, &lists)?);
            }
        }
        Ok(Renderer {
            lab,
            software,
            material,
            context,
            shared,
        })
    }

    /// Returns every file of a machine, in the order of their paths.
    ///
    /// # Errors
    ///
    /// Fails if the material lacks the machine's certificates, or if Calico's manifest is wanted and missing.
    pub fn guest_files(&self, machine: &Machine) -> Result<Vec<GuestFile>, Error> {
        let context = self.machine_context(machine);
        let kind = MachineKind::of(self.lab, machine, self.context.settings());
        let mut files = self.material.files_of(machine)?.to_vec();
        for row in table::FILES {
            if !row.is_of(kind) {
                continue;
            }
            let line = |word: &str| Cow::Owned(format!("{}\n", word.trim_end()));
            let content = match &row.source {
                // They are here already.
                FileSource::Pki => continue,
                FileSource::SshKey => line(&self.material.ssh_public_key),
                FileSource::Hostname => line(&machine.name),
                FileSource::CalicoManifest => Cow::Owned(self.calico_manifest()?),
                FileSource::SettingsStamp => Cow::Owned(cluster_files::stamp(
                    self.lab,
                    machine,
                    self.software,
                    self.context.settings(),
                    self.material,
                )),
                FileSource::KubeletSettings => {
                    Cow::Owned(cluster_files::kubelet(self.lab, machine, self.software))
                }
                FileSource::AuditPolicy => {
                    let policy = cluster_files::audit_policy(self.lab, self.context.settings());
                    Cow::Owned(policy.unwrap_or_default())
                }
                FileSource::Encryption => {
                    let config = cluster_files::encryption(self.lab, self.material);
                    Cow::Owned(config.unwrap_or_default())
                }
                FileSource::Template(template) => match template.scope {
                    Scope::Fixed => Cow::Borrowed(template.text),
                    Scope::Lab => Cow::Owned(self.shared[template.name].clone()),
                    Scope::Machine => Cow::Owned(templates::render(template.name, &context)?),
                },
            };
            let mode = match row.source {
                FileSource::Encryption => 0o600,
                _ => row.template().map_or(0o644, |template| template.mode),
            };
            files.push(GuestFile {
                path: row.path.into(),
                mode,
                owner: Owner::Root,
                content,
                secret: mode & 0o077 == 0,
                template: row.template().map(|template| template.name),
            });
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// What the first master applies in labs with Calico, which has no template of ours.
    fn calico_manifest(&self) -> Result<String, Error> {
        let published = self.software.calico_manifest.as_deref();
        calico::manifest(published.ok_or(Error::NoCalicoManifest)?, self.lab)
    }

    pub(crate) fn lab(&self) -> &'a Lab {
        self.lab
    }

    pub(crate) fn lab_context(&self) -> &LabContext {
        &self.context
    }

    fn machine_context(&self, machine: &Machine) -> Context {
        wrap(&MachineContext::new(self.lab, machine, &self.context))
    }
}

/// Turns a context into what templates read.
///
/// # Panics
///
/// Never: contexts are plain values with string keys, which always turn into JSON.
pub(crate) fn wrap(context: &impl Serialize) -> Context {
    Context::wraps(context).expect("a context is plain data")
}

/// Returns every file of one machine, in the order of their paths.
///
/// # Errors
///
/// Fails if the material lacks the machine's certificates.
pub fn guest_files(
    lab: &Lab,
    machine: &Machine,
    software: &Software,
    settings: &Settings,
    material: &Material,
) -> Result<Vec<GuestFile>, Error> {
    Renderer::new(lab, software, settings, material)?.guest_files(machine)
}
