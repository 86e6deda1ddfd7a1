//! Where a value comes from: `templates/values.toml` says it for each name that templates use.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use caravan_lab::{Lab, Machine, Role, Server};
use serde::Deserialize;

use super::lab_text::{LabText, Place};

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

/// What a value was found to come from.
pub(super) struct Found {
    pub(super) how: Option<&'static str>,
    pub(super) places: Vec<Place>,
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

/// Whose file it is, as far as values depend on it.
pub(super) struct Whose<'a> {
    pub(super) lab: &'a Lab,
    pub(super) text: LabText<'a>,
    /// None for a Vagrantfile.
    pub(super) machine: Option<&'a Machine>,
    pub(super) server: Option<&'a Server>,
}

impl Whose<'_> {
    /// Returns where `value`, which templates call `name`, comes from.
    pub(super) fn find(&self, name: &str, index: usize, value: &str) -> Found {
        let Some(origin) = all().get(name) else {
            // A template of the user's own may use what no other does. Nobody knows whether it is a secret.
            return Found {
                how: None,
                places: Vec::new(),
                secret: true,
            };
        };
        let mut places = Vec::new();
        for keys in &origin.keys {
            let found = keys
                .split('|')
                .map(|key| self.places(key.trim(), name, index, value))
                .find(|found| !found.is_empty());
            places.extend(found.unwrap_or_default());
        }
        let default = origin.default.as_deref().filter(|_| places.is_empty());
        Found {
            how: origin.how.as_deref().or(default),
            places,
            secret: origin.secret,
        }
    }

    /// Returns the places of `whose.key`.
    fn places(&self, path: &str, name: &str, index: usize, value: &str) -> Vec<Place> {
        let (whose, key) = path.split_once('.').unwrap_or((path, ""));
        let of = |machine: Option<&Machine>| {
            machine
                .and_then(|machine| self.text.machine(&machine.name, key))
                .into_iter()
                .collect()
        };
        let all = |role| {
            self.lab
                .of_role(role)
                .filter_map(|machine| self.text.machine(&machine.name, key))
                .collect()
        };
        match whose {
            "lab" => self.text.top(key).into_iter().collect(),
            "machine" => of(self.machine),
            "server" => (self.server)
                .and_then(|server| self.text.server(&server.name, key))
                .into_iter()
                .collect(),
            "item" => of(self.item(name, index)),
            "named" => of(self.named(value)),
            "first-master" => of(Some(self.lab.first_master())),
            "members" => all(Role::Etcd),
            _ => Vec::new(),
        }
    }

    /// Returns the machine that an item of a list of machines is.
    fn item(&self, name: &str, index: usize) -> Option<&Machine> {
        let machines = self.lab.machines();
        let (list, _) = name.split_once("[]")?;
        match list {
            "masters" => self.lab.of_role(Role::ControlPlane).nth(index),
            "members" | "etcd.endpoints" => self.lab.of_role(Role::Etcd).nth(index),
            "names" => machines.get(index),
            "nodes" => (machines.iter())
                .filter(|machine| machine.role.is_node())
                .nth(index),
            "vrrp_peers" => self
                .lab
                .of_role(Role::LoadBalancer)
                .filter(|peer| self.machine.is_none_or(|machine| machine.name != peer.name))
                .nth(index),
            "machines" => {
                let mut group: Vec<_> = self.lab.machines_on(self.server?).collect();
                group.sort_by_key(|machine| machine.role);
                group.get(index).copied()
            }
            _ => None,
        }
    }

    /// Returns the machine that has this name, full name or address.
    fn named(&self, value: &str) -> Option<&Machine> {
        self.lab.machines().iter().find(|machine| {
            machine.name == value
                || self.lab.fqdn(machine) == value
                || machine.ip.to_string() == value
        })
    }
}
