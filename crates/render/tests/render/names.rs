//! Names that some format reads as something else: whatever a lab calls things, its files say it as written.
//!
//! Files with quotes are compared with those of a lab with plain names: what stands outside of quotes must be the same to
//! the byte, so no name can be read as a number, a boolean, nothing, or a mark of the format; and what stands inside must
//! be the name.

use std::collections::BTreeSet;

use caravan_lab::{Lab, Provider};
use caravan_render::{GuestFile, Material, Settings, Software, group_files, guest_files};

use crate::labs;

/// Legal names of machines, labs and parts of domains that YAML 1.1, go-yaml, TOML, shells, Ruby or HAProxy read as
/// something else where they stand bare.
pub(crate) const WORDS: [&str; 44] = [
    "1e3",
    "1e-3",
    "0e0",
    "12e03",
    "0x1f",
    "0b11",
    "0o17",
    "0777e1",
    "0xdeadbeef",
    "null",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "inf",
    "nan",
    "2026-11-21",
    "2026-11-21t10",
    "1-0",
    "0-0",
    "a--b",
    "xn--bcher-kva",
    "nil",
    "self",
    "end",
    "do",
    "nobody",
    "masters",
    "default",
    "vagrant",
    "server",
    "backend",
    "include",
    "if",
    "fi",
    "done",
    "export",
    "unset",
    "root",
    "system",
];

/// The names that the plain lab has, in the order of [`renamed`].
const PLAIN: [&str; 9] = [
    "masterone",
    "mastertwo",
    "masterthree",
    "etcdone",
    "etcdtwo",
    "etcdthree",
    "workerone",
    "lbone",
    "lbtwo",
];

/// Returns the lab ha under other names: of the lab, of its machines, of the first part of its domain.
pub(crate) fn renamed(lab: &str, machines: [&str; 9], domain: &str) -> Lab {
    let mut source = labs::source("ha").replace("example.com", domain);
    for (plain, name) in PLAIN.iter().zip(machines) {
        let (from, to) = (format!("name = \"{plain}\""), format!("name = \"{name}\""));
        assert!(source.contains(&from), "{plain}");
        source = source.replace(&from, &to);
    }
    labs::parse(lab, &source)
}

/// Returns nine names of which the `first` word is the first.
pub(crate) fn nine(first: usize) -> [&'static str; 9] {
    std::array::from_fn(|place| WORDS[(first + place) % WORDS.len()])
}

fn files(lab: &Lab, settings: &Settings) -> Vec<GuestFile> {
    let material = Material::placeholder(lab).unwrap();
    let of = |machine| guest_files(lab, machine, &Software::example(), settings, &material);
    (lab.machines().iter())
        .flat_map(|machine| of(machine).unwrap())
        .filter(|file| file.template.is_some())
        .collect()
}

/// True for files whose values stand in double quotes.
fn has_quotes(path: &str) -> bool {
    let ends = [
        ".yaml",
        ".conflist",
        ".env",
        "kubelet.conf",
        "discovery.conf",
    ];
    ends.iter().any(|end| path.ends_with(end))
}

/// Splits a file into what stands outside of double quotes, without comments, and what stands inside, unescaped.
fn apart(text: &str) -> (String, Vec<String>) {
    let mut outside = String::new();
    let mut inside = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
    {
        let mut chars = line.chars();
        while let Some(char) = chars.next() {
            outside.push(char);
            if char == '"' {
                let mut string = String::new();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => string.extend(chars.next()),
                        Some(char) => string.push(char),
                        None => panic!("a string without an end: {line}"),
                    }
                }
                outside.push('"');
                inside.push(string);
            }
        }
        outside.push('\n');
    }
    (outside, inside)
}

#[test]
fn files_with_quotes_say_every_name_as_written() {
    let settings = labs::settings(Provider::Docker);
    let plain_lab = renamed("plainlab", PLAIN, "plaindomain.example");
    let plain = files(&plain_lab, &settings);
    let mut seen = BTreeSet::new();
    for first in 0..WORDS.len() {
        let names = nine(first);
        let (lab, domain) = (
            WORDS[(first + 9) % WORDS.len()],
            WORDS[(first + 10) % WORDS.len()],
        );
        // A domain's last part may not be a number; as the first part anything will do.
        let hostile = files(
            &renamed(lab, names, &format!("{domain}.example")),
            &settings,
        );
        assert_eq!(plain.len(), hostile.len());
        for (plain, hostile) in plain.iter().zip(&hostile) {
            assert_eq!(plain.path, hostile.path);
            if !has_quotes(&plain.path) {
                continue;
            }
            let (plain_outside, plain_inside) = apart(&plain.content);
            let (outside, inside) = apart(&hostile.content);
            assert_eq!(
                plain_outside, outside,
                "{} says something outside of quotes that depends on a name",
                plain.path
            );
            let expected: Vec<String> = plain_inside
                .into_iter()
                .map(|string| {
                    let pairs = PLAIN.iter().zip(names);
                    pairs
                        .fold(string, |string, (plain, name)| string.replace(plain, name))
                        .replace("plainlab", lab)
                        .replace("plaindomain", domain)
                })
                .collect();
            assert_eq!(expected, inside, "{}", plain.path);
            seen.insert(plain.path.clone());
        }
    }
    // The comparison is of something: the files that name machines or the lab are among them.
    for path in [
        "/etc/caravan/machine.env",
        "/etc/etcd/cluster.env",
        "/etc/kubernetes/caravan/kubeadm-init.yaml",
        "/etc/kubernetes/kubelet.conf",
    ] {
        assert!(seen.contains(path), "{path} was not compared");
    }
}

