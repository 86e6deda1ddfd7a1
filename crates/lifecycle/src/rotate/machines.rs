//! The steps of a rotation on real machines.

use std::cell::{Ref, RefCell};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use caravan_cluster::certificates::{self, BroughtFile, SeenAt};
use caravan_cluster::etcd::{self, Member, gate};
use caravan_cluster::rotation::{self, Reception};
use caravan_cluster::timeline::RUN;
use caravan_cluster::{Access, Error as ClusterError, Pair, control_plane, parallel, until};
use caravan_lab::{Machine, Role};
use caravan_pki::kubernetes::{FileContent, PlannedFile};
use caravan_pki::store::{self, Store};
use caravan_pki::{Certificate, Plan};
use caravan_process::interrupt;
use caravan_render::{pki_cluster, pki_plan};

use super::drive::{RotatedLab, rotate};
use super::now::{Now, Signing};
use super::retiring::{self, RetiringClient, RetiringToken};
use super::{RotatedSigner, Rotation, RotationPlan, RotationStage, StoreStanding, VERB};
use crate::{CertificatesError, Error, LabRun, OperationRecord, snapshots};

/// How long a server may take to go by what it was given, once it was started anew, at the usual pace.
pub(super) const FOLLOW: Duration = Duration::from_secs(60);

impl Rotation<'_> {
    /// Does what is left of it.
    ///
    /// Before the first change of anything the operation is noted, so that what is cut off here is gone on with.
    ///
    /// # Errors
    ///
    /// [`CertificatesError::NotAllRun`], [`CertificatesError::SignsWithTrust`] and [`Error::Cluster`] where it cannot be done now: nothing was changed. [`Error::Pki`],
    /// [`Error::Cluster`], [`Error::Interrupted`]: the same command goes on.
    pub fn run(&self, run: &LabRun<'_>, plan: &RotationPlan) -> Result<(), Error> {
        let lab = RotatedMachines::new(self, run)?;
        run.step("check", || lab.check(plan))?;
        run.tell_end(RUN, "checked");
        run.reached("checked");
        rotate(&lab)
    }
}

/// The lab's machines, and its store.
pub(super) struct RotatedMachines<'a> {
    pub(super) rotation: &'a Rotation<'a>,
    pub(super) run: &'a LabRun<'a>,
    plan: Plan,
    store: Store,
    now: RefCell<Now<'a>>,
}

impl<'a> RotatedMachines<'a> {
    fn new(rotation: &'a Rotation<'a>, run: &'a LabRun<'a>) -> Result<Self, Error> {
        let plan = pki_plan(rotation.lab)?;
        let store = Store::open(rotation.target.dir.pki())?;
        let id = rotation.signer.credential().entry("");
        // Half way, nothing signs, and nothing can be loaded.
        if store.rotation(&plan, &id)? == store::Rotation::Switched {
            store.switch_rotation(&plan, &id, SystemTime::now())?;
        }
        let now = RefCell::new(Now::of(rotation, &plan, &store)?);
        Ok(Self {
            rotation,
            run,
            plan,
            store,
            now,
        })
    }

    /// Holds what must hold before anything is changed, and notes what is meant, where that is not noted yet.
    fn check(&self, plan: &RotationPlan) -> Result<(), Error> {
        let Rotation {
            target,
            lab,
            signer,
            tool,
            ..
        } = *self.rotation;
        target.hold_all_run(lab)?;
        if plan.begun.is_some() {
            return Ok(());
        }
        let now = self.now();
        self.run.tell_begin(RUN, "looks whether all are well");
        let masters: Vec<&Machine> = lab.of_role(Role::ControlPlane).collect();
        wait_ready(&now.access, &masters)?;
        if signer == RotatedSigner::KubernetesCa {
            for master in &masters {
                if !rotation::signs_apart(&now.access, master)? {
                    return Err(Error::from(CertificatesError::SignsWithTrust {
                        lab: target.name.clone(),
                        machine: master.name.clone(),
                    }));
                }
            }
        }
        if let Some(first) = lab.of_role(Role::Etcd).next() {
            self.hold_others_well(&now.access, first, tool)?;
            Member::of(first, &now.access)?.health()?;
        }
        let reason = format!("before rotating `{signer}`");
        let taken = snapshots::take_for(target, lab, &now.access, &reason)?;
        self.run
            .note(&format!("what is there now: snapshot `{}`", taken.name()));
        let material = self.store.load(&self.plan)?;
        match (signer, masters.first()) {
            (RotatedSigner::ServiceAccounts, Some(master)) => {
                RetiringToken::keep(self.rotation, &now.access, master, &material)?;
            }
            _ => {
                let id = signer.credential().entry("");
                RetiringClient::keep(self.rotation, material.authority(&id)?)?;
            }
        }
        OperationRecord {
            verb: VERB.to_owned(),
            machine: signer.name().to_owned(),
            host_keys: Vec::new(),
            machines: Vec::new(),
            since: crate::state_file::now(),
            restore: None,
        }
        .write(&target.dir)
    }

