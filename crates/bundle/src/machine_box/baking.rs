//! One box in the making: two containers, and the names of what they leave in the engine meanwhile.

use std::fs;
use std::path::{Path, PathBuf};

use caravan_docker::DockerCli;

use super::{About, DISK_GIB, Firmware, Hypervisor, packages, recipe};
use crate::base::BaseSystem;
use crate::cache::Cache;
use crate::debian::{self, APT, fetch_settings};
use crate::docker::has_image;
use crate::image::context::{write_file, write_files};
use crate::progress::{BundleEvent, Progress, step};
use crate::{Error, image};

/// The repository of the images that disks are written in.
pub(crate) const TOOLS: &str = "caravan-tools:";

/// The label that they have.
pub(crate) const TOOLS_LABEL: &str = "caravan.tools";

/// Where a container finds what it is to do.
const SETUP: &str = "/tmp/caravan-box";

/// Where a disk is written.
const WORK: &str = "/work";

/// Whom this computer trusts, for sources that are asked by HTTPS.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

pub(super) struct Baking<'a> {
    pub(super) id: &'a str,
    pub(super) about: &'a About,
    pub(super) base: &'a BaseSystem,
    pub(super) scratch: &'a Path,
    pub(super) log: &'a Path,
    pub(super) cache: &'a Cache,
    pub(super) docker: &'a DockerCli,
    pub(super) progress: &'a dyn Progress,
}

impl Baking<'_> {
    /// Makes the disk and returns its file.
    pub(super) fn run(&self) -> Result<PathBuf, Error> {
        let firmware = Firmware::of(self.about.arch, self.about.hypervisor)?;
        let tools = self.tools(firmware)?;
        let root = step(self.progress, "give the machine image a kernel", || {
            self.machine()
        })?;
        step(self.progress, "write the disk", || {
            self.disk(&tools, firmware, &root)
        })
    }

    /// The image that disks are written in, made where the engine has none.
    fn tools(&self, firmware: Firmware) -> Result<String, Error> {
        let tag = recipe::tools_tag(self.base, firmware);
        let name = format!("{TOOLS}{tag}");
        if has_image(self.docker, &name)? {
            return Ok(name);
        }
        let _lock = self.cache.lock(&format!("tools-{tag}"), self.progress)?;
        if has_image(self.docker, &name)? {
            return Ok(name);
        }
        let doing = "make the image that disks are written in";
        step(self.progress, doing, || {
            let base = image::base_image(self.docker, self.base)?;
            let container = self.container("tools");
            let context = self.scratch.join("tools");
            write_files(&recipe::TOOLS_SETUP, &context)?;
            self.write_apt(&context)?;
            let packages = packages::of_tools(self.base.base, firmware);
            self.create_setup(&container, &base, &packages, doing)?;
            self.copy(&context, &format!("{container}:{SETUP}"), doing)?;
            self.start(&container, doing)?;
            let label = format!("LABEL {TOOLS_LABEL}={tag}");
            self.docker
                .call(["commit", "--change", &label, &container, &name])
                .run()
                .map_err(Error::program(doing))?;
            Ok(name.clone())
        })
    }

    /// Makes a virtual machine's file system of the machine image, and returns it as a tar file.
    fn machine(&self) -> Result<PathBuf, Error> {
        let doing = "give the machine image a kernel";
        let container = self.container("machine");
        let (context, files) = (self.scratch.join("setup"), self.scratch.join("files"));
        write_files(&recipe::MACHINE_SETUP, &context)?;
        write_files(&recipe::MACHINE_FILES, &files)?;
        self.write_apt(&context)?;
        let packages = packages::of_machine(self.base.base, self.about.arch);
        self.create_setup(&container, &self.about.image, &packages, doing)?;
        self.copy(&files.join("."), &format!("{container}:/"), doing)?;
        self.copy(&context, &format!("{container}:{SETUP}"), doing)?;
        self.start(&container, doing)?;
        let disk = self.scratch.join("disk");
        fs::create_dir_all(&disk).map_err(Error::file("make the folder", &disk))?;
        let root = disk.join("root.tar");
        self.docker
            .call(["export", "--output"])
            .arg(&root)
            .arg(&container)
            .run()
            .map_err(Error::program("read the machine's file system"))?;
        self.docker
            .discard(["rm", "--force", "--volumes", &container]);
        Ok(root)
    }

    /// Writes the disk in a container that can reach nothing and may do nothing.
    fn disk(&self, tools: &str, firmware: Firmware, root: &Path) -> Result<PathBuf, Error> {
        let doing = "write the disk";
        let container = self.container("disk");
        let context = root.parent().unwrap_or(self.scratch);
        write_files(&recipe::DISK, context)?;
        let format = match self.about.hypervisor {
            Hypervisor::Libvirt => "qcow2",
            Hypervisor::VirtualBox => "vmdk",
        };
        let mib = (u64::from(DISK_GIB) * 1024).to_string();
        self.docker
            .call(["create", "--name", &container, "--network", "none"])
            .args(["--volume", &format!("{}:{WORK}", self.volume())])
            .args([tools, &format!("{WORK}/write"), firmware.word(), format])
            .arg(mib)
            .run()
            .map_err(Error::program(doing))?;
        self.copy(&context.join("."), &format!("{container}:{WORK}"), doing)?;
        fs::remove_file(root).map_err(Error::file("remove", root))?;
        self.start(&container, doing)?;
        let name = format!("disk.{format}");
        let disk = self.scratch.join(&name);
        self.docker
            .call(["cp", &format!("{container}:{WORK}/{name}")])
            .arg(&disk)
            .run()
            .map_err(Error::program(doing))?;
        Ok(disk)
    }

    /// A container that installs packages: with this computer's own network, as its sources and proxies may be named there.
    fn create_setup(
        &self,
        container: &str,
        image: &str,
        packages: &[&str],
        doing: &str,
    ) -> Result<(), Error> {
        self.docker
            .call(["create", "--name", container, "--network", "host"])
            .args([image, &format!("{SETUP}/setup")])
            .args(packages)
            .run()
            .map(drop)
            .map_err(Error::program(doing))
    }

    /// Through the engine, which may run elsewhere.
    fn copy(&self, from: &Path, to: &str, doing: &str) -> Result<(), Error> {
        let call = self.docker.call(["cp"]).arg(from).arg(to);
        call.run().map(drop).map_err(Error::program(doing))
    }

    fn start(&self, container: &str, doing: &str) -> Result<(), Error> {
        self.docker
            .call(["start", "--attach", container])
            .logged(self.log, &mut |text| {
                self.progress.event(&BundleEvent::Line { text });
            })
            .map_err(Error::program(doing))
    }

    /// Writes where packages come from: as this computer gets its own, where that is Debian; else as the image does.
    fn write_apt(&self, context: &Path) -> Result<(), Error> {
        let sources = self.base.base.suite().map(|suite| {
            debian::host_sources(Path::new(APT), suite)
                .unwrap_or_else(|| debian::usual_sources(suite))
        });
        let trusted = fs::read_to_string(TRUSTED).ok();
        let settings = apt_settings(&fetch_settings(), sources.is_some(), trusted.is_some());
        write_file(&context.join("apt.conf"), 0o644, &settings)?;
        if let Some(sources) = sources {
            write_file(&context.join("sources.d/host.sources"), 0o644, &sources)?;
        }
        if let Some(trusted) = trusted {
            write_file(&context.join("trusted.crt"), 0o644, &trusted)?;
        }
        for (name, path) in credentials(Path::new(APT)) {
            // Who may not read them does without, as for this computer's own packages.
            if let Ok(text) = fs::read_to_string(path) {
                write_file(&context.join("auth.conf.d").join(name), 0o600, &text)?;
            }
        }
        Ok(())
    }

    fn container(&self, of: &str) -> String {
        format!("caravan-box-{}-{of}", &self.id[..16])
    }

    fn volume(&self) -> String {
        format!("caravan-box-{}-work", &self.id[..16])
    }

    /// Removes what this or a dead runner left in the engine.
    pub(super) fn discard(&self) {
        for of in ["machine", "tools", "disk"] {
            self.docker
                .discard(["rm", "--force", "--volumes", &self.container(of)]);
        }
        self.docker
            .discard(["volume", "rm", "--force", &self.volume()]);
    }
}

