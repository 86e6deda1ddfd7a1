//! What `certs` is told.

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;

use crate::completion::lab_names;

#[derive(Debug, Args)]
pub(crate) struct Certs {
    #[command(subcommand)]
    pub(crate) action: CertsAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertsAction {
    /// List every certificate of a lab: here, on its machines, and as its servers show them
    List(CertsList),
    /// Make certificates anew that end soon, while the lab goes on
    Renew(CertsRenew),
    /// Judge every certificate of a lab: by the rules of X.509, etcd and kubeadm here, and by what machines and servers show
    Check(CertsCheck),
}

#[derive(Debug, Args)]
pub(crate) struct CertsList {
    /// The lab [default: the one that has machines]
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CertsRenew {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// All of them, and not only those that end within 30 days
    #[arg(long)]
    pub(crate) all: bool,
    /// Rescue a lab whose certificates have ended, as after a year of rest; the API is away until then
    #[arg(long, conflicts_with = "all")]
    pub(crate) expired: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CertsCheck {
    /// The lab [default: the one that has machines]
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: Option<String>,
    /// Look at this computer's store alone, and ask no machine
    #[arg(long)]
    pub(crate) offline: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
