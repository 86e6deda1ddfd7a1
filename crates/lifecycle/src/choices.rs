//! What `up` was asked for when a lab's machines were made, so that later verbs need no flags.

mod request;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use caravan_lab::{Lab, Provider, Server};
use caravan_process::Pace;
use caravan_render::{MachineImage, Settings};
use serde::{Deserialize, Serialize};

pub use self::request::{ChoiceRequest, ImageRequest, ProviderChoice};
use crate::providers::kinds_here;
use crate::target::no_such_server;
use crate::{Error, LabDir, machines, state_file};

/// The choices of one lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabChoices {
    /// Whether its machines have no way out.
    pub airgap: bool,
    /// Whether its virtual machines are emulated, on a processor that gives no help.
    pub emulated: bool,
    /// Who answers for names outside the lab, where machines have a way out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<Ipv4Addr>,
    /// What runs the machines, by server.
    pub providers: BTreeMap<String, Provider>,
    /// What they are made from, by what runs them, once it is known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<Provider, MachineImage>,
}

/// The choices as a file has them, which an earlier version may have written: then all servers have one provider.
#[derive(Deserialize)]
struct KeptChoices {
    airgap: bool,
    #[serde(default)]
    emulated: bool,
    #[serde(default)]
    nameservers: Vec<Ipv4Addr>,
    #[serde(default)]
    providers: BTreeMap<String, Provider>,
    #[serde(default)]
    images: BTreeMap<Provider, MachineImage>,
    provider: Option<Provider>,
    image: Option<String>,
}

impl KeptChoices {
    /// What was chosen, for a lab whose servers are known to be those.
    fn choices(self, servers: impl Iterator<Item = String>) -> LabChoices {
        let mut choices = LabChoices {
            airgap: self.airgap,
            emulated: self.emulated,
            nameservers: self.nameservers,
            providers: self.providers,
            images: self.images,
        };
        if let Some(provider) = self.provider {
            let servers = servers.map(|server| (server, provider));
            choices.providers.extend(servers);
            let image = self.image.map(MachineImage::named);
            choices.images.extend(image.map(|image| (provider, image)));
        }
        choices
    }
}

impl LabChoices {
    /// Reads what was chosen, if anything was.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], also where the file makes no sense.
    pub fn read(dir: &LabDir) -> Result<Option<Self>, Error> {
        let kept: Option<KeptChoices> = state_file::read(dir.choices())?;
        Ok(kept.map(|kept| {
            let lab = machines::deployed_lab(&dir.lab(), dir);
            let servers = lab.iter().flat_map(Lab::servers);
            let known = servers.map(|server| server.name.clone());
            kept.choices(known.chain(dir.projects().servers()))
        }))
    }

