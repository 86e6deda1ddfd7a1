//! What the command line may say.

use std::path::PathBuf;

use caravan_pki::kubernetes::Node;
use caravan_pki::{Lifetime, RevocationReason, Subtree, Uri};
use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

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
    /// Revoke certificates, and keep the list of what is revoked
    Revoke(Revoke),
    /// Change an authority's key in three steps
    Rotate(Rotate),
    /// Make a key and a certificate request
    Csr(Csr),
    /// Print a certificate with its chain, or what to trust, or write it to a file
    Bundle(Bundle),
    /// Make what a request and a profile of cfssl describe
    Cfssl(Cfssl),
    /// Make all certificates of a kubeadm cluster, and the files of its machines
    Kubernetes(Kubernetes),
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
    #[command(flatten)]
    pub(crate) life: Life,
    /// Make it below this authority of the store
    #[arg(long, value_name = "ID")]
    pub(crate) issuer: Option<String>,
    /// How many authorities may stand between this one and a leaf
    #[arg(long, default_value_t = 0)]
    pub(crate) path_length: u8,
    /// A domain, network or `uri:HOST` that it may vouch for; may be repeated. Without any, all
    #[arg(long, value_name = "NAME")]
    pub(crate) permit: Vec<Subtree>,
    /// A domain, network or `uri:HOST` that it may not vouch for; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) exclude: Vec<Subtree>,
    /// Bring an existing authority: its certificate and its key, in PEM or DER
    #[arg(long, num_args = 2, value_names = ["CERTIFICATE", "KEY"], conflicts_with_all = ["cn", "organization", "days", "hours", "path_length", "issuer", "permit", "exclude"])]
    pub(crate) import: Option<Vec<PathBuf>>,
    /// The authorities above the one that is brought (PEM), nearest first; everything it issues comes with them
    #[arg(long, requires = "import")]
    pub(crate) chain: Option<PathBuf>,
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
    /// Where the authority's revocation list can be fetched, such as `http://ca.example.com/ca.crl`; may be repeated
    #[arg(long, value_name = "URI")]
    pub(crate) crl_url: Vec<Uri>,
    #[command(flatten)]
    pub(crate) life: Life,
    /// Sign this certificate request (PEM, `-` for standard input) and print the certificate with its chain; the names it may
    /// ask for are those given
    #[arg(long)]
    pub(crate) request: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// PEM, DER or kubeconfig files; `-` for standard input, HOST:PORT for what a server there shows
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Every certificate of a file, and judge expiry by all of them; else the first
    #[arg(long)]
    pub(crate) bundle: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("purpose").required(true).args(["client", "server"]))]
