//! What a container has written beside its image, and where the engine keeps that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::inspect::{PrintedMount, volumes};
use crate::{DockerCli, Error};

/// The storage driver that keeps what a container has written as files in a folder of its own.
const OVERLAY: &str = "overlay2";

/// What a container consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerLayer {
    /// The engine's id of the container, 64 hex digits.
    pub id: String,
    /// The engine's id of the image that it was made from, such as `sha256:` and 64 hex digits.
    pub image: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What the engine keeps its files by, such as `overlay2`; empty where that is not told, as of containerd's snapshotters.
    pub driver: String,
    /// The folder on the engine's computer that holds what it has written and what it has removed, where there is one.
    pub written: Option<PathBuf>,
    /// The names of its volumes.
    pub volumes: Vec<String>,
}

impl DockerCli {
    /// What the containers consist of that `filter` lets through, such as `label=NAME=VALUE`, in the engine's order.
    ///
    /// # Errors
    ///
    /// [`Error::Down`], [`Error::Answer`], [`Error::Process`].
    pub fn layers(&self, filter: &str) -> Result<Vec<ContainerLayer>, Error> {
        let ids = self.ask(["ps", "-aq", "--no-trunc", "--filter", filter])?;
        let found = self.inspect::<PrintedLayer>("container", &ids)?;
        Ok(found.into_iter().map(ContainerLayer::from).collect())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrintedLayer {
    id: String,
    #[serde(default)]
    image: String,
    config: PrintedLabels,
    graph_driver: Option<PrintedDriver>,
    #[serde(default)]
    mounts: Vec<PrintedMount>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrintedLabels {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrintedDriver {
    #[serde(default)]
    name: String,
    data: Option<BTreeMap<String, Value>>,
}

impl From<PrintedLayer> for ContainerLayer {
    fn from(printed: PrintedLayer) -> Self {
        let (driver, data) = match printed.graph_driver {
            Some(driver) => (driver.name, driver.data.unwrap_or_default()),
            None => (String::new(), BTreeMap::new()),
        };
        let written = data.get("UpperDir").and_then(Value::as_str);
        Self {
            id: printed.id,
            image: printed.image,
            labels: printed.config.labels.unwrap_or_default(),
            // Others write what was removed in ways of their own.
            written: written.filter(|_| driver == OVERLAY).map(PathBuf::from),
            driver,
            volumes: volumes(printed.mounts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(driver: &str) -> ContainerLayer {
        let printed = format!(
            r#"{{"Id":"d1","Image":"sha256:cafe","Config":{{"Labels":{{"caravan.lab":"ha"}}}},{driver}
                "Mounts":[{{"Type":"volume","Name":"caravan.ha.etcdone.etcd"}},{{"Type":"bind","Source":"/lib/modules"}}]}}"#
        );
        let printed: PrintedLayer = serde_json::from_str(&printed).expect("an answer");
        printed.into()
    }

    #[test]
    fn only_one_driver_says_where_what_was_written_is() {
        let overlay = read(
            r#""GraphDriver":{"Name":"overlay2","Data":{"LowerDir":"/l","MergedDir":"/m","UpperDir":"/d/diff","WorkDir":"/w"}},"#,
        );
        assert_eq!(overlay.image, "sha256:cafe");
        assert_eq!(overlay.written, Some(PathBuf::from("/d/diff")));
        assert_eq!(overlay.volumes, ["caravan.ha.etcdone.etcd"]);
        // Older engines with another driver, newer ones with containerd's store.
        for (driver, name) in [
            (r#""GraphDriver":{"Name":"vfs","Data":null},"#, "vfs"),
            (
                r#""GraphDriver":{"Name":"fuse-overlayfs","Data":{"UpperDir":"/d/diff"}},"#,
                "fuse-overlayfs",
            ),
            (r#""GraphDriver":{"Name":"overlayfs"},"#, "overlayfs"),
            (r#""GraphDriver":null,"#, ""),
            (
                r#""Storage":{"RootFS":{"Snapshot":{"Name":"overlayfs"}}},"#,
                "",
            ),
        ] {
            let other = read(driver);
            assert_eq!((other.driver.as_str(), other.written), (name, None));
        }
    }
}
