//! Boxes for virtual machines are baked where no hypervisor is: in containers without privileges.
//!
//! `cargo test -p caravan-e2e --test boxes -- --ignored --nocapture`
//!
//! What is baked stays in the user's cache, so this does not compare the host before and after.
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::time::Instant;

use caravan_e2e::Tool;

/// The bases whose packages can be had everywhere.
const BASES: [&str; 2] = ["debian-12", "debian-13"];

/// The names of the boxes that are kept.
fn kept(tool: &Tool) -> BTreeSet<String> {
    let list = ["bundle", "list", "--of", "boxes", "--json"];
    let list = tool.ok(&list).json();
    let boxes = list.as_array().expect("a list");
    let names = boxes.iter().filter_map(|it| it["name"].as_str());
    names.map(ToOwned::to_owned).collect()
}

#[test]
#[ignore = "needs a container engine"]
fn boxes_of_both_releases_are_baked_and_hold() {
    let tool = Tool::build();
    let mut printed = BTreeSet::new();
    for base in BASES {
        let began = Instant::now();
        let bake = ["bake", "--yes", "--provider", "libvirt", "--base", base];
        let baked = tool.ok(&bake).stdout.trim().to_owned();
        println!("{base}: {:.0} s", began.elapsed().as_secs_f32());
        assert!(baked.starts_with("caravan-machine-"), "{baked}");
        // Made once: the second time it is found.
        assert_eq!(tool.ok(&bake).stdout.trim(), baked);
        printed.insert(baked);
    }
    assert_eq!(printed.len(), BASES.len(), "{printed:?}");
    assert!(kept(&tool).is_superset(&printed), "{printed:?}");
    tool.ok(&["bundle", "verify"]);
}
