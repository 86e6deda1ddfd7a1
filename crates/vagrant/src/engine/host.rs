//! What machines changed on the engine's computer, and who puts it back.

use std::time::Duration;

use caravan_docker::is_gone;

use super::DockerMachines;
use crate::Error;

/// The volume in which the nodes of all labs keep what they changed on their host; `container-compat` on a machine writes
/// there what it was before, and the script that puts it back. The Vagrantfile knows it by the same name.
pub const HOST_VOLUME: &str = "caravan-host";

/// The label of the machine images that this tool makes.
const IMAGE_NAME: &str = "caravan.image";

/// The filter for them.
const IMAGE_LABEL: &str = "label=caravan.image";

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(120);

impl DockerMachines {
    /// The machine images of ours that the engine has, as `repository:tag`.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`], [`Error::Process`].
    pub fn machine_images(&self) -> Result<Vec<String>, Error> {
        Ok(self.docker.images_labelled(IMAGE_NAME)?)
    }

    /// Puts back what machines changed on the engine's computer, once no lab has a machine there any more, and removes the
    /// note of it. The script decides itself what may be put back, and a second call finds nothing to do.
    ///
    /// Returns whether there was such a note.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`], [`Error::Process`].
    pub fn put_host_back(&self) -> Result<bool, Error> {
        if !self.machines(None)?.is_empty() {
            return Ok(false);
        }
        let only = format!("name=^{HOST_VOLUME}$");
        let known = self
            .docker
            .ask(["volume", "ls", "--quiet", "--filter", &only])?;
        if known.trim().is_empty() {
            return Ok(false);
        }
        let images = self
            .docker
            .ask(["image", "ls", "--quiet", "--filter", IMAGE_LABEL])?;
        if let Some(image) = images.lines().next() {
            let volume = format!("{HOST_VOLUME}:/host");
            // In a container, because who runs this need not be root; all that it needs is a shell.
            self.docker
                .call(["run", "--rm", "--network", "none"])
                .args(["--security-opt", "apparmor=unconfined"])
                .args(["--security-opt", "systempaths=unconfined"])
                .args(["--volume", &volume, image, "/bin/sh", "-c"])
                .arg("test ! -e /host/put-back || exec /bin/sh /host/put-back")
                .timeout(LIMIT)
                .run()?;
        }
        match self
            .docker
            .call(["volume", "rm", HOST_VOLUME])
            .timeout(LIMIT)
            .run()
        {
            // A machine that was just made needs it, or another was quicker.
            Err(caravan_process::Error::Failed(failure))
                if failure
                    .tail
                    .iter()
                    .any(|line| line.contains("volume is in use") || is_gone(line)) =>
            {
                Ok(true)
            }
            Err(error) => Err(error.into()),
            Ok(_) => Ok(true),
        }
    }
}
