//! What a lab file sets of the cluster: feature gates, flags, auditing, encryption, the kubelets' configuration.

mod changes;
mod known;
mod owned;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

pub use self::known::KnownSettings;
use crate::document::{Fields, Form, Key};
use crate::draft::other;
use crate::fault::FaultSink;
use crate::place::At;
use crate::rule::Rule;
use crate::suggest::{alternatives, nearest};

/// The keys of `[api_server]`, `[controller_manager]` and `[scheduler]`.
pub(crate) const COMPONENT_KEYS: &[Key] = &[other(
    "args",
    Form::TextTable,
    "a table of strings, such as `{ v = \"4\" }`",
)];

/// The keys of `[kubelet]`.
pub(crate) const KUBELET_KEYS: &[Key] = &[other(
    "config",
    Form::FreeTable,
    "a table with fields of KubeletConfiguration, such as `{ maxPods = 50 }`",
)];

/// The word for records of who did what, without contents.
const METADATA: &str = "metadata";

/// A part of the control plane whose flags a lab file may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// `kube-apiserver`.
    ApiServer,
    /// `kube-controller-manager`.
    ControllerManager,
    /// `kube-scheduler`.
    Scheduler,
}

impl Component {
    /// All of them.
    pub const ALL: [Component; 3] = [
        Component::ApiServer,
        Component::ControllerManager,
        Component::Scheduler,
    ];

    /// Returns the table of the lab file that is about it: `api_server`.
    pub const fn table(self) -> &'static str {
        match self {
            Component::ApiServer => "api_server",
            Component::ControllerManager => "controller_manager",
            Component::Scheduler => "scheduler",
        }
    }

    /// Returns the name of its program: `kube-apiserver`.
    pub const fn program(self) -> &'static str {
        match self {
            Component::ApiServer => "kube-apiserver",
            Component::ControllerManager => "kube-controller-manager",
            Component::Scheduler => "kube-scheduler",
        }
    }
}

/// What API servers write down of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Audit {
    /// Who asked for what and when, of every request, without contents.
    Metadata,
    /// What the policy in this file says, which lies beside the lab file.
    Policy(String),
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Audit::Metadata => METADATA,
            Audit::Policy(file) => file,
        })
    }
}

/// How Secrets are kept in etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// XSalsa20 and Poly1305, with one key of the lab.
    Secretbox,
}

impl Encryption {
    /// All of them.
    pub const ALL: [Encryption; 1] = [Encryption::Secretbox];

