//! The bridge between `lab` and `pki`: which certificates, keys and secrets a lab has, and where.

pub(crate) mod check;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use caravan_cluster::{Access, Certificate, Foreign, PATIENCE, Pair};
use caravan_lab::{Lab, Machine, Role};
use caravan_pki::kubernetes::{Cluster, Node, OPERATOR, RowId};
use caravan_pki::store::Store;
use caravan_pki::{
    Authority, AuthoritySpec, CommonName, DnsName, Identity, Leaf, Material as Held, Organization,
    Plan, PrivateKey, San, Secret, Usage,
};
use caravan_render::{KeyPair, Material, MemberPairs};
use caravan_vagrant::ssh::Ssh;

use crate::error::Error;
use crate::lab_dir::LabDir;

/// The entry of etcd's cluster token, which tells this lab's etcd from all others.
const ETCD_TOKEN: &str = "secrets/etcd-cluster-token";

/// The entry of the lab's ssh key.
const SSH_KEY: &str = "ssh";

/// The certificates that no machine can make for itself; kubeadm makes the rest from the authorities.
const ROWS: [RowId; 5] = [
    RowId::EtcdServer,
    RowId::EtcdPeer,
    RowId::EtcdHealthcheckClient,
    RowId::ApiserverEtcdClient,
    RowId::Kubelet,
];

/// Everything secret or signed of a lab.
pub(crate) struct Keys {
    cluster: Cluster,
    held: Held,
}

impl Keys {
    /// Makes what the lab lacks, and writes the ssh key to where `ssh` reads it.
    ///
    /// # Errors
    ///
    /// [`Error::Pki`], [`Error::Write`].
    pub(crate) fn ensure(lab: &Lab, dir: &LabDir) -> Result<Self, Error> {
        let cluster = cluster(lab)?;
        let plan = plan(lab, &cluster)?;
        let made = Store::open(dir.pki())?.ensure(&plan, SystemTime::now())?;
        let keys = Self {
            cluster,
            held: made.into_material(),
        };
        keys.write_ssh_key(dir)?;
        Ok(keys)
    }

    /// Reads what was made before; `None` where nothing was, or not all of it.
    pub(crate) fn load(lab: &Lab, dir: &LabDir) -> Option<Self> {
        if !dir.pki().is_dir() {
            return None;
        }
        let cluster = cluster(lab).ok()?;
        let plan = plan(lab, &cluster).ok()?;
        let held = Store::open(dir.pki()).ok()?.load(&plan).ok()?;
        Some(Self { cluster, held })
    }

    /// What the machines' files are made of.
    ///
    /// # Errors
    ///
    /// [`Error::Pki`].
    pub(crate) fn material(&self, lab: &Lab) -> Result<Material, Error> {
        let members: Result<BTreeMap<String, MemberPairs>, Error> = lab
            .of_role(Role::Etcd)
            .map(|member| {
                let pair = |row: RowId| self.pair(row, &member.name);
                let pairs = MemberPairs {
                    server: pair(RowId::EtcdServer)?,
                    peer: pair(RowId::EtcdPeer)?,
                    healthcheck: pair(RowId::EtcdHealthcheckClient)?,
                };
                Ok((member.name.clone(), pairs))
            })
            .collect();
        let kubelets: Result<BTreeMap<String, KeyPair>, Error> = lab
            .machines()
            .iter()
            .filter(|machine| machine.role.is_node())
            .map(|node| Ok((node.name.clone(), self.pair(RowId::Kubelet, &node.name)?)))
            .collect();
        let sa = self.held.key_pair(&RowId::ServiceAccount.entry(""))?;
        Ok(Material {
            kubernetes_ca: self.authority(RowId::Ca)?,
            front_proxy_ca: self.authority(RowId::FrontProxyCa)?,
            service_account: key_pair(sa),
            etcd_ca: self.authority(RowId::EtcdCa)?.public,
            apiserver_etcd_client: self.pair(RowId::ApiserverEtcdClient, "")?,
            members: members?,
            kubelets: kubelets?,
            etcd_cluster_token: self.held.secret(ETCD_TOKEN)?.to_owned().into(),
            ssh_public_key: self.held.ssh_key(SSH_KEY)?.public_line(),
        })
    }

