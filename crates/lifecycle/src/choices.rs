//! What `up` was asked for when a lab's machines were made, so that later verbs need no flags.

use std::net::Ipv4Addr;

use caravan_lab::{Lab, Provider};
use caravan_render::Settings;
use serde::{Deserialize, Serialize};

use crate::{Error, LabDir, machines, state_file};

/// The image that files name before one was made.
const NO_IMAGE: &str = "caravan-machine:not-made-yet";

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabChoices {
    /// What runs the machines.
    #[serde(with = "word")]
    pub provider: Provider,
    /// Whether they have no way out.
    pub airgap: bool,
    /// What they are made from, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Who answers for names outside the lab, where machines have a way out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<Ipv4Addr>,
}

impl LabChoices {
    /// Reads what was chosen, if anything was.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], also where the file makes no sense.
    pub fn read(dir: &LabDir) -> Result<Option<Self>, Error> {
        state_file::read(dir.choices())
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
        let wanted = asked.provider;
        let Some(before) = before.filter(|_| machines_exist) else {
            return Ok(Self {
                provider: wanted.or(lab.provider()).unwrap_or_default(),
                airgap: asked.airgap || lab.airgap(),
                image: asked.image.clone(),
                nameservers: Vec::new(),
            });
        };
        let refuse = |what: &str, was: String, asked: String| {
            Err(Error::ChosenOtherwise {
                lab: lab.name().to_owned(),
                what: what.to_owned(),
                was,
                asked,
            })
        };
        if let Some(wanted) = wanted.filter(|wanted| *wanted != before.provider) {
            return refuse("provider", before.provider.to_string(), wanted.to_string());
        }
        if asked.airgap && !before.airgap {
            return refuse("airgap", "false".to_owned(), "true".to_owned());
        }
        if let (Some(wanted), Some(was)) = (&asked.image, &before.image)
            && wanted != was
        {
            return refuse("image", was.clone(), wanted.clone());
        }
        Ok(before)
    }

    /// Takes the computer's resolvers as they are now, of those that the lab's machines can ask: a laptop meets others every
    /// day.
    pub fn take_resolvers(&mut self, usable: &[Ipv4Addr]) {
        if !self.airgap {
            self.nameservers = usable.to_vec();
        }
    }

    /// Whether an image has to be baked before machines can be made. Of a provider without baked images, the user names one.
    pub fn needs_image(&self) -> bool {
        self.image.is_none() && machines::provider(self.provider).runs_baked_images()
    }

    /// The settings that follow from the choices, as `render` takes them.
    pub fn settings(&self) -> Settings {
        Settings {
            provider: self.provider,
            airgap: self.airgap,
            image: self.image.clone().unwrap_or_else(|| NO_IMAGE.to_owned()),
            nameservers: self.nameservers.clone(),
        }
    }
}

/// Providers as their words.
mod word {
    use caravan_lab::Provider;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        provider: &Provider,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(provider.word())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Provider, D::Error> {
        let word = String::deserialize(deserializer)?;
        Provider::ALL
            .into_iter()
            .find(|provider| provider.word() == word)
            .ok_or_else(|| serde::de::Error::custom(format!("`{word}` is no provider")))
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
        let before = LabChoices {
            provider: Provider::Docker,
            airgap: true,
            image: Some("caravan-machine:1".to_owned()),
            nameservers: Vec::new(),
        };
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
        assert_eq!(free.provider, Provider::Libvirt);
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
        std::fs::write(dir.choices(), "provider = \"ship\"\nairgap = true\n").expect("written");
        assert!(LabChoices::read(&dir).is_err());
    }
}
