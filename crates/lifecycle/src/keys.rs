//! The keys of a lab: made once, kept in its store, and used by whoever looks into the lab.

use std::path::PathBuf;
use std::time::SystemTime;

use caravan_cluster::{Access, Certificate, Foreign, NetworkWay, PATIENCE, Pair};
use caravan_lab::{Lab, Role};
use caravan_pki::kubernetes::{Credential, OPERATOR};
use caravan_pki::store::Store;
use caravan_pki::{Authority, AuthoritySpec, CommonName, Identity, Leaf, Material as Held, Usage};
use caravan_process::Pace;
use caravan_render::{Material, SSH_KEY, pki_cluster, pki_plan};
use caravan_vagrant::ssh::Ssh;

use crate::{Error, LabDir, target};

/// Everything secret or signed of a lab.
pub struct Keys {
    held: Held,
}

impl Keys {
    /// Makes what the lab lacks, and writes the ssh key to where `ssh` reads it.
    ///
    /// # Errors
    ///
    /// [`Error::Pki`], [`Error::Write`].
    pub fn ensure(lab: &Lab, dir: &LabDir) -> Result<Self, Error> {
        let made = Store::open(dir.pki())?.ensure(&pki_plan(lab)?, SystemTime::now())?;
        let held = made.into_material();
        let keys = Self { held };
        keys.write_ssh_key(dir)?;
        Ok(keys)
    }

    /// Reads what was made before; `None` where nothing was, or not all of it.
    pub fn load(lab: &Lab, dir: &LabDir) -> Option<Self> {
        if !dir.pki().is_dir() {
            return None;
        }
        let plan = pki_plan(lab).ok()?;
        let held = Store::open(dir.pki()).ok()?.load(&plan).ok()?;
        Some(Self { held })
    }

    /// What the machines' files are made of.
    ///
    /// # Errors
    ///
    /// [`Error::Render`].
    pub fn material(&self, lab: &Lab) -> Result<Material, Error> {
        Ok(Material::new(lab, &self.held)?)
    }

    /// The operator's kubeconfig: a context for the endpoint, and one for each master directly.
    ///
    /// # Errors
    ///
    /// [`Error::Pki`].
    pub fn kubeconfig(&self, lab: &Lab) -> Result<String, Error> {
        let name = context(lab.name());
        let cluster = pki_cluster(lab)?.with_name(&name)?;
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

    /// What an operator looks into the lab with, whose machines are as fast as `pace` says.
    ///
    /// # Errors
    ///
    /// [`Error::Pki`], [`Error::Vagrant`] when there is no `ssh`.
    pub fn access(&self, lab: &Lab, dir: &LabDir, pace: Pace) -> Result<Access, Error> {
        let pair = |entry: &str| self.held.identity(entry).map(pair);
        let etcd_client = Credential::ApiserverEtcdClient.entry("");
        let ways = target::ways(lab, dir);
        Ok(Access {
            way: NetworkWay::of(lab, &ways),
            ssh: (Ssh::find(dir.ssh_key(), dir.known_hosts())?.with_pace(pace)).with_ways(ways),
            kubernetes_ca: self.held.trust_pem(&Credential::Ca.entry(""))?,
            etcd_ca: self.held.trust_pem(&Credential::EtcdCa.entry(""))?,
            operator: pair(OPERATOR)?,
            etcd_client: pair(&etcd_client)?,
            apiserver_etcd_client: pair(&etcd_client)?,
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
}

/// The name of a lab's contexts in kubeconfigs; its masters' have their names after it.
pub fn context(lab: &str) -> String {
    format!("caravan-{lab}")
}

/// Somebody else's authority and client, with the names of the real ones: made to be refused, kept nowhere.
fn foreign() -> Result<Foreign, Error> {
    let now = SystemTime::now();
    let spec = AuthoritySpec::new(CommonName::try_from(Credential::EtcdCa.slug())?);
    let authority = Authority::create(&spec, now)?;
    let leaf = Leaf::client(CommonName::try_from("kube-apiserver-etcd-client")?);
    Ok(Foreign {
        ca: authority.certificate_pem(),
        client: pair(&authority.issue(&leaf, now)?),
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

fn pair(identity: &Identity) -> Pair {
    Pair {
        certificate: identity.chain_pem(),
        key: identity.key_pem().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn both_labs_get_their_keys_once() {
        for name in ["ha", "external-etcd"] {
            let file = format!("{}/../../labs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
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
        let source = include_str!("../../../labs/ha.toml");
        let made = ["one", "two"].map(|name| {
            let lab = Lab::parse(name, source).expect("valid");
            let dir = LabDir::new(workspace.path(), name);
            dir.make().expect("made");
            let keys = Keys::ensure(&lab, &dir).expect("made");
            keys.material(&lab).expect("complete")
        });
        assert_ne!(made[0], made[1]);
        assert_ne!(made[0].etcd_cluster_token, made[1].etcd_cluster_token);
        assert_ne!(made[0].ssh_public_key, made[1].ssh_public_key);
    }
}
