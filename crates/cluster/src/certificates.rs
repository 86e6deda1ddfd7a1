//! Which certificates machines have on their disks, and which their servers show: two things, since servers read some files
//! once and others at each connection.

use std::fmt;
use std::net::SocketAddrV4;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use caravan_lab::{Machine, Role, ports};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::attempt::Client;
use crate::facts::Facts;
use crate::{Access, Certificate, Error, facts, parallel};

/// How long a machine or a server may take to tell, at the usual pace.
const LIMIT: Duration = Duration::from_secs(10);

/// Prints the certificates of all files that have any, also those inside kubeconfigs, and no key.
const FILES: &str = r#"
shopt -s nullglob
for file in /etc/etcd/pki/*.crt /etc/haproxy/*.crt /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt \
    /var/lib/kubelet/pki/kubelet-client-current.pem /var/lib/kubelet/pki/*.crt; do
    echo "@@ $file"
    sed -n '/-BEGIN CERTIFICATE-/,/-END CERTIFICATE-/p' "$file"
done
for file in /etc/kubernetes/*.conf; do
    data=$(sed -n 's/^ *client-certificate-data: *//p' "$file")
    [[ ! $data ]] || { echo "@@ $file"; base64 --decode <<<"$data" | sed -n '/-BEGIN CERTIFICATE-/,/-END CERTIFICATE-/p'; }
done
exit 0
"#;

/// Writes a file beside its place, and gives it its name there, if its content is another. It has the time that it has in its
/// machine's archive, which is unpacked again where files differ from it.
const BRING: &str = r#"
set -euo pipefail
umask 077
echo '@@ brought'
bring() {
    base64 --decode <<<"$3" >"$1.new"
    if cmp --quiet "$1.new" "$1"; then
        rm "$1.new"
        return
    fi
    chmod "$2" "$1.new"
    touch --date @0 "$1.new"
    sync "$1.new"
    mv --force "$1.new" "$1"
    echo "$1"
}
"#;

/// Where a certificate was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeenAt {
    /// In a file of a machine.
    File {
        /// The machine.
        machine: String,
        /// Its absolute path there.
        path: String,
    },
    /// Shown by a server of a machine.
    Served {
        /// The machine.
        machine: String,
        /// Where the server was asked.
        at: SocketAddrV4,
        /// The file that the server has it from.
        from: &'static str,
    },
}

/// A certificate that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenCertificate {
    /// Where.
    pub at: SeenAt,
    /// Its DER.
    pub der: Vec<u8>,
    /// What it says.
    pub certificate: Certificate,
}

/// All that machines and servers tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenCertificates {
    /// Each certificate, in the order of the lab file, files first.
    pub seen: Vec<SeenCertificate>,
    /// Who was not heard, and why.
    pub silent: Vec<String>,
}

/// A file that is brought to a machine. It may hold a key, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct BroughtFile {
    /// Its absolute path there.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
    /// The whole of it.
    pub content: String,
}

impl fmt::Debug for BroughtFile {
    /// Shows no content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroughtFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Brings files to a machine, each whole or not at all, and those alone that differ there; returns the paths of these.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn bring(
    access: &Access,
    machine: &Machine,
    files: &[BroughtFile],
) -> Result<Vec<String>, Error> {
    let mut script = String::from(BRING);
    for file in files {
        let content = BASE64.encode(&file.content);
        script += &format!("bring '{}' {:o} '{content}'\n", file.path, file.mode);
    }
    let said = facts::ask(access, machine, &script, LIMIT)?;
    Ok(said.get("brought").unwrap_or_default().to_vec())
}

/// The certificate that the server of `machine` shows to a new connection, DER; `None` where its role has no server that this
/// computer may reach.
///
/// # Errors
///
/// [`Error::Credentials`]; [`Error::NotShown`] where it shows none.
pub fn served(access: &Access, machine: &Machine) -> Result<Option<SeenCertificate>, Error> {
    let (ca, pair, port, from) = match machine.role {
        Role::Etcd => (
            &access.etcd_ca,
            &access.etcd_client,
            ports::ETCD_CLIENT,
            "/etc/etcd/pki/server.crt",
        ),
        Role::ControlPlane => (
            &access.kubernetes_ca,
            &access.operator,
            ports::API,
            "/etc/kubernetes/pki/apiserver.crt",
        ),
        Role::LoadBalancer | Role::Worker => return Ok(None),
    };
    let client = Client::new(ca, Some(pair))?.with_limit(access.pace().of(LIMIT));
    let at = SocketAddrV4::new(machine.ip, port);
    let attempt = client.by(&access.way).get(at, "/version");
    let certificate = attempt.shown.as_deref().and_then(access.inspect);
    match (attempt.shown, certificate) {
        (Some(der), Some(certificate)) => Ok(Some(SeenCertificate {
            at: SeenAt::Served {
                machine: machine.name.clone(),
                at,
                from,
            },
            der,
            certificate,
        })),
        _ => Err(Error::NotShown {
            machine: machine.name.clone(),
            at,
            why: attempt.end.to_string(),
        }),
    }
}

/// Asks `machines`, which run, for the certificates on their disks, and their servers for those that they show, each over a
/// connection of its own.
///
/// # Errors
///
/// [`Error::Credentials`]: who does not answer is no error here.
pub fn ask(access: &Access, machines: &[&Machine]) -> Result<SeenCertificates, Error> {
    let told = parallel::each(machines.iter().copied(), |machine| {
        let mut found = SeenCertificates::default();
        match facts::ask(access, machine, FILES, LIMIT) {
            Ok(said) => found.seen.extend(of_files(access, machine, &said)),
            Err(error) => found
                .silent
                .push(format!("{}: {}", machine.name, error.chain())),
        }
        match served(access, machine) {
            Ok(shown) => found.seen.extend(shown),
            Err(error @ Error::NotShown { .. }) => found.silent.push(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(found)
    });
    let mut all = SeenCertificates::default();
    for found in told {
        let found = found?;
        all.seen.extend(found.seen);
        all.silent.extend(found.silent);
    }
    Ok(all)
}

fn of_files(access: &Access, machine: &Machine, said: &Facts) -> Vec<SeenCertificate> {
    let mut seen = Vec::new();
    for path in said.sections() {
        for der in certificates(&said.text(path)) {
            if let Some(certificate) = (access.inspect)(&der) {
                seen.push(SeenCertificate {
                    at: SeenAt::File {
                        machine: machine.name.clone(),
                        path: path.to_owned(),
                    },
                    der,
                    certificate,
                });
            }
        }
    }
    seen
}

/// The certificates of a text, DER; what is none is passed over.
pub(crate) fn certificates(pem: &str) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .filter_map(Result::ok)
        .map(|der| der.to_vec())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_and_other_blocks_are_not() {
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAEC\n-----END {label}-----\n");
        let text = format!(
            "{}noise\n{}{}",
            block("CERTIFICATE"),
            block("PRIVATE KEY"),
            block("CERTIFICATE")
        );
        assert_eq!(certificates(&text), [vec![0, 1, 2], vec![0, 1, 2]]);
        assert_eq!(certificates("nothing"), Vec::<Vec<u8>>::new());
    }
}
