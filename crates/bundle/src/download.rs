//! The first source: published files, checked against their pins.
//!
//! A file comes under a temporary name, goes on where an earlier run stopped, and gets its name, which is its sum, only
//! when the sum is right. Nothing else ever reads it before.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use caravan_process::interrupt;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, DefaultConnector};
use ureq::{Agent, ResponseExt as _};

use crate::cache::Cache;
use crate::digest::CopyError;
use crate::pins::Artifact;
use crate::progress::{BundleEvent, Progress};
use crate::source::{DownloadSettings, Proxy};
use crate::transport::StallConnector;
use crate::{Error, digest};

/// How many files come at once. More would share the same line.
const AT_ONCE: usize = 4;

/// How often a file is asked for again after a passing fault, going on where it stopped.
const ATTEMPTS: u32 = 3;

/// A file that is wanted, by its sum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Its short name, for whoever watches.
    pub(crate) name: &'a str,
    /// What is asked for it, mirror and all.
    pub(crate) url: &'a str,
    /// In hexadecimal; also its name when it is there.
    pub(crate) sha256: &'a str,
    /// What lets us have it, where its server asks for that.
    pub(crate) token: Option<&'a str>,
}

/// Downloads pinned files into one folder.
pub(crate) struct Downloader {
    pub(crate) agent: Agent,
    folder: PathBuf,
    mirror: Option<String>,
    stall: Duration,
}

/// How long a download waits for the next bytes.
const STALL: Duration = Duration::from_secs(30);

impl Downloader {
    /// Downloads into the cache.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when its folder cannot be made.
    pub(crate) fn of(cache: &Cache, settings: &DownloadSettings) -> Result<Self, Error> {
        let DownloadSettings { mirror, proxy, .. } = settings.clone();
        Ok(Self::through(proxy, cache.downloads()?, mirror, STALL))
    }

    /// Downloads into `folder`, without a proxy.
    #[cfg(test)]
    pub(crate) fn new(folder: PathBuf, mirror: Option<String>, stall: Duration) -> Self {
        Self::through(None, folder, mirror, stall)
    }

    /// Downloads into `folder`. With a `mirror`, `https://HOST/PATH` is asked for as `MIRROR/HOST/PATH`.
    /// A connection on which nothing comes for `stall` is given up.
    fn through(
        proxy: Option<Proxy>,
        folder: PathBuf,
        mirror: Option<String>,
        stall: Duration,
    ) -> Self {
        let config = Agent::config_builder()
            // The library would look for one in the environment.
            .proxy(proxy)
            .timeout_connect(Some(stall.min(Duration::from_secs(10))))
            .timeout_recv_response(Some(stall))
            .http_status_as_error(false)
            .user_agent(concat!("caravan/", env!("CARGO_PKG_VERSION")))
            .build();
        let connector = DefaultConnector::new().chain(StallConnector { limit: stall });
        Self {
            agent: Agent::with_parts(config, connector, DefaultResolver::default()),
            folder,
            mirror: mirror.map(|mirror| mirror.trim_end_matches('/').to_owned()),
            stall,
        }
    }

    /// Where the file with this sum is or will be.
    pub(crate) fn path(&self, sha256: &str) -> PathBuf {
        self.folder.join(sha256)
    }

    /// Downloads all `artifacts`, several at once. The first fault ends the others at their next step.
    ///
    /// # Errors
    ///
    /// The fault of the first artifact, in their order, that could not be had.
    pub(crate) fn fetch_artifacts(
        &self,
        artifacts: &[Artifact],
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let urls: Vec<String> = artifacts
            .iter()
            .map(|artifact| self.address(&artifact.url))
            .collect();
        let wanted: Vec<Wanted<'_>> = artifacts
            .iter()
            .zip(&urls)
            .map(|(artifact, url)| Wanted {
                name: &artifact.name,
                url,
                sha256: &artifact.sha256,
                token: None,
            })
            .collect();
        self.fetch_all(&wanted, progress)
    }