    /// Returns its word in a lab file, which is also the one that etcd's values begin with.
    pub const fn word(self) -> &'static str {
        match self {
            Encryption::Secretbox => "secretbox",
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a lab file sets of the cluster; empty where it sets nothing. All masters have the same, and all kubelets.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClusterSettings {
    /// Feature gates, on or off.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub feature_gates: BTreeMap<String, bool>,
    /// API groups and versions that API servers serve or do not: `api/alpha` to `true`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub runtime_config: BTreeMap<String, String>,
    /// What API servers write down; `None`: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// How Secrets are kept in etcd; `None`: as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Flags of the control plane's programs, without their dashes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<Component, BTreeMap<String, String>>,
    /// Fields of every kubelet's KubeletConfiguration.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub kubelet: Map<String, Value>,
}

impl ClusterSettings {
    /// Returns the flags that the file gives a program, without their dashes.
    pub fn args_of(&self, component: Component) -> impl Iterator<Item = (&str, &str)> {
        let args = self.args.get(&component).into_iter().flatten();
        args.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Settings as they are read, and where the name and the value of each are.
#[derive(Default)]
pub(crate) struct DraftSettings {
    pub(crate) settings: ClusterSettings,
    pub(crate) places: Vec<(String, [Range<usize>; 2])>,
}

impl DraftSettings {
    /// Reads the tables of a lab file that are about the cluster's settings, of which `cluster` is open already.
    pub(crate) fn read(
        lab: &Fields<'_, '_>,
        cluster: Option<&Fields<'_, '_>>,
        sink: &mut FaultSink,
    ) -> Self {
        let mut draft = Self::default();
        if let Some(fields) = cluster {
            draft.places_of("cluster", fields.table);
            draft.cluster(fields, sink);
        }
        for component in Component::ALL {
            let name = component.table();
            if let Some(fields) = lab.opened(name, "this table", COMPONENT_KEYS, sink) {
                draft.places_of(name, fields.table);
                draft.args(component, &fields, sink);
            }
        }
        if let Some(fields) = lab.opened("kubelet", "`[kubelet]`", KUBELET_KEYS, sink) {
            draft.places_of("kubelet", fields.table);
            draft.kubelet(&fields, sink);
        }
        draft
    }

    /// Notes where everything in a table is.
    fn places_of(&mut self, path: &str, table: &DeTable<'_>) {
        for (key, value) in table.iter() {
            let path = format!("{path}.{}", key.get_ref());
            if let DeValue::Table(inner) = value.get_ref() {
                self.places_of(&path, inner);
            }
            self.places.push((path, [key.span(), value.span()]));
        }
    }

    fn cluster(&mut self, fields: &Fields<'_, '_>, sink: &mut FaultSink) {
        let gates = fields.switches("feature_gates", sink);
        self.settings.feature_gates = (gates.into_iter())
            .map(|(name, on)| (name.value, on))
            .collect();
        for (name, value) in fields.texts("runtime_config", sink) {
            if !is_api(&name.value) {
                let message = format!("`{}` names no API", name.value);
                sink.refuse(Rule::InvalidValue, &name.span, message).label(
                    "expected `api/all`, `api/ga`, `api/beta`, `api/alpha` or `GROUP/VERSION`, with a resource after it or not",
                );
            }
            self.settings.runtime_config.insert(name.value, value);
        }
        self.settings.audit = fields.parsed("audit", sink, audit).map(|audit| audit.value);
        let words = Encryption::ALL.map(|it| (it.word(), it));
        self.settings.encryption = fields
            .word("encryption", &words, sink)
            .map(|word| word.value);
    }

    fn args(&mut self, component: Component, fields: &Fields<'_, '_>, sink: &mut FaultSink) {
        let mut args = BTreeMap::new();
        for (At { value: name, span }, value) in fields.texts("args", sink) {
            let plain = name.trim_start_matches('-').replace('_', "-");
            if plain != name || plain.contains('=') {
                let plain = plain.split('=').next().unwrap_or_default();
                sink.refuse(
                    Rule::UnknownFlag,
                    &span,
                    format!("`{name}` is no name of a flag"),
                )
                .label("expected its name without dashes before it")
                .suggest((!plain.is_empty()).then_some(plain));
                continue;
            }
            if let Some(by) = owned::flag(component, &name) {
                let program = component.program();
                sink.refuse(
                    Rule::SetByLab,
                    &span,
                    format!("the lab sets `--{name}` of {program} itself"),
                )
                .label(by);
            }
            args.insert(name, value);
        }
        if !args.is_empty() {
            self.settings.args.insert(component, args);
        }
    }

    fn kubelet(&mut self, fields: &Fields<'_, '_>, sink: &mut FaultSink) {
        let Some((_, table)) = fields.table("config", sink) else {
            return;
        };
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            if let Some(by) = owned::kubelet_field(name) {
                let message =
                    format!("the lab sets `{name}` of the kubelets' configuration itself");
                sink.refuse(Rule::SetByLab, &key.span(), message).label(by);
            }
            if let Some(value) = json(value.get_ref()) {
                self.settings.kubelet.insert(name.to_owned(), value);
            } else {
                let message = format!("`{name}` has a value that JSON does not have");
                sink.refuse(Rule::WrongType, &value.span(), message)
                    .label("expected text, a number, `true`, `false`, a list or a table");
            }
        }
    }
}

/// What API servers are to write down; `None` where it is neither the word nor a name of a file.
fn audit(text: &str) -> Option<Audit> {
    let is_yaml = [".yaml", ".yml"].iter().any(|end| {
        text.strip_suffix(end)
            .is_some_and(|stem| !stem.is_empty() && !stem.starts_with('.'))
    });
    match text {
        METADATA => Some(Audit::Metadata),
        file if is_yaml && !file.contains(['/', '\\', '\0']) => {
            Some(Audit::Policy(file.to_owned()))
        }
        _ => None,
    }
}

/// Whether API servers may know it: `api/alpha`, `apps/v1`, `v1`, `batch/v1/cronjobs`.
fn is_api(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let is_word = |part: &&str| {
        let mut bytes = part.bytes();
        !part.is_empty()
            && bytes.all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b".-".contains(&it))
    };
    parts.iter().all(is_word)
        && match parts.as_slice() {
            ["api", which] => ["all", "ga", "beta", "alpha"].contains(which) || is_version(which),
            [version] => is_version(version),
            [_, version] | [_, version, _] => is_version(version),
            _ => false,
        }
}

/// `v1`, `v1beta2`.
fn is_version(text: &str) -> bool {
    let digits = text.strip_prefix('v').unwrap_or_default();
    digits.bytes().next().is_some_and(|it| it.is_ascii_digit())
}

/// A value of TOML in JSON; `None` for what JSON does not have.
fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
            Value::from(number)
        }
        DeValue::Float(number) => {
            let number: f64 = number.as_str().parse().ok()?;
            Value::Number(serde_json::Number::from_f64(number)?)
        }
        DeValue::Boolean(yes) => Value::from(*yes),
        DeValue::Datetime(_) => return None,
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| json(item.get_ref()))
                .collect::<Option<_>>()?,
        ),
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref())?)))
                .collect::<Option<_>>()?,
        ),
    })
}

/// What somebody probably meant, as advice.
fn meant<'c>(found: &str, choices: impl IntoIterator<Item = &'c str>) -> Option<String> {
    nearest(found, choices).map(|meant| format!("did you mean {}?", alternatives([meant.as_str()])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_file_lies_beside_the_lab() {
        assert_eq!(audit("metadata"), Some(Audit::Metadata));
        let policy = Audit::Policy("audit.yaml".to_owned());
        assert_eq!(audit("audit.yaml"), Some(policy));
        for bad in [
            "",
            "Metadata",
            "request",
            ".yaml",
            "../a.yaml",
            "/etc/a.yml",
            "a.toml",
        ] {
            assert_eq!(audit(bad), None, "{bad}");
        }
    }

    #[test]
    fn apis_are_named_as_kubernetes_names_them() {
        for good in [
            "api/all",
            "api/alpha",
            "v1",
            "apps/v1",
            "resource.k8s.io/v1beta1",
            "batch/v1/cronjobs",
        ] {
            assert!(is_api(good), "{good}");
        }
        for bad in [
            "",
            "alpha",
            "api/gamma",
            "apps",
            "apps/1",
            "a/v1/b/c",
            "Apps/v1",
            "a,b/v1",
        ] {
            assert!(!is_api(bad), "{bad}");
        }
    }
}
