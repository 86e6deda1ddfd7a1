//! Machine images: base system + software + container images that are already unpacked, made once per content.
//!
//! ```text
//! base system (root.tar) --import--> caravan-base      bundle: bin/, cni/ + image/files/
//!                                          \                /
//!                                         build (image/Dockerfile)
//!                                                  |
//!                       a container of it, with images/*.tar of the bundle and kube-proxy's:
//!                       containerd unpacks them into a volume, the store is kept at /opt/caravan/containerd
//!                                                  |
//!                                         commit: caravan-machine:CONTENT
//! ```
//!
//! What is in the image, and how a machine uses it, is told in `docs/bundle.md`.

pub(crate) mod context;

use std::fs;
use std::path::Path;

use caravan_docker::DockerCli;

use crate::add_on::{AddOn, AddOnProgram};
use crate::base::{self, Base, BaseSystem};
use crate::bundle::Bundle;
use crate::cache::Cache;
use crate::digest::Recipe;
use crate::docker::{build, has_image, images_labelled};
use crate::machine_box::{TOOLS, TOOLS_LABEL};
use crate::oci::{self, Image};
use crate::progress::{BundleEvent, Progress, step};
use crate::software::KUBE_PROXY;
use crate::{Error, proxy_root};

/// The repository of machine images.
const MACHINE: &str = "caravan-machine";

/// Where the image archives are in the container that unpacks them.
const ARCHIVES: &str = "/tmp/caravan-archives";

/// Whether `reference` is a machine image that was made here and that the engine has no more, as after
/// `docker system prune --all`. It can be made again; an image of the user's own cannot.
///
/// # Errors
///
/// [`Error::Program`] when the engine does not answer.
pub fn is_lost(docker: &DockerCli, reference: &str) -> Result<bool, Error> {
    let ours = reference
        .strip_prefix(MACHINE)
        .is_some_and(|rest| rest.starts_with(':'));
    Ok(ours && !has_image(docker, reference)?)
}

/// Makes sure that the engine has the machine image of `bundle` and `add_ons` on `base`, and returns its reference:
/// `caravan-machine:0123456789abcdef`, whose tag is the sum of everything that is in it.
///
/// # Errors
///
/// [`Error`], with a hint for what is missing.
pub fn bake(
    cache: &Cache,
    bundle: &Bundle,
    add_ons: &[AddOn],
    base: Base,
    docker: &DockerCli,
    progress: &dyn Progress,
) -> Result<String, Error> {
    // The usual case: everything is there, and two questions to the engine say so.
    if let Some((reference, _)) = known_reference(cache, bundle, add_ons, base, progress)?
        && has_image(docker, &reference)?
    {
        return Ok(reference);
    }
    let base = base::ensure(cache, base, docker, progress)?;
    let reference = reference(bundle, add_ons, &base);
    let name = format!("image-{}", tag(&reference));
    let _lock = cache.lock(&name, progress)?;
    if has_image(docker, &reference)? {
        return Ok(reference);
    }
    let workshop = cache.workshop(&name)?;
    let log = cache.log(&name)?;
    let baking = Baking {
        bundle,
        add_ons,
        base: &base,
        reference: &reference,
        workshop: &workshop,
        log: &log,
        docker,
        progress,
    };
    baking.discard();
    let baked = baking.run();
    baking.discard();
    baked.map(|()| reference)
}

/// The name of the machine image of `bundle` and `add_ons` on `base`, and that base system, where the cache has it: only then is
/// it known what would be in the image. The engine is not asked.
///
/// # Errors
///
/// [`Error`] when the cache cannot be read.
pub(crate) fn known_reference(
    cache: &Cache,
    bundle: &Bundle,
    add_ons: &[AddOn],
    base: Base,
    progress: &dyn Progress,
) -> Result<Option<(String, BaseSystem)>, Error> {
    let found = base::find(cache, base, progress)?;
    Ok(found.map(|base| (reference(bundle, add_ons, &base), base)))
}