/// The settings of apt in a container: those of this computer for fetching, less what names programs and files of its own.
pub(super) fn apt_settings(fetching: &str, has_sources: bool, has_trusted: bool) -> String {
    let mut text: String = fetching
        .lines()
        .filter(|line| {
            let line = line.to_ascii_lowercase();
            !["proxy-auto-detect", "proxyautodetect", "cainfo", "capath"]
                .iter()
                .any(|word| line.contains(word))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    text += "Acquire::Languages \"none\";\n";
    text += &format!("Dir::Etc::netrcparts \"{SETUP}/auth.conf.d\";\n");
    if has_sources {
        text += "Dir::Etc::sourcelist \"/dev/null\";\n";
        text += &format!("Dir::Etc::sourceparts \"{SETUP}/sources.d\";\n");
    }
    if has_trusted {
        text += &format!("Acquire::https::CAInfo \"{SETUP}/trusted.crt\";\n");
    }
    text
}

/// apt's credentials, by the name that they have in a folder of them.
fn credentials(apt: &Path) -> Vec<(String, PathBuf)> {
    let folder = fs::read_dir(apt.join("auth.conf.d"));
    let mut found: Vec<(String, PathBuf)> = folder
        .into_iter()
        .flatten()
        .flatten()
        .map(|file| (file.file_name().to_string_lossy().into_owned(), file.path()))
        .collect();
    found.push(("own.conf".to_owned(), apt.join("auth.conf")));
    found
}
