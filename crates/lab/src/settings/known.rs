//! What the programs of a bundle know: settings are held against it before there is any machine.

use std::collections::{BTreeMap, BTreeSet};

use super::{Audit, Component, meant};
use crate::fault::{Fault, Faults, Severity};
use crate::lab::Lab;
use crate::place::Place;
use crate::rule::Rule;

/// What programs said of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownSettings {
    /// The version that they are of: `v1.36.3`.
    pub kubernetes: String,
    /// Flags without their dashes, by program: `kube-apiserver`.
    pub flags: BTreeMap<String, BTreeSet<String>>,
    /// Feature gates that may be changed, by program.
    pub gates: BTreeMap<String, BTreeSet<String>>,
    /// Fields of KubeletConfiguration.
    pub kubelet_fields: BTreeSet<String>,
}

impl Lab {
    /// Holds the settings of the cluster against what its programs know.
    ///
    /// # Errors
    ///
    /// Returns a fault for each flag, feature gate and field that nobody knows, in the order of the file.
    pub fn check_settings(&self, known: &KnownSettings) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let version = &known.kubernetes;
        let gates: BTreeSet<&str> = known.gates.values().flatten().map(String::as_str).collect();
        for name in self.settings.feature_gates.keys() {
            if !gates.contains(name.as_str()) {
                faults.push(self.setting_fault(
                    Rule::UnknownFeatureGate,
                    &format!("cluster.feature_gates.{name}"),
                    format!(
                        "Kubernetes {version} has no feature gate `{name}` that can be changed"
                    ),
                    meant(name, gates.iter().copied()).or_else(|| {
                        let why = "features that are stable, or gone, have none any more";
                        Some(why.to_owned())
                    }),
                ));
            }
        }
        for component in Component::ALL {
            let program = component.program();
            let Some(flags) = known.flags.get(program) else {
                continue;
            };
            for (name, _) in self.settings.args_of(component) {
                if !flags.contains(name) {
                    faults.push(self.setting_fault(
                        Rule::UnknownFlag,
                        &format!("{}.args.{name}", component.table()),
                        format!("{program} {version} has no flag `--{name}`"),
                        meant(name, flags.iter().map(String::as_str)),
                    ));
                }
            }
        }
        for name in self.settings.kubelet.keys() {
            if !known.kubelet_fields.is_empty() && !known.kubelet_fields.contains(name) {
                faults.push(self.setting_fault(
                    Rule::UnknownField,
                    &format!("kubelet.config.{name}"),
                    format!("the kubelet's configuration has no field `{name}` in {version}"),
                    meant(name, known.kubelet_fields.iter().map(String::as_str)),
                ));
            }
        }
        self.refused(faults)
    }

    /// Holds the file of the audit policy that the lab names, of which `text` is the content; `None` where there is no such file.
    ///
    /// # Errors
    ///
    /// Returns the fault of a file that is not there, or is no policy.
    pub fn check_audit_policy(&self, text: Option<&str>) -> Result<(), Faults> {
        let Some(Audit::Policy(file)) = &self.settings.audit else {
            return Ok(());
        };
        let Some(text) = text else {
            return Err(self.refuse_setting(
                Rule::InvalidPolicy,
                "cluster.audit",
                format!("there is no file `{file}` beside the lab file"),
                Some("`audit = \"metadata\"` needs no file".to_owned()),
            ));
        };
        let says = |wanted: &str| {
            let mut lines = text.lines();
            lines.any(|line| line.trim_end().replace(['"', '\''], "") == wanted)
        };
        let lacks = ["apiVersion: audit.k8s.io/v1", "kind: Policy"]
            .into_iter()
            .find(|line| !says(line));
        match lacks {
            None => Ok(()),
            Some(line) => Err(self.refuse_setting(
                Rule::InvalidPolicy,
                "cluster.audit",
                format!("`{file}` is no audit policy: it has no line `{line}`"),
                Some(
                    "https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/ shows one"
                        .to_owned(),
                ),
            )),
        }
    }

    /// Refuses the lab for what somebody else found wrong with a setting: `path` is its, such as `kubelet.config.maxPods`, or
    /// that of a table that it is in.
    ///
    /// `message` says what was found: lower case, no final period.
    pub fn refuse_setting(
        &self,
        rule: Rule,
        path: &str,
        message: String,
        help: Option<String>,
    ) -> Faults {
        let faults = vec![self.setting_fault(rule, path, message, help)];
        Faults::of(&self.name, faults)
    }

    fn refused(&self, mut faults: Vec<Fault>) -> Result<(), Faults> {
        faults.sort_by_key(|fault| (fault.place.span.start, fault.place.span.end));
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Faults::of(&self.name, faults)),
        }
    }

    fn setting_fault(
        &self,
        rule: Rule,
        path: &str,
        message: String,
        help: Option<String>,
    ) -> Fault {
        Fault {
            rule,
            severity: Severity::Refusal,
            place: self.setting_place(path),
            message,
            label: None,
            help,
            related: Vec::new(),
        }
    }

    /// Where a setting is named, or the innermost table that it is in; the file's beginning if nothing of it is there.
    fn setting_place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.places.setting(path) {
                return place.clone();
            }
            match path.rsplit_once('.') {
                Some((outer, _)) => path = outer,
                None => return self.places.lab().start().clone(),
            }
        }
    }
}
