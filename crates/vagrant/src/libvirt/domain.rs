//! What libvirt tells of a domain.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

use super::Domain;
use crate::MachineState;
use crate::engine::{FOLDER_LABEL, LAB_LABEL, MACHINE_LABEL, SERVER_LABEL};

/// The label that names the box.
const IMAGE_LABEL: &str = "caravan.image";

/// Reads the XML of a domain; none where its description does not say that it is a lab's.
pub(super) fn read(xml: &str, states: &BTreeMap<String, MachineState>) -> Option<Domain> {
    let document = Document::parse(xml).ok()?;
    let domain = document.root_element();
    let name = child(domain, "name")?.text()?.to_owned();
    let labels = labels(child(domain, "description")?.text()?);
    let label = |key: &str| labels.get(key).map(|value| (*value).to_owned());
    Some(Domain {
        lab: label(LAB_LABEL)?,
        server: label(SERVER_LABEL)?,
        machine: label(MACHINE_LABEL)?,
        folder: label(FOLDER_LABEL).unwrap_or_default().into(),
        image: label(IMAGE_LABEL),
        // Gone between the two questions.
        state: states.get(&name)?.clone(),
        disks: disks(domain, &name),
        name,
    })
}

/// `key=value` on each line.
fn labels(description: &str) -> BTreeMap<&str, &str> {
    description
        .lines()
        .filter_map(|line| line.trim().split_once('='))
        .collect()
}

/// The files of disks that have the domain's name: what else was attached by hand is not ours to remove.
fn disks(domain: Node<'_, '_>, name: &str) -> Vec<PathBuf> {
    let own = |path: &Path| {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        stem.and_then(|stem| stem.strip_prefix(name))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    domain
        .descendants()
        .filter(|node| node.has_tag_name("disk"))
        .filter_map(|disk| child(disk, "source")?.attribute("file").map(PathBuf::from))
        .filter(|path| own(path))
        .collect()
}

/// The states in the answer of `domstats --state`: a line for each domain, and its values below.
pub(super) fn states(said: &str) -> BTreeMap<String, MachineState> {
    let mut states = BTreeMap::new();
    let mut name = None;
    for line in said.lines().map(str::trim) {
        if let Some(quoted) = line.strip_prefix("Domain: ") {
            name = Some(quoted.trim_matches('\'').to_owned());
        } else if let Some(number) = line.strip_prefix("state.state=")
            && let Some(name) = name.take()
        {
            states.insert(name, state(number));
        }
    }
    states
}

/// virDomainState of libvirt's API.
fn state(number: &str) -> MachineState {
    match number {
        // Running; blocked on a resource; being shut down.
        "1" | "2" | "4" => MachineState::Running,
        "5" => MachineState::Stopped,
        // The disk is whole as far as it was written, and it can be started again.
        "6" => MachineState::Stopped,
        "3" => MachineState::Other("paused".to_owned()),
        "7" => MachineState::Other("suspended".to_owned()),
        _ => MachineState::Other("unknown".to_owned()),
    }
}

pub(super) fn child<'a, 'input>(
    node: Node<'a, 'input>,
    name: &'static str,
) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}