    /// Holds that etcd can do without `member` for a moment, where it has others.
    pub(super) fn hold_others_well(
        &self,
        access: &Access,
        member: &Machine,
        tool: &str,
    ) -> Result<Option<gate::WellMembers>, Error> {
        let lab = self.rotation.lab;
        match lab.of_role(Role::Etcd).count() {
            1 => Ok(None),
            _ => {
                let nobody = BTreeSet::new();
                let others = gate::hold_others_well(lab, access, &member.name, &nobody, tool)?;
                Ok(Some(others))
            }
        }
    }

    fn machine(&self, name: &str) -> Result<&'a Machine, Error> {
        crate::machine(self.rotation.lab, name)
    }

    /// Whether a planned file is a part of a stage.
    fn is_part(&self, stage: RotationStage, file: &PlannedFile) -> bool {
        let rotated = self.rotation.signer.credential();
        match stage {
            RotationStage::TrustBoth | RotationStage::TrustNew => {
                let is_trust = matches!(file.content, FileContent::Trust | FileContent::PublicKey);
                file.credential == rotated && is_trust
            }
            RotationStage::Reissue => {
                // Its own too: who signs comes first of those to be trusted, and masters have the key that signs.
                file.credential == rotated
                    || file.credential.signer() == Some(rotated)
                        && matches!(
                            file.content,
                            FileContent::Certificate | FileContent::CertificateAndKey
                        )
            }
        }
    }

    /// The paths of a machine's files that are a part of a stage.
    fn paths(&self, stage: RotationStage, machine: &Machine) -> Result<BTreeSet<String>, Error> {
        let files = pki_cluster(self.rotation.lab)?.planned_files(&self.plan);
        let its = files.into_iter().filter(|it| it.node == machine.name);
        let its = its.filter(|it| self.is_part(stage, it));
        Ok(its.map(|it| it.path).collect())
    }

    /// Brings a machine its files of a stage, those alone that differ there.
    fn bring(&self, stage: RotationStage, machine: &Machine) -> Result<(), Error> {
        let now = self.now();
        let paths = self.paths(stage, machine)?;
        let files: Vec<BroughtFile> = (now.sources.renderer()?)
            .guest_files(machine)?
            .into_iter()
            .filter(|file| paths.contains(file.path.as_ref()))
            .map(|file| BroughtFile {
                path: file.path.into_owned(),
                mode: file.mode,
                content: file.content.into_owned(),
            })
            .collect();
        let brought = certificates::bring(&now.access, machine, &files)?;
        for path in &brought {
            let dir = &self.rotation.target.dir;
            now.sources.note_given(dir, &[machine], path)?;
        }
        Ok(())
    }

    /// What is not as a stage wants it with the server of `machine`, as a new connection shows it; nothing where all is.
    pub(super) fn differs(
        &self,
        stage: RotationStage,
        machine: &Machine,
    ) -> Result<Option<String>, Error> {
        let now = self.now();
        let (signer, of_new) = match &now.signing {
            Signing::Certificates { signer, of_new } => (signer, of_new),
            Signing::Tokens { key_ids } => return self.signer_differs(stage, machine, key_ids),
        };
        let ca = match self.rotation.signer {
            RotatedSigner::EtcdCa => &now.access.etcd_ca,
            _ => &now.access.kubernetes_ca,
        };
        let retiring = RetiringClient::read(self.rotation)?;
        let is_proxy = self.rotation.signer == RotatedSigner::FrontProxyCa;
        let speaks_for = is_proxy.then_some(retiring::NAME);
        let dial = |pair: &Pair| {
            let answer = rotation::dial(&now.access, machine, ca, pair, speaks_for);
            answer.map_err(|error| error.chain())
        };
        let looked = || -> Result<(), String> {
            let answer = dial(of_new)?;
            if answer.reception != Reception::LetIn {
                return Err("it does not trust the new authority yet".to_owned());
            }
            // What servers show to those who speak for others is not of this authority.
            if stage != RotationStage::TrustBoth && !is_proxy && !is_signed(&answer.shown, signer) {
                return Err("it does not show a certificate of the new authority yet".to_owned());
            }
            if stage == RotationStage::TrustNew
                && dial(&retiring.pair())?.reception != Reception::Refused
            {
                return Err("it still trusts the old authority".to_owned());
            }
            Ok(())
        };
        Ok(looked().err())
    }

    /// Those of `paths` on a machine that the authority that signs now has not signed.
    pub(super) fn not_signed(
        &self,
        machine: &Machine,
        mut paths: BTreeSet<String>,
    ) -> Result<BTreeSet<String>, Error> {
        let now = self.now();
        let Signing::Certificates { signer, .. } = &now.signing else {
            return Ok(paths);
        };
        let told = certificates::ask(&now.access, &[machine])?;
        for seen in &told.seen {
            if let SeenAt::File { path, .. } = &seen.at
                && is_signed(&seen.der, signer)
            {
                paths.remove(path);
            }
        }
        Ok(paths)
    }

    /// Holds that a machine has what was issued anew.
    fn hold_reissued(&self, machine: &Machine) -> Result<(), Error> {
        let mut paths = self.paths(RotationStage::Reissue, machine)?;
        // The kubelet's is what it has chosen.
        paths.retain(|path| path.ends_with(".crt"));
        paths.extend(self.made_there(machine));
        match self.not_signed(machine, paths)?.into_iter().next() {
            None => Ok(()),
            Some(path) => Err(Error::from(CertificatesError::NotReissued {
                lab: self.rotation.lab.name().to_owned(),
                machine: machine.name.clone(),
                path,
            })),
        }
    }

    /// Waits until the server of `machine` shows what a stage wants.
    pub(super) fn wait(&self, stage: RotationStage, machine: &Machine) -> Result<(), Error> {
        let limit = self.now().access.pace().of(FOLLOW);
        let what = format!("`{}` to go by what it was given", machine.name);
        until(limit, &what, || {
            if interrupt::raised() {
                return Ok(true);
            }
            match self.differs(stage, machine) {
                Ok(None) => Ok(true),
                Ok(Some(why)) => Err(why),
                Err(error) => Err(error.to_string()),
            }
        })?;
        match interrupt::raised() {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }

    /// What follows from how far the store is.
    pub(super) fn now(&self) -> Ref<'_, Now<'a>> {
        self.now.borrow()
    }
}