    /// The operator's kubeconfig: a context for the endpoint, and one for each master directly.
    ///
    /// # Errors
    ///
    /// [`Error::Pki`].
    pub(crate) fn kubeconfig(&self, lab: &Lab) -> Result<String, Error> {
        let name = context(lab.name());
        let cluster = self.cluster.clone().with_name(&name)?;
        let mut kubeconfig = cluster
            .operator_kubeconfig(&self.held)?
            .with_context(&name, &format!("https://{}", lab.api_endpoint()))?;
        let port = lab.api_endpoint().port();
        for master in lab.of_role(Role::ControlPlane) {
            let name = format!("{name}-{}", master.name);
            kubeconfig =
                kubeconfig.with_context(&name, &format!("https://{}:{port}", master.ip))?;
        }
        Ok(kubeconfig.to_yaml().to_string())
    }

    /// What an operator looks into the lab with.
    ///
    /// # Errors
    ///
    /// [`Error::Pki`], [`Error::Vagrant`] when there is no `ssh`.
    pub(crate) fn access(&self, dir: &LabDir) -> Result<Access, Error> {
        let pair = |pair: KeyPair| Pair {
            certificate: pair.public,
            key: pair.private.0,
        };
        let operator = self.held.identity(OPERATOR)?;
        Ok(Access {
            ssh: Ssh::find(dir.ssh_key(), dir.known_hosts())?,
            kubernetes_ca: self.authority(RowId::Ca)?.public,
            etcd_ca: self.authority(RowId::EtcdCa)?.public,
            operator: pair(identity(operator)),
            etcd_client: pair(self.pair(RowId::ApiserverEtcdClient, "")?),
            apiserver_etcd_client: pair(self.pair(RowId::ApiserverEtcdClient, "")?),
            foreign: foreign()?,
            insecure_key: insecure_key(dir),
            inspect,
            patience: PATIENCE,
        })
    }

    fn write_ssh_key(&self, dir: &LabDir) -> Result<(), Error> {
        caravan_files::make_private_folder(&dir.ssh())?;
        let key = self.held.ssh_key(SSH_KEY)?;
        let public = format!("{}\n", key.public_line().trim_end());
        caravan_files::write_if_changed(&dir.ssh_key(), 0o600, key.private_pem().as_bytes())?;
        caravan_files::write_if_changed(
            &dir.ssh_key().with_extension("pub"),
            0o644,
            public.as_bytes(),
        )?;
        Ok(())
    }

    fn authority(&self, row: RowId) -> Result<KeyPair, Error> {
        let authority = self.held.authority(&row.entry(""))?;
        Ok(KeyPair {
            public: authority.certificate_pem(),
            private: authority.key_pem().to_string().into(),
        })
    }

    fn pair(&self, row: RowId, machine: &str) -> Result<KeyPair, Error> {
        Ok(identity(self.held.identity(&row.entry(machine))?))
    }
}

/// The name of a lab's contexts in kubeconfigs; its masters' have their names after it.
pub(crate) fn context(lab: &str) -> String {
    format!("caravan-{lab}")
}

/// Somebody else's authority and client, with the names of the real ones: made to be refused, kept nowhere.
fn foreign() -> Result<Foreign, Error> {
    let now = SystemTime::now();
    let spec = AuthoritySpec::new(CommonName::try_from(RowId::EtcdCa.slug())?);
    let authority = Authority::create(&spec, now)?;
    let leaf = Leaf::client(CommonName::try_from("kube-apiserver-etcd-client")?);
    let client = identity(&authority.issue(&leaf, now)?);
    Ok(Foreign {
        ca: authority.certificate_pem(),
        client: Pair {
            certificate: client.public,
            key: client.private.0,
        },
    })
}

/// The published key for boxes' first start, which Vagrant writes into the folder that it takes for the user's own: the
/// lab's, and where Vagrant was run by hand, the user's.
fn insecure_key(dir: &LabDir) -> Option<PathBuf> {
    let homes = [Some(dir.vagrant_home()), caravan_vagrant::users_home()];
    let mut keys = homes
        .into_iter()
        .flatten()
        .map(|home| home.join("insecure_private_key"));
    keys.find(|key| key.is_file())
}

/// What a certificate says, for `cluster`, which cannot read any.
fn inspect(der: &[u8]) -> Option<Certificate> {
    let found = caravan_pki::Certificate::from_der(der).ok()?;
    let usages = found.usages();
    let first = |names: Vec<String>| names.into_iter().next().unwrap_or_default();
    let end = found.validity().not_after();
    Some(Certificate {
        subject: first(found.common_names()),
        issuer: found.issuer_shown(),
        names: found.sans().iter().map(ToString::to_string).collect(),
        server: usages.contains(&Usage::ServerAuth),
        client: usages.contains(&Usage::ClientAuth),
        public_key_sha256: found
            .public_key()
            .ok()?
            .pin()
            .trim_start_matches("sha256:")
            .to_owned(),
        not_after: end
            .duration_since(SystemTime::UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_secs()).ok())?,
    })
}

