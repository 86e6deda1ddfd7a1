//! What masters, load balancers and workers do while the authority of the API changes, or that of its front proxy.

use std::collections::BTreeSet;

use caravan_cluster::control_plane::{self, RenewalScope};
use caravan_cluster::rotation::{self, Reader};
use caravan_cluster::timeline::RUN;
use caravan_lab::{Machine, Role};

use super::machines::RotatedMachines;
use super::{RotatedSigner, RotationStage};
use crate::Error;

/// Whom kubelets trust, as all of a node do.
const TRUST: &str = "/etc/kubernetes/pki/ca.crt";

/// What a load balancer judges API servers by.
const BALANCERS_TRUST: &str = "/etc/haproxy/k8s-ca.crt";

/// What a kubelet shows to API servers.
const KUBELET: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// What kubeadm makes on masters from the cluster's authority.
const BY_KUBEADM: [&str; 5] = [
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
    "/etc/kubernetes/pki/apiserver.crt",
    "/etc/kubernetes/scheduler.conf",
];

/// What kubeadm makes on masters from the front proxy's authority.
const PROXY_BY_KUBEADM: &str = "/etc/kubernetes/pki/front-proxy-client.crt";

impl RotatedMachines<'_> {
    /// The certificates of the authority on a machine that are not among its files, as it has made them or chosen them itself.
    pub(super) fn made_there(&self, machine: &Machine) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        match (self.rotation.signer, machine.role) {
            (RotatedSigner::KubernetesCa, Role::ControlPlane) => {
                paths.extend(BY_KUBEADM);
                paths.insert(KUBELET);
            }
            (RotatedSigner::KubernetesCa, Role::Worker) => {
                paths.insert(KUBELET);
            }
            (RotatedSigner::FrontProxyCa, _) => {
                paths.insert(PROXY_BY_KUBEADM);
            }
            _ => {}
        }
        paths.into_iter().map(str::to_owned).collect()
    }

    /// Has a load balancer judge API servers by what it was brought. Who signs matters to nobody there.
    pub(super) fn have_balancer_follow(
        &self,
        stage: RotationStage,
        machine: &Machine,
    ) -> Result<(), Error> {
        let now = self.now();
        let access = &now.access;
        let has_read =
            || rotation::has_read(access, machine, "haproxy", Reader::Newest, BALANCERS_TRUST);
        if stage != RotationStage::Reissue && !has_read()? {
            rotation::reload_balancer(access, machine)?;
        }
        Ok(())
    }

    /// Has the kubelet of a node show a certificate of the authority that signs, and go by what the machine was brought.
    pub(super) fn have_kubelet_follow(
        &self,
        stage: RotationStage,
        node: &Machine,
    ) -> Result<(), Error> {
        let now = self.now();
        let access = &now.access;
        // Also before the old one is forgotten: one may have been renewed by whoever still signed with that.
        if stage != RotationStage::TrustBoth && !self.not_signed(node, kubelets())?.is_empty() {
            rotation::relink_kubelet(access, node)?;
        }
        // It shows the certificate that it has read, whatever is on the disk by now.
        let mut has_read = true;
        for file in [TRUST, KUBELET] {
            has_read &= rotation::has_read(access, node, "kubelet", Reader::Oldest, file)?;
        }
        if !has_read {
            control_plane::restart_kubelet(access, node)?;
        }
        Ok(())
    }

    /// Has the control plane of a master, and its kubelet, do what a stage wants.
    pub(super) fn have_master_follow(
        &self,
        stage: RotationStage,
        master: &Machine,
    ) -> Result<(), Error> {
        let now = self.now();
        let access = &now.access;
        let mut made = self.made_there(master);
        made.remove(KUBELET);
        let scope = match stage {
            RotationStage::Reissue if !self.not_signed(master, made)?.is_empty() => {
                RenewalScope::All
            }
            _ => RenewalScope::Follow,
        };
        control_plane::renew(access, master, scope)?;
        if self.rotation.signer == RotatedSigner::KubernetesCa {
            self.have_kubelet_follow(stage, master)?;
        }
        control_plane::wait_ready(access, master)?;
        self.wait(stage, master)
    }

    /// Waits until pods are told to trust both, and starts those anew that are the cluster's own: some read it once.
    pub(super) fn tell_pods(&self) -> Result<(), Error> {
        let lab = self.rotation.lab;
        let now = self.now();
        let access = &now.access;
        self.run.tell_begin(RUN, "tells pods to trust both");
        rotation::wait_told_to_pods(lab, access, &access.kubernetes_ca)?;
        if let Some(master) = lab.of_role(Role::ControlPlane).next() {
            rotation::restart_add_ons(access, master)?;
        }
        self.run.note(
            "pods of your own that talk to the API and do not read again whom to trust, as client libraries before Kubernetes 1.36 do not, need to be started anew",
        );
        Ok(())
    }
}

fn kubelets() -> BTreeSet<String> {
    BTreeSet::from([KUBELET.to_owned()])
}
