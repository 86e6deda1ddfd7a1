//! The packet filter tools that kube-proxy runs, cut out of the base system as an image layer.
//!
//! Taken by package: what the package database says a tool consists of and depends on. The whole base system would do,
//! and would put 190 MB into each machine's image store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::Path;

use crate::{digest, oci};

/// The tools: `nft` for the nftables mode, the iptables family for the other, and `conntrack`.
const TOOLS: [&str; 3] = ["conntrack", "iptables", "nftables"];

/// Files of these packages that no program here reads.
const LEFT_OUT: [&str; 6] = [
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/locale/",
    "usr/share/lintian/",
    "usr/share/bash-completion/",
    "var/",
];

/// The names by which kube-proxy calls iptables. Distributions make them when the package is set up, not in the package.
const IPTABLES: [&str; 6] = [
    "ip6tables",
    "ip6tables-restore",
    "ip6tables-save",
    "iptables",
    "iptables-restore",
    "iptables-save",
];

/// Folders that may be links into `usr/`.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Writes the layer for the base system `root` (a tar file) to `to`.
pub(crate) fn write(root: &Path, to: &Path) -> io::Result<()> {
    let database = Database::read(root)?;
    let wanted = database.files_of(&TOOLS)?;
    let mut found: BTreeMap<String, (tar::Header, Vec<u8>)> = BTreeMap::new();
    for entry in tar::Archive::new(open(root)?).entries()? {
        let mut entry = entry?;
        let path = clean(&entry.path()?);
        if !wanted.contains(&path) || entry.header().entry_type().is_dir() {
            continue;
        }
        let mode = entry.header().mode()?;
        let kind = entry.header().entry_type();
        let mut content = Vec::new();
        let mut header = match entry.link_name()? {
            Some(target) => {
                let mut header = oci::header(0, 0o777, kind);
                // A symbolic link's target is as it is written; a hard link's is a path of the archive.
                let target = if kind.is_hard_link() {
                    clean(&target)
                } else {
                    target.to_string_lossy().into_owned()
                };
                header.set_link_name(target)?;
                header
            }
            None => {
                entry.read_to_end(&mut content)?;
                oci::header(content.len() as u64, mode, tar::EntryType::Regular)
            }
        };
        header.set_cksum();
        found.insert(path, (header, content));
    }
    let multi = found
        .keys()
        .find(|path| path.ends_with("sbin/xtables-nft-multi"))
        .cloned()
        .ok_or_else(|| {
            io::Error::other("the base system's package `iptables` has no `xtables-nft-multi`")
        })?;
    let folder = multi
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder)
        .to_owned();
    for name in IPTABLES {
        found.insert(format!("{folder}/{name}"), link("xtables-nft-multi")?);
    }
    for (from, target) in &database.merged {
        found.insert(from.clone(), link(target)?);
    }

    let mut layer = tar::Builder::new(BufWriter::with_capacity(digest::CHUNK, File::create(to)?));
    oci::add_folder(&mut layer, "etc/", 0o755)?;
    oci::add_bytes(
        &mut layer,
        "etc/passwd",
        b"root:x:0:0:root:/root:/sbin/nologin\n",
        0o644,
    )?;
    oci::add_folder(&mut layer, "run/", 0o755)?;
    oci::add_folder(&mut layer, "tmp/", 0o1777)?;
    let mut folders: BTreeSet<String> = ["etc", "run", "tmp"].map(str::to_owned).into();
    for (path, (mut header, content)) in found {
        for (end, _) in path.match_indices('/') {
            if folders.insert(path[..end].to_owned()) {
                oci::add_folder(&mut layer, &path[..=end], 0o755)?;
            }
        }
        if header.entry_type().is_hard_link() || header.entry_type().is_symlink() {
            let target = header
                .link_name()?
                .map(|target| target.into_owned())
                .unwrap_or_default();
            layer.append_link(&mut header, &path, target)?;
        } else {
            layer.append_data(&mut header, &path, content.as_slice())?;
        }
    }
    layer.into_inner()?.into_inner()?.sync_all()
}

fn link(target: &str) -> io::Result<(tar::Header, Vec<u8>)> {
    let mut header = oci::header(0, 0o777, tar::EntryType::Symlink);
    header.set_link_name(target)?;
    Ok((header, Vec::new()))
}

