//! Where keys, certificates and names of a machine's own lie on it.

use caravan_lab::{Machine, Role};

use crate::error::Error;
use crate::file::{GuestFile, Owner};
use crate::material::{KeyPair, Material, Secret};

/// The folder that kubeadm reads keys from, and writes its own to.
const KUBERNETES: &str = "/etc/kubernetes/pki";
/// The folder in which kubelets keep their own certificates.
const KUBELET: &str = "/var/lib/kubelet/pki";
/// etcd's keys on its members.
const ETCD: &str = "/etc/etcd/pki";

/// Returns the files of a machine that hold key material, a secret or not, and those that are a single word.
pub(crate) fn files(machine: &Machine, material: &Material) -> Result<Vec<GuestFile>, Error> {
    let mut files = vec![
        public(
            "/etc/caravan/authorized_keys".into(),
            format!("{}\n", material.ssh_public_key.trim_end()),
        ),
        public(
            "/etc/caravan/hostname".into(),
            format!("{}\n", machine.name),
        ),
    ];
    match machine.role {
        Role::Etcd => {
            let pairs = material
                .members
                .get(&machine.name)
                .ok_or_else(|| Error::MissingPairs {
                    machine: machine.name.clone(),
                })?;
            files.push(public(format!("{ETCD}/ca.crt"), material.etcd_ca.clone()));
            pair(&mut files, ETCD, "server", &pairs.server);
            pair(&mut files, ETCD, "peer", &pairs.peer);
            pair(&mut files, ETCD, "healthcheck-client", &pairs.healthcheck);
        }
        Role::LoadBalancer => files.push(public(
            "/etc/haproxy/k8s-ca.crt".into(),
            material.kubernetes_ca.public.clone(),
        )),
        Role::ControlPlane => {
            pair(&mut files, KUBERNETES, "ca", &material.kubernetes_ca);
            pair(
                &mut files,
                KUBERNETES,
                "front-proxy-ca",
                &material.front_proxy_ca,
            );
            files.push(public(
                format!("{KUBERNETES}/etcd/ca.crt"),
                material.etcd_ca.clone(),
            ));
            pair(
                &mut files,
                KUBERNETES,
                "apiserver-etcd-client",
                &material.apiserver_etcd_client,
            );
            files.push(kubelet(machine, material)?);
            let service_account = &material.service_account;
            files.push(public(
                format!("{KUBERNETES}/sa.pub"),
                service_account.public.clone(),
            ));
            files.push(secret(
                format!("{KUBERNETES}/sa.key"),
                &service_account.private,
            ));
        }
        Role::Worker => {
            files.push(public(
                format!("{KUBERNETES}/ca.crt"),
                material.kubernetes_ca.public.clone(),
            ));
            files.push(kubelet(machine, material)?);
        }
    }
    Ok(files)
}

/// What a machine's kubelet shows to the API. The kubelet keeps certificate and key in one file.
fn kubelet(machine: &Machine, material: &Material) -> Result<GuestFile, Error> {
    let pair = material
        .kubelets
        .get(&machine.name)
        .ok_or_else(|| Error::MissingPairs {
            machine: machine.name.clone(),
        })?;
    let both = format!("{}{}", pair.public, pair.private.0);
    Ok(secret(
        format!("{KUBELET}/kubelet-client-caravan.pem"),
        &both.into(),
    ))
}

fn pair(files: &mut Vec<GuestFile>, folder: &str, name: &str, pair: &KeyPair) {
    files.push(public(format!("{folder}/{name}.crt"), pair.public.clone()));
    files.push(secret(format!("{folder}/{name}.key"), &pair.private));
}

pub(crate) fn public(path: String, content: String) -> GuestFile {
    GuestFile {
        path: path.into(),
        mode: 0o644,
        owner: Owner::Root,
        content: content.into(),
        secret: false,
        template: None,
    }
}

fn secret(path: String, content: &Secret) -> GuestFile {
    GuestFile {
        path: path.into(),
        mode: 0o600,
        owner: Owner::Root,
        content: content.0.clone().into(),
        secret: true,
        template: None,
    }
}
