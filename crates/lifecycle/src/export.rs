//! One archive per server, for an administrator who has Vagrant and a provider, and nothing of ours.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use caravan_bundle::image_file::ImageFile;
use caravan_lab::{Lab, Machine, Provider, Server};
use sha2::{Digest, Sha256};

use crate::files::hex;
use crate::{Error, LabDir, deliver};

/// Where images lie in an archive: the Vagrantfile looks for them there.
const IMAGES: &str = "images";

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedServer {
    /// The archive.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The folder that it unpacks to.
    pub folder: String,
}

/// What is exported.
#[derive(Debug, Clone, Copy)]
pub struct ServerExport<'a> {
    /// The lab, whose projects are written.
    pub lab: &'a Lab,
    /// The server.
    pub server: &'a Server,
    /// What runs its machines.
    pub provider: Provider,
    /// The lab's state.
    pub dir: &'a LabDir,
    /// What machines are made from; none that the other computer has to get by itself.
    pub image: Option<&'a ImageFile>,
    /// The name of what they are made from.
    pub image_name: &'a str,
}

impl ServerExport<'_> {
    /// Writes the archive, a tar for its owner alone: it has keys. It is there whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], [`Error::Write`].
    pub fn write(&self, to: &Path) -> Result<ExportedServer, Error> {
        let failed = |source| Error::Write {
            path: to.to_owned(),
            source,
        };
        let folder = match to.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Temporary files are their owner's alone.
        let part = tempfile::Builder::new()
            .prefix(".export-")
            .tempfile_in(folder)
            .map_err(failed)?;
        let mut archive = Archive {
            tar: tar::Builder::new(part.as_file()),
            top: format!("{}-{}", self.lab.name(), self.server.name),
            sums: String::new(),
        };
        let files = deliver::project_files(self.dir, &self.server.name);
        let keys = [deliver::KEY, deliver::PUBLIC_KEY].map(PathBuf::from);
        for path in files.into_iter().chain(keys) {
            let whole = self.dir.root().join(&path);
            let content = fs::read(&whole).map_err(|source| Error::Read {
                path: whole,
                source,
            })?;
            archive
                .add(&path.display().to_string(), &content)
                .map_err(failed)?;
        }
        if let Some(image) = self.image {
            let name = format!("{IMAGES}/{}", image.name);
            archive.add_image(&name, image)?;
            let sum = format!("{}\n", image.sha256);
            archive
                .add(&format!("{name}.sha256"), sum.as_bytes())
                .map_err(failed)?;
        }
        archive
            .add("README.md", self.readme().as_bytes())
            .map_err(failed)?;
        let (top, sums) = (archive.top.clone(), std::mem::take(&mut archive.sums));
        archive.add("SHA256SUMS", sums.as_bytes()).map_err(failed)?;
        archive.tar.finish().map_err(failed)?;
        drop(archive);
        part.as_file().sync_all().map_err(failed)?;
        let bytes = part.as_file().metadata().map_err(failed)?.len();
        part.persist(to).map_err(|error| failed(error.error))?;
        Ok(ExportedServer {
            path: to.to_owned(),
            bytes,
            folder: top,
        })
    }

    /// What somebody reads who unpacks it.
    fn readme(&self) -> String {
        let (lab, server) = (self.lab.name(), &self.server.name);
        let machines: Vec<&Machine> = self.lab.machines_on(self.server).collect();
        let names: Vec<&str> = machines.iter().map(|it| it.name.as_str()).collect();
        let rows: String = machines
            .iter()
            .map(|it| {
                format!(
                    "| {} | {} | {} | {} MiB | {} |\n",
                    it.name, it.role, it.ip, it.memory_mib, it.cpus
                )
            })
            .collect();
        let memory: u32 = machines.iter().map(|it| it.memory_mib).sum();
        let needs = match self.provider {
            Provider::Docker => {
                "Docker, which runs, and Vagrant 2.3 or newer. On Debian and Ubuntu: `sudo apt install docker.io vagrant`."
            }
            Provider::Libvirt => {
                "libvirt with QEMU, which runs, Vagrant 2.3 or newer and its plugin for libvirt. On Debian and Ubuntu: `sudo apt install libvirt-daemon-system qemu-system vagrant vagrant-libvirt`."
            }
            Provider::VirtualBox => {
                "VirtualBox and Vagrant 2.3 or newer, from <https://www.virtualbox.org> and <https://developer.hashicorp.com/vagrant>."
            }
        };
        let bridge = match &self.server.bridge {
            None => String::new(),
            Some(bridge) => format!(
                "- The network interface `{bridge}`, joined to the LAN of the other servers. If it is called otherwise here, \
                 change the one line `BRIDGE =` in `{server}/Vagrantfile`.\n"
            ),
        };
        let image = match self.image {
            Some(image) => format!(
                "`{IMAGES}/{}` is what the machines are made from; Vagrant takes it from there.",
                image.name
            ),
            None => format!(
                "The machines are made from `{}`, which is not in this archive.",
                self.image_name
            ),
        };
        format!(
            "# Server `{server}` of lab `{lab}`\n\n\
             | machine | role | address | memory | CPUs |\n|---|---|---|---|---|\n{rows}\n\
             ## What this computer needs\n\n\
             - {needs}\n{bridge}- {memory} MiB of memory for the machines.\n\n\
             Nothing else: no Rust, and nothing of this archive's maker.\n{image}\n\n\
             ## Use\n\n\
             ```console\n$ sha256sum --check --quiet SHA256SUMS     # macOS: shasum -a 256 --check\n$ cd {server}\n$ vagrant up {all}\n\
             $ vagrant status\n$ vagrant ssh {first}\n$ vagrant halt\n$ vagrant destroy -f\n```\n\n\
             Machines can be named one by one, and come in any order: each waits for what it needs of the others, also of those\n\
             on other computers, and goes on by itself. `vagrant ssh {first} -c 'sudo journalctl -fu caravan-bootstrap'` shows\n\
             what it does. `vagrant halt` stops etcd's machines last if the others are halted first.\n\n\
             ## Keep it to yourself\n\n\
             Each machine's archive holds its private keys, and `ssh/id_ecdsa` opens every machine of the lab. Keep this folder\n\
             readable for its owner alone, as it was packed, and remove it when the lab is gone.\n",
            all = names.join(" "),
            first = names.first().copied().unwrap_or("MACHINE"),
        )
    }
}

