//! What members of etcd and API servers do while etcd's authority changes.

use caravan_cluster::control_plane::{self, RenewalScope};
use caravan_cluster::etcd::Member;
use caravan_cluster::{handover, rotation, until};
use caravan_lab::{Machine, Role};

use super::RotationStage;
use super::machines::{FOLLOW, RotatedMachines, wait_ready};
use crate::Error;

impl RotatedMachines<'_> {
    /// Starts a member of etcd anew, if a new connection does not show what a stage wants.
    pub(super) fn have_member_follow(
        &self,
        stage: RotationStage,
        member: &Machine,
    ) -> Result<(), Error> {
        if stage != RotationStage::Reissue && self.differs(stage, member)?.is_some() {
            let now = self.now();
            let lab = self.rotation.lab;
            // An API server that has lost one member must not lose the next one too.
            let masters: Vec<&Machine> = lab.of_role(Role::ControlPlane).collect();
            wait_ready(&now.access, &masters)?;
            let others = self.hold_others_well(&now.access, member, self.rotation.tool)?;
            if let Some(others) = &others
                && let Some(heir) = handover::lead(lab, &now.access, member, others)?
            {
                self.run
                    .tell_detail(&member.name, &format!("{heir} leads now"));
            }
            rotation::restart_member(&now.access, member)?;
        }
        self.wait(stage, member)?;
        let now = self.now();
        let asked = Member::of(member, &now.access)?;
        let what = format!("`{}` to be well", member.name);
        until(now.access.pace().of(FOLLOW), &what, || {
            asked.health().map(|()| true).map_err(|error| error.chain())
        })?;
        Ok(())
    }

    /// Has the API server of a master read whom it trusts as members of etcd.
    pub(super) fn have_api_server_read(&self, master: &Machine) -> Result<(), Error> {
        let now = self.now();
        control_plane::renew(&now.access, master, RenewalScope::Follow)?;
        control_plane::wait_ready(&now.access, master)?;
        Ok(())
    }
}
