//! The Vagrant project of one server: a Vagrantfile, and an archive for each of its machines.

use caravan_lab::{Lab, Machine, Provider, Server};
use handlebars::Context;
use serde::Serialize;

use crate::context::{MachineList, MachineLists, mac};
use crate::error::Error;
use crate::file::HostFile;
use crate::key_files::Material;
use crate::renderer::{Renderer, wrap};
use crate::settings::{Settings, Software};
use crate::{archive, templates};

/// The name that faults of the Vagrantfile's template carry.
pub(crate) const TEMPLATE_NAME: &str = "Vagrantfile.hbs";

/// The reasons of its lines.
pub(crate) const VAGRANTFILE_WHY: &str = include_str!("../templates/Vagrantfile.why.toml");

/// The Vagrantfile's template, as it was when this was compiled.
pub const VAGRANTFILE_TEMPLATE: &str = include_str!("../../../Vagrantfile.hbs");

/// A loop over one of these, or none, is how a template includes lines: it cannot decide.
#[derive(Serialize)]
struct Included<'a> {
    image: &'a str,
    /// Where the box is found; empty where its name says that.
    urls: Vec<&'a str>,
    /// The bridge that was there before the lab, and will be after it.
    lan: Vec<&'a str>,
    /// The bridge that the lab's machines of another provider are on too.
    shared: Vec<String>,
    netmask: String,
    /// What the lab's addresses are taken from.
    ranges: Vec<String>,
}

#[derive(Serialize)]
struct GroupMachine<'a> {
    name: &'a str,
    ip: String,
    role: &'static str,
    memory_mib: u32,
    cpus: u8,
    /// The hardware address on the lab's network.
    mac: String,
}

