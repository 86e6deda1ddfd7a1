//! Machines that were made anew, added or started later get the images that they are to have.

use caravan_bundle::Arch;
use caravan_bundle::image_archive::NodeArchive;
use caravan_cluster::Access;
use caravan_lab::{Lab, Machine};

use super::nodes::{NodeOutcome, Nodes};
use super::{LoadRequest, LoadedImage};
use crate::image_record::{ImageRecord, KeptImage};
use crate::{Error, LabDir, LabRun};

/// Gives each of `nodes`, which run, the images that it is to have and lacks; returns those that some of them lacked.
///
/// # Errors
///
/// [`Error::Bundle`] where an archive that is kept cannot be read any more, [`Error::NotLoaded`] for the nodes that could not
/// be given an image, [`Error::Interrupted`], [`Error::Read`].
pub fn restore(
    run: &LabRun<'_>,
    lab: &Lab,
    dir: &LabDir,
    access: &Access,
    nodes: &[&Machine],
) -> Result<Vec<LoadedImage>, Error> {
    let record = ImageRecord::read(dir)?;
    let nodes: Vec<&Machine> = (nodes.iter().copied())
        .filter(|it| it.role.is_node())
        .collect();
    if record.images.is_empty() || nodes.is_empty() {
        return Ok(Vec::new());
    }
    let arch = Arch::host()?;
    let running: Vec<String> = nodes.iter().map(|it| it.name.clone()).collect();
    let mut given = Vec::new();
    for image in &record.images {
        // Two images may have a name in common, on different machines.
        for (names, wanted) in by_names(&record, image, &nodes) {
            let request = LoadRequest {
                lab,
                dir,
                access: Some(access),
                wanted: &wanted,
                running: &running,
                named: true,
                name: None,
            };
            let image = KeptImage {
                names,
                ..image.clone()
            };
            let standing = Nodes::ask(&request)?;
            let lacking = standing.lacking(&image.digest);
            let fed = match lacking.is_empty() {
                true => Default::default(),
                false => {
                    let archive = NodeArchive::open(&dir.image_archive(&image.digest), arch)?;
                    standing.feed(run, &lacking, || archive.reader(&image.names))?
                }
            };
            let nodes = standing.settle(run, &image, fed)?;
            given.push(LoadedImage { image, nodes });
        }
    }
    hold_loaded(lab, &given)?;
    given.retain(|loaded| {
        let mut nodes = loaded.nodes.iter();
        nodes.any(|(_, outcome)| !matches!(outcome, NodeOutcome::Had))
    });
    Ok(given)
}

/// Refuses images that some node could not be given.
///
/// # Errors
///
/// [`Error::NotLoaded`].
pub fn hold_loaded(lab: &Lab, loaded: &[LoadedImage]) -> Result<(), Error> {
    let failures: Vec<_> = (loaded.iter())
        .flat_map(|loaded| loaded.nodes.iter().map(move |node| (loaded, node)))
        .filter_map(|(loaded, (node, outcome))| match outcome {
            NodeOutcome::Failed(error) => {
                Some((node.clone(), loaded.image.names.join(", "), error.chain()))
            }
            _ => None,
        })
        .collect();
    match failures.is_empty() {
        true => Ok(()),
        false => Err(Error::NotLoaded {
            lab: lab.name().to_owned(),
            failures,
        }),
    }
}

/// The nodes that are to have `image`, by the names that it is to have there.
fn by_names<'a>(
    record: &ImageRecord,
    image: &KeptImage,
    nodes: &[&'a Machine],
) -> Vec<(Vec<String>, Vec<&'a Machine>)> {
    let mut found: Vec<(Vec<String>, Vec<&Machine>)> = Vec::new();
    for node in nodes {
        let wanted = record.for_machine(&node.name);
        let names = wanted.into_iter().find(|(it, _)| *it == image);
        let Some((_, names)) = names else { continue };
        match found.iter_mut().find(|(of, _)| *of == names) {
            Some((_, nodes)) => nodes.push(node),
            None => found.push((names, vec![node])),
        }
    }
    found
}