impl RotatedLab for RotatedMachines<'_> {
    type Error = Error;

    fn standing(&self) -> Result<StoreStanding, Error> {
        self.rotation.standing()
    }

    fn advance(&self, stage: RotationStage) -> Result<(), Error> {
        let id = self.rotation.signer.credential().entry("");
        let now = SystemTime::now();
        let (store, plan) = (&self.store, &self.plan);
        let name = self.rotation.signer;
        match (stage, store.rotation(plan, &id)?) {
            (RotationStage::TrustBoth, store::Rotation::Idle | store::Rotation::Started) => {
                store.start_rotation(plan, &id, now)?;
                self.run
                    .tell_end(RUN, &format!("the new {name} is there, to be trusted"));
            }
            // Also where it signs already, as that may have been cut off before all was made anew.
            (RotationStage::Reissue, store::Rotation::Started | store::Rotation::Switched) => {
                store.switch_rotation(plan, &id, now)?;
                self.run.tell_end(RUN, &format!("the new {name} signs"));
            }
            (RotationStage::TrustNew, store::Rotation::Switched) => {
                store.finish_rotation(plan, &id)?;
                self.run
                    .tell_end(RUN, &format!("the old {name} is gone from the store"));
            }
            _ => {}
        }
        *self.now.borrow_mut() = Now::of(self.rotation, plan, store)?;
        let now = self.now();
        let servers: Vec<_> = self.rotation.lab.servers().iter().collect();
        let dir = &self.rotation.target.dir;
        now.sources.write(dir, &servers)?;
        let path = dir.kubeconfig();
        if caravan_files::write_if_changed(&path, 0o600, now.kubeconfig.as_bytes())? {
            (self.rotation.followed)();
        }
        Ok(())
    }

    fn servers(&self) -> Result<Vec<String>, Error> {
        let Rotation { lab, signer, .. } = *self.rotation;
        let names = lab.of_role(signer.servers()).map(|it| it.name.clone());
        let mut names: Vec<String> = names.collect();
        if signer == RotatedSigner::EtcdCa {
            let members = etcd::members(lab, &self.now().access)?;
            if let Some(leader) = etcd::leader(&members)? {
                // Last, so that the lead moves once.
                names.sort_by_key(|name| *name == leader.name);
            }
        }
        Ok(names)
    }

    fn followers(&self) -> Vec<String> {
        let Rotation { lab, signer, .. } = *self.rotation;
        let roles = signer.followers().iter();
        roles
            .flat_map(|role| lab.of_role(*role))
            .map(|it| it.name.clone())
            .collect()
    }

    fn give(&self, stage: RotationStage, machine: &str) -> Result<(), Error> {
        let machine = self.machine(machine)?;
        let text = match stage {
            RotationStage::TrustBoth => "learns to trust the new one too",
            RotationStage::Reissue => "gets what the new one has signed",
            RotationStage::TrustNew => "forgets the old one",
        };
        self.run.tell_begin(&machine.name, text);
        self.run.step(&format!("{stage} {}", machine.name), || {
            self.bring(stage, machine)?;
            match (self.rotation.signer, machine.role, stage) {
                (RotatedSigner::EtcdCa, Role::Etcd, _) => {
                    self.have_member_follow(stage, machine)?;
                }
                // It shows the new one when it dials the next time.
                (RotatedSigner::EtcdCa, _, RotationStage::Reissue) => {}
                (RotatedSigner::EtcdCa, ..) => {
                    self.have_api_server_read(machine)?;
                }
                (RotatedSigner::KubernetesCa, Role::LoadBalancer, _) => {
                    self.have_balancer_follow(stage, machine)?;
                }
                (RotatedSigner::KubernetesCa, Role::Worker, _) => {
                    self.have_kubelet_follow(stage, machine)?;
                }
                (RotatedSigner::KubernetesCa | RotatedSigner::FrontProxyCa, ..) => {
                    self.have_master_follow(stage, machine)?;
                }
                (RotatedSigner::ServiceAccounts, ..) => self.have_signer_follow(stage, machine)?,
            }
            match stage {
                RotationStage::Reissue => self.hold_reissued(machine),
                _ => Ok(()),
            }
        })?;
        self.run.tell_end(&machine.name, stage.word());
        Ok(())
    }

    fn conclude(&self, stage: RotationStage) -> Result<(), Error> {
        match (self.rotation.signer, stage) {
            (RotatedSigner::KubernetesCa, RotationStage::TrustBoth) => self.tell_pods(),
            (RotatedSigner::ServiceAccounts, RotationStage::Reissue) => {
                let now = self.now();
                match &now.signing {
                    Signing::Tokens { key_ids } => match key_ids.first() {
                        Some(signs) => self.have_tokens_follow(signs),
                        None => Ok(()),
                    },
                    Signing::Certificates { .. } => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn settle(&self) -> Result<(), Error> {
        let Rotation {
            target,
            lab,
            signer,
            ..
        } = *self.rotation;
        for machine in lab.of_role(signer.servers()) {
            self.wait(RotationStage::TrustNew, machine)?;
        }
        let now = self.now();
        let masters: Vec<&Machine> = lab.of_role(Role::ControlPlane).collect();
        wait_ready(&now.access, &masters)?;
        if signer == RotatedSigner::KubernetesCa {
            // What the cluster says of itself.
            control_plane::put_right(lab, &now.access, &masters)?;
        }
        OperationRecord::forget(&target.dir)?;
        retiring::forget(self.rotation)
    }

    fn reached(&self, word: &str) -> Result<(), Error> {
        self.run.reached(word);
        match interrupt::raised() {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }
}

fn is_signed(der: &[u8], authority: &Certificate) -> bool {
    Certificate::from_der(der).is_ok_and(|it| it.is_signed_by(authority).unwrap_or(false))
}

/// Waits until the API servers of `masters` are ready, all at once.
pub(super) fn wait_ready(access: &Access, masters: &[&Machine]) -> Result<(), Error> {
    let ended = parallel::each(masters.iter().copied(), |master| {
        control_plane::wait_ready(access, master)
    });
    let ended: Result<(), ClusterError> = ended.into_iter().collect();
    Ok(ended?)
}