/// Makes sure that the engine has a base system as an image, and returns its name.
pub(crate) fn base_image(docker: &DockerCli, base: &BaseSystem) -> Result<String, Error> {
    let name = format!("caravan-base:{}", &base.content[..16]);
    if !has_image(docker, &name)? {
        docker
            .call(["import", "--change", "LABEL caravan.base=1"])
            .arg(&base.root)
            .arg(&name)
            .run()
            .map_err(Error::program(
                "give the base system to the container engine",
            ))?;
    }
    Ok(name)
}

pub(crate) fn reference(bundle: &Bundle, add_ons: &[AddOn], base: &BaseSystem) -> String {
    let mut recipe = Recipe::new("machine 1");
    recipe.add(&bundle.content);
    recipe.add(&base.content);
    context::add_to(&mut recipe);
    // Labs without any keep the image that they have.
    let mut add_ons: Vec<&AddOn> = add_ons.iter().collect();
    add_ons.sort_by_key(|add_on| add_on.kind);
    for add_on in add_ons {
        recipe.add(&add_on.content);
    }
    let mut tag = recipe.name();
    tag.truncate(16);
    format!("{MACHINE}:{tag}")
}

pub(crate) fn tag(reference: &str) -> &str {
    reference.rsplit(':').next().unwrap_or(reference)
}

/// One image in the making, and the names of what it leaves in the engine meanwhile.
struct Baking<'a> {
    bundle: &'a Bundle,
    add_ons: &'a [AddOn],
    base: &'a BaseSystem,
    reference: &'a str,
    workshop: &'a Path,
    log: &'a Path,
    docker: &'a DockerCli,
    progress: &'a dyn Progress,
}

