//! Every rendered file of all machines, compared with `tests/golden/`. `UPDATE_EXPECT=1 cargo test -p caravan-render`
//! writes them anew.
//!
//! Of the first machine of each role all files lie there as on the machine; those that are the same on every machine are
//! not repeated: `files.txt` names them, and they are below `templates/`. Of each other machine `differences.txt` says in
//! which lines its files differ from those of its role's first: what it does not say is the same. Keys are words.

use crate::labs;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use caravan_lab::{Lab, Provider, Role};
use caravan_render::{GuestFile, HostFile, Material, Settings, Software, group_files, guest_files};
use expect_test::expect_file;
use similar::TextDiff;

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

/// Returns the lines in which a machine's files differ from those of `first`, file by file; lines have their numbers.
fn differences(first: &[GuestFile], files: &[GuestFile]) -> String {
    // What only one of them has differs from nothing.
    let texts = |files: &[GuestFile]| {
        let contents = files
            .iter()
            .map(|file| (file.path.to_string(), file.content.to_string()));
        let list = ("files.txt".to_owned(), list(files));
        contents.chain([list]).collect::<BTreeMap<_, _>>()
    };
    let (first, files) = (texts(first), texts(files));
    let paths: BTreeSet<_> = first.keys().chain(files.keys()).collect();
    let mut told = String::new();
    for path in paths {
        let text = |of: &BTreeMap<String, String>| of.get(path).cloned().unwrap_or_default();
        let (before, after) = (text(&first), text(&files));
        let diff = TextDiff::from_lines(&before, &after);
        let diff = diff.unified_diff().context_radius(0).to_string();
        if !diff.is_empty() {
            write!(told, "\n{path}\n{diff}").unwrap();
        }
    }
    told
}

#[test]
fn machines_files() {
    for name in [
        "ha",
        "ha-apps",
        "external-etcd",
        "flannel",
        "settings",
        "mixed",
        "three-servers",
    ] {
        let lab = labs::lab(name);
        let material = Material::placeholder(&lab).unwrap();
        let settings = labs::settings_of_file(&lab);
        let software = Software::example();
        let rendered_for =
            |machine| guest_files(&lab, machine, &software, &settings, &material).unwrap();
        let mut expected = BTreeSet::new();
        let mut table = String::new();
        for role in Role::ALL {
            let mut machines = lab.of_role(role);
            let Some(first) = machines.next() else {
                continue;
            };
            let files = rendered_for(first);
            let folder = format!("{name}/{}", first.name);
            check(&format!("{folder}/files.txt"), &list(&files));
            expected.insert(labs::golden(&format!("{folder}/files.txt")));
            for file in files.iter().filter(|file| rendered(file)) {
                let path = format!("{folder}{}", file.path);
                check(&path, &file.content);
                expected.insert(labs::golden(&path));
            }
            for machine in machines {
                let differences = differences(&files, &rendered_for(machine));
                let (name, first) = (&machine.name, &first.name);
                writeln!(
                    table,
                    "== {name}, where it is not like {first}\n{differences}"
                )
                .unwrap();
            }
        }
        check(&format!("{name}/differences.txt"), &table);
        expected.insert(labs::golden(&format!("{name}/differences.txt")));
        let of_servers = |path: &PathBuf| {
            let mut servers = lab.servers().iter();
            servers.any(|server| path.starts_with(labs::golden(&format!("{name}/{}", server.name))))
        };
        let stray: Vec<_> = below(&labs::golden(name))
            .into_iter()
            .filter(|path| !expected.contains(path) && !of_servers(path))
            .collect();
        assert_eq!(
            stray,
            Vec::<PathBuf>::new(),
            "golden files that nothing renders"
        );
    }
}

/// Returns the lab `name` in another subnet: its addresses are those that `moved` gives for their last numbers.
fn in_subnet(name: &str, subnet: &str, moved: impl Fn(u8) -> String) -> Lab {
    let mut source = labs::source(name).replace("192.168.29.0/24", subnet);
    for last in (1..=254).rev() {
        source = source.replace(
            &format!("192.168.29.{last}\""),
            &format!("{}\"", moved(last)),
        );
    }
    labs::parse(name, &source)
}

