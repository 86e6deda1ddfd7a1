//! The choices that are made once, when machines are made.

use caravan_bundle::AddOnKind;
use caravan_lifecycle::{ChoiceRequest, ImageRequest, ProviderChoice};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use caravan_host::hypervisor;

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
    /// Ubuntu, and Debian 12 where its image cannot be reached
    Auto,
    /// Ubuntu 22.04 from a registry
    Ubuntu,
    /// Debian 12 from its packages
    #[value(name = "debian-12", alias = "debian")]
    Debian12,
    /// Debian 13 from its packages
    #[value(name = "debian-13")]
    Debian13,
}

/// What runs machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runner {
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
            Base::Debian12 => Self::Debian12,
            Base::Debian13 => Self::Debian13,
        }
    }
}

impl From<Runner> for caravan_lab::Provider {
    fn from(runner: Runner) -> Self {
        match runner {
            Runner::Docker => Self::Docker,
            Runner::Libvirt => Self::Libvirt,
            Runner::Virtualbox => Self::VirtualBox,
        }
    }
}

/// What a lab may ask for in its table `[cluster]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AddOn {
    /// local-path-provisioner, which makes volumes: `storage`
    LocalPath,
    /// The metrics server, for `kubectl top`: `metrics`
    MetricsServer,
    /// MetalLB, which gives services addresses: `load_balancer`
    #[value(name = "metallb")]
    MetalLb,
}

/// What is made beyond what every machine has.
#[derive(Debug, Clone, Args)]
pub(crate) struct AddOns {
    /// Also with what this pod network needs
    #[arg(long, value_enum)]
    pod_network: Option<PodNetwork>,
    /// Also with this, which a lab's table `[cluster]` may ask for; may be given several times
    #[arg(long, value_enum)]
    add_on: Vec<AddOn>,
}

impl AddOns {
    /// What is asked for, each once.
    pub(crate) fn kinds(&self) -> Vec<AddOnKind> {
        let network = self.pod_network.map(|network| match network {
            PodNetwork::Flannel => AddOnKind::Flannel,
            PodNetwork::Calico => AddOnKind::Calico,
        });
        let asked = self.add_on.iter().map(|add_on| match add_on {
            AddOn::LocalPath => AddOnKind::LocalPath,
            AddOn::MetricsServer => AddOnKind::MetricsServer,
            AddOn::MetalLb => AddOnKind::MetalLb,
        });
        let mut kinds: Vec<AddOnKind> = network.into_iter().chain(asked).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
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
    /// What runs the machines: `docker`, `libvirt` or `virtualbox`, for all servers or, as `SERVER=PROVIDER`, for one
    /// [default: the lab's, or `docker`]
    #[arg(
        long,
        value_delimiter = ',',
        env = "CARAVAN_PROVIDER",
        hide_env_values = true
    )]
    pub(crate) provider: Vec<ProviderChoice>,

    /// Give the machines no way out of the lab
    #[arg(long, env = "CARAVAN_AIRGAP", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub(crate) airgap: bool,

    /// Give libvirt's machines the time that they need without the processor's help, or, with `no`, take them for ones that
    /// have it [default: the lab's, or what is found here]
    #[arg(
        long,
        value_name = "yes|no",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "yes",
        env = "CARAVAN_EMULATED",
        hide_env_values = true,
        value_parser = BoolishValueParser::new()
    )]
    pub(crate) emulated: Option<bool>,

    /// Use this machine image, or box, instead of baking one; `PROVIDER=IMAGE` for one provider's machines
    #[arg(
        long,
        value_name = "IMAGE",
        env = "CARAVAN_IMAGE",
        hide_env_values = true
    )]
    pub(crate) image: Vec<ImageRequest>,
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
        let mut add = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
        for provider in &self.provider {
            add("--provider", provider.to_string());
        }
        for image in &self.image {
            add("--image", image.to_string());
        }
        words.extend(self.airgap.then(|| "--airgap".to_owned()));
        words.extend(self.emulated.map(|emulated| {
            let word = if emulated { "yes" } else { "no" };
            format!("--emulated={word}")
        }));
        words
    }

    /// What is asked for, as the lab's choices are settled by.
    pub(crate) fn request(&self) -> ChoiceRequest {
        let mut asked = ChoiceRequest {
            airgap: self.airgap,
            emulated: self.emulated,
            has_kvm: hypervisor::kvm().is_usable(),
            hosts_without_kvm: Default::default(),
            images: self.image.clone(),
            ..ChoiceRequest::default()
        };
        asked.take_providers(&self.provider);
        asked
    }
}

#[cfg(test)]
mod tests {
    use caravan_lab::Provider;
    use clap::builder::Resettable;
    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        making: Making,
    }

    /// Parsed from these words alone: whoever runs the tests may have any `CARAVAN_...` set.
    fn making(words: &[&str]) -> Making {
        let words = ["caravan"].iter().chain(words);
        let command = Flags::command().mut_args(|arg| arg.env(Resettable::Reset));
        let matches = command.try_get_matches_from(words).expect("flags");
        Flags::from_arg_matches(&matches).expect("flags").making
    }

    #[test]
    fn the_same_flags_say_the_same() {
        for words in [
            &[
                "--provider",
                "docker",
                "--provider",
                "a=libvirt",
                "--image",
                "docker=a",
            ][..],
            &["--airgap", "--emulated=yes"],
            &["--emulated=no"],
        ] {
            assert_eq!(making(words).words(), words);
        }
        assert_eq!(making(&["--emulated"]).emulated, Some(true));
        let asked = making(&["--provider", "docker,server2=libvirt"]).request();
        assert_eq!(asked.provider, Some(Provider::Docker));
        assert_eq!(asked.providers["server2"], Provider::Libvirt);
    }
}
