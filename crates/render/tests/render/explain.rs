//! Every line that any machine gets has a reason, whichever lab, provider and way out.

use crate::labs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use caravan_lab::{Lab, Provider};
use caravan_render::explain::{self, Explained, Line, LineKind};
use caravan_render::{
    GuestFile, Material, Renderer, Secret, Settings, Software, VAGRANTFILE_TEMPLATE,
};

const PROVIDERS: [Provider; 3] = [Provider::Docker, Provider::Libvirt, Provider::VirtualBox];

fn settings(provider: Provider, airgap: bool) -> Settings {
    Settings {
        airgap,
        nameservers: if airgap {
            Vec::new()
        } else {
            vec!["192.168.29.1".parse().unwrap()]
        },
        ..labs::settings(provider)
    }
}

/// Labs that have between them all that a file can say.
const LABS: [&str; 5] = ["ha", "ha-apps", "external-etcd", "flannel", "settings"];

/// Calls `look` for each file of each machine of all labs.
fn each_file(material: impl Fn(&Lab) -> Material, mut look: impl FnMut(&GuestFile, Explained)) {
    for name in LABS {
        let lab = labs::lab(name);
        let (software, material) = (Software::example(), material(&lab));
        for (provider, airgap) in PROVIDERS.into_iter().zip([true, false, true]) {
            let settings = settings(provider, airgap);
            let renderer = Renderer::new(&lab, &software, &settings, &material).unwrap();
            for machine in lab.machines() {
                for file in renderer.guest_files(machine).unwrap() {
                    let explained = explain::file(&renderer, machine, &file).unwrap();
                    look(&file, explained);
                }
            }
        }
    }
}

fn vagrantfiles() -> Vec<Explained> {
    let mut all = Vec::new();
    let mixed = labs::lab("mixed");
    let bridged = labs::parse("ha", &labs::bridged("\"br0\""));
    for (lab, settings) in [
        (&mixed, labs::settings_of_file(&mixed)),
        (&bridged, settings(Provider::Docker, false)),
    ] {
        for server in lab.servers() {
            let template = VAGRANTFILE_TEMPLATE;
            all.push(explain::vagrantfile(lab, server, &settings, template).unwrap());
        }
    }
    for name in ["ha", "external-etcd"] {
        let lab = labs::lab(name);
        for provider in PROVIDERS {
            for server in lab.servers() {
                let settings = settings(provider, true);
                let template = VAGRANTFILE_TEMPLATE;
                let explained = explain::vagrantfile(&lab, server, &settings, template).unwrap();
                all.push(explained);
            }
        }
    }
    all
}

fn text(explained: &Explained) -> String {
    let lines = explained.lines.iter().map(|line| line.text.clone() + "\n");
    lines.collect()
}

/// Returns lines that a reader would ask about in vain.
fn unexplained(explained: &Explained) -> Vec<String> {
    let is_bare = |line: &&Line| match line.kind {
        LineKind::Said => line.why.is_none(),
        LineKind::Closing => line.about.is_none(),
        _ => false,
    };
    let template = explained.template.as_deref().unwrap_or_default();
    let bare = explained.lines.iter().filter(is_bare);
    bare.map(|line| {
        format!(
            "{template}:{}: {}",
            line.template_line.unwrap_or_default(),
            line.text
        )
    })
    .collect()
}

#[test]
fn every_line_has_a_reason() {
    let mut bare = BTreeSet::new();
    each_file(
        |lab| Material::placeholder(lab).unwrap(),
        |_, explained| {
            bare.extend(unexplained(&explained));
        },
    );
    for explained in vagrantfiles() {
        bare.extend(unexplained(&explained));
    }
    let bare: Vec<_> = bare.into_iter().collect();
    assert!(
        bare.is_empty(),
        "without a reason in the .why.toml beside the template:\n{}",
        bare.join("\n")
    );
}