fn identity(identity: &Identity) -> KeyPair {
    KeyPair {
        public: identity.chain_pem(),
        private: identity.key_pem().to_string().into(),
    }
}

fn key_pair(key: &PrivateKey) -> KeyPair {
    KeyPair {
        public: key.public_key().to_pem(),
        private: key.to_pkcs8_pem().to_string().into(),
    }
}

/// The lab as `pki` knows clusters.
fn cluster(lab: &Lab) -> Result<Cluster, Error> {
    let mut cluster = Cluster::new(&lab.api_endpoint().to_string())?
        .with_service_addresses([lab.kubernetes_service_ip().into()])
        .with_dns_domain(DnsName::try_from(lab.cluster_domain())?);
    // Of later minors, none is pinned whose kubeadm needs it.
    if lab.kubernetes().minor < 36 {
        cluster = cluster.with_kubelet_client_group();
    }
    for san in lab.api_sans() {
        cluster = cluster.with_extra_san(San::try_from(san.as_str())?);
    }
    let node = |machine: &Machine| -> Result<Node, Error> {
        Ok(Node::new(&machine.name, machine.ip.into())?.with_domain(lab.domain())?)
    };
    for master in lab.of_role(Role::ControlPlane) {
        cluster = cluster.with_control_plane(node(master)?);
    }
    for member in lab.of_role(Role::Etcd) {
        cluster = cluster.with_etcd(node(member)?);
    }
    Ok(cluster)
}

fn plan(lab: &Lab, cluster: &Cluster) -> Result<Plan, Error> {
    let mut plan =
        cluster.plan_of(|row| ROWS.contains(&row.id) || row.id == RowId::ServiceAccount)?;
    // `pki` knows kubelets of masters alone, as kubeadm lets workers join by token.
    for worker in lab.of_role(Role::Worker) {
        let name = CommonName::try_from(format!("system:node:{}", worker.name).as_str())?;
        let leaf = Leaf::client(name).with_organization(Organization::try_from("system:nodes")?);
        plan.leaf(
            &RowId::Ca.entry(""),
            &RowId::Kubelet.entry(&worker.name),
            leaf,
        )?;
    }
    plan.secret(ETCD_TOKEN, Secret::Hex(16))?;
    plan.ssh_key(SSH_KEY, &context(lab.name()))?;
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn both_labs_get_their_keys_once() {
        for name in ["ha", "external-etcd"] {
            let file = format!("{}/../labs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
            let source = std::fs::read_to_string(file).expect("read");
            let lab = Lab::parse(name, &source).expect("valid");
            let workspace = tempfile::tempdir().expect("a folder");
            let dir = LabDir::new(workspace.path(), name);
            dir.make().expect("made");
            assert!(Keys::load(&lab, &dir).is_none());
            let first = Keys::ensure(&lab, &dir).expect("made");
            let again = Keys::load(&lab, &dir).expect("all there");
            let material = first.material(&lab).expect("complete");
            assert_eq!(material, again.material(&lab).expect("complete"));
            assert_eq!(material.members.len(), 3);
            let mode = std::fs::metadata(dir.ssh_key())
                .expect("there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);

            let kubeconfig = first.kubeconfig(&lab).expect("made");
            let masters = lab.of_role(Role::ControlPlane).count();
            assert_eq!(kubeconfig.matches("server: ").count(), 1 + masters);
            assert!(kubeconfig.contains(&format!("current-context: \"caravan-{name}\"")));
        }
    }

    #[test]
    fn each_lab_has_its_own() {
        let workspace = tempfile::tempdir().expect("a folder");
        let source = include_str!("../../labs/ha.toml");
        let made = ["one", "two"].map(|name| {
            let lab = Lab::parse(name, source).expect("valid");
            let dir = LabDir::new(workspace.path(), name);
            dir.make().expect("made");
            let keys = Keys::ensure(&lab, &dir).expect("made");
            keys.material(&lab).expect("complete")
        });
        assert_ne!(made[0].kubelets["workerone"], made[1].kubelets["workerone"]);
        assert_ne!(made[0].etcd_cluster_token, made[1].etcd_cluster_token);
        assert_ne!(made[0].ssh_public_key, made[1].ssh_public_key);
    }
}
