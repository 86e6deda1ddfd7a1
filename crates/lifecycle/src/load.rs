//! Gives nodes images of the user's own, and remembers which they are to have.
//!
//! What is given is read once, written as the archive that is kept in the lab's state, and streamed to all nodes that lack it
//! while it is being written. It is done when each node says that it has the image, by its digest.

mod nodes;
mod restore;
mod source;

use std::io;
use std::rc::Rc;

use caravan_bundle::Arch;
use caravan_bundle::image_archive::{
    ArchiveFile, ArchivedImage, EngineSource, NodeArchive, full_name, has_moving_tag,
    write_from_file, write_from_stream,
};
use caravan_cluster::Access;
use caravan_cluster::timeline::RUN;
use caravan_lab::{Lab, Machine};

use self::nodes::Nodes;
pub use self::nodes::{NodeOutcome, NodeStanding, look};
pub use self::restore::{hold_loaded, restore};
pub use self::source::ImageSource;
use crate::image_record::{ImageRecord, KeptImage};
use crate::{Error, LabDir, LabRun};

/// This verb.
pub const VERB: &str = "load";

/// Which images which nodes are to have.
pub struct LoadRequest<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// Its state; its folder must exist, and its lock must be held.
    pub dir: &'a LabDir,
    /// The keys to the lab, where any of its machines runs.
    pub access: Option<&'a Access>,
    /// The nodes that are meant: see [`wanted`].
    pub wanted: &'a [&'a Machine],
    /// The names of the machines that run.
    pub running: &'a [String],
    /// Whether the machines were named: then the images are for them alone, also later.
    pub named: bool,
    /// The name that the one image is to have, in place of its own.
    pub name: Option<&'a str>,
}

/// An image, and what became of it on each node that is meant.
#[derive(Debug)]
pub struct LoadedImage {
    /// The image as it is remembered.
    pub image: KeptImage,
    /// The nodes, in the order of the lab file.
    pub nodes: Vec<(String, NodeOutcome)>,
}

impl LoadedImage {
    /// Its names of which a kubelet asks a registry before it uses what is there.
    pub fn moving(&self) -> impl Iterator<Item = &String> {
        self.image.names.iter().filter(|name| has_moving_tag(name))
    }
}

/// What is known of an image before any of it is read, and where it comes from.
enum Prepared {
    /// It is kept already.
    Kept(KeptImage, NodeArchive),
    /// It is in an archive.
    InFile(Box<ArchivedImage>, Rc<ArchiveFile>),
    /// The engine writes an archive of it.
    Streamed(EngineSource),
}

/// The nodes called `names`, or all; nobody but nodes runs images.
///
/// # Errors
///
/// [`Error::NoSuchMachine`], [`Error::NoNode`].
pub fn wanted<'a>(lab: &'a Lab, names: &[String]) -> Result<Vec<&'a Machine>, Error> {
    for name in names {
        let machine = crate::machine(lab, name)?;
        if !machine.role.is_node() {
            return Err(Error::NoNode {
                lab: lab.name().to_owned(),
                machine: name.clone(),
                role: machine.role,
            });
        }
    }
    let nodes = lab.machines().iter().filter(|it| it.role.is_node());
    Ok(nodes
        .filter(|node| names.is_empty() || names.contains(&node.name))
        .collect())
}

