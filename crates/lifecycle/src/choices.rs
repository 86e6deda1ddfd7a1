//! What `up` was asked for when a lab's machines were made, so that later verbs need no flags.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use caravan_lab::{Lab, Provider, Server};
use caravan_render::{MachineImage, Settings};
use serde::{Deserialize, Serialize};

use crate::{Error, LabDir, machines, state_file};

/// What is asked for now; nothing is decided where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChoiceRequest {
    /// What is to run the machines.
    pub provider: Option<Provider>,
    /// Whether they are to have no way out.
    pub airgap: bool,
    /// What they are to be made from.
    pub image: Option<String>,
}

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
    /// [`Error::ChosenOtherwise`] when machines exist and something else is asked for.
    pub fn settle(
        lab: &Lab,
        asked: &ChoiceRequest,
        before: Option<Self>,
        machines_exist: bool,
    ) -> Result<Self, Error> {
        let wanted = |_: &Server| asked.provider.or(lab.provider());
        let Some(mut before) = before.filter(|_| machines_exist) else {
            let mut choices = Self {
                airgap: asked.airgap || lab.airgap(),
                emulated: false,
                nameservers: Vec::new(),
                providers: BTreeMap::new(),
                images: BTreeMap::new(),
            };
            choices.provide(lab, &wanted);
            choices.take_image(asked.image.as_deref());
            return Ok(choices);
        };
        let refuse = |what: &str, was: String, asked: String| {
            Err(Error::ChosenOtherwise {
                lab: lab.name().to_owned(),
                what: what.to_owned(),
                was,
                asked,
            })
        };
        for was in before.providers.values() {
            if let Some(wanted) = asked.provider.filter(|wanted| wanted != was) {
                return refuse("provider", was.to_string(), wanted.to_string());
            }
        }
        if asked.airgap && !before.airgap {
            return refuse("airgap", "false".to_owned(), "true".to_owned());
        }
        if let Some(wanted) = &asked.image
            && let Some(was) = before.images.values().find(|was| was.name != *wanted)
        {
            return refuse("image", was.name.clone(), wanted.clone());
        }
        before.provide(lab, &wanted);
        Ok(before)
    }

    /// Gives each server of the lab that has no provider yet the one that is wanted for it.
    fn provide(&mut self, lab: &Lab, wanted: &dyn Fn(&Server) -> Option<Provider>) {
        for server in lab.servers() {
            self.providers
                .entry(server.name.clone())
                .or_insert_with(|| wanted(server).unwrap_or_default());
        }
    }

    /// Takes an image that the user names, for whatever runs the machines.
    fn take_image(&mut self, name: Option<&str>) {
        let Some(name) = name else { return };
        for kind in self.kinds() {
            self.images.insert(kind, MachineImage::named(name));
        }
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

    /// Takes the computer's resolvers as they are now, of those that the lab's machines can ask: a laptop meets others every
    /// day.
    pub fn take_resolvers(&mut self, usable: &[Ipv4Addr]) {
        if !self.airgap {
            self.nameservers = usable.to_vec();
        }
    }

    /// What runs machines of the lab and has no image yet, where one can be baked. Of a provider without baked images, the
    /// user names one.
    pub fn without_image(&self) -> Vec<Provider> {
        let lacks = |kind: &Provider| {
            !self.images.contains_key(kind) && machines::provider(*kind).runs_baked_images()
        };
        self.kinds().into_iter().filter(lacks).collect()
    }

    /// The settings that follow from the choices, as `render` takes them.
    pub fn settings(&self) -> Settings {
        Settings {
            providers: self.providers.clone(),
            airgap: self.airgap,
            emulated: self.emulated,
            images: self.images.clone(),
            nameservers: self.nameservers.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> Lab {
        Lab::parse("ha", include_str!("../../../labs/ha.toml")).expect("valid")
    }

    const NOTHING: ChoiceRequest = ChoiceRequest {
        provider: None,
        airgap: false,
        image: None,
    };

    #[test]
    fn what_was_chosen_holds_while_machines_exist() {
        let mut before = LabChoices::settle(&lab(), &NOTHING, None, false).expect("settled");
        before.airgap = true;
        let image = MachineImage::named("caravan-machine:1");
        before.images.insert(Provider::Docker, image);
        let again =
            LabChoices::settle(&lab(), &NOTHING, Some(before.clone()), true).expect("settled");
        assert_eq!(again, before);
        let other = ChoiceRequest {
            provider: Some(Provider::Libvirt),
            ..NOTHING
        };
        let refused = LabChoices::settle(&lab(), &other, Some(before.clone()), true);
        assert!(matches!(refused, Err(Error::ChosenOtherwise { what, .. }) if what == "provider"));
        let free = LabChoices::settle(&lab(), &other, Some(before), false).expect("nothing exists");
        assert_eq!(free.kinds(), [Provider::Libvirt].into());
        assert!(!free.airgap);
    }

    #[test]
    fn they_are_kept() {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        assert_eq!(LabChoices::read(&dir).expect("absent"), None);
        let choices = LabChoices::settle(&lab(), &NOTHING, None, false).expect("settled");
        choices.write(&dir).expect("written");
        assert_eq!(LabChoices::read(&dir).expect("read"), Some(choices));
        let asked = ChoiceRequest {
            image: Some("caravan-machine:1".to_owned()),
            ..NOTHING
        };
        let mut choices = LabChoices::settle(&lab(), &asked, None, false).expect("settled");
        choices.emulated = true;
        choices.nameservers = vec![[192, 168, 1, 1].into()];
        let url = Some("file:///box.json".to_owned());
        let name = "caravan-machine-1".to_owned();
        let image = MachineImage { name, url };
        choices.images.insert(Provider::Libvirt, image);
        choices.write(&dir).expect("written");
        assert_eq!(LabChoices::read(&dir).expect("read"), Some(choices));
        std::fs::write(dir.choices(), "provider = \"ship\"\nairgap = true\n").expect("written");
        assert!(LabChoices::read(&dir).is_err());
    }

    #[test]
    fn what_an_earlier_version_kept_is_read() {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        let kept = "# What `up` was asked for; `destroy` removes it.\nprovider = \"libvirt\"\nairgap = true\n\
                    image = \"caravan/ubuntu\"\nnameservers = [\"192.168.1.1\"]\n";
        std::fs::write(dir.choices(), kept).expect("written");
        let read = || LabChoices::read(&dir).expect("read").expect("kept");
        // Nothing was made yet.
        assert!(read().providers.is_empty());
        std::fs::create_dir(dir.deployed()).expect("made");
        let source = include_str!("../../../labs/ha.toml");
        std::fs::write(dir.deployed_lab(), source).expect("written");
        let choices = read();
        let providers = ["server1", "server2"].map(|it| (it.to_owned(), Provider::Libvirt));
        assert_eq!(choices.providers, providers.into());
        assert!(choices.airgap && !choices.emulated);
        let image = MachineImage::named("caravan/ubuntu");
        assert_eq!(choices.images, [(Provider::Libvirt, image)].into());
        assert_eq!(choices.nameservers, [Ipv4Addr::new(192, 168, 1, 1)]);
        // A lab file that cannot be read any more: its projects still tell.
        std::fs::write(dir.deployed_lab(), "?").expect("written");
        std::fs::create_dir(dir.group("server2")).expect("made");
        std::fs::write(dir.vagrantfile("server2"), "").expect("written");
        assert_eq!(read().provider("server2"), Provider::Libvirt);
        assert_eq!(read().providers.len(), 1);
    }
}
