//! The order of a rotation, apart from what its steps do: it is the same for real machines and for those that tests make up.

use super::{RotationStage, StoreStanding, stages};

/// What a rotation asks of a lab and does to it. Each of it may be done again.
pub(super) trait RotatedLab {
    /// Why something was not done.
    type Error;

    /// How far the store is.
    fn standing(&self) -> Result<StoreStanding, Self::Error>;

    /// Has the store go on to what a stage wants, where it is not there yet.
    fn advance(&self, stage: RotationStage) -> Result<(), Self::Error>;

    /// The machines with servers that go by what is rotated, in the order that is right now.
    fn servers(&self) -> Result<Vec<String>, Self::Error>;

    /// The machines that follow, in their order.
    fn followers(&self) -> Vec<String>;

    /// Has a machine do its part of a stage, as far as it has not, and holds that a new connection shows it.
    fn give(&self, stage: RotationStage, machine: &str) -> Result<(), Self::Error>;

    /// Does what is left of a stage once all machines have done their part.
    fn conclude(&self, stage: RotationStage) -> Result<(), Self::Error>;

    /// Holds that all is as it is to be in the end, and forgets that anything was meant.
    fn settle(&self) -> Result<(), Self::Error>;

    /// Is told the word of each step that is done; whoever wants to stop says so here.
    fn reached(&self, word: &str) -> Result<(), Self::Error>;
}

/// Does what is left.
pub(super) fn rotate<L: RotatedLab>(lab: &L) -> Result<(), L::Error> {
    for stage in stages(lab.standing()?) {
        // Also where it is there already: it may have been cut off before all was made.
        lab.advance(stage)?;
        lab.reached(&format!("{stage} begun"))?;
        let servers = lab.servers()?;
        for (number, machine) in servers.iter().enumerate() {
            lab.give(stage, machine)?;
            lab.reached(&format!("{stage} {}/{}", number + 1, servers.len()))?;
        }
        for machine in lab.followers() {
            lab.give(stage, &machine)?;
            lab.reached(&format!("{stage} {machine}"))?;
        }
        lab.conclude(stage)?;
        lab.reached(stage.word())?;
    }
    lab.settle()?;
    lab.reached("settled")
}
