//! Renewing a lab's certificates while it goes on: those of its store, which are brought to machines, and those that kubeadm
//! has made on masters.
//!
//! Where a renewal stands is told by the certificates: what is brought is what differs, and what is made anew is what ends
//! soon. So it may be cut off anywhere, and done again.
//!
//! A lab whose certificates have ended is rescued ([`RenewalKind::Expired`]): then nobody lets anybody in, so nobody is asked, and all is
//! done from outside.

pub(crate) mod metrics;
mod rescue;

use std::collections::BTreeSet;
use std::time::SystemTime;

use caravan_cluster::Access;
use caravan_cluster::certificates::{self, BroughtFile, SeenAt, SeenCertificate};
use caravan_cluster::control_plane::{self, RenewalScope};
use caravan_cluster::status::EXPIRY_DAYS;
use caravan_cluster::timeline::RUN;
use caravan_lab::{Lab, Machine, Role};
use caravan_pki::KeyPolicy;
use caravan_pki::store::Store;
use caravan_process::interrupt;
use caravan_render::{Software, pki_plan};

use crate::files::RenderSources;
use crate::{CertificatesError, Error, Keys, LabRun, LabTarget, OperationRecord, Workspace};

/// This verb.
pub const VERB: &str = "certs renew";

/// The files that have a certificate among other things.
const HOLD_ONE: [&str; 2] = [
    "/etc/kubernetes/caravan/metrics.yaml",
    "/var/lib/kubelet/pki/kubelet-client-caravan.pem",
];

/// The seconds of a day.
const DAY: i64 = 86_400;

/// What is renewed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewalKind {
    /// What ends soon.
    Due,
    /// All.
    All,
    /// Everything of a lab whose certificates have ended: nobody in it is asked.
    Expired,
}

/// Renewing certificates.
pub struct Renewal<'a> {
    /// Where the lab's file and state are.
    pub workspace: &'a Workspace,
    /// The lab, and what is there of it.
    pub target: &'a LabTarget,
    /// The lab.
    pub lab: &'a Lab,
    /// What its machines' files say of versions.
    pub software: &'a Software,
    /// What is renewed, and how.
    pub kind: RenewalKind,
    /// How the program that calls this is started, such as `cargo xtask`: errors may say what to do.
    pub tool: &'a str,
}

/// What was renewed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RenewalOutcome {
    /// The entries of the store that have another certificate now.
    pub entries: Vec<String>,
    /// The files that machines have anew, as `machine:path`, and the Secrets that the cluster has.
    pub files: Vec<String>,
    /// The masters whose own certificates kubeadm has made anew.
    pub masters: Vec<String>,
}

impl RenewalOutcome {
    fn note_metrics(&mut self, follows: bool) {
        if follows {
            self.files.push(format!("Secret {}", metrics::SECRET));
        }
    }
}