fn open(root: &Path) -> io::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(digest::CHUNK, File::open(root)?))
}

/// `./usr/bin/` -> `usr/bin`.
fn clean(path: &Path) -> String {
    let path = path.to_string_lossy();
    path.trim_start_matches("./")
        .trim_start_matches('/')
        .trim_end_matches('/')
        .to_owned()
}

/// What the base system's package database says.
#[derive(Default)]
struct Database {
    /// Package -> what it depends on; each a list of alternatives.
    depends: BTreeMap<String, Vec<Vec<String>>>,
    /// Package -> its files, with the paths of the database.
    lists: BTreeMap<String, Vec<String>>,
    /// Top folder -> where it links to.
    merged: BTreeMap<String, String>,
}

impl Database {
    fn read(root: &Path) -> io::Result<Self> {
        let mut database = Self::default();
        for entry in tar::Archive::new(open(root)?).entries()? {
            let mut entry = entry?;
            let path = clean(&entry.path()?);
            if MERGED.contains(&path.as_str()) {
                if let Some(target) = entry.link_name()? {
                    let target = target.to_string_lossy().into_owned();
                    database.merged.insert(path, target);
                }
            } else if path == "var/lib/dpkg/status" {
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                database.depends = text.split("\n\n").filter_map(package).collect();
            } else if let Some(list) = path
                .strip_prefix("var/lib/dpkg/info/")
                .and_then(|file| file.strip_suffix(".list"))
            {
                let package = list.split(':').next().unwrap_or(list).to_owned();
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                database
                    .lists
                    .insert(package, text.lines().map(str::to_owned).collect());
            }
        }
        Ok(database)
    }

    /// The files of `packages` and of all that they depend on, with the paths of the file system.
    fn files_of(&self, packages: &[&str]) -> io::Result<BTreeSet<String>> {
        let mut files = BTreeSet::new();
        for package in self.closure(packages)? {
            for file in self.lists.get(&package).into_iter().flatten() {
                let path = self.settled(&clean(Path::new(file)));
                let needless = LEFT_OUT.iter().any(|folder| path.starts_with(folder))
                    || path.contains("/gconv/");
                if !needless {
                    files.insert(path);
                }
            }
        }
        Ok(files)
    }

    fn closure(&self, packages: &[&str]) -> io::Result<BTreeSet<String>> {
        let mut closure = BTreeSet::new();
        let mut open: Vec<String> = packages.iter().map(|&package| package.to_owned()).collect();
        while let Some(package) = open.pop() {
            let Some(depends) = self.depends.get(&package) else {
                return Err(io::Error::other(format!(
                    "the base system lacks the package `{package}`"
                )));
            };
            // What asks questions at installation has nothing to do with running.
            if package == "debconf" || !closure.insert(package) {
                continue;
            }
            for alternatives in depends {
                // None installed: a virtual package, which only maintainer scripts ask for here.
                open.extend(
                    alternatives
                        .iter()
                        .find(|name| self.depends.contains_key(*name))
                        .cloned(),
                );
            }
        }
        Ok(closure)
    }

    /// `lib/x` -> `usr/lib/x` where `lib` is a link.
    fn settled(&self, path: &str) -> String {
        match path.split_once('/') {
            Some((top, rest)) => match self.merged.get(top) {
                Some(target) => format!("{}/{rest}", target.trim_start_matches('/')),
                None => path.to_owned(),
            },
            None => path.to_owned(),
        }
    }
}

/// One paragraph of the status file.
fn package(paragraph: &str) -> Option<(String, Vec<Vec<String>>)> {
    let field = |name: &str| {
        paragraph
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    if !field("Status")?.ends_with(" installed") {
        return None;
    }
    let depends = ["Pre-Depends", "Depends"]
        .into_iter()
        .filter_map(field)
        .flat_map(|list| list.split(','))
        .map(|alternatives| {
            alternatives
                .split('|')
                .filter_map(|name| name.trim().split([' ', ':']).next())
                .map(str::to_owned)
                .collect()
        })
        .collect();
    Some((field("Package")?.to_owned(), depends))
}

#[cfg(test)]
pub(crate) mod tests;
