//! Every rendered file of both labs, compared with `tests/golden/`. `UPDATE_EXPECT=1 cargo test -p caravan-render` writes
//! them anew.
//!
//! Files lie there as on a machine, so that native tools read them (`checkers.rs`). Files that are the same on every
//! machine are not repeated: `files.txt` names them, and they are below `templates/`. Keys are words.

use crate::labs;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use caravan_lab::{Lab, Provider};
use caravan_render::{GuestFile, HostFile, Material, Settings, Software, group_files, guest_files};
use expect_test::expect_file;

/// Compares with the golden file `path`.
fn check(path: &str, actual: &str) {
    let path = labs::golden(path);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    }
    expect_file![path].assert_eq(actual);
}

fn rendered(file: &GuestFile) -> bool {
    file.template
        .is_none_or(|template| template.ends_with(".hbs"))
}

fn list(files: &[GuestFile]) -> String {
    let mut list = String::new();
    for file in files {
        writeln!(list, "{:04o} {}", file.mode, file.path).unwrap();
    }
    list
}

#[test]
fn machines_files() {
    let mut expected = BTreeSet::new();
    for name in ["ha", "external-etcd", "flannel"] {
        let lab = labs::lab(name);
        let material = Material::placeholder(&lab).unwrap();
        for machine in lab.machines() {
            let settings = labs::settings(Provider::Docker);
            let files =
                guest_files(&lab, machine, &Software::example(), &settings, &material).unwrap();
            let folder = format!("{name}/{}", machine.name);
            check(&format!("{folder}/files.txt"), &list(&files));
            expected.insert(labs::golden(&format!("{folder}/files.txt")));
            for file in files.iter().filter(|file| rendered(file)) {
                let path = format!("{folder}{}", file.path);
                check(&path, &file.content);
                expected.insert(labs::golden(&path));
            }
            let stray: Vec<_> = below(&labs::golden(&folder))
                .into_iter()
                .filter(|path| !expected.contains(path))
                .collect();
            assert_eq!(
                stray,
                Vec::<PathBuf>::new(),
                "golden files that nothing renders"
            );
        }
    }
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Returns the lab ha over two computers that share a LAN.
fn two_servers() -> Lab {
    let source = labs::source("ha").replace(
        "[servers.server1]\n[servers.server2]\n",
        "[servers.server1]\nbridge = \"enp3s0\"\n\
         [servers.server2]\nhost = \"ssh://lab@192.168.29.2\"\nbridge = \"eno1\"\n",
    );
    assert!(source.contains("eno1"), "labs/ha.toml has other servers");
    labs::parse("ha", &source)
}

#[test]
fn vagrantfiles() {
    let cases: [(&str, Lab, Provider); 5] = [
        ("ha", labs::lab("ha"), Provider::Docker),
        (
            "external-etcd",
            labs::lab("external-etcd"),
            Provider::Docker,
        ),
        ("ha-libvirt", labs::lab("ha"), Provider::Libvirt),
        ("ha-virtualbox", labs::lab("ha"), Provider::VirtualBox),
        ("ha-two-servers", two_servers(), Provider::Libvirt),
    ];
    for (folder, lab, provider) in cases {
        for server in lab.servers() {
            let files = group(&lab, &server.name, &labs::settings(provider));
            let vagrantfile = find(&files, "Vagrantfile");
            let text = std::str::from_utf8(&vagrantfile.content).unwrap();
            check(&format!("{folder}/{}/Vagrantfile", server.name), text);
        }
    }
}

fn group(lab: &Lab, server: &str, settings: &Settings) -> Vec<HostFile> {
    let material = Material::placeholder(lab).unwrap();
    let server = lab.server(server).unwrap();
    group_files(lab, server, &Software::example(), settings, &material, None).unwrap()
}

fn find<'a>(files: &'a [HostFile], path: &str) -> &'a HostFile {
    files.iter().find(|file| file.path == path).unwrap()
}

#[test]
fn archive_head() {
    let lab = labs::lab("ha");
    let files = group(&lab, "server1", &labs::settings(Provider::Docker));
    let script = find(&files, "machines/masterone.sh");
    assert_eq!(script.mode, 0o600);
    let end = b"\nexit 0\n";
    let length = script
        .content
        .windows(end.len())
        .position(|bytes| bytes == end)
        .unwrap();
    let head = std::str::from_utf8(&script.content[..length + end.len()]).unwrap();
    check("ha/server1/machines/masterone.sh.head", head);
    let first = head.lines().count() + 1;
    assert!(
        head.contains(&format!("tail -n +{first} -- \"$0\"")),
        "{head}"
    );
}