/// How a machine's files differ from those of the same machine in another lab; of the first machine of each role.
#[test]
fn virtual_machines_files() {
    let ha = labs::lab("ha");
    let external = labs::lab("external-etcd");
    let docker = labs::settings(Provider::Docker);
    let libvirt = labs::settings(Provider::Libvirt);
    let virtualbox = labs::settings(Provider::VirtualBox);
    let with_a_way_out = Settings {
        airgap: false,
        nameservers: vec!["10.9.8.7".parse().unwrap()],
        ..libvirt.clone()
    };
    let emulated = Settings {
        emulated: true,
        ..libvirt.clone()
    };
    let wide = in_subnet("ha", "172.20.0.0/16", |last| format!("172.20.{last}.9"));
    // Five machines and the gateway are all that it has room for.
    let narrow = in_subnet("external-etcd", "10.20.30.8/29", |last| {
        let place = match last {
            51 => 10,
            71 => 14,
            member => member.wrapping_sub(50),
        };
        format!("10.20.30.{place}")
    });
    let bridged = labs::parse("ha", &labs::bridged("\"br0\""));
    type Side<'a> = (&'a Lab, &'a Settings);
    let cases: [(&str, Side, Side); 7] = [
        ("docker-on-a-bridge", (&ha, &docker), (&bridged, &docker)),
        (
            "virtualbox-on-a-bridge",
            (&ha, &virtualbox),
            (&bridged, &virtualbox),
        ),
        ("libvirt", (&ha, &docker), (&ha, &libvirt)),
        (
            "libvirt-with-a-way-out",
            (&ha, &libvirt),
            (&ha, &with_a_way_out),
        ),
        ("libvirt-emulated", (&ha, &libvirt), (&ha, &emulated)),
        ("libvirt-subnet-16", (&ha, &libvirt), (&wide, &libvirt)),
        (
            "libvirt-subnet-29",
            (&external, &libvirt),
            (&narrow, &libvirt),
        ),
    ];
    for (case, before, after) in cases {
        let mut table = String::new();
        for role in Role::ALL {
            let Some(machine) = before.0.of_role(role).next() else {
                continue;
            };
            let files = |(lab, settings): Side| {
                let material = Material::placeholder(lab).unwrap();
                let machine = lab.machine(&machine.name).unwrap();
                guest_files(lab, machine, &Software::example(), settings, &material).unwrap()
            };
            let differences = differences(&files(before), &files(after));
            writeln!(table, "== {} ({role})\n{differences}", machine.name).unwrap();
        }
        check(&format!("virtual/{case}.txt"), &table);
    }
}

/// What the table does not say is the same: a change of any file of any machine shows in it.
#[test]
fn no_difference_is_left_out() {
    let lab = labs::lab("ha");
    let material = Material::placeholder(&lab).unwrap();
    let settings = labs::settings(Provider::Docker);
    let files = |name: &str| {
        let machine = lab.machine(name).unwrap();
        guest_files(&lab, machine, &Software::example(), &settings, &material).unwrap()
    };
    let first = files("lbone");
    assert_eq!(differences(&first, &first), "");
    let usual = differences(&first, &files("lbtwo"));
    assert!(
        usual.contains("\n/etc/caravan/hostname\n@@ -1 +1 @@\n-lbone\n+lbtwo\n"),
        "{usual}"
    );
    for place in 0..first.len() {
        let changed = |change: fn(&mut GuestFile)| {
            let mut files = files("lbtwo");
            change(&mut files[place]);
            differences(&first, &files)
        };
        let path = &first[place].path;
        let by_content = changed(|file| file.content = format!("{}more\n", file.content).into());
        assert_ne!(by_content, usual, "{path}");
        assert_ne!(changed(|file| file.mode = 0o777), usual, "{path}");
        let mut fewer = files("lbtwo");
        fewer.remove(place);
        assert_ne!(differences(&first, &fewer), usual, "{path}");
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
        "[servers.server1]\nbridge = \"enp3s0\"\naddress = \"192.168.29.11\"\n\
         [servers.server2]\nhost = \"ssh://lab@192.168.29.2\"\nbridge = \"eno1\"\naddress = \"192.168.29.2\"\n",
    );
    assert!(source.contains("eno1"), "labs/ha.toml has other servers");
    labs::parse("ha", &source)
}