/// An archive that is being written.
struct Archive<'a> {
    tar: tar::Builder<&'a File>,
    top: String,
    sums: String,
}

impl Archive<'_> {
    fn add(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.note(path, &hex(&Sha256::digest(content)));
        let mut header = header(content.len() as u64);
        let path = format!("{}/{path}", self.top);
        self.tar.append_data(&mut header, path, content)
    }

    fn add_image(&mut self, path: &str, image: &ImageFile) -> Result<(), Error> {
        let failed = |source| Error::Read {
            path: image.path.clone(),
            source,
        };
        let file = File::open(&image.path).map_err(failed)?;
        let mut header = header(file.metadata().map_err(failed)?.len());
        let mut read = Summed {
            inner: file,
            state: Sha256::new(),
        };
        let whole = format!("{}/{path}", self.top);
        self.tar
            .append_data(&mut header, whole, &mut read)
            .map_err(failed)?;
        let sum = hex(&read.state.finalize());
        if sum != image.sha256 {
            let text = format!("its SHA-256 is {sum}, and was {}", image.sha256);
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        self.note(path, &sum);
        Ok(())
    }

    fn note(&mut self, path: &str, sum: &str) {
        if path != "SHA256SUMS" {
            self.sums += &format!("{sum}  {path}\n");
        }
    }
}

/// Reads a file and sums it.
struct Summed {
    inner: File,
    state: Sha256,
}

impl Read for Summed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.state.update(&buffer[..count]);
        Ok(count)
    }
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    header
}
