//! Which pod networks there are besides the machines' own mesh.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pod network that is no part of every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// flannel.
    Flannel,
    /// Calico.
    Calico,
}

impl Network {
    /// All of them.
    pub const ALL: [Network; 2] = [Network::Flannel, Network::Calico];

    /// Its name in lab files and pins: `flannel`, `calico`.
    pub fn as_str(self) -> &'static str {
        match self {
            Network::Flannel => "flannel",
            Network::Calico => "calico",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