    /// Keeps the choices; the lab's folder must exist.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn write(&self, dir: &LabDir) -> Result<(), Error> {
        let comment = "# What `up` was asked for; `destroy` removes it.\n";
        state_file::write(&dir.choices(), comment, self)
    }

    /// What holds for a lab: what was chosen when its machines were made, else what is asked for now.
    ///
    /// # Errors
    ///
    /// [`Error::ChosenOtherwise`] when machines exist and something else is asked for; [`Error::NoSuchServer`],
    /// [`Error::ImageOfWhich`], [`Error::ProvidersApart`] for what no lab can be made of.
    pub fn settle(
        lab: &Lab,
        asked: &ChoiceRequest,
        before: Option<Self>,
        machines_exist: bool,
    ) -> Result<Self, Error> {
        for name in asked.providers.keys() {
            if lab.server(name).is_none() {
                return Err(no_such_server(lab, name));
            }
        }
        let before = before.filter(|_| machines_exist);
        if let Some(before) = &before {
            before.hold(lab, asked)?;
        }
        let mut choices = before.unwrap_or_else(|| Self {
            airgap: asked.airgap || lab.airgap(),
            emulated: false,
            nameservers: Vec::new(),
            providers: BTreeMap::new(),
            images: BTreeMap::new(),
        });
        let is_new = choices.providers.is_empty();
        let used = |server: &&Server| lab.machines_on(server).next().is_some();
        for server in lab.servers().iter().filter(used) {
            let wanted = || asked.provider(&server.name).or(lab.provider_of(server));
            choices
                .providers
                .entry(server.name.clone())
                .or_insert_with(|| wanted().unwrap_or_default());
        }
        hold_together(lab, &choices)?;
        if is_new {
            choices.emulated = choices.kinds().contains(&Provider::Libvirt)
                && (asked.emulated.or(lab.emulated())).unwrap_or_else(|| {
                    let without_help = |server: &Server| match &server.host {
                        Some(host) => asked.hosts_without_kvm.contains(host),
                        None => !asked.has_kvm,
                    };
                    let mut virtual_ones = lab
                        .servers()
                        .iter()
                        .filter(|it| choices.providers.get(&it.name) == Some(&Provider::Libvirt));
                    virtual_ones.any(without_help)
                });
        }
        choices.take_images(lab, asked)?;
        Ok(choices)
    }

    /// Refuses what is asked for and is not so, of machines that exist.
    fn hold(&self, lab: &Lab, asked: &ChoiceRequest) -> Result<(), Error> {
        let refuse = |what: &str, was: &dyn fmt::Display, asked: &dyn fmt::Display| {
            Err(Error::ChosenOtherwise {
                lab: lab.name().to_owned(),
                what: what.to_owned(),
                was: was.to_string(),
                asked: asked.to_string(),
            })
        };
        let several = self.kinds().len() > 1 || !asked.providers.is_empty();
        for (server, was) in &self.providers {
            if let Some(wanted) = asked.provider(server).filter(|wanted| wanted != was) {
                let of_server = format!("provider of server `{server}`");
                return refuse(if several { &of_server } else { "provider" }, was, &wanted);
            }
        }
        if asked.airgap && !self.airgap {
            return refuse("airgap", &false, &true);
        }
        if let Some(wanted) = asked.emulated.filter(|wanted| *wanted != self.emulated) {
            return refuse("emulated", &self.emulated, &wanted);
        }
        for wanted in &asked.images {
            let of_it = |kind: &Provider| wanted.provider.is_none_or(|provider| provider == *kind);
            let mut images = self.images.iter().filter(|(kind, _)| of_it(kind));
            if let Some((_, was)) = images.find(|(_, was)| was.name != wanted.name) {
                return refuse("image", &was.name, &wanted.name);
            }
        }
        Ok(())
    }

    /// Takes the images that the user names, where nothing was made from others.
    fn take_images(&mut self, lab: &Lab, asked: &ChoiceRequest) -> Result<(), Error> {
        let kinds = self.kinds();
        for wanted in &asked.images {
            let kind = match wanted.provider {
                Some(provider) if kinds.contains(&provider) => provider,
                None if kinds.len() == 1 => self.kind(),
                _ => {
                    return Err(Error::ImageOfWhich {
                        lab: lab.name().to_owned(),
                        image: wanted.name.clone(),
                        providers: kinds.into_iter().collect(),
                    });
                }
            };
            self.images
                .entry(kind)
                .or_insert_with(|| MachineImage::named(&wanted.name));
        }
        Ok(())
    }

    /// What runs the machines of the server called `server`.
    pub fn provider(&self, server: &str) -> Provider {
        self.providers.get(server).copied().unwrap_or_default()
    }

    /// What runs the machines, while all servers of a lab have the same.
    pub fn kind(&self) -> Provider {
        self.kinds().first().copied().unwrap_or_default()
    }

    /// All that runs machines of the lab, in the order of the alphabet.
    pub fn kinds(&self) -> BTreeSet<Provider> {
        self.providers.values().copied().collect()
    }

    /// All that runs machines of the lab on this computer.
    pub fn kinds_here(&self, lab: &Lab) -> BTreeSet<Provider> {
        kinds_here(lab, &self.providers)
    }

    /// Takes the computer's resolvers as they are now, of those that the lab's machines can ask: a laptop meets others every
    /// day.
    pub fn take_resolvers(&mut self, usable: &[Ipv4Addr]) {
        if !self.airgap {
            self.nameservers = usable.to_vec();
        }
    }

    /// What runs machines of the lab and has no image yet: one is baked.
    pub fn without_image(&self) -> Vec<Provider> {
        let lacks = |kind: &Provider| !self.images.contains_key(kind);
        self.kinds().into_iter().filter(lacks).collect()
    }

    /// How fast the lab's machines are, all of them: those that are not emulated wait for those that are.
    pub fn pace(&self) -> Pace {
        match self.emulated {
            true => Pace::EMULATED,
            false => Pace::USUAL,
        }
    }

    /// The settings that follow from the choices, as `render` takes them.
    pub fn settings(&self) -> Settings {
        Settings {
            providers: self.providers.clone(),
            airgap: self.airgap,
            emulated: self.emulated,
            images: self.images.clone(),
            nameservers: self.nameservers.clone(),
            audit_policy: None,
        }
    }
}

/// Refuses groups of one computer that no network of it joins: without a bridge that both can use, each provider's network
/// is its own, but that of containers, which libvirt's machines can be put on.
fn hold_together(lab: &Lab, choices: &LabChoices) -> Result<(), Error> {
    let mut groups: BTreeMap<Option<&str>, Vec<(&Server, Provider)>> = BTreeMap::new();
    for server in lab.servers().iter().filter(|it| it.bridge.is_none()) {
        if let Some(kind) = choices.providers.get(&server.name) {
            let group = groups.entry(server.host.as_deref()).or_default();
            group.push((server, *kind));
        }
    }
    for group in groups.values() {
        let alone = group.iter().find(|(_, kind)| *kind == Provider::VirtualBox);
        let other = group.iter().find(|(_, kind)| *kind != Provider::VirtualBox);
        if let (Some((alone, _)), Some((other, kind))) = (alone, other) {
            return Err(Error::ProvidersApart {
                lab: lab.name().to_owned(),
                alone: alone.name.clone(),
                other: other.name.clone(),
                provider: *kind,
            });
        }
    }
    Ok(())
}
