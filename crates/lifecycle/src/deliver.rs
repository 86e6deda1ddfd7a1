//! What the computers of other servers are sent: their Vagrant projects, the lab's ssh key, and what machines are made from.
//!
//! Only what differs crosses the connection, and what an interruption cut short is taken up again by the next run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_bundle::image_file::ImageFile;
use caravan_lab::{Lab, Provider};
use caravan_process::{Computer, FileToSend};
use caravan_vagrant::engine::DockerMachines;
use sha2::{Digest, Sha256};

use crate::files::hex;
use crate::{Error, LabComputers, LabDir};

/// How long a short question, or small files, may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Where, below the lab's folder, the lab's private key lies: the Vagrantfile looks for it there.
pub(crate) const KEY: &str = "ssh/id_ecdsa";

/// Its public half. Without it, the ssh library of Vagrant 2.3 makes one of the private key that it cannot use.
pub(crate) const PUBLIC_KEY: &str = "ssh/id_ecdsa.pub";

/// Prints the sums of all files that were sent before.
const LIST: &str = r#"cd -- "$1" 2>/dev/null || exit 0
sum=sha256sum
command -v $sum >/dev/null || sum='shasum -a 256'
find . -type f ! -path '*/.vagrant/*' ! -path '*/.caravan-run/*' ! -path './vagrant.d/*' ! -path './.incoming/*' -exec $sum {} +
"#;

/// Unpacks `$2` files beside the others and gives each its name once all have arrived.
const UNPACK: &str = r#"set -e
umask 077
mkdir -p -- "$1"
cd -- "$1"
chmod 700 .
rm -rf .incoming
mkdir .incoming
trap 'rm -rf .incoming' EXIT
tar -xpf - -C .incoming
count=$(find .incoming -type f | wc -l)
if [ "$count" -ne "$2" ]; then echo "$((count)) of $2 files arrived" >&2; exit 1; fi
cd .incoming
find . -type f | while IFS= read -r file; do
    mkdir -p -- "../${file%/*}"
    mv -f -- "$file" "../$file"
done
cd ..
"#;

/// What was sent to one computer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// How many files of projects.
    pub files: usize,
    /// How many bytes of them, and of images.
    pub bytes: u64,
}

/// A file of the lab's folder, by its path in it.
#[derive(Debug)]
struct ProjectFile {
    path: String,
    content: Vec<u8>,
    mode: u32,
}

/// What is to be sent to one computer.
#[derive(Debug)]
pub struct Parcel<'a> {
    /// The computer, as the lab file names it.
    pub host: &'a str,
    /// The lab's servers on it that are meant.
    pub servers: Vec<&'a str>,
    /// What machines of those are made from, by what runs them; none that the computer has to have already.
    pub images: BTreeMap<Provider, ImageFile>,
}

/// Sends a parcel; `tell` is told what is done, again and again.
///
/// # Errors
///
/// [`Error::SentFromElsewhere`] before anything is sent, [`Error::Process`], [`Error::Read`], [`Error::Vagrant`].
pub fn send(
    lab: &Lab,
    dir: &LabDir,
    computers: &LabComputers,
    parcel: &Parcel<'_>,
    tell: &dyn Fn(&str),
) -> Result<Delivery, Error> {
    let computer = computers.computer(Some(parcel.host));
    let folder = computers.folder(parcel.host)?;
    let mut delivery = send_projects(lab, dir, &computer, &folder, parcel)?;
    let images = computers.images(parcel.host)?;
    for (kind, image) in &parcel.images {
        if *kind == Provider::Docker && engine_has(&computer, image)? {
            continue;
        }
        delivery.bytes += send_image(&computer, &images, image, tell)?;
    }
    Ok(delivery)
}

/// Removes what was sent of a lab, once it has no machine there any more. Images stay, as they do here.
///
/// # Errors
///
/// [`Error::Process`].
pub fn remove(computers: &LabComputers, host: &str) -> Result<(), Error> {
    let folder = computers.folder(host)?.display().to_string();
    let computer = computers.computer(Some(host));
    // The folders around it go with the last lab.
    let script = "rm -rf -- \"$1\" && rmdir -- \"${1%/*}\" 2>/dev/null; [ ! -e \"$1\" ]";
    let output = computer.run(&["sh", "-c", script, "remove", &folder], "", LIMIT)?;
    match output.success() {
        true => Ok(()),
        false => Err(not_put(&computer, &folder, &output.stderr)),
    }
}

/// Refuses a lab that another workspace sent to one of the computers: its user has its keys and counts on its machines. One
/// that does not answer is told of where its machines are asked for.
///
/// # Errors
///
/// [`Error::SentFromElsewhere`].
pub fn hold_all_ours(lab: &str, dir: &LabDir, computers: &LabComputers) -> Result<(), Error> {
    for (host, _) in computers.servers() {
        let computer = computers.computer(Some(host));
        let Ok(folder) = computers.folder(host) else {
            continue;
        };
        if let Ok(there) = files_there(&computer, &folder) {
            hold_ours(lab, dir, host, &folder, &there)?;
        }
    }
    Ok(())
}

