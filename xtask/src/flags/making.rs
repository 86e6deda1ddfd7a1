//! The choices that are made once, when machines are made.

use caravan_lifecycle::ChoiceRequest;
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

/// Where software comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// Downloads, and Go modules where the release hosts cannot be reached
    Auto,
    /// Published files, checked by sha256
    Download,
    /// Go modules, checked by go.sum
    Go,
}

/// The operating system of machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Base {
    /// Ubuntu, and Debian where its image cannot be reached
    Auto,
    /// Ubuntu 22.04 from a registry
    Ubuntu,
    /// Debian from its packages
    Debian,
}

/// What runs machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Provider {
    /// Containers that run systemd
    Docker,
    /// Virtual machines by KVM or QEMU
    Libvirt,
    /// Virtual machines by VirtualBox
    Virtualbox,
}

/// A pod network that needs more than every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PodNetwork {
    /// flannel
    Flannel,
    /// Calico
    Calico,
}

impl From<Source> for caravan_bundle::SoftwareSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Auto => Self::Auto,
            Source::Download => Self::Download,
            Source::Go => Self::Go,
        }
    }
}

impl From<Base> for caravan_bundle::Base {
    fn from(base: Base) -> Self {
        match base {
            Base::Auto => Self::Auto,
            Base::Ubuntu => Self::Ubuntu,
            Base::Debian => Self::Debian,
        }
    }
}

impl From<PodNetwork> for caravan_bundle::Network {
    fn from(pod_network: PodNetwork) -> Self {
        match pod_network {
            PodNetwork::Flannel => Self::Flannel,
            PodNetwork::Calico => Self::Calico,
        }
    }
}

/// Where what the machines run comes from.
#[derive(Debug, Clone, Args)]
pub(crate) struct Origin {
    /// Where software comes from
    #[arg(
        long,
        value_enum,
        env = "CARAVAN_SOURCE",
        hide_env_values = true,
        default_value = "auto"
    )]
    pub(crate) source: Source,

    /// The operating system of machines
    #[arg(
        long,
        value_enum,
        env = "CARAVAN_BASE",
        hide_env_values = true,
        default_value = "auto"
    )]
    pub(crate) base: Base,
}

/// What is decided once, when a lab's machines are made.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Making {
    /// What runs the machines [default: the lab's, or `docker`]
    #[arg(long, value_enum, env = "CARAVAN_PROVIDER", hide_env_values = true)]
    pub(crate) provider: Option<Provider>,

    /// Give the machines no way out of the lab
    #[arg(long, env = "CARAVAN_AIRGAP", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub(crate) airgap: bool,

    /// Use this machine image instead of baking one
    #[arg(
        long,
        value_name = "IMAGE",
        env = "CARAVAN_IMAGE",
        hide_env_values = true
    )]
    pub(crate) image: Option<String>,
}

/// The word for a choice on the command line.
pub(crate) fn word(choice: &impl ValueEnum) -> String {
    let value = choice.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

impl Making {
    /// The flags that say the same.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let provider = self.provider.as_ref().map(word);
        for (flag, value) in [("--provider", &provider), ("--image", &self.image)] {
            words.extend(
                value
                    .iter()
                    .flat_map(|value| [flag.to_owned(), value.clone()]),
            );
        }
        words.extend(self.airgap.then(|| "--airgap".to_owned()));
        words
    }

    /// What is asked for, as the lab's choices are settled by.
    pub(crate) fn request(&self) -> ChoiceRequest {
        ChoiceRequest {
            provider: self.provider.map(Into::into),
            airgap: self.airgap,
            image: self.image.clone(),
        }
    }
}

impl From<Provider> for caravan_lab::Provider {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Docker => Self::Docker,
            Provider::Libvirt => Self::Libvirt,
            Provider::Virtualbox => Self::VirtualBox,
        }
    }
}
