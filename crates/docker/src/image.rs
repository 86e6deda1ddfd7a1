//! Images.
//!
//! What goes wrong here is told in the words of the program, which say more than this crate knows: hence no [`crate::Error`].

use std::ffi::OsStr;
use std::path::Path;

use caravan_process::{Error, OutputReader};
use serde::Deserialize;

use crate::{DockerCli, is_gone};

/// An image, as the engine tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EngineImage {
    /// What the engine knows it by: the digest of its configuration, or of its manifest where its store is containerd's.
    pub id: String,
    /// Its names, as `repository:tag`.
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
    /// Such as `linux`.
    #[serde(default)]
    pub os: String,
    /// Such as `amd64`.
    #[serde(default)]
    pub architecture: String,
}

impl DockerCli {
    /// Whether the engine has the image `name`.
    ///
    /// # Errors
    ///
    /// When the engine does not answer.
    pub fn has_image(&self, name: &str) -> Result<bool, Error> {
        let filter = format!("reference={name}");
        let listed = self
            .call(["image", "ls", "--quiet", "--filter", &filter])
            .run()?;
        Ok(!listed.stdout.trim_end().is_empty())
    }

    /// The images that have the label `label`, as `repository:tag`, newest first; one without a tag has `<none>` there.
    ///
    /// # Errors
    ///
    /// When the engine does not answer.
    pub fn images_labelled(&self, label: &str) -> Result<Vec<String>, Error> {
        let filter = format!("label={label}");
        let listed = self
            .call(["image", "ls", "--filter", &filter])
            .args(["--format", "{{.Repository}}:{{.Tag}}"])
            .run()?;
        Ok(listed.stdout.lines().map(str::to_owned).collect())
    }

    /// What the engine has under `name`, which may also be an id; `None` where it has nothing.
    ///
    /// # Errors
    ///
    /// When the engine does not answer, or not in a way that is understood.
    pub fn inspect_image(&self, name: &str) -> Result<Option<EngineImage>, crate::Error> {
        let call = self.call(["image", "inspect", "--", name]);
        match call.run() {
            Ok(output) => {
                let found: Vec<EngineImage> =
                    serde_json::from_str(&output.stdout).map_err(|source| {
                        crate::Error::Answer {
                            command: "docker image inspect".to_owned(),
                            source,
                        }
                    })?;
                Ok(found.into_iter().next())
            }
            Err(Error::Failed(failure)) if is_gone(&failure.tail.join(" ")) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of all images, as `repository:tag`, newest first.
    ///
    /// # Errors
    ///
    /// When the engine does not answer.
    pub fn image_names(&self) -> Result<Vec<String>, crate::Error> {
        let listed = self
            .call(["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"])
            .run()?;
        let names = listed.stdout.lines().filter(|it| !it.contains("<none>"));
        Ok(names.map(str::to_owned).collect())
    }

    /// The image `name` as the archive that the engine makes of it, read while it is made.
    ///
    /// # Errors
    ///
    /// When the client does not start; what goes wrong later is an error of the reader.
    pub fn save_image(&self, name: &str) -> Result<OutputReader, Error> {
        self.call(["image", "save", "--", name]).read()
    }

    /// Builds the image `name` from the folder `context` with the build arguments `args` (`NAME=VALUE`), and hands each line
    /// that is printed to `on_line` and to the file `log`.
    ///
    /// # Errors
    ///
    /// When it is not built.
    pub fn build(
        &self,
        name: &str,
        context: &Path,
        args: &[String],
        log: &Path,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        let mut call = self.call(["build", "--tag", name]);
        for arg in args {
            call = call.args(["--build-arg", arg]);
        }
        // Where the new builder is not installed, the client has to be told to use the old one.
        let new_builder = self
            .call(["buildx", "version"])
            .output()
            .is_ok_and(|output| output.success());
        if !new_builder {
            call = call.env("DOCKER_BUILDKIT", "0");
        }
        call.arg(context).logged(log, on_line)
    }

    /// Removes what `args` name, which need not be there.
    pub fn discard<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) {
        // What is not there cannot be removed, and what is still in use is removed by the next run.
        drop(self.call(args).output());
    }
}