/// Whether what lies in `folder` there was sent from this workspace, by the lab's key: none there is nobody's.
fn hold_ours(
    lab: &str,
    dir: &LabDir,
    host: &str,
    folder: &Path,
    there: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let ours = fs::read(dir.ssh_key()).map(|key| hex(&Sha256::digest(key)));
    match there.get(KEY) {
        Some(theirs) if ours.ok().as_ref() != Some(theirs) => Err(Error::SentFromElsewhere {
            lab: lab.to_owned(),
            host: host.to_owned(),
            folder: folder.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn send_projects(
    lab: &Lab,
    dir: &LabDir,
    computer: &Computer,
    folder: &Path,
    parcel: &Parcel<'_>,
) -> Result<Delivery, Error> {
    let mut wanted = Vec::new();
    for server in &parcel.servers {
        wanted.extend(project(dir, server)?);
    }
    for key in [KEY, PUBLIC_KEY] {
        wanted.push(read(dir.root(), Path::new(key))?);
    }
    let there = files_there(computer, folder)?;
    let is_there =
        |file: &ProjectFile| there.get(&file.path) == Some(&hex(&Sha256::digest(&file.content)));
    hold_ours(lab.name(), dir, parcel.host, folder, &there)?;
    wanted.retain(|file| !is_there(file));
    if wanted.is_empty() {
        return Ok(Delivery::default());
    }
    let mut archive = tar::Builder::new(Vec::new());
    for file in &wanted {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.content.len() as u64);
        header.set_mode(file.mode);
        archive
            .append_data(&mut header, &file.path, file.content.as_slice())
            .expect("writing to memory");
    }
    let archive = archive.into_inner().expect("writing to memory");
    let bytes = archive.len() as u64;
    let (shown, count) = (folder.display().to_string(), wanted.len().to_string());
    let words = ["sh", "-c", UNPACK, "unpack", &shown, &count];
    let output = computer.run(&words, archive, LIMIT)?;
    match output.success() {
        true => Ok(Delivery {
            files: wanted.len(),
            bytes,
        }),
        false => Err(not_put(computer, &shown, &output.stderr)),
    }
}

/// The files of a server's project, as they are on this computer.
pub(crate) fn project_files(dir: &LabDir, server: &str) -> Vec<PathBuf> {
    let mut paths = vec![Path::new(server).join("Vagrantfile")];
    let machines = Path::new(server).join("machines");
    if let Ok(entries) = fs::read_dir(dir.root().join(&machines)) {
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        paths.extend(names.into_iter().map(|name| machines.join(name)));
    }
    paths
}

fn project(dir: &LabDir, server: &str) -> Result<Vec<ProjectFile>, Error> {
    let paths = project_files(dir, server).into_iter();
    paths.map(|path| read(dir.root(), &path)).collect()
}

fn read(root: &Path, path: &Path) -> Result<ProjectFile, Error> {
    let whole = root.join(path);
    let content = fs::read(&whole).map_err(|source| Error::Read {
        path: whole,
        source,
    })?;
    Ok(ProjectFile {
        path: path.display().to_string(),
        content,
        mode: 0o600,
    })
}

/// The sums of the files in the lab's folder there, by path.
fn files_there(computer: &Computer, folder: &Path) -> Result<BTreeMap<String, String>, Error> {
    let folder = folder.display().to_string();
    let output = computer.run(&["sh", "-c", LIST, "list", &folder], "", LIMIT)?;
    let files = output.stdout.lines().filter_map(|line| {
        let (sum, path) = line.split_once(' ')?;
        // The second mark is that of a binary file.
        let path = path.trim_start_matches([' ', '*']);
        Some((path.trim_start_matches("./").to_owned(), sum.to_owned()))
    });
    Ok(files.collect())
}

/// Whether an engine has an image already.
fn engine_has(computer: &Computer, image: &ImageFile) -> Result<bool, Error> {
    let found = DockerMachines::on(computer)?.machine_images()?;
    let names: BTreeSet<String> = (found.iter())
        .map(|name| caravan_bundle::image_file::archive_name(name))
        .collect();
    Ok(names.contains(&image.name))
}

/// Sends an image and, for Vagrant, its sum; returns how many bytes were sent.
fn send_image(
    computer: &Computer,
    folder: &Path,
    image: &ImageFile,
    tell: &dyn Fn(&str),
) -> Result<u64, Error> {
    let to = folder.join(&image.name).display().to_string();
    let size = match fs::metadata(&image.path) {
        Ok(found) => found.len(),
        Err(source) if source.kind() == ErrorKind::NotFound => 0,
        Err(source) => {
            return Err(Error::Read {
                path: image.path.clone(),
                source,
            });
        }
    };
    let file = FileToSend {
        from: &image.path,
        to: &to,
        mode: 0o600,
        sha256: &image.sha256,
    };
    let mut told = u64::MAX;
    let sent = computer.send(&file, &mut |bytes| {
        let hundredth = bytes * 100 / size.max(1);
        if hundredth != told {
            told = hundredth;
            let name = &image.name;
            tell(&format!(
                "sends `{name}` to {computer}: {} of {} MiB",
                bytes >> 20,
                size >> 20
            ));
        }
    })?;
    if sent.bytes > 0 {
        let sum = format!("{}\n", image.sha256);
        computer.put(&format!("{to}.sha256"), 0o600, sum, LIMIT)?;
    }
    Ok(sent.bytes)
}

fn not_put(computer: &Computer, path: &str, said: &str) -> Error {
    caravan_process::Error::Put {
        computer: computer.to_string(),
        path: path.to_owned(),
        said: said.trim().replace('\n', "; "),
    }
    .into()
}