    /// Downloads all that is `wanted`, several at once. The first fault ends the others at their next step.
    ///
    /// # Errors
    ///
    /// The fault of the first file, in their order, that could not be had.
    pub(crate) fn fetch_all(
        &self,
        wanted: &[Wanted<'_>],
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let next = Mutex::new(wanted.iter().enumerate());
        let stop = AtomicBool::new(false);
        let faults = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(wanted.len()) {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let taken = next
                            .lock()
                            .unwrap_or_else(|broken| broken.into_inner())
                            .next();
                        let Some((place, wanted)) = taken else {
                            return;
                        };
                        if let Err(error) = self.fetch_until(wanted, progress, &stop) {
                            stop.store(true, Ordering::Relaxed);
                            faults
                                .lock()
                                .unwrap_or_else(|broken| broken.into_inner())
                                .push((place, error));
                        }
                    }
                });
            }
        });
        let mut faults = faults
            .into_inner()
            .unwrap_or_else(|broken| broken.into_inner());
        // Who only stopped because another failed has nothing to tell.
        faults.sort_by_key(|(place, error)| (matches!(error, Error::Interrupted), *place));
        faults
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Downloads one artifact, if it is not there yet.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`], [`Error::Stalled`], [`Error::Transfer`], [`Error::Truncated`], [`Error::WrongSum`],
    /// [`Error::File`], [`Error::Interrupted`].
    pub(crate) fn fetch(&self, artifact: &Artifact, progress: &dyn Progress) -> Result<(), Error> {
        self.fetch_artifacts(std::slice::from_ref(artifact), progress)
    }

    fn fetch_until(
        &self,
        wanted: &Wanted<'_>,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        let whole = self.path(wanted.sha256);
        if whole.exists() {
            let (sum, length) = digest::of_file(&whole).map_err(Error::file("read", &whole))?;
            if sum == wanted.sha256 {
                let total = Some(length);
                progress.event(&BundleEvent::Bytes {
                    item: wanted.name,
                    done: length,
                    total,
                });
                return Ok(());
            }
            fs::remove_file(&whole).map_err(Error::file("remove", &whole))?;
        }
        let part = whole.with_extension("part");
        let mut attempt = 1;
        loop {
            let resumed = fs::metadata(&part).map_or(0, |part| part.len());
            let fetched = self
                .stream(wanted, &part, progress, stop)
                .and_then(|()| self.accept(wanted, &part));
            match fetched {
                Ok(()) => return Ok(()),
                // A part that was left by an older run may be of another file: one try from the start.
                Err(Error::WrongSum { .. }) if resumed > 0 && attempt < ATTEMPTS => {}
                Err(error)
                    if is_passing(&error)
                        && attempt < ATTEMPTS
                        && !stop.load(Ordering::Relaxed) => {}
                Err(error) => return Err(error),
            }
            attempt += 1;
        }
    }

    /// Adds what is missing to `part`.
    fn stream(
        &self,
        wanted: &Wanted<'_>,
        part: &Path,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        let url = wanted.url.to_owned();
        let transfer = |received| self.transfer(&url, received);
        let mut done = fs::metadata(part).map_or(0, |part| part.len());
        let mut request = self.agent.get(&url);
        if done > 0 {
            request = request.header("range", format!("bytes={done}-"));
        }
        if let Some(token) = wanted.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(transfer(done))?;
        match response.status().as_u16() {
            206 if done > 0 => {}
            // The server has no more than what we have: the sum decides.
            416 if done > 0 => return Ok(()),
            // It sends everything from the start.
            200 => done = 0,
            status => {
                return Err(Error::Denied {
                    url: response.get_uri().to_string(),
                    status,
                });
            }
        }
        let total = response.body().content_length().map(|more| done + more);
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(part)
            .map_err(Error::file("open", part))?;
        file.set_len(done).map_err(Error::file("write", part))?;
        let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; 256 << 10];
        loop {
            if interrupt::raised() || stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let read = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(transfer(done)(ureq::Error::from(error))),
            };
            file.write_all(&buffer[..read])
                .map_err(Error::file("write", part))?;
            done += read as u64;
            progress.event(&BundleEvent::Bytes {
                item: wanted.name,
                done,
                total,
            });
        }
        match total {
            Some(expected) if done < expected => Err(Error::Truncated {
                url,
                received: done,
                expected,
            }),
            _ => Ok(()),
        }
    }

    /// What to say of a `url` that could not be had after `received` bytes.
    pub(crate) fn transfer(
        &self,
        url: &str,
        received: u64,
    ) -> impl FnOnce(ureq::Error) -> Error + use<> {
        let url = url.to_owned();
        let seconds = self.stall.as_secs();
        move |source| match source {
            ureq::Error::Timeout(_) => Error::Stalled {
                url,
                seconds,
                received,
            },
            source => Error::Transfer {
                url,
                source: Box::new(source),
            },
        }
    }

    /// Gives `part` its name if it is the pinned file, and removes it if it is not.
    fn accept(&self, wanted: &Wanted<'_>, part: &Path) -> Result<(), Error> {
        let (found, _) = digest::of_file(part).map_err(Error::file("read", part))?;
        if found != wanted.sha256 {
            fs::remove_file(part).map_err(Error::file("remove", part))?;
            return Err(Error::WrongSum {
                url: wanted.url.to_owned(),
                found,
                expected: wanted.sha256.to_owned(),
            });
        }
        let whole = self.path(wanted.sha256);
        fs::rename(part, &whole).map_err(Error::file("move into place", part))
    }

    /// The address that is asked for `url`.
    pub(crate) fn address(&self, url: &str) -> String {
        match &self.mirror {
            Some(mirror) => format!(
                "{mirror}/{}",
                url.split_once("://").map_or(url, |(_, rest)| rest)
            ),
            None => url.to_owned(),
        }
    }

    /// Removes the files with these sums: what is in them is in a bundle now.
    pub(crate) fn clear<'a>(&self, sums: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        for sum in sums {
            let path = self.path(sum);
            if path.exists() {
                fs::remove_file(&path).map_err(Error::file("remove", &path))?;
            }
        }
        Ok(())
    }
}

/// Whether the same request may well succeed a moment later.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Denied { status, .. } => *status == 429 || *status >= 500,
        Error::Stalled { received, .. } => *received > 0,
        Error::Transfer { source, .. } => matches!(**source, ureq::Error::Io(_)),
        Error::Truncated { .. } => true,
        _ => false,
    }
}

/// Takes the wanted files out of a downloaded `archive` into `bundle`.
///
/// # Errors
///
/// [`Error::Archive`], [`Error::NotInArchive`], [`Error::File`].
pub(crate) fn place(artifact: &Artifact, archive: &Path, bundle: &Path) -> Result<(), Error> {
    use crate::pins::Packing;
    match artifact.kind {
        Packing::Binary => {
            for place in artifact.take.values() {
                let from = File::open(archive).map_err(Error::file("read", archive))?;
                install(from, archive, &bundle.join(place))?;
            }
        }
        Packing::TarGz => {
            let unpack = |source| Error::Archive {
                path: archive.to_owned(),
                source,
            };
            let mut missing = artifact.take.clone();
            let file = File::open(archive).map_err(Error::file("read", archive))?;
            let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(io::BufReader::new(file)));
            for entry in tar.entries().map_err(unpack)? {
                let entry = entry.map_err(unpack)?;
                let name = entry.path().map_err(unpack)?.to_string_lossy().into_owned();
                if let Some(place) = missing.remove(name.trim_start_matches("./")) {
                    install(entry, archive, &bundle.join(place))?;
                }
            }
            if let Some(member) = missing.into_keys().next() {
                return Err(Error::NotInArchive {
                    archive: archive.to_owned(),
                    member,
                });
            }
        }
    }
    Ok(())
}

/// Writes a program, which is read out of the file `origin`.
pub(crate) fn install(from: impl io::Read, origin: &Path, to: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(Error::file("make the folder", folder))?;
    }
    let mut file = File::create(to).map_err(Error::file("write", to))?;
    digest::copy(from, &mut file).map_err(|error| match error {
        CopyError::Read(source) => Error::file("read", origin)(source),
        CopyError::Write(source) => Error::file("write", to)(source),
    })?;
    file.set_permissions(fs::Permissions::from_mode(0o755))
        .map_err(Error::file("write", to))
}

#[cfg(test)]
pub(crate) mod server;
#[cfg(test)]
mod tests;
