//! What a lab file sets of the cluster, held against what only others know: the bundle's programs, and files beside it.

use std::fs;
use std::io::ErrorKind;

use caravan_bundle::{Cache, Progress, SoftwareSource};
use caravan_lab::{Audit, Faults, KnownSettings, Lab, Rule};

use crate::error::RefusedLabFile;
use crate::{Error, Workspace};

/// How far settings were held against programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingsCheck {
    /// The lab file sets nothing that programs would know.
    Nothing,
    /// All of it is known.
    Known(KnownSettings),
    /// There is no bundle whose programs could be asked, or they do not run on this computer.
    Unknown,
}

impl SettingsCheck {
    /// What the programs know, where that was found out.
    pub fn known(&self) -> Option<&KnownSettings> {
        match self {
            Self::Known(known) => Some(known),
            Self::Nothing | Self::Unknown => None,
        }
    }
}

/// Holds the settings of a lab against what the programs of its bundle know, as far as there is one in the cache, which is
/// opened only where something is set.
///
/// # Errors
///
/// [`Error::Faults`] with the line of each that nobody knows, [`Error::Bundle`].
pub fn check(
    workspace: &Workspace,
    lab: &Lab,
    cache: impl FnOnce() -> Result<Cache, caravan_bundle::Error>,
    from: SoftwareSource,
    progress: &dyn Progress,
) -> Result<SettingsCheck, Error> {
    let set = lab.settings();
    if set.feature_gates.is_empty() && set.args.is_empty() && set.kubelet.is_empty() {
        return Ok(SettingsCheck::Nothing);
    }
    let cache = cache()?;
    let minor = lab.kubernetes().to_string();
    let Some((bundle, Some(known))) = caravan_bundle::find_made(&cache, &minor, from, progress)?
    else {
        return Ok(SettingsCheck::Unknown);
    };
    let known = KnownSettings {
        kubernetes: bundle.software.kubernetes.clone(),
        flags: known.flags,
        gates: known.gates,
        kubelet_fields: known.kubelet_fields,
    };
    let refused = |faults| refused(workspace, lab, faults);
    lab.check_settings(&known).map_err(refused)?;
    if !set.kubelet.is_empty()
        && let Some(refusal) = caravan_bundle::judge_kubelet(&cache, &bundle.dir, &set.kubelet)?
    {
        let path = match &refusal.field {
            Some(field) => format!("kubelet.config.{field}"),
            None => "kubelet.config".to_owned(),
        };
        let message = format!(
            "kubeadm refuses the kubelets' configuration: {}",
            refusal.why
        );
        let faults = lab.refuse_setting(Rule::UnknownField, &path, message, None);
        return Err(refused(faults));
    }
    Ok(SettingsCheck::Known(known))
}

/// The audit policy that the lab file names, from the file beside it.
///
/// # Errors
///
/// [`Error::Faults`] where it is not there or no policy, [`Error::Read`].
pub fn audit_policy(workspace: &Workspace, lab: &Lab) -> Result<Option<String>, Error> {
    let Some(Audit::Policy(file)) = &lab.settings().audit else {
        return Ok(None);
    };
    let path = workspace.lab_file(lab.name()).with_file_name(file);
    let text = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(source) => return Err(Error::Read { path, source }),
    };
    lab.check_audit_policy(text.as_deref())
        .map_err(|faults| refused(workspace, lab, faults))?;
    Ok(text)
}

fn refused(workspace: &Workspace, lab: &Lab, faults: Faults) -> Error {
    let path = workspace.lab_file(lab.name());
    // It was read a moment ago; without its text faults are shown by their lines alone.
    let source = fs::read_to_string(&path).unwrap_or_default();
    Error::Faults(Box::new(RefusedLabFile {
        path,
        source,
        faults,
    }))
}
