//! What can be wrong with rendering: nothing but the templates and material handed in.

use thiserror::Error;

/// Why files could not be rendered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A template has a fault: the caller's own Vagrantfile template, or a bug here.
    #[error("cannot render template `{template}`")]
    Template {
        /// The template's path below `templates/`, or `Vagrantfile.hbs`.
        template: String,
        /// What Handlebars says, with line and column.
        #[source]
        source: Box<handlebars::RenderError>,
    },
    /// The caller's Vagrantfile template cannot be read as a template.
    #[error("cannot parse template `{template}`")]
    Syntax {
        /// The template's path.
        template: String,
        /// What Handlebars says, with line and column.
        #[source]
        source: Box<handlebars::TemplateError>,
    },
    /// Certificates and keys: a name that no certificate can have, or material of another plan.
    #[error(transparent)]
    Pki(#[from] caravan_pki::Error),
    /// The material is of another lab, which has no such machine.
    #[error("no certificates for machine `{machine}`")]
    MissingPairs {
        /// The machine's name.
        machine: String,
    },
    /// Calico's published manifest is not the one that is known here.
    #[error("Calico's manifest does not say {what} where it is expected")]
    CalicoManifest {
        /// What is missing, or there more than once.
        what: &'static str,
    },
    /// The lab's pod network is Calico, and its manifest was not handed in.
    #[error("Calico's manifest is not here")]
    NoCalicoManifest,
    /// A value has characters that a file of words reads as something else.
    #[error("line {line} of what template `{template}` makes cannot hold its value")]
    Unfit {
        /// The template's path below `templates/`.
        template: String,
        /// The line of the file, from 1.
        line: usize,
    },
    /// Containers are asked for on a LAN on which nobody knows their computer; the lab file names virtual machines.
    #[error(
        "{place}: server `{server}` is on a bridge and has no `address`, by which Vagrant comes into containers"
    )]
    AddressUnknown {
        /// Where the lab file names the bridge, such as `labs/ha.toml:12`.
        place: String,
        /// The server's name.
        server: String,
    },
    /// The bundle's version of etcd cannot be read.
    #[error("the bundle's etcd has the version `{0}`, which is not of the form `3.6.14`")]
    EtcdVersion(String),
}

impl Error {
    /// The next thing to do about it; `tool` is how the program that calls this is started, such as `cargo xtask`.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Error::Template { template, .. } | Error::Syntax { template, .. } => Some(format!(
                "restore `{template}` with `git checkout {template}`"
            )),
            Error::CalicoManifest { .. } => Some(
                "its version in crates/bundle/artifacts.toml was changed: crates/render/src/calico.rs has to follow"
                    .to_owned(),
            ),
            Error::NoCalicoManifest => Some(format!(
                "`{tool} bundle download --pod-network calico` fetches it with the images"
            )),
            Error::Pki(error) => error.hint(),
            Error::AddressUnknown { .. } => Some(
                "add `address`, the server's own on that LAN, or take the provider that the lab file names"
                    .to_owned(),
            ),
            Error::MissingPairs { .. } | Error::Unfit { .. } | Error::EtcdVersion(_) => None,
        }
    }
}
