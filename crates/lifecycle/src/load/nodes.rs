//! Nodes that are to have images: which they have, and how all of them get one at once.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use caravan_bundle::image_archive::{ArchiveGrowth, ArchivedImage};
use caravan_cluster::images::{self, NodeImages};
use caravan_cluster::{Access, parallel};
use caravan_lab::Machine;
use caravan_process::interrupt;

use super::LoadRequest;
use crate::image_record::KeptImage;
use crate::{Error, LabDir, LabRun};

/// What a node is before it is given anything.
#[derive(Debug)]
pub enum NodeStanding {
    /// It has these.
    Has(NodeImages),
    /// It does not run.
    Halted,
    /// It does not tell.
    Silent(caravan_cluster::Error),
}

/// What became of an image on a node.
#[derive(Debug)]
pub enum NodeOutcome {
    /// It had it.
    Had,
    /// It had it under another name.
    Named,
    /// It was given it.
    Copied {
        /// What was sent, in bytes.
        bytes: u64,
        /// How long that took, until it was unpacked there.
        took: Duration,
    },
    /// It does not run, and gets it when it is started.
    Queued,
    /// It has it not.
    Failed(caravan_cluster::Error),
}

/// How much a node took, and how long that lasted.
type Fed = Result<(u64, Duration), caravan_cluster::Error>;

/// Asks nodes for their images, all at once; those that are not called one of `running` are not asked.
pub fn look<'a>(
    access: Option<&Access>,
    nodes: &[&'a Machine],
    running: &[String],
) -> Vec<(&'a Machine, NodeStanding)> {
    parallel::each(nodes.iter().copied(), |node| {
        let standing = match access {
            Some(access) if running.contains(&node.name) => match images::ask(access, node) {
                Ok(images) => NodeStanding::Has(images),
                Err(error) => NodeStanding::Silent(error),
            },
            _ => NodeStanding::Halted,
        };
        (node, standing)
    })
}

/// The nodes that are meant, and what each is.
pub(super) struct Nodes<'a> {
    access: Option<&'a Access>,
    dir: &'a LabDir,
    standing: Vec<(&'a Machine, NodeStanding)>,
}

impl<'a> Nodes<'a> {
    /// Asks all of them.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`].
    pub(super) fn ask(request: &LoadRequest<'a>) -> Result<Self, Error> {
        let standing = look(request.access, request.wanted, request.running);
        go_on()?;
        Ok(Self {
            access: request.access,
            dir: request.dir,
            standing,
        })
    }