#[test]
fn archives_hold_every_file_with_its_mode() {
    let lab = labs::lab("ha");
    let settings = labs::settings(Provider::Docker);
    let material = Material::placeholder(&lab).unwrap();
    for server in lab.servers() {
        let files = group(&lab, &server.name, &settings);
        for machine in lab.machines_on(server) {
            let script = find(&files, &format!("machines/{}.sh", machine.name));
            let end = b"\nexit 0\n";
            let start = script
                .content
                .windows(end.len())
                .position(|bytes| bytes == end)
                .unwrap();
            let mut archive = tar::Archive::new(&script.content[start + end.len()..]);
            let held: Vec<_> = archive
                .entries()
                .unwrap()
                .map(|entry| {
                    let entry = entry.unwrap();
                    let header = entry.header();
                    assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
                    let path = entry.path().unwrap().display().to_string();
                    (header.mode().unwrap(), format!("/{path}"))
                })
                .collect();
            let wanted = guest_files(&lab, machine, &Software::example(), &settings, &material);
            let wanted: Vec<_> = wanted
                .unwrap()
                .iter()
                .map(|file| (file.mode, file.path.to_string()))
                .collect();
            assert_eq!(held, wanted, "{}", machine.name);
        }
    }
}

#[test]
fn same_lab_gives_the_same_bytes() {
    let lab = labs::lab("ha");
    let settings = labs::settings(Provider::Docker);
    for server in ["server1", "server2"] {
        assert_eq!(
            group(&lab, server, &settings),
            group(&lab, server, &settings)
        );
    }
}

/// A key that is readable by others, or on a machine that has no use for it, is the worst fault there is.
#[test]
fn secrets_are_where_they_belong_and_nowhere_else() {
    for name in ["ha", "external-etcd", "flannel"] {
        let lab = labs::lab(name);
        let material = Material::placeholder(&lab).unwrap();
        let settings = labs::settings(Provider::Docker);
        for machine in lab.machines() {
            let files =
                guest_files(&lab, machine, &Software::example(), &settings, &material).unwrap();
            for file in &files {
                let path = &file.path;
                let holds_secret =
                    file.content.contains("<key:") || file.content.contains("<etcd-cluster-token>");
                assert!(!holds_secret || file.mode & 0o077 == 0, "{path} is open");
                assert_eq!(file.secret, file.mode & 0o077 == 0, "{path}");
                let role = machine.role.word();
                let etcd_key = file.content.contains("<key: apiserver-etcd-client>");
                assert!(
                    !etcd_key || role == "control-plane",
                    "{path} on {}",
                    machine.name
                );
                let authority = file.content.contains("CA>") && file.content.contains("<key:");
                assert!(
                    !authority || role == "control-plane",
                    "{path} on {}",
                    machine.name
                );
                assert!(!file.content.contains("<key: etcd CA>"), "{path}");
            }
            let keys = |word: &str| {
                files
                    .iter()
                    .filter(|file| file.content.contains("<key:") && file.content.contains(word))
                    .count()
            };
            for other in lab
                .machines()
                .iter()
                .filter(|other| other.name != machine.name)
            {
                let found: usize = ["server", "peer", "kubelet"]
                    .map(|of| keys(&format!("{} {of}", other.name)))
                    .iter()
                    .sum();
                assert_eq!(found, 0, "{} holds keys of {}", machine.name, other.name);
            }
            let own = usize::from(machine.role.is_node());
            assert_eq!(keys(&format!("{} kubelet", machine.name)), own);
        }
    }
}

#[test]
fn every_file_is_explained_and_nothing_else() {
    let mut paths = BTreeSet::new();
    for name in ["ha", "external-etcd", "flannel"] {
        let lab = labs::lab(name);
        let material = Material::placeholder(&lab).unwrap();
        let settings = labs::settings(Provider::Docker);
        let software = Software::example();
        for machine in lab.machines() {
            let files = guest_files(&lab, machine, &software, &settings, &material).unwrap();
            paths.extend(files.into_iter().map(|file| file.path.to_string()));
        }
    }
    let explained: BTreeSet<_> = caravan_render::explain::paths().map(String::from).collect();
    assert_eq!(explained, paths);
}

#[test]
fn a_template_of_ones_own() {
    let lab = labs::lab("ha");
    let settings = labs::settings(Provider::Docker);
    let material = Material::placeholder(&lab).unwrap();
    let own = |template| {
        let server = lab.server("server1").unwrap();
        group_files(
            &lab,
            server,
            &Software::example(),
            &settings,
            &material,
            Some(template),
        )
    };
    let files = own("{{lab}} {{#each machines}}{{name}} {{/each}}").unwrap();
    let text = std::str::from_utf8(&find(&files, "Vagrantfile").content).unwrap();
    assert_eq!(text, "ha masterone mastertwo masterthree ");
    for (template, message) in [
        (
            "{{#each machines}}",
            "cannot parse template `Vagrantfile.hbs`",
        ),
        ("{{memory}}", "cannot render template `Vagrantfile.hbs`"),
    ] {
        let error = own(template).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.hint("").is_some());
    }
}
