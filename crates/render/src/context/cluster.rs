//! What templates may say of the cluster's settings.

use std::fmt::Display;

use caravan_lab::{Component, Lab};
use serde::Serialize;

use crate::cluster_files;
use crate::key_files::Material;
use crate::settings::{Settings, Software};

/// Where API servers read what is no flag; all of it is theirs, so the folder is.
const FILES: &str = "/etc/kubernetes/caravan/api-server";

/// Where API servers write what they are asked to.
const AUDIT_LOGS: &str = "/var/log/kubernetes/audit";

/// A flag without its dashes.
#[derive(Clone, Serialize)]
struct Flag {
    name: String,
    value: String,
}

/// A feature gate.
#[derive(Clone, Serialize)]
struct Gate {
    name: String,
    on: bool,
}

/// What the lab file sets of the control plane; lists that are empty where it sets nothing.
#[derive(Clone, Serialize)]
pub(super) struct ControlPlane {
    api_server: Vec<Flag>,
    controller_manager: Vec<Flag>,
    scheduler: Vec<Flag>,
    /// The digest of what API servers read beside their flags; one, or none where that is nothing.
    digests: Vec<String>,
    /// `true` for kube-proxy where it is given feature gates; else none.
    has_proxy_gates: Vec<bool>,
    proxy_gates: Vec<Gate>,
}

impl ControlPlane {
    pub(super) fn of(
        lab: &Lab,
        software: &Software,
        settings: &Settings,
        material: &Material,
    ) -> ControlPlane {
        let set = lab.settings();
        let of = |component: Component| {
            let args = set.args_of(component);
            let mut flags: Vec<Flag> = args.map(|(name, value)| flag(name, value)).collect();
            let gates = cluster_files::gates_of(set, software, component.program());
            if !gates.is_empty() {
                flags.push(flag("feature-gates", joined(&gates)));
            }
            flags
        };
        let mut api_server = of(Component::ApiServer);
        if !set.runtime_config.is_empty() {
            api_server.push(flag("runtime-config", joined(&set.runtime_config)));
        }
        if set.audit.is_some() {
            api_server.push(flag(
                "audit-policy-file",
                format!("{FILES}/audit-policy.yaml"),
            ));
            api_server.push(flag("audit-log-path", format!("{AUDIT_LOGS}/audit.log")));
            api_server.push(flag("audit-log-maxsize", 100));
            api_server.push(flag("audit-log-maxbackup", 2));
        }
        if set.encryption.is_some() {
            let file = format!("{FILES}/encryption.json");
            api_server.push(flag("encryption-provider-config", file));
        }
        let proxy_gates = cluster_files::gates_of(set, software, "kube-proxy");
        let digests = cluster_files::api_server_digest(lab, settings, material);
        ControlPlane {
            api_server,
            controller_manager: of(Component::ControllerManager),
            scheduler: of(Component::Scheduler),
            digests: digests.into_iter().collect(),
            has_proxy_gates: (!proxy_gates.is_empty())
                .then_some(true)
                .into_iter()
                .collect(),
            proxy_gates: (proxy_gates.into_iter())
                .map(|(name, on)| Gate { name, on })
                .collect(),
        }
    }
}

fn flag(name: &str, value: impl Display) -> Flag {
    Flag {
        name: name.to_owned(),
        value: value.to_string(),
    }
}

/// `A=true,B=false`.
fn joined<'a, V: Display + 'a>(all: impl IntoIterator<Item = (&'a String, &'a V)>) -> String {
    let pairs: Vec<String> = (all.into_iter())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(",")
}
