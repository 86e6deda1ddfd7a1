//! Certificates, keys and secrets of a lab: what there is to be made, and which file of which machine holds what.
//!
//! Both follow from `pki`'s table; what is said here is what is a lab's own.

use std::collections::BTreeMap;
use std::fmt;

use caravan_lab::{Lab, Machine, Role};
use caravan_pki::kubernetes::{Cluster, Credential, FileContent, Node, PlannedFile};
use caravan_pki::{DnsName, Plan, San, Secret as SecretForm};

use crate::add_ons::{self, AddOnMaterial};
use crate::error::Error;
use crate::file::{GuestFile, Owner};

/// The plan's entry of etcd's cluster token, which tells this lab's etcd from all others.
pub const ETCD_TOKEN: &str = "secrets/etcd-cluster-token";

/// The plan's entry of the key by which Secrets are encrypted in etcd, in labs that do so.
const ENCRYPTION_KEY: &str = "secrets/encryption-key";

/// The plan's entry of the lab's ssh key.
pub const SSH_KEY: &str = "ssh";

/// Where load balancers have the certificates that they judge API servers by.
pub(crate) const BALANCERS_CA_FILE: &str = "/etc/haproxy/k8s-ca.crt";

/// Where kubelets look for a certificate before they have renewed theirs.
const KUBELET_PAIR: &str = "/var/lib/kubelet/pki/kubelet-client-caravan.pem";

/// Where controller managers have the certificate that they sign with: what is trusted has several while the authority changes.
const SIGNER_FILE: &str = "/etc/kubernetes/pki/ca-signer.crt";

/// What no machine can make for itself; kubeadm makes the rest from the authorities.
const MADE_BEFORE: [Credential; 6] = [
    Credential::ServiceAccount,
    Credential::EtcdServer,
    Credential::EtcdPeer,
    Credential::EtcdHealthcheckClient,
    Credential::ApiserverEtcdClient,
    Credential::Kubelet,
];

/// Text that is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

/// Returns the lab as `pki` knows clusters.
///
/// # Errors
///
/// [`Error::Pki`] for a name that no certificate can have.
pub fn pki_cluster(lab: &Lab) -> Result<Cluster, Error> {
    let mut cluster = Cluster::new(&lab.api_endpoint().to_string())?
        .with_service_addresses([lab.kubernetes_service_ip().into()])
        .with_dns_domain(DnsName::try_from(lab.cluster_domain())?)
        .with_kubelet_pair(KUBELET_PAIR)
        .with_signer_file(SIGNER_FILE);
    // Of later minors, none is pinned whose kubeadm needs it.
    if lab.kubernetes().minor < 36 {
        cluster = cluster.with_kubelet_client_group();
    }
    for san in lab.api_sans() {
        cluster = cluster.with_extra_san(San::try_from(san.as_str())?);
    }
    for machine in lab.machines() {
        let node = Node::new(&machine.name, machine.ip.into())?.with_domain(lab.domain())?;
        cluster = match machine.role {
            Role::ControlPlane => cluster.with_control_plane(node),
            Role::Etcd => cluster.with_etcd(node),
            Role::LoadBalancer => cluster.with_load_balancer(node, BALANCERS_CA_FILE),
            Role::Worker => cluster.with_worker(node),
        };
    }
    Ok(cluster)
}

/// Returns the plan of what is made before any machine is.
///
/// # Errors
///
/// As [`pki_cluster`].
pub fn pki_plan(lab: &Lab) -> Result<Plan, Error> {
    let mut plan = pki_cluster(lab)?.plan_of(|credential| MADE_BEFORE.contains(&credential))?;
    plan.secret(ETCD_TOKEN, SecretForm::Hex(16))?;
    if lab.settings().encryption.is_some() {
        plan.secret(ENCRYPTION_KEY, SecretForm::Base64(32))?;
    }
    plan.ssh_key(SSH_KEY, &format!("caravan-{}", lab.name()))?;
    add_ons::extend(&mut plan, lab)?;
    Ok(plan)
}

/// What the machines of a lab hold of its certificates, keys and secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    /// The files of each machine that hold certificates or keys, by the machine's name.
    files: BTreeMap<String, Vec<GuestFile>>,
    /// Tells this lab's etcd cluster from all others: etcd's `--initial-cluster-token`.
    pub etcd_cluster_token: Secret,
    /// The key by which Secrets are encrypted in etcd, 32 octets in base64; `None` where they are not.
    pub encryption_key: Option<Secret>,
    /// The lab's public ssh key, one line in OpenSSH's form.
    pub ssh_public_key: String,
    /// What the manifests of the lab's add-ons hold.
    pub(crate) add_ons: AddOnMaterial,
}

impl Material {
    /// Takes what machines need out of what was made by [`pki_plan`].
    ///
    /// # Errors
    ///
    /// [`Error::Pki`] when an entry of the plan is missing.
    pub fn new(lab: &Lab, made: &caravan_pki::Material) -> Result<Material, Error> {
        let cluster = pki_cluster(lab)?;
        let content = |file: PlannedFile| Ok(cluster.node_file(file, made)?.content.to_string());
        Ok(Material {
            files: files(lab, content, |machine| {
                add_ons::kubelet_server_pair(machine, made)
            })?,
            add_ons: AddOnMaterial::new(lab, made)?,
            etcd_cluster_token: made.secret(ETCD_TOKEN)?.to_owned().into(),
            encryption_key: match lab.settings().encryption {
                Some(_) => Some(made.secret(ENCRYPTION_KEY)?.to_owned().into()),
                None => None,
            },
            ssh_public_key: made.ssh_key(SSH_KEY)?.public_line(),
        })
    }

