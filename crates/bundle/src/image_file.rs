//! Machine images as single files, for computers that have neither the engine nor the cache of this one.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use caravan_docker::DockerCli;

use crate::digest::Hashing;
use crate::machine_box::{self, BakedBox};
use crate::progress::{Progress, step};
use crate::{Cache, Error};

/// An image that lies in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// The name under which the Vagrantfile looks for it: that of the image, without what file names cannot have.
    pub name: String,
    /// Where it lies on this computer.
    pub path: PathBuf,
    /// The sum of its content, in hexadecimal.
    pub sha256: String,
}

/// The name of the file of an image of the container engine.
pub fn archive_name(image: &str) -> String {
    format!("{}.tar", image.replace(['/', ':'], "-"))
}

/// The name of the file of a box.
pub fn box_name(name: &str) -> String {
    format!("{}.box", name.replace(['/', ':'], "-"))
}

/// Writes an image of the engine to a file in the cache, where it is not there yet.
///
/// # Errors
///
/// [`Error::Program`] when the engine does not answer or has no such image, [`Error::File`].
pub fn of_image(
    cache: &Cache,
    docker: &DockerCli,
    image: &str,
    progress: &dyn Progress,
) -> Result<ImageFile, Error> {
    let name = archive_name(image);
    let path = cache.images()?.join(&name);
    let note = path.with_extension("sha256");
    let _lock = cache.lock(&format!("image-file-{name}"), progress)?;
    if let (true, Ok(sum)) = (path.is_file(), fs::read_to_string(&note)) {
        return Ok(ImageFile {
            name,
            path,
            sha256: sum.trim().to_owned(),
        });
    }
    let workshop = cache.workshop(&format!("image-file-{name}"))?;
    let part = workshop.join("image");
    let sha256 = step(progress, "write the machine image to a file", || {
        docker
            .call(["image", "save", "--output"])
            .arg(&part)
            .arg(image)
            .run()
            .map_err(Error::program(format!("save the image `{image}`")))?;
        let mut file = File::open(&part).map_err(Error::file("read", &part))?;
        let mut sums = Hashing::new(io::sink());
        io::copy(&mut file, &mut sums).map_err(Error::file("read", &part))?;
        Ok::<_, Error>(sums.finish().1)
    })?;
    fs::rename(&part, &path).map_err(Error::file("write", &path))?;
    fs::write(&note, format!("{sha256}\n")).map_err(Error::file("write", &note))?;
    Ok(ImageFile { name, path, sha256 })
}

/// The file of the box called `name`; none where the cache does not have it, as of a box of the user's own.
///
/// # Errors
///
/// [`Error::File`] when the cache cannot be read.
pub fn of_box(cache: &Cache, name: &str) -> Result<Option<ImageFile>, Error> {
    let found = machine_box::list(cache)?.into_iter();
    let mut named = found.filter(|it: &BakedBox| it.name == name);
    Ok(named.next().map(|it| ImageFile {
        name: box_name(&it.name),
        path: it.file(),
        sha256: it.sha256,
    }))
}

/// Removes the files of images that are not in `keep`; returns how much they took, in bytes.
///
/// # Errors
///
/// [`Error::File`].
pub fn prune(cache: &Cache, keep: &[String]) -> Result<u64, Error> {
    let folder = cache.images()?;
    let kept: Vec<String> = keep.iter().map(|image| archive_name(image)).collect();
    let mut removed = 0;
    for entry in fs::read_dir(&folder).map_err(Error::file("read", &folder))? {
        let path = entry.map_err(Error::file("read", &folder))?.path();
        // The note of a sum goes with its file.
        let archive = path.with_extension("tar");
        let name = archive.file_name().unwrap_or_default().to_string_lossy();
        if kept.iter().any(|it| *it == name) {
            continue;
        }
        removed += fs::metadata(&path).map_or(0, |it| it.len());
        fs::remove_file(&path).map_err(Error::file("remove", &path))?;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_vagrantfile_looks_for() {
        assert_eq!(
            archive_name("caravan-machine:0123456789abcdef"),
            "caravan-machine-0123456789abcdef.tar"
        );
        assert_eq!(
            archive_name("registry.example.com:5000/a/b:c"),
            "registry.example.com-5000-a-b-c.tar"
        );
        assert_eq!(box_name("bento/debian-12"), "bento-debian-12.box");
    }
}