#[test]
fn strings_are_taken_apart() {
    let (outside, inside) = apart("# \"x\"\na: \"b\\\"c\" # d\n- {e: \"f\", g: h}\n");
    assert_eq!(outside, "a: \"\" # d\n- {e: \"\", g: h}\n");
    assert_eq!(inside, ["b\"c", "f"]);
}

#[test]
fn files_of_words_have_one_word_for_each_name() {
    let settings = labs::settings(Provider::Docker);
    let words = |files: &[GuestFile]| -> Vec<(String, Vec<usize>)> {
        (files.iter())
            .filter(|file| !has_quotes(&file.path))
            .map(|file| {
                let counts = file.content.lines().map(|line| line.split(' ').count());
                (file.path.to_string(), counts.collect())
            })
            .collect()
    };
    let plain = words(&files(&renamed("plainlab", PLAIN, "a.example"), &settings));
    for (first, lab) in WORDS.iter().enumerate() {
        let hostile = files(&renamed(lab, nine(first), "a.example"), &settings);
        assert_eq!(plain, words(&hostile));
    }
}

#[test]
fn a_bridge_is_no_program() {
    let bridge = r##""+`x`#{y}\"##;
    let lab = labs::parse("ha", &labs::bridged(&format!("'{bridge}'")));
    let material = Material::placeholder(&lab).unwrap();
    let settings = labs::settings(Provider::Libvirt);
    let software = Software::example();
    let server = lab.server("server1").unwrap();
    let files = group_files(&lab, server, &software, &settings, &material, None).unwrap();
    let vagrantfile = files
        .iter()
        .find(|file| file.path == "Vagrantfile")
        .unwrap();
    let text = std::str::from_utf8(&vagrantfile.content).unwrap();
    let line = text.lines().find(|line| line.starts_with("BRIDGE"));
    assert_eq!(line, Some(r##"BRIDGE = ["\"+`x`\#{y}\\"].first"##));
}

/// Returns how the lab ha is refused with `name` for its worker; panics if it is not.
fn refused(name: &str) -> Vec<String> {
    let source = labs::source("ha").replace("\"workerone\"", &format!("\"{name}\""));
    match Lab::parse("ha", &source) {
        Ok(_) => panic!("a machine may be called `{name}`"),
        Err(faults) => faults
            .iter()
            .map(|fault| fault.rule.name().into())
            .collect(),
    }
}

#[test]
fn no_machine_has_a_name_that_generated_files_use_themselves() {
    let lab = labs::lab("ha");
    let settings = labs::settings(Provider::Docker);
    let all = files(&lab, &settings);
    let hosts = all.iter().find(|file| file.path == "/etc/caravan/hosts");
    let machines: Vec<&str> = (lab.machines().iter())
        .map(|machine| machine.name.as_str())
        .collect();
    let mut count = 0;
    for line in hosts.unwrap().content.lines() {
        let names = line.split(' ').skip(1).filter(|_| !line.starts_with('#'));
        for name in names.filter(|name| !name.contains('.') && !machines.contains(name)) {
            assert_eq!(refused(name), ["reserved-name"], "{name}");
            count += 1;
        }
    }
    assert_eq!(
        count, 5,
        "the loopback's names, twice `localhost`, and `api`"
    );
    // HAProxy's own server is in one list with the masters.
    let config = all
        .iter()
        .find(|file| file.path == "/etc/haproxy/haproxy.cfg");
    let servers = (config.unwrap().content.lines())
        .filter_map(|line| line.trim_start().strip_prefix("server "))
        .filter_map(|rest| rest.split(' ').next());
    let own: Vec<&str> = servers.filter(|name| !machines.contains(name)).collect();
    assert_eq!(own, ["no_master"]);
    assert_eq!(refused(own[0]), ["invalid-name"]);
}

#[test]
fn machines_of_two_labs_never_want_one_name() {
    // The rule of the Vagrantfile, which `ruby_gives_each_machine_a_name_of_its_own` runs.
    let template = include_str!("../../../../Vagrantfile.hbs");
    assert!(template.contains(r##""caravan-#{LAB}#{name.include?("-") ? "_" : "-"}""##));
    let full = |lab: &str, name: &str| {
        let between = if name.contains('-') { "_" } else { "-" };
        format!("caravan-{lab}{between}{name}")
    };
    let words = ["a", "b", "c", "a-b", "b-c", "a-b-c", "b-", "a--b"];
    let mut seen = std::collections::BTreeMap::new();
    for lab in words {
        for name in words {
            if let Some(other) = seen.insert(full(lab, name), (lab, name)) {
                panic!("{lab}/{name} and {other:?} have one name");
            }
        }
    }
}