impl Renewal<'_> {
    /// Renews them, one machine after the other. Each server is dialled anew before the next machine is begun, and must show
    /// what it was given.
    ///
    /// # Errors
    ///
    /// [`Error::OperationOpen`] while something else is under way, [`CertificatesError::NotAllRun`],
    /// [`CertificatesError::HaveEnded`] where only a rescue helps, [`CertificatesError::NoneHasEnded`] where none is needed:
    /// nothing is changed. [`Error::Pki`], [`Error::Cluster`], [`Error::Interrupted`]: the same command goes on.
    pub fn run(&self, run: &LabRun<'_>) -> Result<RenewalOutcome, Error> {
        if let Some(open) = OperationRecord::read(&self.target.dir)? {
            return Err(Error::open(&self.target.name, &open));
        }
        self.target.hold_all_run(self.lab)?;
        let machines: Vec<&Machine> = self.lab.machines().iter().collect();
        run.step("check", || self.hold_fits(&machines))?;
        let mut outcome = RenewalOutcome {
            entries: run.step("store", || self.renew_store())?,
            ..RenewalOutcome::default()
        };
        run.reached("store");
        let not_made = || Error::NotMade {
            lab: self.target.name.clone(),
        };
        let keys = Keys::load(self.lab, &self.target.dir).ok_or_else(not_made)?;
        let access = keys.access(self.lab, &self.target.dir, self.target.pace())?;
        let choices = self.target.choices.as_ref().ok_or_else(not_made)?;
        let sources = RenderSources {
            lab: self.lab,
            software: self.software.clone(),
            settings: choices.settings(),
            material: keys.material(self.lab)?,
            template: self.workspace.vagrantfile_template()?,
        };
        let servers: Vec<_> = self.lab.servers().iter().collect();
        sources.write(&self.target.dir, &servers)?;
        match self.kind {
            RenewalKind::Expired => {
                self.rescue(run, &access, &sources, &machines, &mut outcome)?;
            }
            RenewalKind::Due | RenewalKind::All => {
                self.one_by_one(run, &access, &sources, &machines, &mut outcome)?;
            }
        }
        let text = keys.kubeconfig(self.lab)?;
        caravan_files::write_if_changed(&self.target.dir.kubeconfig(), 0o600, text.as_bytes())?;
        run.tell_end(RUN, "the operator's kubeconfig follows");
        Ok(outcome)
    }

    fn one_by_one(
        &self,
        run: &LabRun<'_>,
        access: &Access,
        sources: &RenderSources<'_>,
        machines: &[&Machine],
        outcome: &mut RenewalOutcome,
    ) -> Result<(), Error> {
        for machine in machines {
            if interrupt::raised() {
                return Err(Error::Interrupted);
            }
            run.tell_begin(&machine.name, "renews its certificates");
            let brought = self.bring(access, sources, machine)?;
            if machine.role == Role::Etcd {
                hold_served(access, machine)?;
            }
            if machine.role == Role::ControlPlane {
                let scope = match self.kind {
                    RenewalKind::All => RenewalScope::All,
                    RenewalKind::Due | RenewalKind::Expired => RenewalScope::Due,
                };
                if control_plane::renew(access, machine, scope)? {
                    outcome.masters.push(machine.name.clone());
                }
                hold_served(access, machine)?;
            }
            run.tell_end(&machine.name, "its certificates are new");
            outcome.files.extend(brought);
            run.reached(&format!("renewed {}", machine.name));
        }
        outcome.note_metrics(metrics::follow(self.lab, access, &sources.material)?);
        Ok(())
    }

    /// Brings a machine the certificates of the store that differ there; returns them as `machine:path`.
    fn bring(
        &self,
        access: &Access,
        sources: &RenderSources<'_>,
        machine: &Machine,
    ) -> Result<Vec<String>, Error> {
        let files: Vec<BroughtFile> = sources
            .renderer()?
            .guest_files(machine)?
            .into_iter()
            .filter(|file| holds_certificate(&file.path))
            .map(|file| BroughtFile {
                path: file.path.into_owned(),
                mode: file.mode,
                content: file.content.into_owned(),
            })
            .collect();
        let brought = certificates::bring(access, machine, &files)?;
        for path in &brought {
            sources.note_given(&self.target.dir, &[machine], path)?;
        }
        let named = brought.iter();
        Ok(named
            .map(|path| format!("{}:{path}", machine.name))
            .collect())
    }

    /// Makes the certificates of the store anew that are chosen, each with its key, so that one file alone changes where it
    /// is used.
    fn renew_store(&self) -> Result<Vec<String>, Error> {
        let plan = pki_plan(self.lab)?;
        let store = Store::open(self.target.dir.pki())?;
        let now = SystemTime::now();
        let mut chosen = BTreeSet::new();
        for entry in plan.entries() {
            let Some(public) = entry.files().public else {
                continue;
            };
            let text = std::fs::read(store.root().join(public)).unwrap_or_default();
            let found = caravan_pki::Certificate::from_pem(&text);
            let Ok(certificate) = found else { continue };
            let left = certificate.validity().remaining(now).as_secs();
            let is_due = left < EXPIRY_DAYS.unsigned_abs() * DAY.unsigned_abs();
            if !certificate.is_authority() && (self.kind == RenewalKind::All || is_due) {
                chosen.insert(entry.id().as_str().to_owned());
            }
        }
        let pick =
            |id: &caravan_pki::EntryId| chosen.contains(id.as_str()).then_some(KeyPolicy::Keep);
        let made = store.renew(&plan, now, pick)?;
        Ok(made.changes().map(|it| it.id.as_str().to_owned()).collect())
    }
}

