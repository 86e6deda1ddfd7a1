//! What `certs` is told.

use caravan_lifecycle::rotate::RotatedSigner;
use clap::builder::PossibleValuesParser;
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
    /// Have another key take the place of what signs, while the lab goes on: a certificate authority, or the key of tokens
    Rotate(CertsRotate),
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
pub(crate) struct CertsRotate {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// What signs: etcd's authority, the cluster's, its front proxy's, or the key of service account tokens
    #[arg(value_parser = rotated_signers())]
    pub(crate) signer: String,
    /// Say what would be done, step by step, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

fn rotated_signers() -> PossibleValuesParser {
    RotatedSigner::ALL.map(RotatedSigner::name).into()
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
