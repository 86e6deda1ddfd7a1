//! Where a value comes from: `templates/values.toml` says it for each name that templates use.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use caravan_lab::{Lab, Machine, Role, Server};
use serde::Deserialize;

use super::lab_key::LabKey;
use crate::context::MachineLists;

/// Where the values of one name come from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Origin {
    /// How it follows from the lab, or who else knows it.
    pub(super) how: Option<String>,
    /// The same, said only where the lab file has none of the keys.
    default: Option<String>,
    /// Keys of the lab file; of alternatives (`|`) the first that the file has.
    #[serde(default)]
    keys: Vec<String>,
    /// True if nobody is shown it.
    #[serde(default)]
    pub(super) secret: bool,
}

impl Origin {
    /// True if whoever asks is told something whatever the lab file says.
    #[cfg(test)]
    pub(super) fn is_told(&self) -> bool {
        let always = |keys: &String| {
            let last = keys.rsplit('|').next().unwrap_or_default().trim();
            last.starts_with("machine.")
                || last.starts_with("item.")
                || ["lab.vip", "lab.subnet", "lab.domain", "server"].contains(&last)
        };
        self.how.is_some() || self.default.is_some() || self.keys.iter().any(always)
    }
}

/// What a value comes from.
pub(super) struct ValueOrigin {
    pub(super) how: Option<&'static str>,
    pub(super) places: Vec<LabKey>,
    pub(super) secret: bool,
}

/// All names that templates use.
pub(super) fn all() -> &'static BTreeMap<String, Origin> {
    static ALL: OnceLock<BTreeMap<String, Origin>> = OnceLock::new();
    ALL.get_or_init(|| {
        toml::from_str(include_str!("../../templates/values.toml"))
            .unwrap_or_else(|error| panic!("templates/values.toml: {error}"))
    })
}

/// Who gets a file, as far as values depend on it.
pub(super) struct FileOwner<'a> {
    pub(super) lab: &'a Lab,
    /// None for a Vagrantfile.
    pub(super) machine: Option<&'a Machine>,
    pub(super) server: Option<&'a Server>,
}

impl FileOwner<'_> {
    /// Returns where the value comes from that templates call `name`. Inside a loop it is of the entry at `index` of one
    /// of `lists`.
    pub(super) fn origin_of(
        &self,
        name: &str,
        index: usize,
        lists: &dyn MachineLists,
    ) -> ValueOrigin {
        let Some(origin) = all().get(name) else {
            // A template of the user's own may use what no other does. Nobody knows whether it is a secret.
            return ValueOrigin {
                how: None,
                places: Vec::new(),
                secret: true,
            };
        };
        let entry_of = name
            .split_once("[]")
            .and_then(|(list, _)| lists.machine_of(list, index));
        let mut places = Vec::new();
        for keys in &origin.keys {
            let found = keys
                .split('|')
                .map(|key| self.places(key.trim(), entry_of))
                .find(|found| !found.is_empty());
            places.extend(found.unwrap_or_default());
        }
        let default = origin.default.as_deref().filter(|_| places.is_empty());
        ValueOrigin {
            how: origin.how.as_deref().or(default),
            places,
            secret: origin.secret,
        }
    }

    /// Returns the places of `owner.key`; `entry_of` is the machine that an entry of a list is of.
    fn places(&self, path: &str, entry_of: Option<&str>) -> Vec<LabKey> {
        let (owner, key) = path.split_once('.').unwrap_or((path, ""));
        let (lab, places) = (self.lab, self.lab.places());
        let machine = |name: &str| LabKey::of_machine(places, name, key);
        let found = match owner {
            "lab" => LabKey::of_lab(places, key),
            "machine" => self.machine.and_then(|it| machine(&it.name)),
            "server" => (self.server).and_then(|it| LabKey::of_server(places, &it.name, key)),
            "item" => entry_of.and_then(machine),
            "cluster" | "api_server" | "controller_manager" | "scheduler" | "kubelet" => {
                LabKey::of_setting(places, owner, key)
            }
            "first-master" => machine(&lab.first_master().name),
            "members" => {
                let members = lab.of_role(Role::Etcd);
                return members.filter_map(|it| machine(&it.name)).collect();
            }
            "servers" => {
                let servers = lab.servers().iter();
                return servers
                    .filter_map(|it| LabKey::of_server(places, &it.name, key))
                    .collect();
            }
            _ => None,
        };
        found.into_iter().collect()
    }
}