/// Holds that a server shows what is on its disk, to a connection that is made for that.
fn hold_served(access: &Access, machine: &Machine) -> Result<(), Error> {
    let told = certificates::ask(access, &[machine])?;
    if let Some(silent) = told.silent.into_iter().next() {
        return Err(Error::from(CertificatesError::NotHeard { why: silent }));
    }
    match shows_what_it_has(&told.seen) {
        true => Ok(()),
        false => Err(Error::from(CertificatesError::NotServed {
            machine: machine.name.clone(),
        })),
    }
}

/// Whether a machine's file has a certificate, alone or beside its key: what changes when it is renewed.
fn holds_certificate(path: &str) -> bool {
    let is_alone = path.contains("/pki/") && path.ends_with(".crt");
    is_alone || HOLD_ONE.contains(&path)
}

/// Whether what a server shows is what is in the file that it has it from.
fn shows_what_it_has(seen: &[SeenCertificate]) -> bool {
    seen.iter().all(|it| match &it.at {
        SeenAt::File { .. } => true,
        SeenAt::Served { from, .. } => seen.iter().any(|other| {
            matches!(&other.at, SeenAt::File { path, .. } if path == from) && other.der == it.der
        }),
    })
}

#[cfg(test)]
mod tests {
    use caravan_cluster::Certificate;

    use super::*;

    pub(super) fn seen(at: SeenAt, der: u8, not_after: i64) -> SeenCertificate {
        SeenCertificate {
            at,
            der: vec![der],
            certificate: Certificate {
                subject: "kube-apiserver".to_owned(),
                issuer: "kubernetes".to_owned(),
                names: Vec::new(),
                server: true,
                client: false,
                public_key_sha256: String::new(),
                not_after,
            },
        }
    }

    pub(super) fn file(path: &str) -> SeenAt {
        SeenAt::File {
            machine: "masterone".to_owned(),
            path: path.to_owned(),
        }
    }

    pub(super) fn served() -> SeenAt {
        SeenAt::Served {
            machine: "masterone".to_owned(),
            at: "192.168.29.51:6443".parse().expect("an address"),
            from: "/etc/kubernetes/pki/apiserver.crt",
        }
    }

    #[test]
    fn a_server_that_was_not_started_again_is_seen() {
        let disk = seen(file("/etc/kubernetes/pki/apiserver.crt"), 1, 0);
        assert!(shows_what_it_has(&[disk.clone(), seen(served(), 1, 0)]));
        assert!(!shows_what_it_has(&[disk.clone(), seen(served(), 2, 0)]));
        assert!(!shows_what_it_has(&[seen(served(), 1, 0)]), "of no file");
        assert!(shows_what_it_has(&[disk]), "nobody serves it here");
    }

    #[test]
    fn certificates_are_brought_and_keys_stay() {
        for path in [
            "/etc/etcd/pki/server.crt",
            "/etc/kubernetes/pki/apiserver-etcd-client.crt",
            "/etc/kubernetes/caravan/metrics.yaml",
            "/var/lib/kubelet/pki/kubelet-client-caravan.pem",
            "/var/lib/kubelet/pki/kubelet-server-caravan.crt",
        ] {
            assert!(holds_certificate(path), "{path}");
        }
        for path in [
            "/etc/etcd/pki/server.key",
            "/var/lib/kubelet/pki/kubelet-server-caravan.key",
            "/etc/etcd/cluster.env",
            "/etc/caravan/hosts",
            "/etc/kubernetes/caravan/storage.yaml",
        ] {
            assert!(!holds_certificate(path), "{path}");
        }
    }
}
