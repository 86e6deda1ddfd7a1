//! Images out of registries: by digest, layer by layer, into OCI archives.
//!
//! Only what reading needs of the registries' protocol
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>): a token for nobody in particular where one
//! is asked for, the manifest for one kind of processor, and its blobs, which come as all pinned files come.

mod reference;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use serde::Deserialize;

pub(crate) use self::reference::Reference;
use crate::download::{Downloader, Wanted};
use crate::oci::{self, Pulled};
use crate::pins::Arch;
use crate::progress::Progress;
use crate::{Error, digest};

/// What kinds of manifests are understood, the index of several processors first.
const KINDS: &str = "application/vnd.oci.image.index.v1+json, \
                     application/vnd.docker.distribution.manifest.list.v2+json, \
                     application/vnd.oci.image.manifest.v1+json, \
                     application/vnd.docker.distribution.manifest.v2+json";

/// The longest manifest or token that is read, in bytes; registries themselves allow 4 MiB.
const LONGEST: u64 = 4 << 20;

/// Reads images from the registries that their names say, or all of them from one other.
pub(crate) struct Registry<'a> {
    downloader: &'a Downloader,
    /// `http://host:port` of the registry that is asked instead.
    instead: Option<String>,
    /// By repository.
    tokens: Mutex<HashMap<String, String>>,
}

/// What an image of one kind of processor is made of.
#[derive(Debug)]
struct Parts {
    /// The manifest as it came.
    manifest: Vec<u8>,
    media_type: String,
    config: Blob,
    layers: Vec<Blob>,
}

/// A manifest or an index of manifests: each has what the other lacks.
#[derive(Debug, Deserialize)]
struct Document {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    manifests: Option<Vec<Child>>,
    config: Option<Blob>,
    layers: Option<Vec<Blob>>,
}

#[derive(Debug, Deserialize)]
struct Child {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Blob {
    digest: String,
}

#[derive(Debug, Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'a> Registry<'a> {
    /// Reads through `downloader`. With `instead`, that registry is asked for what others have: `http://host:port`.
    pub(crate) fn new(downloader: &'a Downloader, instead: Option<String>) -> Self {
        Self {
            downloader,
            instead: instead.map(|instead| instead.trim_end_matches('/').to_owned()),
            tokens: Mutex::default(),
        }
    }

    /// The digest that the image's tag stands for now.
    ///
    /// # Errors
    ///
    /// As [`Registry::pull`].
    pub(crate) fn resolve(&self, image: &Reference) -> Result<String, Error> {
        let manifest = self.manifest(image, &image.tag)?;
        Ok(format!("sha256:{}", digest::of_bytes(&manifest)))
    }

    /// Writes the image with `digest` (of an index or of a single manifest) for `arch` to `to`, under its name. What has
    /// come is kept until [`Downloader::clear`]; returns the sums of it.
    ///
    /// # Errors
    ///
    /// Those of downloads, and [`Error::Image`] where the registry's answers make no image.
    pub(crate) fn pull(
        &self,
        image: &Reference,
        digest: &str,
        arch: Arch,
        to: &Path,
        progress: &dyn Progress,
    ) -> Result<Vec<String>, Error> {
        let parts = self.parts(image, digest, arch)?;
        let mut sums = Vec::new();
        for blob in std::iter::once(&parts.config).chain(&parts.layers) {
            sums.push(sum_of(image, &blob.digest)?.to_owned());
        }
        match self.fetch(image, &sums, progress) {
            // A token lives for minutes only, and a layer may take longer.
            Err(Error::Denied { status: 401, .. }) => {
                self.tokens().remove(&image.repository);
                self.parts(image, digest, arch)?;
                self.fetch(image, &sums, progress)?;
            }
            other => other?,
        }
        let files: Vec<_> = sums.iter().map(|sum| self.downloader.path(sum)).collect();
        let pulled = Pulled {
            name: &image.name,
            arch,
            manifest: &parts.manifest,
            media_type: &parts.media_type,
            blobs: &files,
        };
        oci::write_pulled(&pulled, to).map_err(Error::file("write", to))?;
        Ok(sums)
    }

    /// Downloads blobs, several at once.
    fn fetch(
        &self,
        image: &Reference,
        sums: &[String],
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let urls: Vec<String> = sums
            .iter()
            .map(|sum| self.url(image, &format!("blobs/sha256:{sum}")))
            .collect();
        let token = self.tokens().get(&image.repository).cloned();
        let wanted: Vec<Wanted<'_>> = sums
            .iter()
            .zip(&urls)
            .map(|(sum, url)| Wanted {
                name: &image.name,
                url,
                sha256: sum,
                token: token.as_deref(),
            })
            .collect();
        self.downloader.fetch_all(&wanted, progress)
    }