    /// Those that run and tell what they have.
    pub(super) fn all(&self) -> Vec<&'a Machine> {
        self.those(|_| true)
    }

    /// Those of them that lack an image.
    pub(super) fn lacking(&self, digest: &str) -> Vec<&'a Machine> {
        self.those(|images| !images.has_digest(digest))
    }

    fn those(&self, is: impl Fn(&NodeImages) -> bool) -> Vec<&'a Machine> {
        let those = self
            .standing
            .iter()
            .filter(|(_, standing)| matches!(standing, NodeStanding::Has(images) if is(images)));
        those.map(|(machine, _)| *machine).collect()
    }

    /// Gives `nodes` what a reader of `open` has.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], [`Error::Bundle`] where the archive cannot be read.
    pub(super) fn feed<R: Read + Send>(
        &self,
        run: &LabRun<'_>,
        nodes: &[&Machine],
        open: impl Fn() -> Result<R, caravan_bundle::Error>,
    ) -> Result<BTreeMap<String, Fed>, Error> {
        let readers = nodes.iter().map(|node| Ok((*node, open()?)));
        let readers = readers.collect::<Result<Vec<_>, Error>>()?;
        let fed = parallel::each(readers, |(node, mut reader)| {
            (node.name.clone(), self.give(run, node, &mut reader))
        });
        go_on()?;
        Ok(fed.into_iter().collect())
    }

    /// Has `write` write an archive to a file, and gives it to `nodes` meanwhile; it is kept by its digest.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], [`Error::Write`], those of `write`.
    pub(super) fn feed_while_written(
        &self,
        run: &LabRun<'_>,
        nodes: &[&Machine],
        write: impl FnOnce(&Path, &Arc<ArchiveGrowth>) -> Result<ArchivedImage, Error>,
    ) -> Result<(ArchivedImage, BTreeMap<String, Fed>), Error> {
        let to = self.dir.images().join("incoming.part");
        let unwritten = |source| Error::Write {
            path: to.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        (options.write(true).create(true).truncate(true).mode(0o600))
            .open(&to)
            .map_err(unwritten)?;
        let growth = ArchiveGrowth::new();
        let followers = nodes
            .iter()
            .map(|node| Ok::<_, std::io::Error>((*node, growth.follow(File::open(&to)?))));
        let followers = followers
            .collect::<Result<Vec<_>, _>>()
            .map_err(unwritten)?;
        let (written, fed) = std::thread::scope(|scope| {
            let threads: Vec<_> = (followers.into_iter())
                .map(|(node, mut follower)| {
                    scope.spawn(move || (node.name.clone(), self.give(run, node, &mut follower)))
                })
                .collect();
            let written = write(&to, &growth);
            // Whatever happened, nobody may wait for more.
            growth.fail();
            let fed = threads.into_iter().map(|thread| match thread.join() {
                Ok(fed) => fed,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            (written, fed.collect())
        });
        go_on()?;
        let written = written?;
        fs::rename(&to, self.dir.image_archive(&written.digest)).map_err(unwritten)?;
        Ok((written, fed))
    }

    fn give(&self, run: &LabRun<'_>, node: &Machine, archive: &mut dyn Read) -> Fed {
        let access = self.access.expect("a node that runs is entered with keys");
        let began = Instant::now();
        let mut bytes = 0;
        run.tell_begin(&node.name, "takes the image");
        images::import(access, node, archive, &mut |taken| {
            bytes = taken;
            run.tell_detail(&node.name, &format!("has taken {} MiB", taken >> 20));
        })?;
        Ok((bytes, began.elapsed()))
    }

    /// Holds that each node has `image` under its names, where it was not fed in vain; says what became of it.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`].
    pub(super) fn settle(
        self,
        run: &LabRun<'_>,
        image: &KeptImage,
        mut fed: BTreeMap<String, Fed>,
    ) -> Result<Vec<(String, NodeOutcome)>, Error> {
        let access = self.access;
        let nodes = (self.standing.into_iter())
            .map(|(node, standing)| (node, standing, fed.remove(&node.name)));
        let nodes: Vec<_> = nodes.collect();
        let outcomes = parallel::each(nodes, |(node, standing, fed)| {
            let outcome = match (standing, fed, access) {
                (NodeStanding::Halted, ..) | (_, _, None) => NodeOutcome::Queued,
                (NodeStanding::Silent(error), ..) | (_, Some(Err(error)), _) => {
                    NodeOutcome::Failed(error)
                }
                (NodeStanding::Has(images), None, _) if images.has(&image.digest, &image.names) => {
                    NodeOutcome::Had
                }
                (NodeStanding::Has(_), fed, Some(access)) => {
                    let KeptImage {
                        digest, id, names, ..
                    } = image;
                    match (images::settle(access, node, digest, id, names), fed) {
                        (Err(error), _) => NodeOutcome::Failed(error),
                        (Ok(()), Some(Ok((bytes, took)))) => NodeOutcome::Copied { bytes, took },
                        (Ok(()), _) => NodeOutcome::Named,
                    }
                }
            };
            run.tell_end(&node.name, &outcome.text());
            (node.name.clone(), outcome)
        });
        go_on()?;
        Ok(outcomes)
    }
}

impl NodeOutcome {
    /// What became of it, for people.
    pub fn text(&self) -> String {
        match self {
            Self::Had => "has it already".to_owned(),
            Self::Named => "has it already, and knows its name now".to_owned(),
            Self::Copied { bytes, took } => format!(
                "has it: {} MiB in {}",
                bytes.div_ceil(1 << 20),
                caravan_cluster::timeline::seconds(
                    i64::try_from(took.as_millis()).unwrap_or(i64::MAX)
                )
            ),
            Self::Queued => "does not run, and gets it when it is started".to_owned(),
            Self::Failed(error) => format!("has it not: {}", error.chain()),
        }
    }
}

/// Stops here when the user has asked to.
pub(super) fn go_on() -> Result<(), Error> {
    match interrupt::raised() {
        true => Err(Error::Interrupted),
        false => Ok(()),
    }
}
