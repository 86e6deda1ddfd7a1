//! The files that say what a lab file sets of its cluster: made of values alone, so they have no templates.

use std::collections::{BTreeMap, BTreeSet};

use caravan_lab::{Audit, ClusterSettings, Lab, Machine, Role};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::key_files::Material;
use crate::settings::{Settings, Software};

/// What a node was told of the cluster's settings, on the machine: where it differs from what was told before, the machine
/// applies it.
pub const SETTINGS_FILE: &str = "/etc/caravan/settings";

/// The content of that file where nothing is set.
pub const NO_SETTINGS: &str = "{}\n";

/// What `audit = "metadata"` stands for.
const METADATA_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
# A request is written down once, when it was answered.
omitStages: [RequestReceived]
rules:
- level: Metadata
";

/// Returns the feature gates of `program` that the lab file sets, as far as it has them.
pub(crate) fn gates_of(
    settings: &ClusterSettings,
    software: &Software,
    program: &str,
) -> BTreeMap<String, bool> {
    let known: Option<&BTreeSet<String>> = software.gates.get(program);
    let all = settings.feature_gates.iter();
    all.filter(|(name, _)| known.is_none_or(|known| known.contains(*name)))
        .map(|(name, on)| (name.clone(), *on))
        .collect()
}

/// Returns what the machine's kubelet reads on top of the cluster's configuration.
pub(crate) fn kubelet(lab: &Lab, machine: &Machine, software: &Software) -> String {
    let mut fields = kubelet_fields(lab, machine, software);
    fields.insert("apiVersion".into(), "kubelet.config.k8s.io/v1beta1".into());
    fields.insert("kind".into(), "KubeletConfiguration".into());
    pretty(&Value::Object(fields))
}

fn kubelet_fields(lab: &Lab, machine: &Machine, software: &Software) -> Map<String, Value> {
    let mut fields = lab.settings().kubelet.clone();
    let gates = gates_of(lab.settings(), software, "kubelet");
    if !gates.is_empty() {
        fields.insert("featureGates".into(), json!(gates));
    }
    if !machine.taints.is_empty() {
        let taints = machine
            .taints
            .iter()
            .map(|taint| json!({ "key": taint.key, "value": taint.value, "effect": taint.effect }));
        fields.insert("registerWithTaints".into(), taints.collect());
    }
    fields
}

/// Returns the audit policy, where the lab has one.
pub(crate) fn audit_policy(lab: &Lab, settings: &Settings) -> Option<String> {
    match lab.settings().audit.as_ref()? {
        Audit::Metadata => Some(METADATA_POLICY.to_owned()),
        Audit::Policy(_) => Some(settings.audit_policy.clone().unwrap_or_default()),
    }
}

/// Returns how API servers encrypt Secrets, where they do.
pub(crate) fn encryption(lab: &Lab, material: &Material) -> Option<String> {
    let word = lab.settings().encryption?.word();
    let key = material.encryption_key.as_ref()?;
    let config = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{
            "resources": ["secrets"],
            "providers": [
                { word: { "keys": [{ "name": "lab", "secret": key.0 }] } },
                // What was written before there was a key is read all the same.
                { "identity": {} },
            ],
        }],
    });
    Some(pretty(&config))
}

/// Returns the digest of what API servers read beside their flags; `None` where that is nothing.
pub(crate) fn api_server_digest(
    lab: &Lab,
    settings: &Settings,
    material: &Material,
) -> Option<String> {
    let texts = [audit_policy(lab, settings), encryption(lab, material)];
    let texts: Vec<String> = texts.into_iter().flatten().collect();
    (!texts.is_empty()).then(|| digest(&texts.concat()))
}

/// Returns the content of [`SETTINGS_FILE`].
pub(crate) fn stamp(
    lab: &Lab,
    machine: &Machine,
    software: &Software,
    settings: &Settings,
    material: &Material,
) -> String {
    let mut said = Map::new();
    let kubelet = kubelet_fields(lab, machine, software);
    if !kubelet.is_empty() {
        said.insert("kubelet".into(), Value::Object(kubelet));
    }
    let cluster = lab.settings();
    if machine.role == Role::ControlPlane && *cluster != ClusterSettings::default() {
        said.insert("cluster".into(), json!(cluster));
        let digest = api_server_digest(lab, settings, material);
        said.extend(digest.map(|digest| ("files".to_owned(), Value::from(digest))));
    }
    pretty(&Value::Object(said))
}

fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).expect("plain data");
    format!("{text}\n")
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
