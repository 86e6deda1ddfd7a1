//! What `up` was asked for when a lab's machines were made, so that later verbs need no flags.

use std::io::ErrorKind;
use std::net::Ipv4Addr;

use caravan_host::{ranges, resolvers};
use caravan_lab::{Lab, Provider};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::flags::Making;
use crate::lab_dir::LabDir;

/// The choices of one lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Choices {
    /// What runs the machines.
    #[serde(with = "word")]
    pub(crate) provider: Provider,
    /// Whether they have no way out.
    pub(crate) airgap: bool,
    /// What they are made from, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<String>,
    /// Who answers for names outside the lab, where machines have a way out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) nameservers: Vec<Ipv4Addr>,
}

impl Choices {
    /// Reads what was chosen, if anything was.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], also where the file makes no sense.
    pub(crate) fn read(dir: &LabDir) -> Result<Option<Self>, Error> {
        let path = dir.choices();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Read { path, source }),
        };
        toml::from_str(&text)
            .map(Some)
            .map_err(|error| Error::Read {
                path,
                source: std::io::Error::new(ErrorKind::InvalidData, error.message().to_owned()),
            })
    }

    /// Keeps the choices; the lab's folder must exist.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub(crate) fn write(&self, dir: &LabDir) -> Result<(), Error> {
        let text = toml::to_string(self).expect("three plain fields are TOML");
        let text = format!("# What `cargo xtask up` was asked for; `destroy` removes it.\n{text}");
        caravan_files::write_if_changed(&dir.choices(), 0o600, text.as_bytes())?;
        Ok(())
    }

    /// What holds for a lab: what was chosen when its machines were made, else what is asked for now.
    ///
    /// # Errors
    ///
    /// [`Error::ChosenOtherwise`] when machines exist and something else is asked for.
    pub(crate) fn settle(
        lab: &Lab,
        making: &Making,
        before: Option<Self>,
        machines_exist: bool,
    ) -> Result<Self, Error> {
        let asked = making.provider.map(Provider::from);
        let Some(before) = before.filter(|_| machines_exist) else {
            return Ok(Self {
                // Where neither the user nor the lab says, containers: the one kind of machine that needs no hypervisor.
                provider: asked.or(lab.provider()).unwrap_or(Provider::Docker),
                airgap: making.airgap || lab.airgap(),
                image: making.image.clone(),
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
        if let Some(asked) = asked.filter(|asked| *asked != before.provider) {
            return refuse("provider", before.provider.to_string(), asked.to_string());
        }
        if making.airgap && !before.airgap {
            return refuse("airgap", "false".to_owned(), "true".to_owned());
        }
        if let (Some(asked), Some(was)) = (&making.image, &before.image)
            && asked != was
        {
            return refuse("image", was.clone(), asked.clone());
        }
        Ok(before)
    }

    /// Takes this computer's resolvers as they are now: a laptop meets others every day. Those inside a range of the lab
    /// are left out, because its machines cannot ask them.
    pub(crate) fn ask_here(&mut self, lab: &Lab) {
        if !self.airgap {
            self.nameservers = ranges::usable(lab, &resolvers::nameservers());
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
    use crate::flags::making;

    fn lab() -> Lab {
        Lab::parse("ha", include_str!("../../../labs/ha.toml")).expect("valid")
    }

    const NOTHING: Making = Making {
        provider: None,
        airgap: false,
        image: None,
    };

    #[test]
    fn what_was_chosen_holds_while_machines_exist() {
        let before = Choices {
            provider: Provider::Docker,
            airgap: true,
            image: Some("caravan-machine:1".to_owned()),
            nameservers: Vec::new(),
        };
        let again = Choices::settle(&lab(), &NOTHING, Some(before.clone()), true).expect("settled");
        assert_eq!(again, before);
        let other = Making {
            provider: Some(making::Provider::Libvirt),
            ..NOTHING
        };
        let refused = Choices::settle(&lab(), &other, Some(before.clone()), true);
        assert!(matches!(refused, Err(Error::ChosenOtherwise { what, .. }) if what == "provider"));
        let free = Choices::settle(&lab(), &other, Some(before), false).expect("nothing exists");
        assert_eq!(free.provider, Provider::Libvirt);
        assert!(!free.airgap);
    }

    #[test]
    fn they_are_kept() {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        assert_eq!(Choices::read(&dir).expect("absent"), None);
        let choices = Choices::settle(&lab(), &NOTHING, None, false).expect("settled");
        choices.write(&dir).expect("written");
        assert_eq!(Choices::read(&dir).expect("read"), Some(choices));
        std::fs::write(dir.choices(), "provider = \"ship\"\nairgap = true\n").expect("written");
        assert!(Choices::read(&dir).is_err());
    }
}
