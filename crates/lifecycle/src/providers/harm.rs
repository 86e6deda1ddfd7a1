//! Machines that are broken on purpose, and mended.

use caravan_vagrant::provider::{FoundMachine, LabProjects, MachineHarm};

use super::LabProviders;
use crate::Error;

impl LabProviders {
    /// Does harm to machines, all at once; see [`MachineProvider::harm`](caravan_vagrant::provider::MachineProvider::harm).
    ///
    /// # Errors
    ///
    /// As [`LabProviders::stop`].
    pub fn harm(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
        harm: MachineHarm,
    ) -> Result<(), Error> {
        self.side_by_side(projects, machines, |provider, _, machines| {
            provider.harm(machines, harm)
        })
    }

    /// Has machines run that harm was done to; see
    /// [`MachineProvider::revive`](caravan_vagrant::provider::MachineProvider::revive).
    ///
    /// # Errors
    ///
    /// As [`LabProviders::stop`].
    pub fn revive(&self, projects: &LabProjects, machines: &[&FoundMachine]) -> Result<(), Error> {
        self.side_by_side(projects, machines, |provider, _, machines| {
            provider.revive(machines)
        })
    }
}