impl<'a> GroupMachine<'a> {
    fn new(lab: &Lab, settings: &Settings, machine: &'a Machine) -> GroupMachine<'a> {
        GroupMachine {
            name: &machine.name,
            ip: machine.ip.to_string(),
            role: machine.role.word(),
            memory_mib: machine.memory_mib,
            cpus: machine.cpus,
            mac: mac(lab, machine, settings),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct GroupContext<'a> {
    lab: &'a str,
    lab_file: String,
    server: &'a str,
    provider: &'static str,
    subnet: String,
    airgap: bool,
    /// The bridge or interface that joins the machines to a LAN, where the server has one.
    bridges: Vec<&'a str>,
    machines: MachineList<GroupMachine<'a>>,
    docker: Vec<Included<'a>>,
    libvirt: Vec<Included<'a>>,
    virtualbox: Vec<Included<'a>>,
    /// libvirt or virtualbox.
    r#virtual: Vec<Included<'a>>,
}

impl<'a> GroupContext<'a> {
    pub(crate) fn new(
        lab: &'a Lab,
        server: &'a Server,
        settings: &'a Settings,
    ) -> GroupContext<'a> {
        let provider = settings.provider(&server.name);
        let only = |wanted: &[Provider]| {
            let included = wanted.contains(&provider).then(|| Included {
                image: settings.image_name(provider),
                urls: (settings.images.get(&provider))
                    .and_then(|image| image.url.as_deref())
                    .into_iter()
                    .collect(),
                lan: server.bridge.as_deref().into_iter().collect(),
                shared: shared_bridge(lab, server, settings).into_iter().collect(),
                netmask: lab.subnet().netmask().to_string(),
                ranges: [lab.subnet(), lab.pod_cidr(), lab.service_cidr()]
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            });
            included.into_iter().collect()
        };
        let mut machines: Vec<_> = lab.machines_on(server).collect();
        // What others wait for is created first, where a provider creates one machine after the other.
        machines.sort_by_key(|machine| machine.role);
        GroupContext {
            lab: lab.name(),
            lab_file: format!("labs/{}.toml", lab.name()),
            server: &server.name,
            provider: provider.word(),
            subnet: lab.subnet().to_string(),
            airgap: settings.airgap,
            bridges: server.bridge.as_deref().into_iter().collect(),
            machines: MachineList::of(machines, |machine| {
                GroupMachine::new(lab, settings, machine)
            }),
            docker: only(&[Provider::Docker]),
            libvirt: only(&[Provider::Libvirt]),
            virtualbox: only(&[Provider::VirtualBox]),
            r#virtual: only(&[Provider::Libvirt, Provider::VirtualBox]),
        }
    }
}

/// The bridge that containers and libvirt's machines of one computer share; none where one of them alone is there, or where
/// all are on a LAN.
fn shared_bridge(lab: &Lab, server: &Server, settings: &Settings) -> Option<String> {
    let is_beside =
        |other: &&Server| other.host == server.host && lab.machines_on(other).next().is_some();
    let beside: Vec<&Server> = lab.servers().iter().filter(is_beside).collect();
    let has = |wanted| (beside.iter()).any(|it| settings.provider(&it.name) == wanted);
    let is_mixed = has(Provider::Docker) && has(Provider::Libvirt);
    let is_on_lan = beside.iter().any(|it| it.bridge.is_some());
    (is_mixed && !is_on_lan).then(|| lab.shared_bridge())
}

impl MachineLists for GroupContext<'_> {
    fn machine_of(&self, list: &str, index: usize) -> Option<&str> {
        match list {
            "machines" => self.machines.machine(index),
            _ => None,
        }
    }
}

/// Returns what lies in a server's folder: `Vagrantfile` and `machines/<name>.sh`.
///
/// `template` replaces [`VAGRANTFILE_TEMPLATE`], for a user who edits `Vagrantfile.hbs`.
///
/// # Errors
///
/// Fails if the template has a fault, if the material lacks something of the group's machines, or if they are containers on a
/// LAN on which their computer's address is not known.
pub fn group_files(
    lab: &Lab,
    server: &Server,
    software: &Software,
    settings: &Settings,
    material: &Material,
    template: Option<&str>,
) -> Result<Vec<HostFile>, Error> {
    may_be_entered(lab, server, settings)?;
    let renderer = Renderer::new(lab, software, settings, material)?;
    let mut files = vec![vagrantfile(
        &GroupContext::new(lab, server, settings),
        template,
    )?];
    for machine in lab.machines_on(server) {
        files.push(renderer.archive(machine)?);
    }
    Ok(files)
}

/// Refuses containers whose packet filters would keep Vagrant out. A lab file is refused for it where it leaves the provider
/// open; who is told another one for virtual machines may still be.
fn may_be_entered(lab: &Lab, server: &Server, settings: &Settings) -> Result<(), Error> {
    let is_docker = settings.provider(&server.name) == Provider::Docker;
    if !is_docker || server.bridge.is_none() || server.address.is_some() {
        return Ok(());
    }
    let place = (lab.places().server(&server.name)).and_then(|it| it.value("bridge"));
    let line = place.map_or_else(String::new, |it| format!(":{}", it.line));
    Err(Error::AddressUnknown {
        place: format!("labs/{}.toml{line}", lab.name()),
        server: server.name.clone(),
    })
}

impl Renderer<'_> {
    /// Returns `machines/<name>.sh`, the self-extracting archive of a machine.
    ///
    /// # Errors
    ///
    /// Fails if the material lacks the machine's certificates.
    pub fn archive(&self, machine: &Machine) -> Result<HostFile, Error> {
        let files = self.guest_files(machine)?;
        archive::script(self.lab(), self.lab_context(), machine, &files)
    }
}

/// Returns a server's Vagrantfile; `template` replaces [`VAGRANTFILE_TEMPLATE`].
pub(crate) fn vagrantfile(
    context: &GroupContext<'_>,
    template: Option<&str>,
) -> Result<HostFile, Error> {
    let context = wrap(context);
    let text = match template {
        None => templates::render(TEMPLATE_NAME, &context)?,
        Some(template) => custom(template, &context)?,
    };
    Ok(HostFile {
        path: "Vagrantfile".into(),
        mode: 0o644,
        content: text.into_bytes(),
    })
}

fn custom(template: &str, context: &Context) -> Result<String, Error> {
    let mut handlebars = templates::empty(TEMPLATE_NAME);
    handlebars
        .register_template_string(TEMPLATE_NAME, template)
        .map_err(|source| Error::Syntax {
            template: TEMPLATE_NAME.into(),
            source: Box::new(source),
        })?;
    templates::rendered(&handlebars, TEMPLATE_NAME, context)
}
