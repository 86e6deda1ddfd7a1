//! docs/machines.md lists every file that a machine gets.

use crate::labs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use caravan_lab::{Provider, Role};
use caravan_render::{Material, Software, explain, guest_files};

#[test]
fn every_file_has_its_row() {
    let mut rows: BTreeMap<String, (u32, BTreeSet<Role>)> = BTreeMap::new();
    let software = Software::example();
    for (name, provider) in [
        ("ha", Provider::Docker),
        ("flannel", Provider::Docker),
        ("ha-apps", Provider::Docker),
        ("settings", Provider::Docker),
        ("ha", Provider::Libvirt),
    ] {
        let lab = labs::lab(name);
        let settings = labs::settings(provider);
        let material = Material::placeholder(&lab).unwrap();
        for machine in lab.machines() {
            for file in guest_files(&lab, machine, &software, &settings, &material).unwrap() {
                let row = rows.entry(file.path.to_string()).or_default();
                row.0 = file.mode;
                row.1.insert(machine.role);
            }
        }
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/machines.md");
    let page = std::fs::read_to_string(page).unwrap();
    let missing: Vec<String> = rows
        .into_iter()
        .map(|(path, (mode, roles))| {
            let purpose = explain::annotate(&path).unwrap().purpose;
            format!("| `{path}` | {mode:04o} | {} | {purpose} |", on(&roles))
        })
        .filter(|row| !page.contains(row.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "put into docs/machines.md:\n{}",
        missing.join("\n")
    );
}

fn on(roles: &BTreeSet<Role>) -> String {
    let all = BTreeSet::from(Role::ALL);
    let nodes: BTreeSet<Role> = Role::ALL
        .into_iter()
        .filter(|role| role.is_node())
        .collect();
    if *roles == all {
        return "all".into();
    }
    if *roles == nodes {
        return "nodes".into();
    }
    let names = roles.iter().map(|role| match role {
        Role::Etcd => "etcd",
        Role::LoadBalancer => "load balancers",
        Role::ControlPlane => "masters",
        Role::Worker => "workers",
    });
    names.collect::<Vec<_>>().join(", ")
}