#[test]
fn what_is_explained_is_what_is_rendered() {
    each_file(
        |lab| Material::placeholder(lab).unwrap(),
        |file, explained| {
            if file.secret {
                assert_eq!(explained.secret, file.template.is_none(), "{}", file.path);
            } else {
                assert_eq!(text(&explained), *file.content, "{}", file.path);
            }
        },
    );
    for name in ["ha", "external-etcd"] {
        for server in ["server1", "server2"] {
            let lab = labs::lab(name);
            let settings = labs::settings(Provider::Docker);
            let server = lab.server(server).unwrap();
            let explained = explain::vagrantfile(&lab, server, &settings, VAGRANTFILE_TEMPLATE);
            let path = labs::golden(&format!("{name}/{}/Vagrantfile", server.name));
            let golden = std::fs::read_to_string(path).unwrap();
            assert_eq!(text(&explained.unwrap()), golden);
        }
    }
}

#[test]
fn every_reason_is_used() {
    let mut rendered: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let mut note = |explained: &Explained| {
        if let Some(template) = &explained.template {
            let lines = rendered.entry(template.clone()).or_default();
            lines.extend(explained.lines.iter().filter_map(|line| line.template_line));
        }
    };
    each_file(
        |lab| Material::placeholder(lab).unwrap(),
        |_, explained| note(&explained),
    );
    vagrantfiles().iter().for_each(note);
    assert!(rendered.len() > 30, "{rendered:?}");
    for (template, lines) in rendered {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let text = std::fs::read_to_string(path.join(&template)).unwrap();
        for (index, line) in text.lines().enumerate() {
            let tag = line.trim();
            let only_a_tag = tag.starts_with("{{#") || tag.starts_with("{{/");
            assert!(
                lines.contains(&(index + 1)) || only_a_tag,
                "{template}:{}: no machine of either lab gets this: {line}",
                index + 1
            );
        }
    }
}

#[test]
fn values_lead_to_the_lab_file() {
    let sources = LABS.map(labs::source);
    let mut count = 0;
    each_file(
        |lab| Material::placeholder(lab).unwrap(),
        |file, explained| {
            for line in &explained.lines {
                for value in &line.values {
                    assert_eq!(line.text[value.range.clone()], value.text, "{}", file.path);
                    let plain = value.how.is_none() && value.places.len() == 1;
                    if !plain {
                        assert!(value.how.is_some() || !value.places.is_empty(), "{value:?}");
                        continue;
                    }
                    let place = &value.places[0];
                    let said = sources.iter().any(|source| {
                        let line = source.lines().nth(place.line - 1).unwrap_or_default();
                        line.starts_with(&place.key) && line.contains(&value.text)
                    });
                    assert!(said, "{}: {value:?}", file.path);
                    count += 1;
                }
            }
        },
    );
    assert!(count > 200, "only {count} values were followed");
}

/// The last of its etcd members is the first machine of the file, so that no list has the order of another.
fn shuffled() -> Lab {
    let source = labs::source("ha");
    let (head, machines) = source.split_once("[[machines]]").unwrap();
    let mut machines: Vec<_> = machines.split("[[machines]]").collect();
    machines.reverse();
    labs::parse(
        "ha",
        &format!("{head}[[machines]]{}", machines.join("\n[[machines]]")),
    )
}