/// A Mac and a computer with Windows, where interfaces have names of several words; and a smaller subnet.
fn bridged() -> Lab {
    let source = labs::source("ha")
        .replace(
            "[servers.server1]\n[servers.server2]\n",
            "[servers.server1]\nbridge = \"en0: Ethernet\"\naddress = \"192.168.29.11\"\n\
             [servers.server2]\nhost = \"ssh://lab@192.168.29.2\"\naddress = \"192.168.29.2\"\n\
             bridge = \"Intel(R) Ethernet Connection (2) I219-V #2\"\n",
        )
        .replace("192.168.29.0/24", "192.168.29.0/25")
        .replace("kubernetes =", "provider = \"virtualbox\"\nkubernetes =");
    assert!(source.contains("I219-V") && source.contains("/25"));
    labs::parse("ha", &source)
}

#[test]
fn vagrantfiles() {
    let of = labs::settings;
    let mixed = labs::lab("mixed");
    let of_mixed = labs::settings_of_file(&mixed);
    let three_servers = labs::lab("three-servers");
    let of_three_servers = labs::settings_of_file(&three_servers);
    let cases: [(&str, Lab, Settings); 9] = [
        ("ha", labs::lab("ha"), of(Provider::Docker)),
        (
            "external-etcd",
            labs::lab("external-etcd"),
            of(Provider::Docker),
        ),
        ("ha-libvirt", labs::lab("ha"), of(Provider::Libvirt)),
        ("ha-virtualbox", labs::lab("ha"), of(Provider::VirtualBox)),
        ("ha-two-servers", two_servers(), of(Provider::Libvirt)),
        ("ha-docker-bridged", two_servers(), of(Provider::Docker)),
        ("mixed", mixed, of_mixed),
        ("three-servers", three_servers, of_three_servers),
        ("ha-virtualbox-bridged", bridged(), of(Provider::VirtualBox)),
    ];
    for (folder, lab, settings) in cases {
        for server in lab.servers() {
            let files = group(&lab, &server.name, &settings);
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
fn archive_heads() {
    archive_head("ha", Provider::Docker);
    archive_head("ha-libvirt", Provider::Libvirt);
}

fn archive_head(folder: &str, provider: Provider) {
    let lab = labs::lab("ha");
    let files = group(&lab, "server1", &labs::settings(provider));
    let script = find(&files, "machines/masterone.sh");
    assert_eq!(script.mode, 0o600);
    let end = b"\nexit 0\n";
    let length = script
        .content
        .windows(end.len())
        .position(|bytes| bytes == end)
        .unwrap();
    let head = std::str::from_utf8(&script.content[..length + end.len()]).unwrap();
    check(
        &format!("{folder}/server1/machines/masterone.sh.head"),
        head,
    );
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
    let labs = ["ha", "external-etcd", "flannel", "ha-apps"];
    for (name, kind) in labs.into_iter().zip(labs::KINDS.into_iter().cycle()) {
        let lab = labs::lab(name);
        let material = Material::placeholder(&lab).unwrap();
        let settings = labs::settings(kind);
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
            // What it shows to the API, and where somebody checks it, what it shows to its clients.
            let pairs = 1 + usize::from(lab.metrics());
            let own = pairs * usize::from(machine.role.is_node());
            assert_eq!(keys(&format!("{} kubelet", machine.name)), own);
        }
    }
}

#[test]
fn every_file_is_explained_and_nothing_else() {
    let mut paths = BTreeSet::new();
    for (name, kind) in [
        ("ha", Provider::Docker),
        ("ha", Provider::Libvirt),
        ("flannel", Provider::Docker),
        ("ha-apps", Provider::Docker),
        ("settings", Provider::Docker),
    ] {
        let lab = labs::lab(name);
        let material = Material::placeholder(&lab).unwrap();
        let settings = labs::settings(kind);
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
