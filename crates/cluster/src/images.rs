//! Which container images nodes have, and how they get more.
//!
//! Images are asked of containerd, in the namespace that kubelets use, by the digests of their manifests.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use caravan_lab::Machine;
use caravan_process::shell;

use crate::facts::Facts;
use crate::{Access, Error, access, facts};

/// How long a node may take to tell its images.
const QUESTION: Duration = Duration::from_secs(60);

/// How long a node may take nothing of an image, or work on it once it has all: layers are unpacked then.
const STALL: Duration = Duration::from_secs(300);

/// Names images in containerd's own words.
const NAMESPACE: [&str; 3] = ["ctr", "--namespace", "k8s.io"];

/// Tells the processor, the images, and those that the machine came with.
const ASK: &str = r"
echo '@@ processor'
uname --machine
echo '@@ images'
ctr --namespace k8s.io images list | awk 'NR > 1 { print $1, $3 }'
echo '@@ preloaded-images'
cat /opt/caravan/containerd/images 2>/dev/null
exit 0
";

/// Gives what has $digest the names $names, keeps it from those who collect garbage, and waits until the kubelet's side of
/// containerd knows it by $id too: it hears of images by events.
const SETTLE: &str = r#"
set -eu
list() { ctr --namespace k8s.io images list | awk 'NR > 1 { print $1, $3 }'; }
named=$(list)
has() { grep --quiet --fixed-strings --line-regexp "$1 $digest" <<<"$named"; }
from=$(awk -v digest="$digest" '$2 == digest { print $1; exit }' <<<"$named")
[[ $from ]] || { echo "it has no image $digest" >&2; exit 1; }
for name in "${names[@]}"; do
    has "$name" || ctr --namespace k8s.io images tag --force "$from" "$name" >/dev/null
    ctr --namespace k8s.io images label "$name" io.cri-containerd.pinned=pinned >/dev/null
done
for ((look = 0; look < 100 * times; look++)); do
    named=$(list)
    lacking=
    for name in "${names[@]}" "$id"; do
        has "$name" || lacking=$name
    done
    [[ $lacking ]] || exit 0
    sleep 0.1
done
echo "containerd does not know $lacking as $digest" >&2
exit 1
"#;

/// The images of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeImages {
    /// The digest of its manifest, by each name: names are full, and also ids (`sha256:...`).
    pub by_name: BTreeMap<String, String>,
    /// The names of those that the node's machine came with.
    pub preloaded: Vec<String>,
    /// As the kernel calls it: `x86_64`.
    pub processor: String,
}

impl NodeImages {
    fn of(facts: &Facts) -> Self {
        let pair = |line: &String| {
            let (name, digest) = line.split_once(' ')?;
            Some((name.to_owned(), digest.to_owned()))
        };
        let images = facts.get("images").unwrap_or_default();
        Self {
            by_name: images.iter().filter_map(pair).collect(),
            preloaded: facts.get("preloaded-images").unwrap_or_default().to_vec(),
            processor: facts.text("processor"),
        }
    }

    /// Whether the image with this digest is there under each of the names.
    pub fn has(&self, digest: &str, names: &[String]) -> bool {
        let is = |name: &String| self.by_name.get(name).is_some_and(|it| it == digest);
        !names.is_empty() && names.iter().all(is)
    }

    /// Whether the image with this digest is there under any name.
    pub fn has_digest(&self, digest: &str) -> bool {
        self.by_name.values().any(|it| it == digest)
    }
}

/// Asks a node which images it has.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn ask(access: &Access, machine: &Machine) -> Result<NodeImages, Error> {
    facts::ask(access, machine, ASK, QUESTION).map(|facts| NodeImages::of(&facts))
}

/// Gives a node the images of `archive`; one that is cut off leaves none behind. `on_bytes` is told how much it has taken.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::ImageRefused`].
pub fn import(
    access: &Access,
    machine: &Machine,
    archive: &mut dyn Read,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    // Unpacked layers are not kept, as with images that are pulled.
    let import = [
        "images",
        "import",
        "--local",
        "--discard-unpacked-layers",
        "-",
    ];
    let words = [&NAMESPACE[..], &import].concat();
    let remote = access::remote(&access.ssh, machine);
    let output = remote.feed(&words, archive, STALL, on_bytes)?;
    match output.success() {
        true => Ok(()),
        false => Err(Error::ImageRefused {
            machine: machine.name.clone(),
            said: without_warnings(&output.stderr),
        }),
    }
}

/// What `ctr` says is wrong, without what it only warns of.
fn without_warnings(said: &str) -> String {
    let lines = said.lines().map(str::trim);
    let lines = lines.filter(|it| !it.is_empty() && !it.contains(" level=warning "));
    lines.collect::<Vec<_>>().join("; ")
}

/// Gives the image with the digest `digest` and the id `id`, which the node has, these names, full ones.
///
/// # Errors
///
/// As [`ask`].
pub fn settle(
    access: &Access,
    machine: &Machine,
    digest: &str,
    id: &str,
    names: &[String],
) -> Result<(), Error> {
    let names: Vec<String> = names.iter().map(|name| shell::word(name)).collect();
    let script = format!(
        "digest={} id={} times={} names=({})\n{SETTLE}",
        shell::word(digest),
        shell::word(id),
        access.pace().times(),
        names.join(" ")
    );
    facts::ask(access, machine, &script, QUESTION).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_no_reason() {
        let said = "time=\"2026-11-30T06:18:59Z\" level=warning msg=\"DEPRECATION: cgroup v1\"\nctr: no space left on device\n";
        assert_eq!(without_warnings(said), "ctr: no space left on device");
    }

    #[test]
    fn an_image_is_there_by_its_digest_under_each_name() {
        let facts = Facts::parse(
            "@@ processor\nx86_64\n@@ images\ndocker.io/library/app:1 sha256:aa\ndocker.io/library/app:2 sha256:bb\n\
             sha256:01 sha256:aa\n@@ preloaded-images\nregistry.k8s.io/pause:3.10\n",
        );
        let images = NodeImages::of(&facts);
        let names = |names: &[&str]| -> Vec<String> {
            names
                .iter()
                .map(|it| format!("docker.io/library/{it}"))
                .collect()
        };
        assert_eq!(images.processor, "x86_64");
        assert!(images.has("sha256:aa", &names(&["app:1"])));
        assert!(
            !images.has("sha256:aa", &names(&["app:2"])),
            "another image"
        );
        assert!(!images.has("sha256:aa", &names(&["app:1", "app:3"])));
        assert!(!images.has("sha256:aa", &[]));
        assert!(images.has_digest("sha256:bb") && !images.has_digest("sha256:01"));
        assert_eq!(images.preloaded, ["registry.k8s.io/pause:3.10"]);
    }
}
