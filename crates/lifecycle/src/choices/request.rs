//! What is asked for on a command line.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use caravan_lab::Provider;

/// What is asked for now; nothing is decided where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChoiceRequest {
    /// What is to run the machines of all servers, whatever the lab file says.
    pub provider: Option<Provider>,
    /// What is to run those of one server, by its name: before all others.
    pub providers: BTreeMap<String, Provider>,
    /// Whether machines are to have no way out.
    pub airgap: bool,
    /// Whether virtual machines are to be emulated.
    pub emulated: Option<bool>,
    /// Whether this computer gives virtual machines its processor's help, which decides where nobody says anything.
    pub has_kvm: bool,
    /// The other computers, as the lab file names them, that do not.
    pub hosts_without_kvm: BTreeSet<String>,
    /// What machines are to be made from.
    pub images: Vec<ImageRequest>,
}

impl ChoiceRequest {
    /// Whether nothing is said of what is to run machines.
    pub fn says_nothing_of_providers(&self) -> bool {
        self.provider.is_none() && self.providers.is_empty()
    }

    /// Takes what is said of providers; of several words about one server, the last one counts.
    pub fn take_providers<'a>(&mut self, choices: impl IntoIterator<Item = &'a ProviderChoice>) {
        for choice in choices {
            match &choice.server {
                Some(server) => drop(self.providers.insert(server.clone(), choice.provider)),
                None => self.provider = Some(choice.provider),
            }
        }
    }

    /// What is asked for on a server, if anything is.
    pub(super) fn provider(&self, server: &str) -> Option<Provider> {
        self.providers.get(server).copied().or(self.provider)
    }
}

/// What runs the machines, of one server or of all, written `SERVER=PROVIDER` or `PROVIDER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderChoice {
    /// The server; none for all that are not named.
    pub server: Option<String>,
    /// What runs its machines.
    pub provider: Provider,
}

/// Its error says which words there are.
impl FromStr for ProviderChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (server, word) = match text.split_once('=') {
            Some((server, word)) => (Some(server.to_owned()), word),
            None => (None, text),
        };
        match Provider::ALL.into_iter().find(|it| it.word() == word) {
            Some(provider) => Ok(Self { server, provider }),
            None => {
                let words = Provider::ALL.map(Provider::word).join(", ");
                Err(format!("`{word}` is none of {words}"))
            }
        }
    }
}

impl fmt::Display for ProviderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(server) = &self.server {
            write!(f, "{server}=")?;
        }
        write!(f, "{}", self.provider)
    }
}

/// What machines are to be made from, as the user names it: `PROVIDER=IMAGE` or `IMAGE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRequest {
    /// Of which provider's machines that is said; none where the lab has one provider.
    pub provider: Option<Provider>,
    /// The image or box.
    pub name: String,
}

impl FromStr for ImageRequest {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let of = Provider::ALL.into_iter().find_map(|provider| {
            let name = text.strip_prefix(provider.word())?.strip_prefix('=')?;
            Some((provider, name))
        });
        Ok(Self {
            provider: of.map(|(provider, _)| provider),
            name: of.map_or(text, |(_, name)| name).to_owned(),
        })
    }
}

impl fmt::Display for ImageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(provider) = self.provider {
            write!(f, "{provider}=")?;
        }
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_of_all_servers_or_of_one() {
        let words = [
            "docker",
            "server2=libvirt",
            "server1=virtualbox",
            "server2=docker",
        ];
        let choices = words.map(|word| word.parse::<ProviderChoice>().expect("a provider"));
        assert_eq!(choices.clone().map(|it| it.to_string()), words);
        let mut asked = ChoiceRequest::default();
        asked.take_providers(&choices);
        assert_eq!(asked.provider("server1"), Some(Provider::VirtualBox));
        assert_eq!(asked.provider("server2"), Some(Provider::Docker));
        assert_eq!(asked.provider("server3"), Some(Provider::Docker));
        for (text, word) in [
            ("server1=ship", "ship"),
            ("ship", "ship"),
            ("server1", "server1"),
            ("a=", ""),
        ] {
            let error = text.parse::<ProviderChoice>().expect_err("none");
            assert_eq!(
                error,
                format!("`{word}` is none of docker, libvirt, virtualbox")
            );
        }
    }

    #[test]
    fn an_image_may_name_its_provider() {
        for (text, provider, name) in [
            ("docker=a:1", Some(Provider::Docker), "a:1"),
            (
                "libvirt=debian/bookworm64",
                Some(Provider::Libvirt),
                "debian/bookworm64",
            ),
            ("c=d", None, "c=d"),
            ("libvirtual", None, "libvirtual"),
        ] {
            let Ok(image) = text.parse::<ImageRequest>();
            assert_eq!((image.provider, image.name.as_str()), (provider, name));
            assert_eq!(image.to_string(), text);
        }
    }
}
