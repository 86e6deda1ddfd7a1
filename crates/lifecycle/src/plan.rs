//! What a lab would be made from, without making it.

mod compare;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use caravan_lab::{Lab, Machine};
use caravan_render::{Material, Settings, Software};

use crate::files::{self, RenderSources};
use crate::{ChoiceRequest, Error, Keys, LabChoices, LabDir, LabProviders, Workspace, read_lab};

pub use self::compare::{FileDiff, MachineDiff, compare};

/// What would be rendered; words stand for keys that are not made yet.
///
/// # Errors
///
/// [`Error::Pki`], [`Error::Render`], [`Error::Read`].
pub fn sources<'a>(
    workspace: &Workspace,
    lab: &'a Lab,
    dir: &LabDir,
    choices: &LabChoices,
    software: Software,
) -> Result<RenderSources<'a>, Error> {
    Ok(RenderSources {
        lab,
        software,
        settings: Settings {
            audit_policy: crate::settings::audit_policy(workspace, lab)?,
            ..choices.settings()
        },
        material: match Keys::load(lab, dir) {
            Some(keys) => keys.material(lab)?,
            None => Material::placeholder(lab)?,
        },
        template: workspace.vagrantfile_template()?,
    })
}

/// What was chosen when the machines were made, else what is asked for now.
///
/// # Errors
///
/// [`Error::ChosenOtherwise`], [`Error::Read`].
pub fn choices(
    lab: &Lab,
    dir: &LabDir,
    asked: &ChoiceRequest,
    resolvers: &[Ipv4Addr],
) -> Result<LabChoices, Error> {
    let before = LabChoices::read(dir)?;
    let made = before.is_some();
    let mut choices = LabChoices::settle(lab, asked, before, made)?;
    choices.take_resolvers(resolvers);
    Ok(choices)
}

/// The same, where files are to be written for Vagrant alone: those of machines that are there, or may be, describe them and
/// stay.
///
/// # Errors
///
/// [`Error::Edited`], [`Error::EditedUnasked`], [`Error::ChosenOtherwise`], [`Error::Read`], [`Error::Interrupted`].
pub fn choices_to_write(
    lab: &Lab,
    dir: &LabDir,
    asked: &ChoiceRequest,
    resolvers: &[Ipv4Addr],
) -> Result<LabChoices, Error> {
    let before = LabChoices::read(dir)?;
    let providers = match &before {
        Some(before) => LabProviders::of(lab, before, dir),
        None => LabProviders::of(lab, &LabChoices::settle(lab, asked, None, false)?, dir),
    };
    let is_described = before.is_some() || dir.deployed_lab().exists();
    let found = providers.machines(lab.name(), &dir.projects());
    let exist = match &found {
        Ok(found) => !found.is_empty(),
        Err(error) if error.is_interrupt() => return Err(Error::Interrupted),
        // There may be machines: what describes them stays.
        Err(_) => is_described,
    };
    if exist && dir.deployed_lab().exists() {
        // One that cannot be read any more describes them all the same.
        let (then, _) = read_lab(lab.name(), &dir.deployed_lab())?;
        let changes = lab.changes_since(&then);
        if !changes.is_empty() {
            return Err(match found {
                Ok(_) => Error::Edited {
                    lab: lab.name().to_owned(),
                    changes,
                },
                Err(error) => Error::EditedUnasked {
                    lab: lab.name().to_owned(),
                    changes,
                    source: Box::new(error),
                },
            });
        }
    }
    let mut choices = LabChoices::settle(lab, asked, before, exist)?;
    choices.take_resolvers(resolvers);
    Ok(choices)
}

/// The names of the lab's machines that are there. A lab that was never given anything has none, and nobody is asked.
///
/// # Errors
///
/// [`Error::Vagrant`] when nobody answers.
pub fn there(lab: &Lab, dir: &LabDir, choices: &LabChoices) -> Result<BTreeSet<String>, Error> {
    let given = |machine: &Machine| files::is_deployed(dir, &machine.name);
    if !lab.machines().iter().any(given) {
        return Ok(BTreeSet::new());
    }
    let found = LabProviders::of(lab, choices, dir).machines(lab.name(), &dir.projects())?;
    Ok(found.into_iter().map(|machine| machine.name).collect())
}
