//! Lists whose entries are each of one machine, so that nobody has to guess of which.

use caravan_lab::Machine;
use serde::Serialize;

/// A list with entries for machines. Templates see the entries alone.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct MachineList<T> {
    entries: Vec<T>,
    /// The names of the machines that the entries are of; `None` for an entry of none.
    #[serde(skip)]
    machines: Vec<Option<String>>,
}

impl<T> MachineList<T> {
    /// Makes one entry for each machine.
    pub(crate) fn of<'m>(
        machines: impl IntoIterator<Item = &'m Machine>,
        entry: impl Fn(&'m Machine) -> T,
    ) -> Self {
        let named = |machine: &'m Machine| (Some(machine.name.clone()), entry(machine));
        let (machines, entries) = machines.into_iter().map(named).unzip();
        MachineList { entries, machines }
    }

    /// Adds an entry that is of no machine.
    pub(crate) fn push_of_none(&mut self, entry: T) {
        self.entries.push(entry);
        self.machines.push(None);
    }

    /// Returns the name of the machine that an entry is of, counted from 0.
    pub(crate) fn machine(&self, index: usize) -> Option<&str> {
        self.machines.get(index)?.as_deref()
    }
}

impl<'m, T> FromIterator<(Option<&'m Machine>, T)> for MachineList<T> {
    fn from_iter<I: IntoIterator<Item = (Option<&'m Machine>, T)>>(pairs: I) -> Self {
        let named =
            |(machine, entry): (Option<&Machine>, T)| (machine.map(|it| it.name.clone()), entry);
        let (machines, entries) = pairs.into_iter().map(named).unzip();
        MachineList { entries, machines }
    }
}

/// What templates are given, as far as it has lists of machines.
pub(crate) trait MachineLists {
    /// Returns the name of the machine that an entry of the list is of, counted from 0; `None` where it is of none.
    fn machine_of(&self, list: &str, index: usize) -> Option<&str>;
}