impl LoadRequest<'_> {
    /// Loads what `sources` have, one after the other, each to all nodes at once.
    ///
    /// # Errors
    ///
    /// [`Error::Bundle`] for what is no image, [`Error::SeveralImages`], [`Error::NamelessImage`], [`Error::Interrupted`],
    /// [`Error::Write`]. What a node could not take is none: see [`NodeOutcome::Failed`].
    pub fn load(
        &self,
        run: &LabRun<'_>,
        sources: &[ImageSource],
    ) -> Result<Vec<LoadedImage>, Error> {
        let arch = Arch::host()?;
        caravan_files::make_private_folder(&self.dir.images())?;
        let mut loaded = Vec::new();
        for source in sources {
            run.tell_begin(RUN, &format!("read {source}"));
            for prepared in self.prepare(source, arch)? {
                let image = run.step(VERB, || self.one(run, prepared, arch))?;
                loaded.push(image);
            }
        }
        Ok(loaded)
    }

    fn prepare(&self, source: &ImageSource, arch: Arch) -> Result<Vec<Prepared>, Error> {
        let scratch = self.dir.images().join("incoming.scratch");
        let archive = match source {
            ImageSource::Engine(name) => {
                return Ok(vec![self.prepare_of_engine(name, arch)?]);
            }
            ImageSource::File(path) => ArchiveFile::open(path, &scratch)?,
            ImageSource::Input => ArchiveFile::of(io::stdin().lock(), "standard input", &scratch)?,
        };
        let mut images = archive.images(arch)?;
        if let Some(name) = self.name {
            match images.as_mut_slice() {
                [one] => one.names = vec![full_name(name)?],
                several => {
                    return Err(Error::SeveralImages {
                        what: source.to_string(),
                        images: several.len(),
                    });
                }
            }
        }
        if let Some(nameless) = images.iter().find(|image| image.names.is_empty()) {
            return Err(Error::NamelessImage {
                what: source.to_string(),
                id: nameless.id.clone(),
                is_of_engine: false,
            });
        }
        let archive = Rc::new(archive);
        let prepare = |image: ArchivedImage| {
            let kept = KeptImage {
                names: image.names.clone(),
                digest: image.digest.clone(),
                id: image.id.clone(),
                bytes: image.bytes,
                ..self.kept(Vec::new())
            };
            match self.archive_of(&kept.digest, arch) {
                Some(archive) => Prepared::Kept(kept, archive),
                None => Prepared::InFile(Box::new(image), Rc::clone(&archive)),
            }
        };
        Ok(images.into_iter().map(prepare).collect())
    }

    fn prepare_of_engine(&self, name: &str, arch: Arch) -> Result<Prepared, Error> {
        let mut source = EngineSource::find(name, arch)?;
        if let Some(name) = self.name {
            source.names = vec![full_name(name)?];
        }
        if source.names.is_empty() {
            return Err(Error::NamelessImage {
                what: format!("`{name}`"),
                id: source.id,
                is_of_engine: true,
            });
        }
        // What came of this id before is known, and need not be read again.
        let record = ImageRecord::read(self.dir)?;
        let before =
            (record.images.into_iter()).find(|kept| kept.engine_id.as_ref() == Some(&source.id));
        let known = before.and_then(|kept| Some((self.archive_of(&kept.digest, arch)?, kept)));
        Ok(match known {
            None => Prepared::Streamed(source),
            Some((archive, kept)) => Prepared::Kept(
                KeptImage {
                    digest: kept.digest,
                    id: kept.id,
                    bytes: kept.bytes,
                    engine_id: Some(source.id),
                    ..self.kept(source.names)
                },
                archive,
            ),
        })
    }

    /// An image of these names as it is remembered, without what it is.
    fn kept(&self, names: Vec<String>) -> KeptImage {
        let machines = self.wanted.iter().map(|it| it.name.clone());
        KeptImage {
            names,
            digest: String::new(),
            id: String::new(),
            bytes: 0,
            machines: match self.named {
                true => machines.collect(),
                false => Vec::new(),
            },
            engine_id: None,
            since: crate::state_file::now(),
        }
    }

    /// The archive of an image that is kept, where it is whole.
    fn archive_of(&self, digest: &str, arch: Arch) -> Option<NodeArchive> {
        let archive = NodeArchive::open(&self.dir.image_archive(digest), arch).ok()?;
        (archive.digest() == digest).then_some(archive)
    }

    /// Reads one image, where it is not kept, and gives it to the nodes meanwhile.
    fn one(&self, run: &LabRun<'_>, prepared: Prepared, arch: Arch) -> Result<LoadedImage, Error> {
        let nodes = Nodes::ask(self)?;
        let (image, fed) = match prepared {
            Prepared::Kept(image, archive) => {
                let lacking = nodes.lacking(&image.digest);
                let fed = nodes.feed(run, &lacking, || archive.reader(&image.names))?;
                (image, fed)
            }
            Prepared::InFile(found, archive) => {
                let lacking = nodes.lacking(&found.digest);
                let names = found.names.clone();
                let (found, fed) = nodes.feed_while_written(run, &lacking, |to, growth| {
                    write_from_file(&archive, &found, &names, to, growth)?;
                    Ok(*found)
                })?;
                (self.remembered(&found, names, None), fed)
            }
            Prepared::Streamed(source) => {
                let names = source.names.clone();
                let id = source.id.clone();
                let all = nodes.all();
                let (found, fed) = nodes.feed_while_written(run, &all, |to, growth| {
                    let what = source.what();
                    let reader = source.save()?;
                    Ok(write_from_stream(reader, &what, arch, &names, to, growth)?)
                })?;
                (self.remembered(&found, source.names, Some(id)), fed)
            }
        };
        let mut record = ImageRecord::read(self.dir)?;
        record.add(image.clone());
        record.write(self.dir)?;
        let outcomes = nodes.settle(run, &image, fed)?;
        Ok(LoadedImage {
            nodes: outcomes,
            image,
        })
    }

    fn remembered(
        &self,
        found: &ArchivedImage,
        names: Vec<String>,
        engine_id: Option<String>,
    ) -> KeptImage {
        KeptImage {
            digest: found.digest.clone(),
            id: found.id.clone(),
            bytes: found.bytes,
            engine_id,
            ..self.kept(names)
        }
    }
}
