//! What the command line may say.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

/// Certificates, keys and their store
///
/// Exit status: 0 done or good, 1 failed or bad, 2 wrong usage, 3 good but soon due or worth a look.
#[derive(Debug, Parser)]
#[command(name = "caravan-pki", version)]
pub(crate) struct Flags {
    /// Print JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make an authority in a folder, or bring one there
    Init(Init),
    /// Make a certificate and its key, or sign a request
    Issue(Issue),
    /// Show what certificates say
    Inspect(Inspect),
    /// Judge a certificate for a purpose and a name
    Verify(Verify),
    /// Renew what is due, with the same keys
    Renew(Renew),
    /// Find what strict verifiers would object to
    Lint(Lint),
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The store's folder
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// The authority's name in the store
    #[arg(long, default_value = "ca")]
    pub(crate) id: String,
    /// Common name
    #[arg(long, required_unless_present = "import")]
    pub(crate) cn: Option<String>,
    /// Organization; may be repeated
    #[arg(long)]
    pub(crate) organization: Vec<String>,
    /// Lifetime in days
    #[arg(long, default_value_t = 3650)]
    pub(crate) days: u32,
    /// How many authorities may stand between this one and a leaf
    #[arg(long, default_value_t = 0)]
    pub(crate) path_length: u8,
    /// Bring an existing authority: its certificate and its key, in PEM or DER
    #[arg(long, num_args = 2, value_names = ["CERTIFICATE", "KEY"], conflicts_with_all = ["cn", "organization", "days", "path_length"])]
    pub(crate) import: Option<Vec<PathBuf>>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("profile").required(true).args(["server", "client", "peer"]))]
pub(crate) struct Issue {
    /// The certificate's name in the store; not needed with `--request`
    #[arg(required_unless_present = "request")]
    pub(crate) id: Option<String>,
    /// The store's folder
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// The authority's name in the store
    #[arg(long, default_value = "ca")]
    pub(crate) ca: String,
    /// For a server
    #[arg(long)]
    pub(crate) server: bool,
    /// For a client
    #[arg(long)]
    pub(crate) client: bool,
    /// For a server that is a client of its like
    #[arg(long)]
    pub(crate) peer: bool,
    /// Common name; the last part of the certificate's name if not given
    #[arg(long)]
    pub(crate) cn: Option<String>,
    /// Organization; may be repeated
    #[arg(long)]
    pub(crate) organization: Vec<String>,
    /// DNS name, address or URI; may be repeated. With `--request`, a name that may be asked for
    #[arg(long)]
    pub(crate) san: Vec<String>,
    /// Lifetime in days
    #[arg(long, default_value_t = 365)]
    pub(crate) days: u32,
    /// Sign this certificate request (PEM) and print the certificate; the names it may ask for are those given
    #[arg(long)]
    pub(crate) request: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// PEM, DER or kubeconfig files
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Every certificate of a file, and judge expiry by all of them; else the first
    #[arg(long)]
    pub(crate) bundle: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("purpose").required(true).args(["client", "server"]))]
pub(crate) struct Verify {
    /// The certificate, with intermediates after it
    pub(crate) file: PathBuf,
    /// Trusted authorities; may be repeated
    #[arg(long, required = true)]
    pub(crate) ca: Vec<PathBuf>,
    /// Revocation list; may be repeated
    #[arg(long)]
    pub(crate) crl: Vec<PathBuf>,
    /// As a client
    #[arg(long)]
    pub(crate) client: bool,
    /// As a server reached by this name
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Renew {
    /// The store's folder
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// Certificates to renew though they are not due; a self-signed authority is renewed only if it is named
    pub(crate) ids: Vec<String>,
    /// Make new keys for those; servers that use them must be restarted
    #[arg(long, requires = "ids")]
    pub(crate) new_key: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Files, or folders whose `.crt`, `.pem` and `.conf` files are judged together
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
}