pub(crate) struct Verify {
    /// The certificate, with intermediates after it; `-` for standard input, HOST:PORT for what a server there shows
    pub(crate) file: PathBuf,
    /// Trusted authorities and nothing else; may be repeated
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
    /// Say what would be renewed, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run this with `sh -c` if anything was renewed; CARAVAN_PKI_RENEWED holds the names, separated by spaces
    #[arg(long, value_name = "COMMAND", conflicts_with = "dry_run")]
    pub(crate) exec: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The store's folder
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// The authority's name in the store
    #[arg(long, default_value = "ca")]
    pub(crate) ca: String,
    /// Certificates of the store; without any and without `--serial`, the list is made anew with what it holds
    pub(crate) ids: Vec<String>,
    /// Serial number in hexadecimal digits, of a certificate that is not in the store; may be repeated
    #[arg(long, value_name = "HEX")]
    pub(crate) serial: Vec<String>,
    /// Why
    #[arg(long, default_value = "unspecified", ignore_case = true, value_parser = PossibleValuesParser::new(RevocationReason::all().map(RevocationReason::name)))]
    pub(crate) reason: String,
    /// Days to the next list: once they are past, verifiers refuse every certificate of the authority
    #[arg(long, default_value_t = 30)]
    pub(crate) days: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The store's folder
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// The authority's name in the store
    pub(crate) id: String,
    /// The step to take; without one, how far it has come is said
    #[arg(value_enum)]
    pub(crate) step: Option<RotationStep>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RotationStep {
    /// Make the coming authority, to be trusted beside the old one
    Start,
    /// Have the coming authority sign, and everything made anew
    Switch,
    /// Trust the old authority no longer
    Finish,
}

#[derive(Debug, Args)]
pub(crate) struct Csr {
    /// The private key's file: used if it is there, else made, for its owner alone
    #[arg(long)]
    pub(crate) key: PathBuf,
    /// Common name
    #[arg(long)]
    pub(crate) cn: String,
    /// Organization; may be repeated
    #[arg(long)]
    pub(crate) organization: Vec<String>,
    /// DNS name, address or URI; may be repeated
    #[arg(long)]
    pub(crate) san: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Bundle {
    /// The store's folder
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// A certificate of the store: it and the authorities between it and its root. An authority: what to trust in its name
    pub(crate) id: String,
    /// The certificate's private key after it, for programs that want one file
    #[arg(long)]
    pub(crate) key: bool,
    /// How: PEM, or PKCS#12 with certificate, chain and key, for Java and Windows
    #[arg(long, value_enum, default_value_t = BundleFormat::Pem)]
    pub(crate) format: BundleFormat,
    /// Encrypt the key with the first line of this file; `-` for standard input. PKCS#12 demands it
    #[arg(long, value_name = "FILE", required_if_eq("format", "pkcs12"))]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Write to this file, in one step, instead of standard output
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// The file's permissions in octal digits; 0644 if not given, 0600 with a key
    #[arg(long, requires = "out", value_parser = mode)]
    pub(crate) mode: Option<u32>,
    /// The group that the file is of, by name or number
    #[arg(long, requires = "out")]
    pub(crate) group: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BundleFormat {
    Pem,
    Pkcs12,
}

#[derive(Debug, Args)]
pub(crate) struct Cfssl {
    /// The name in the store
    pub(crate) id: String,
    /// The store's folder
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// The request (`csr.json`); `-` for standard input
    #[arg(long)]
    pub(crate) request: PathBuf,
    /// The signing configuration (`ca-config.json`)
    #[arg(long, requires = "profile")]
    pub(crate) config: Option<PathBuf>,
    /// The profile of the configuration. Without one, the request is for a self-signed authority (`-initca`)
    #[arg(long, requires = "config")]
    pub(crate) profile: Option<String>,
    /// The authority that signs, by its name in the store
    #[arg(long, default_value = "ca", requires = "profile")]
    pub(crate) ca: String,
}

#[derive(Debug, Args)]
pub(crate) struct Kubernetes {
    /// The store's folder
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// Where clients reach the API servers: HOST:PORT of the load balancer, or of the only server
    #[arg(long)]
    pub(crate) endpoint: String,
    /// A machine of the control plane: NAME=ADDRESS, further addresses after commas; may be repeated
    #[arg(long, required = true, value_name = "NAME=ADDRESS", value_parser = machine)]
    pub(crate) control_plane: Vec<Node>,
    /// A machine of an etcd of its own; without any, etcd is on the control plane
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = machine)]
    pub(crate) etcd: Vec<Node>,
    /// A worker
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = machine)]
    pub(crate) worker: Vec<Node>,
    /// The cluster's name [default: kubernetes]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The API server's address inside the cluster; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) service_address: Vec<std::net::IpAddr>,
    /// The domain of services [default: cluster.local]
    #[arg(long)]
    pub(crate) dns_domain: Option<String>,
    /// A further name of the API servers; may be repeated
    #[arg(long)]
    pub(crate) san: Vec<String>,
    /// Print what there shall be, and make nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write the files of each machine below this folder, in a folder of its name, and the operator's kubeconfig
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) out: Option<PathBuf>,
}

fn machine(text: &str) -> Result<Node, String> {
    let (name, addresses) = text
        .split_once('=')
        .ok_or("a machine is NAME=ADDRESS, such as one=10.0.0.1")?;
    let mut addresses = addresses.split(',').map(|one| {
        one.parse::<std::net::IpAddr>()
            .map_err(|_| format!("`{one}` is no address"))
    });
    let first = addresses.next().ok_or("a machine has an address")??;
    let node = Node::new(name, first).map_err(|error| error.to_string())?;
    addresses.try_fold(node, |node, address| Ok(node.with_address(address?)))
}

/// How long something is valid.
#[derive(Debug, Args)]
pub(crate) struct Life {
    /// Lifetime in days [default: 365, of authorities 3650]
    #[arg(long)]
    pub(crate) days: Option<u32>,
    /// Lifetime in hours
    #[arg(long, conflicts_with = "days")]
    pub(crate) hours: Option<u32>,
}

impl Life {
    /// What was asked for, else `default`.
    pub(crate) fn or(&self, default: Lifetime) -> Lifetime {
        match (self.days, self.hours) {
            (Some(days), _) => Lifetime::days(days),
            (None, Some(hours)) => Lifetime::hours(hours),
            (None, None) => default,
        }
    }

    /// What was asked for, if anything.
    pub(crate) fn asked(&self) -> Option<Lifetime> {
        (self.days.is_some() || self.hours.is_some()).then(|| self.or(Lifetime::LEAF))
    }
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "permissions are three octal digits, such as 0640".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Files, or folders whose `.crt`, `.pem` and `.conf` files are judged together
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
}