    /// What the metrics server shows to API servers, in base64 as the Secret `kube-system/metrics-server` has it; none where the
    /// lab has no metrics server.
    pub fn metrics_certificate(&self) -> Option<&str> {
        self.add_ons.metrics_certificate()
    }

    /// Returns words in the places of keys, for golden files: `<key: etcdone server>`.
    ///
    /// # Errors
    ///
    /// As [`pki_cluster`].
    pub fn placeholder(lab: &Lab) -> Result<Material, Error> {
        Ok(Material {
            files: files(
                lab,
                |file| Ok(words(&file)),
                |machine| {
                    let name = format!("{} kubelet-server", machine.name);
                    Ok([
                        format!("<certificate: {name}>\n"),
                        format!("<key: {name}>\n"),
                    ])
                },
            )?,
            add_ons: AddOnMaterial::placeholder(lab),
            etcd_cluster_token: Secret("<etcd-cluster-token>".into()),
            encryption_key: (lab.settings().encryption).map(|_| Secret("<encryption-key>".into())),
            ssh_public_key: "<ssh public key>".into(),
        })
    }

    /// Returns the files of a machine that hold certificates or keys.
    ///
    /// # Errors
    ///
    /// [`Error::MissingPairs`] for a machine of another lab.
    pub(crate) fn files_of(&self, machine: &Machine) -> Result<&[GuestFile], Error> {
        let files = self.files.get(&machine.name);
        files.map(Vec::as_slice).ok_or_else(|| Error::MissingPairs {
            machine: machine.name.clone(),
        })
    }
}

/// Gives each file of the lab's plan its content.
fn files(
    lab: &Lab,
    content: impl Fn(PlannedFile) -> Result<String, Error>,
    kubelet_server: impl Fn(&Machine) -> Result<[String; 2], Error>,
) -> Result<BTreeMap<String, Vec<GuestFile>>, Error> {
    let mut all: BTreeMap<String, Vec<GuestFile>> = BTreeMap::new();
    let file = |path: String, mode: u32, content: String| GuestFile {
        path: path.into(),
        mode,
        owner: Owner::Root,
        content: content.into(),
        secret: mode & 0o077 == 0,
        template: None,
    };
    for planned in pki_cluster(lab)?.planned_files(&pki_plan(lab)?) {
        let (machine, path) = (planned.node.clone(), planned.path.clone());
        let made = file(path, planned.content.mode(), content(planned)?);
        all.entry(machine).or_default().push(made);
    }
    for machine in add_ons::serving_kubelets(lab) {
        let of_machine = all.entry(machine.name.clone()).or_default();
        let pair = add_ons::KUBELET_SERVER.into_iter().zip([0o644, 0o600]);
        for ((path, mode), content) in pair.zip(kubelet_server(machine)?) {
            of_machine.push(file(path.to_owned(), mode, content));
        }
    }
    Ok(all)
}

/// Says which certificate or key belongs in the place of the words.
fn words(file: &PlannedFile) -> String {
    let node = &file.node;
    let name = match file.credential {
        Credential::Ca => "kubernetes CA".to_owned(),
        Credential::FrontProxyCa => "front-proxy CA".to_owned(),
        Credential::EtcdCa => "etcd CA".to_owned(),
        Credential::ServiceAccount => "service accounts".to_owned(),
        Credential::EtcdServer => format!("{node} server"),
        Credential::EtcdPeer => format!("{node} peer"),
        Credential::EtcdHealthcheckClient => format!("{node} healthcheck-client"),
        Credential::Kubelet => format!("{node} kubelet"),
        other => other.slug().to_owned(),
    };
    let (certificate, key) = (
        format!("<certificate: {name}>\n"),
        format!("<key: {name}>\n"),
    );
    match file.content {
        FileContent::Key => key,
        FileContent::PublicKey => format!("<public key: {name}>\n"),
        FileContent::CertificateAndKey => certificate + &key,
        _ => certificate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_take_every_name_that_a_lab_takes() {
        let mut source = include_str!("../../../labs/ha.toml").to_owned();
        // Masters and workers have 52 characters at most, for `system:node:` before them.
        let roles = [("lb", 63), ("etcd", 63), ("master", 52), ("worker", 52)];
        for (role, length) in roles {
            for number in ["one", "two", "three"] {
                let name = format!("{role}{number}");
                let long = format!("{name}{}", "x".repeat(length - name.len()));
                source = source.replace(&format!("\"{name}\""), &format!("\"{long}\""));
            }
        }
        let lab = Lab::parse("ha", &source).unwrap();
        let mut lengths: Vec<usize> = lab.machines().iter().map(|it| it.name.len()).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [52, 52, 52, 52, 63, 63, 63, 63, 63]);
        pki_plan(&lab).unwrap();
        Material::placeholder(&lab).unwrap();
    }
}
