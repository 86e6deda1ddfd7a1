//! The container engine, with what was being done beside what it said.

use std::path::Path;

use caravan_docker::DockerCli;

use crate::Error;
use crate::progress::{BundleEvent, Progress};

const ASKING: &str = "ask the container engine for its images";

/// Finds the engine's client on the search path.
///
/// # Errors
///
/// [`Error::Program`] when there is none.
pub fn find() -> Result<DockerCli, Error> {
    DockerCli::find().map_err(Error::program("find the container engine"))
}

/// Whether the engine has the image `name`.
pub(crate) fn has_image(docker: &DockerCli, name: &str) -> Result<bool, Error> {
    docker.has_image(name).map_err(Error::program(ASKING))
}

/// The images with the label `label`, as `repository:tag`.
pub(crate) fn images_labelled(docker: &DockerCli, label: &str) -> Result<Vec<String>, Error> {
    docker
        .images_labelled(label)
        .map_err(Error::program(ASKING))
}

/// Builds the image `name` from the folder `context`, and tells each line of it.
pub(crate) fn build(
    docker: &DockerCli,
    name: &str,
    context: &Path,
    args: &[String],
    log: &Path,
    progress: &dyn Progress,
) -> Result<(), Error> {
    docker
        .build(name, context, args, log, &mut |text| {
            progress.event(&BundleEvent::Line { text });
        })
        .map_err(Error::program(format!("build the image `{name}`")))
}