    /// What the image is made of for `arch`.
    fn parts(&self, image: &Reference, digest: &str, arch: Arch) -> Result<Parts, Error> {
        let mut manifest = self.checked_manifest(image, digest)?;
        let mut document = read(image, &manifest)?;
        if let Some(children) = document.manifests {
            let fits = |child: &&Child| {
                child.platform.as_ref().is_some_and(|platform| {
                    platform.os == "linux" && platform.architecture == arch.as_str()
                })
            };
            let child = children
                .iter()
                .find(fits)
                .ok_or_else(|| image.makes_no_sense(format!("it is not there for {arch}")))?;
            manifest = self.checked_manifest(image, &child.digest)?;
            document = read(image, &manifest)?;
        }
        match (document.config, document.layers) {
            (Some(config), Some(layers)) => Ok(Parts {
                manifest,
                media_type: document
                    .media_type
                    .unwrap_or_else(|| "application/vnd.oci.image.manifest.v1+json".to_owned()),
                config,
                layers,
            }),
            _ => Err(image.makes_no_sense("its manifest names no layers".to_owned())),
        }
    }

    /// The manifest with this digest.
    fn checked_manifest(&self, image: &Reference, digest: &str) -> Result<Vec<u8>, Error> {
        let expected = sum_of(image, digest)?;
        let manifest = self.manifest(image, digest)?;
        let found = digest::of_bytes(&manifest);
        if found == expected {
            return Ok(manifest);
        }
        Err(Error::WrongSum {
            url: self.url(image, &format!("manifests/{digest}")),
            found,
            expected: expected.to_owned(),
        })
    }

    /// The manifest that a tag or a digest stands for.
    fn manifest(&self, image: &Reference, which: &str) -> Result<Vec<u8>, Error> {
        let url = self.url(image, &format!("manifests/{which}"));
        let mut asked_for_token = false;
        loop {
            let mut request = self.downloader.agent.get(&url).header("accept", KINDS);
            if let Some(token) = self.tokens().get(&image.repository) {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let mut response = request.call().map_err(self.downloader.transfer(&url, 0))?;
            match response.status().as_u16() {
                200 => {
                    return response
                        .body_mut()
                        .with_config()
                        .limit(LONGEST)
                        .read_to_vec()
                        .map_err(self.downloader.transfer(&url, 0));
                }
                401 if !asked_for_token => {
                    asked_for_token = true;
                    let challenge = response.headers().get("www-authenticate");
                    let challenge = challenge.and_then(|value| value.to_str().ok());
                    let token = self.token(image, challenge.unwrap_or_default())?;
                    self.tokens().insert(image.repository.clone(), token);
                }
                status => return Err(Error::Denied { url, status }),
            }
        }
    }

    /// A token for reading the image's repository, from whom the `challenge` names.
    fn token(&self, image: &Reference, challenge: &str) -> Result<String, Error> {
        let say = |name: &str| reference::parameter(challenge, name);
        let realm = say("realm")
            .filter(|realm| challenge.starts_with("Bearer ") && self.may_ask(realm))
            .ok_or_else(|| {
                image.makes_no_sense(format!("its registry asks for `{challenge}` to read it"))
            })?;
        let scope = say("scope").unwrap_or_else(|| format!("repository:{}:pull", image.repository));
        let mut request = self.downloader.agent.get(&realm).query("scope", scope);
        if let Some(service) = say("service") {
            request = request.query("service", service);
        }
        let mut response = request
            .call()
            .map_err(self.downloader.transfer(&realm, 0))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(Error::Denied { url: realm, status });
        }
        let token: Token = response
            .body_mut()
            .with_config()
            .limit(LONGEST)
            .read_json()
            .map_err(self.downloader.transfer(&realm, 0))?;
        token
            .token
            .or(token.access_token)
            .ok_or_else(|| image.makes_no_sense("its registry gives no token".to_owned()))
    }

    /// A registry that is reached safely does not send us elsewhere unsafely.
    fn may_ask(&self, realm: &str) -> bool {
        realm.starts_with("https://") || self.instead.is_some()
    }

    fn url(&self, image: &Reference, rest: &str) -> String {
        let path = format!("v2/{}/{rest}", image.repository);
        match &self.instead {
            Some(registry) => format!("{registry}/{path}"),
            None => self
                .downloader
                .address(&format!("https://{}/{path}", image.host)),
        }
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.tokens
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}

fn read(image: &Reference, manifest: &[u8]) -> Result<Document, Error> {
    serde_json::from_slice(manifest)
        .map_err(|error| image.makes_no_sense(format!("its manifest cannot be read: {error}")))
}

/// The sum in a digest; only sha256 is used by registries.
fn sum_of<'a>(image: &Reference, digest: &'a str) -> Result<&'a str, Error> {
    digest
        .strip_prefix("sha256:")
        .filter(|sum| sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .ok_or_else(|| image.makes_no_sense(format!("`{digest}` is no sha256 digest")))
}

#[cfg(test)]
pub(crate) mod tests;
