//! What there is, and what there is to do, before anything is made.

use std::collections::BTreeSet;

use caravan_bundle::{image, machine_box};
use caravan_lab::Provider;
use caravan_render::MachineImage;
use caravan_vagrant::engine::{DockerMachines, on_bridge};

use super::{Up, UpPlan, UpRequest};
use crate::events::LifecycleWarning;
use crate::{
    ClusterRecord, Error, LabChoices, LabProviders, OperationRecord, data, machines, restore,
};

impl Up<'_> {
    /// Looks at everything that can be known beforehand, and changes nothing.
    ///
    /// # Errors
    ///
    /// One for each thing that stands in the way: [`Error::MadeElsewhere`], [`Error::Strangers`], [`Error::Edited`],
    /// [`Error::ChosenOtherwise`], [`Error::Conflicts`]. A lost cluster is none: see [`UpPlan::lost`].
    pub fn survey(&self) -> Result<UpPlan, Error> {
        let UpRequest { lab, dir, .. } = *self.request;
        let before = LabChoices::read(dir)?;
        let asked = &self.request.asked;
        let providers = match &before {
            Some(before) => LabProviders::of(lab, before, dir),
            None => LabProviders::of(lab, &LabChoices::settle(lab, asked, None, false)?, dir),
        };
        let (found, silent) = providers.machines_reached(lab.name(), &dir.projects())?;
        let volumes = providers.volumes(lab.name())?;
        machines::made_here(lab.name(), &found, &volumes, dir)?;
        let holders = data::holders(&found, &volumes);
        self.hold_unedited(&holders)?;
        let cluster = ClusterRecord::read(dir)?;
        // A lab whose machines were lost is still the one that was made.
        let made = !holders.is_empty() || cluster.is_some();
        // Whoever restores a snapshot brings the data back.
        let restores = OperationRecord::read(dir)?.is_some_and(|it| it.verb == restore::VERB);
        let lost = (cluster.filter(|_| !restores))
            .and_then(|made| Some((data::loss(lab, &holders, &silent)?, made.seen)));
        let mut choices = LabChoices::settle(lab, asked, before, made)?;
        let resolvers = choices.nameservers.clone();
        choices.take_resolvers(&self.request.resolvers);
        drop_lost_images(&mut choices)?;
        let todo: Vec<String> = self
            .request
            .wanted
            .iter()
            .map(|machine| machine.name.clone())
            .filter(|name| {
                let runs = lost.is_none() && found.iter().any(|it| it.name == *name && it.runs());
                !runs || !self.is_deployed(name)
            })
            .collect();
        if !todo.is_empty() {
            self.hold_free(&LabProviders::of(lab, &choices, dir))?;
        }
        if resolvers != choices.nameservers && found.iter().any(|it| !todo.contains(&it.name)) {
            self.run.warn(&LifecycleWarning::OtherResolvers {
                lab: lab.name().to_owned(),
                before: resolvers,
                now: choices.nameservers.clone(),
            });
        }
        Ok(UpPlan {
            choices,
            found,
            todo,
            untold: Vec::new(),
            lost,
        })
    }

    /// The machines that are there, or whose data is, must be of this lab as its file says it.
    fn hold_unedited(&self, holders: &BTreeSet<&str>) -> Result<(), Error> {
        let UpRequest { lab, dir, .. } = *self.request;
        if holders.is_empty() {
            return Ok(());
        }
        let Some(then) = machines::deployed_lab(lab.name(), dir) else {
            return Err(Error::Strangers {
                lab: lab.name().to_owned(),
                machines: holders.iter().map(|name| (*name).to_owned()).collect(),
            });
        };
        let mut changes = lab.changes_since(&then);
        // What machines that run can be told is no edit that they must be made anew for.
        changes.retain(|change| !change.can_be_applied());
        if changes.is_empty() {
            return Ok(());
        }
        Err(Error::Edited {
            lab: lab.name().to_owned(),
            changes,
        })
    }

    /// Nobody else may have the lab's addresses.
    fn hold_free(&self, providers: &LabProviders) -> Result<(), Error> {
        let lab = self.request.lab;
        let addresses: Vec<_> = lab
            .machines()
            .iter()
            .map(|machine| (machine.name.clone(), machine.ip))
            .collect();
        let here = lab.servers().iter().filter(|it| it.host.is_none());
        let bridges: BTreeSet<&str> = here.filter_map(|it| it.bridge.as_deref()).collect();
        let mut conflicts = providers.conflicts(lab.name(), lab.subnet(), &addresses)?;
        let shared = lab.shared_bridge();
        let own: Vec<&str> = bridges.iter().copied().chain([shared.as_str()]).collect();
        conflicts.retain(|conflict| !conflict.is_route_by(&own));
        if !bridges.is_empty() && providers.kinds().contains(&Provider::Docker) {
            let networks = DockerMachines::find()?.networks()?;
            for bridge in bridges {
                conflicts.extend(on_bridge(lab.name(), bridge, &networks));
            }
        }
        match conflicts.is_empty() {
            true => Ok(()),
            false => Err(Error::Conflicts { conflicts }),
        }
    }
}

/// What was baked and is gone has to be made again.
fn drop_lost_images(choices: &mut LabChoices) -> Result<(), Error> {
    for kind in choices.kinds() {
        if let Some(image) = choices.images.get(&kind)
            && is_lost(kind, image)?
        {
            choices.images.remove(&kind);
        }
    }
    Ok(())
}

/// Whether what machines were made from is not there any more. Only of containers' images is an engine asked.
fn is_lost(kind: Provider, image: &MachineImage) -> Result<bool, Error> {
    Ok(match (kind, &image.url) {
        (_, Some(url)) => machine_box::is_lost(url),
        (Provider::Docker, None) => image::is_lost(&caravan_bundle::docker::find()?, &image.name)?,
        // A box that the user named.
        (_, None) => false,
    })
}
