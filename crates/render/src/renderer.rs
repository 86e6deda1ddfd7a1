//! Renders the files of machines, and what all machines of a lab share only once.

use std::borrow::Cow;
use std::collections::HashMap;

use caravan_lab::{Lab, Machine, PodNetwork, Role};
use handlebars::Context;
use serde::Serialize;

use crate::context::{LabContext, ListsContext, MachineContext};
use crate::error::Error;
use crate::file::{GuestFile, Owner};
use crate::key_files::{self, Material};
use crate::settings::{Settings, Software};
use crate::table::{self, Source};
use crate::{calico, templates};

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
        for entry in table::FILES {
            if let Source::Lab(_) = entry.source {
                shared.insert(entry.template, templates::render(entry.template, &lists)?);
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
        let mut files = self.material.files_of(machine)?;
        if let Some(manifest) = self.calico_manifest(machine)? {
            let path = "/etc/kubernetes/caravan/pod-network.yaml";
            files.push(key_files::public(path, manifest));
        }
        for entry in table::FILES {
            if !entry.on.holds(machine.role, self.lab.pod_network()) {
                continue;
            }
            let content = match entry.source {
                Source::Fixed(text) => Cow::Borrowed(text),
                Source::Lab(_) => Cow::Owned(self.shared[entry.template].clone()),
                Source::Machine(_) => Cow::Owned(templates::render(entry.template, &context)?),
            };
            files.push(GuestFile {
                path: entry.path.into(),
                mode: entry.mode,
                owner: Owner::Root,
                content,
                secret: entry.mode & 0o077 == 0,
                template: Some(entry.template),
            });
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// The manifest for masters of labs with Calico, which has no template of ours.
    fn calico_manifest(&self, machine: &Machine) -> Result<Option<String>, Error> {
        if self.lab.pod_network() != PodNetwork::Calico || machine.role != Role::ControlPlane {
            return Ok(None);
        }
        let published = self.software.calico_manifest.as_deref();
        calico::manifest(published.ok_or(Error::NoCalicoManifest)?, self.lab).map(Some)
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
