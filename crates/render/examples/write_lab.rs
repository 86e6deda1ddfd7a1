//! Writes a lab's folders as `cargo xtask plan LAB --write` does, without the command: keys, then one Vagrant project
//! per server. For work on templates and scripts.
//!
//! cargo run -p caravan-render --example write_lab -- labs/ha.toml caravan-machine:dev .lab

use std::error::Error;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use caravan_lab::{Lab, Provider, Role};
use caravan_pki::kubernetes::{Cluster, Node, RowId};
use caravan_pki::store::Store;
use caravan_pki::{CommonName, Identity, Leaf, Organization, Secret};
use caravan_render::{KeyPair, Material, MemberPairs, Settings, Software, group_files};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, image, out] = arguments.as_slice() else {
        return Err("usage: write_lab LAB.toml IMAGE FOLDER".into());
    };
    let source = fs::read_to_string(file)?;
    let name = Path::new(file)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .ok_or("no lab name")?;
    let lab = Lab::parse(name, &source).map_err(|faults| format!("{faults:?}"))?;
    let home = PathBuf::from(out).join(lab.name());

    let material = material(&lab, &home)?;
    let settings = Settings {
        provider: Provider::Docker,
        airgap: true,
        image: image.clone(),
        nameservers: Vec::new(),
    };
    for server in lab.servers() {
        let files = group_files(
            &lab,
            server,
            &Software::example(),
            &settings,
            &material,
            None,
        )?;
        for file in files {
            let path = home.join(&server.name).join(&file.path);
            write(&path, file.mode, &file.content)?;
        }
    }
    Ok(())
}

fn material(lab: &Lab, home: &Path) -> Result<Material, Box<dyn Error>> {
    let mut cluster = Cluster::new(&lab.api_endpoint().to_string())?.with_name(lab.name())?;
    for machine in lab.machines() {
        let node = Node::new(&machine.name, IpAddr::V4(machine.ip))?.with_domain(lab.domain())?;
        cluster = match machine.role {
            Role::ControlPlane => cluster.with_control_plane(node),
            Role::Etcd => cluster.with_etcd(node),
            Role::LoadBalancer | Role::Worker => cluster,
        };
    }
    let mut plan = cluster.plan()?;
    for worker in lab.of_role(Role::Worker) {
        let name = CommonName::try_from(format!("system:node:{}", worker.name).as_str())?;
        let leaf = Leaf::client(name).with_organization(Organization::try_from("system:nodes")?);
        plan.leaf(
            &RowId::Ca.entry(""),
            &RowId::Kubelet.entry(&worker.name),
            leaf,
        )?;
    }
    plan.secret("secrets/etcd-cluster", Secret::Hex(16))?;
    plan.ssh_key("id_ecdsa", &format!("caravan {}", lab.name()))?;
    let ensured = Store::open(home.join("pki"))?.ensure(&plan, SystemTime::now())?;
    let pki = ensured.material();

    let ssh = pki.ssh_key("id_ecdsa")?;
    write(
        &home.join("ssh/id_ecdsa"),
        0o600,
        ssh.private_pem().as_bytes(),
    )?;
    // net-ssh takes the public half of an EC key from here; from the private file it makes an object it cannot use.
    write(
        &home.join("ssh/id_ecdsa.pub"),
        0o644,
        ssh.public_line().as_bytes(),
    )?;
    let kubeconfig = cluster.admin_kubeconfig(pki, &format!("https://{}", lab.api_endpoint()))?;
    write(&home.join("kubeconfig"), 0o600, kubeconfig.as_bytes())?;

    let authority = |id| -> Result<KeyPair, caravan_pki::Error> {
        let authority = pki.authority(id)?;
        Ok(KeyPair {
            public: authority.certificate_pem().to_string(),
            private: authority.key_pem().to_string().into(),
        })
    };
    let identity = |id: &str| pki.identity(id).and_then(pair);
    let service_account = pki.key_pair("sa")?;
    let mut members = std::collections::BTreeMap::new();
    for member in lab.of_role(Role::Etcd) {
        let pairs = MemberPairs {
            server: identity(&RowId::EtcdServer.entry(&member.name))?,
            peer: identity(&RowId::EtcdPeer.entry(&member.name))?,
            healthcheck: identity(&RowId::EtcdHealthcheckClient.entry(&member.name))?,
        };
        members.insert(member.name.clone(), pairs);
    }
    let mut kubelets = std::collections::BTreeMap::new();
    for node in lab.machines().iter().filter(|it| it.role.is_node()) {
        let kubelet = identity(&RowId::Kubelet.entry(&node.name))?;
        kubelets.insert(node.name.clone(), kubelet);
    }
    Ok(Material {
        kubernetes_ca: authority("ca")?,
        front_proxy_ca: authority("front-proxy-ca")?,
        service_account: KeyPair {
            public: service_account.public_key().to_pem().to_string(),
            private: service_account.to_pkcs8_pem().to_string().into(),
        },
        etcd_ca: pki.authority("etcd-ca")?.certificate_pem().to_string(),
        apiserver_etcd_client: identity(&RowId::ApiserverEtcdClient.entry(""))?,
        members,
        kubelets,
        etcd_cluster_token: pki.secret("secrets/etcd-cluster")?.to_string().into(),
        ssh_public_key: ssh.public_line(),
    })
}

fn pair(identity: &Identity) -> Result<KeyPair, caravan_pki::Error> {
    Ok(KeyPair {
        public: identity.certificate_pem().to_string(),
        private: identity.key_pem().to_string().into(),
    })
}

fn write(path: &Path, mode: u32, content: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    let _ = fs::remove_file(path);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?
        .write_all(content)
}