#[test]
fn an_entry_of_a_list_leads_to_its_own_machine() {
    let mut lists = BTreeSet::new();
    let mut check = |lab: &Lab, explained: Explained| {
        for value in explained.lines.iter().flat_map(|line| &line.values) {
            let Some((list, _)) = value.name.split_once("[]") else {
                continue;
            };
            let table = value.places.first().map_or("", |place| &place.table);
            let Some(name) = table.strip_prefix("machine `") else {
                continue;
            };
            let machine = lab.machine(name.trim_end_matches('`')).unwrap();
            let pods = lab.pod_subnet(machine).map(|it| it.to_string());
            let (ip, memory) = (machine.ip.to_string(), machine.memory_mib.to_string());
            let [_, _, c, d] = machine.ip.octets();
            let is_its_own = value.text.contains(&machine.name)
                || value.text.contains(&ip)
                // A hardware address, which is made of it.
                || value.text.ends_with(&format!("{c:02x}:{d:02x}"))
                || Some(&value.text) == pods.as_ref()
                || [memory, machine.cpus.to_string(), machine.role.to_string()]
                    .contains(&value.text);
            assert!(is_its_own, "{table}: {value:?}");
            lists.insert(list.to_owned());
        }
    };
    for lab in [labs::lab("ha"), shuffled()] {
        let (software, material) = (Software::example(), Material::placeholder(&lab).unwrap());
        let settings = settings(Provider::Docker, true);
        let renderer = Renderer::new(&lab, &software, &settings, &material).unwrap();
        for machine in lab.machines() {
            for file in renderer.guest_files(machine).unwrap() {
                check(&lab, explain::file(&renderer, machine, &file).unwrap());
            }
        }
        for server in lab.servers() {
            let template = VAGRANTFILE_TEMPLATE;
            check(
                &lab,
                explain::vagrantfile(&lab, server, &settings, template).unwrap(),
            );
        }
    }
    let expected = [
        "api_sans",
        "etcd.endpoints",
        "machines",
        "masters",
        "members",
        "names",
        "nodes",
        "vrrp_peers",
    ];
    assert_eq!(lists, expected.map(String::from).into());
}

#[test]
fn operators_lead_to_the_lines_that_let_them_in() {
    let named = format!("operators = [\"192.168.29.5\"]\n{}", labs::source("ha"));
    for (source, expected) in [
        (labs::source("ha"), &["subnet"][..]),
        (named, &["subnet", "operators"]),
        (labs::bridged("\"br0\""), &["address", "address"]),
    ] {
        let lab = labs::parse("ha", &source);
        let (software, material) = (Software::example(), Material::placeholder(&lab).unwrap());
        let settings = settings(Provider::Docker, true);
        let renderer = Renderer::new(&lab, &software, &settings, &material).unwrap();
        let member = lab.machine("etcdone").unwrap();
        let files = renderer.guest_files(member).unwrap();
        let filter = files.iter().find(|it| it.path == "/etc/caravan/filter.nft");
        let explained = explain::file(&renderer, member, filter.unwrap()).unwrap();
        let mut values = explained.lines.iter().flat_map(|line| &line.values);
        let operator = values.find(|it| it.name == "operators[]").unwrap();
        let keys: Vec<_> = operator.places.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, expected);
    }
}

#[test]
fn no_secret_is_explained() {
    let secret = |lab: &Lab| {
        let mut material = Material::placeholder(lab).unwrap();
        material.etcd_cluster_token = Secret("cluster-token-secret".into());
        material
    };
    let words = ["cluster-token-secret", "<key: "];
    let mut seen = 0;
    each_file(secret, |file, explained| {
        let told = format!("{explained:?}");
        for word in words {
            assert!(!told.contains(word), "{} tells `{word}`", file.path);
            seen += usize::from(file.content.contains(word));
        }
    });
    assert!(seen > 20, "only {seen} secrets were there to be told");
}

#[test]
fn comments_and_closing_lines_lead_to_what_they_are_about() {
    let mut looked_at = false;
    each_file(
        |lab| Material::placeholder(lab).unwrap(),
        |file, explained| {
            if file.path != "/etc/caravan/filter.nft" {
                return;
            }
            looked_at = true;
            let find = |text: &str| {
                let line = (explained.lines.iter()).find(|line| line.text.trim().starts_with(text));
                line.unwrap_or_else(|| panic!("no line `{text}`"))
            };
            let table = find("table inet caravan_filter {");
            let closing = explained.lines.last().unwrap();
            assert_eq!(closing.kind, LineKind::Closing);
            assert_eq!(closing.about, Some(table.number));
            let comment = find("# A management interface");
            assert_eq!(comment.kind, LineKind::Comment);
            assert_eq!(comment.about, Some(find("ip daddr != ").number));
        },
    );
    assert!(looked_at);
}