impl Baking<'_> {
    fn run(&self) -> Result<(), Error> {
        let text = match self.add_ons {
            [] => "write kube-proxy's image".to_owned(),
            add_ons => {
                let names: Vec<&str> = add_ons.iter().map(|it| it.kind.as_str()).collect();
                format!("write the images of kube-proxy, {}", names.join(", "))
            }
        };
        step(self.progress, &text, || self.write_images())?;
        step(self.progress, "build the machine image", || self.build())?;
        step(self.progress, "unpack the container images into it", || {
            self.preload()
        })
    }

    /// kube-proxy's image, which has the packet filter tools of the base system, and those of the add-ons' programs, of which
    /// some have them too.
    fn write_images(&self) -> Result<(), Error> {
        let software = &self.bundle.software;
        let layer = self.workshop.join("tools.tar");
        proxy_root::write(&self.base.root, &layer).map_err(|source| Error::Archive {
            path: self.base.root.clone(),
            source,
        })?;
        let archives = self.workshop.join("archives");
        fs::create_dir(&archives).map_err(Error::file("make the folder", &archives))?;
        let kube_proxy = AddOnProgram {
            image: format!("registry.k8s.io/{KUBE_PROXY}:{}", software.kubernetes),
            name: KUBE_PROXY,
            file: self.bundle.dir.join("image").join(KUBE_PROXY),
            over_tools: true,
        };
        let added = self.add_ons.iter().flat_map(AddOn::programs);
        for program in [kube_proxy].into_iter().chain(added) {
            let to = archives.join(format!("{}.tar", program.name));
            let below = program.over_tools.then_some(&layer);
            let image = Image {
                name: &program.image,
                arch: self.bundle.arch,
                below: below.map_or(&[], std::slice::from_ref),
                program: (program.name, &program.file),
                entrypoint: &[&format!("/usr/local/bin/{}", program.name)],
            };
            oci::write(&image, &to).map_err(Error::file("write", &to))?;
        }
        Ok(())
    }

    fn build(&self) -> Result<(), Error> {
        let base = base_image(self.docker, self.base)?;
        let context = self.workshop.join("context");
        context::write(self.bundle, &context)?;
        build(
            self.docker,
            &self.stage(),
            &context,
            &[format!("BASE={base}")],
            self.log,
            self.progress,
        )
    }

    fn preload(&self) -> Result<(), Error> {
        let container = self.container();
        let [store, archives] = self.volumes();
        let doing = "unpack the container images";
        let create = self
            .docker
            .call(["create", "--name", &container, "--network", "none"])
            // What unpacking needs: mounts. Less than `--privileged`, which hosts without every capability refuse.
            .args(["--cap-add", "SYS_ADMIN"])
            .args([
                "--security-opt",
                "seccomp=unconfined",
                "--security-opt",
                "apparmor=unconfined",
            ])
            // Volumes with names, because those without become part of the committed image's settings.
            .args(["--volume", &format!("{store}:/var/lib/containerd")])
            .args(["--volume", &format!("{archives}:{ARCHIVES}")])
            .args([&self.stage(), "/usr/lib/caravan-image/preload", ARCHIVES]);
        create.run().map_err(Error::program(doing))?;
        // Copied through the engine, not mounted: it may run elsewhere, and its users need no access to the cache.
        let folders = [
            self.bundle.dir.join("images"),
            self.workshop.join("archives"),
        ];
        for folder in folders
            .into_iter()
            .chain(self.add_ons.iter().filter_map(AddOn::archives))
        {
            let mut from = folder.into_os_string();
            from.push("/.");
            let to = format!("{container}:{ARCHIVES}");
            self.docker
                .call(["cp"])
                .arg(from)
                .arg(to)
                .run()
                .map_err(Error::program(doing))?;
        }
        self.docker
            .call(["start", "--attach", &container])
            .logged(self.log, &mut |text| {
                self.progress.event(&BundleEvent::Line { text })
            })
            .map_err(Error::program(doing))?;
        let software = &self.bundle.software;
        self.docker
            .call(["commit", "--change", r#"CMD ["/sbin/init"]"#])
            .args([
                "--change",
                &format!("LABEL caravan.image={}", tag(self.reference)),
            ])
            .args([
                "--change",
                &format!("LABEL caravan.bundle={}", self.bundle.id),
            ])
            .args([
                "--change",
                &format!("LABEL caravan.kubernetes={}", software.kubernetes),
            ])
            .args([&container, self.reference])
            .run()
            .map_err(Error::program("keep the machine image"))
            .map(drop)
    }

    fn stage(&self) -> String {
        format!("caravan-stage:{}", tag(self.reference))
    }

    fn container(&self) -> String {
        format!("caravan-bake-{}", tag(self.reference))
    }

    fn volumes(&self) -> [String; 2] {
        ["store", "archives"].map(|name| format!("caravan-bake-{}-{name}", tag(self.reference)))
    }

    /// Removes what this or a dead runner left in the engine.
    fn discard(&self) {
        self.docker
            .discard(["rm", "--force", "--volumes", &self.container()]);
        for volume in self.volumes() {
            self.docker.discard(["volume", "rm", "--force", &volume]);
        }
        self.docker
            .discard(["image", "rm", "--force", &self.stage()]);
    }
}

/// The machine images that the engine has, newest first.
///
/// # Errors
///
/// [`Error::Program`].
pub fn list(docker: &DockerCli) -> Result<Vec<String>, Error> {
    let listed = images_labelled(docker, "caravan.image")?;
    Ok(listed
        .into_iter()
        .filter(|name| name.starts_with(MACHINE) && !name.ends_with(":<none>"))
        .collect())
}

/// Removes all machine images but those in `keep`, base images that no machine image needs, and what disks are written with.
/// Images that machines
/// still run from stay. Returns what was removed.
///
/// # Errors
///
/// [`Error::Program`].
pub fn prune(docker: &DockerCli, keep: &[String]) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    let bases = images_labelled(docker, "caravan.base")?
        .into_iter()
        .filter(|name| name.starts_with("caravan-base:"));
    let tools = images_labelled(docker, TOOLS_LABEL)?
        .into_iter()
        .filter(|name| name.starts_with(TOOLS));
    for name in list(docker)?.into_iter().chain(tools).chain(bases) {
        if keep.contains(&name) {
            continue;
        }
        let output = docker
            .call(["image", "rm", &name])
            .output()
            .map_err(Error::program(format!("remove the image `{name}`")))?;
        // Refused while a container needs it, which is what is wanted.
        if output.success() {
            removed.push(name);
        }
    }
    Ok(removed)
}

#[cfg(test)]
pub(crate) mod tests;
