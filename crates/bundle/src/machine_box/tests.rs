use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::cache::Cache;
use crate::image::tests::Computer;
use crate::progress::Silent;
use crate::progress::tests::Notes;

fn bake(computer: &Computer, hypervisor: Hypervisor) -> Result<BakedBox, Error> {
    super::bake(
        &computer.cache,
        &recipe(computer, hypervisor),
        &computer.docker,
        &Silent,
    )
}

fn recipe(computer: &Computer, hypervisor: Hypervisor) -> BoxRecipe<'_> {
    BoxRecipe {
        bundle: &computer.bundle,
        add_ons: &[],
        base: Base::Debian12,
        hypervisor,
    }
}

/// What is in the file that Vagrant unpacks, in its order.
fn members(baked: &BakedBox) -> Vec<(String, String)> {
    let file = fs::File::open(baked.dir.join(FILE)).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    archive
        .entries()
        .unwrap()
        .map(|member| {
            let mut member = member.unwrap();
            let mut text = String::new();
            member.read_to_string(&mut text).unwrap();
            (member.path().unwrap().display().to_string(), text)
        })
        .collect()
}

#[test]
fn a_box_is_made_once_and_found_without_the_engine() {
    let computer = Computer::new();
    let baked = bake(&computer, Hypervisor::Libvirt).unwrap();
    assert_eq!(
        baked.name,
        format!("caravan-machine-{}-{}", &baked.id[..16], baked.arch)
    );
    let calls = computer.calls();
    let named = |of: &str| format!("caravan-box-{}-{of}", &baked.id[..16]);
    let created = |of: &str| {
        let begin = format!("create --name {} ", named(of));
        let call = calls.iter().find_map(|call| call.strip_prefix(&begin));
        call.unwrap_or_else(|| panic!("{of}: {calls:#?}"))
    };
    // The network is for packages alone, and nothing may be mounted anywhere.
    let machine = created("machine");
    assert!(
        machine.starts_with(&format!(
            "--network host {} /tmp/caravan-box/setup udev",
            baked.image
        )),
        "{machine}"
    );
    let disk = created("disk");
    assert!(
        disk.starts_with(&format!(
            "--network none --volume {}:/work caravan-tools:",
            named("work")
        )) && disk.ends_with("/work/write bios qcow2 16384"),
        "{disk}"
    );
    for word in ["--privileged", "--cap-add", "--device", "--security-opt"] {
        for of in ["machine", "tools", "disk"] {
            assert!(!created(of).contains(word), "{of}: {word}");
        }
    }
    let last = calls.len() - 4;
    assert!(calls[last..].contains(&format!("rm --force --volumes {}", named("disk"))));
    assert!(calls[last..].contains(&format!("volume rm --force {}", named("work"))));

    // Vagrant and the engine may be gone.
    let found = find(
        &computer.cache,
        &recipe(&computer, Hypervisor::Libvirt),
        &Silent,
    )
    .unwrap();
    assert_eq!(found.as_ref(), Some(&baked));
    assert_eq!(bake(&computer, Hypervisor::Libvirt).unwrap(), baked);
    assert_eq!(computer.calls(), [""; 0]);
}

#[test]
fn vagrant_reads_what_it_expects() {
    let computer = Computer::new();
    let baked = bake(&computer, Hypervisor::Libvirt).unwrap();
    let catalogue: Value = serde_json::from_slice(&fs::read(&baked.json).unwrap()).unwrap();
    let file = baked.dir.join("machine.box");
    assert_eq!(
        catalogue,
        json!({
            "name": baked.name,
            "description": format!("Made of {}", baked.image),
            "versions": [{"version": "1.0.0", "providers": [{
                "name": "libvirt",
                "url": format!("file://{}", file.display()),
                "checksum_type": "sha256",
                "checksum": crate::digest::of_file(&file).unwrap().0,
                "architecture": baked.arch.as_str(),
                "default_architecture": true,
            }]}],
        })
    );
    assert_eq!(baked.url(), format!("file://{}", baked.json.display()));
    let members = members(&baked);
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["metadata.json", "Vagrantfile", "box.img"]);
    let metadata: Value = serde_json::from_str(&members[0].1).unwrap();
    let expected = json!({
        "provider": "libvirt", "architecture": baked.arch.as_str(), "format": "qcow2", "virtual_size": 16,
    });
    assert_eq!(metadata, expected);
    assert_eq!(members[2].1, "disk\n");
}

#[test]
fn virtualbox_imports_a_machine_that_the_kernel_has_drivers_for() {
    let computer = Computer::new();
    if computer.bundle.arch != Arch::Amd64 {
        return;
    }
    let baked = bake(&computer, Hypervisor::VirtualBox).unwrap();
    let members: BTreeMap<String, String> = members(&baked).into_iter().collect();
    assert!(members.contains_key("box-disk001.vmdk"));
    let text = &members["box.ovf"];
    assert!(!text.contains('@'), "{text}");
    let ovf = roxmltree::Document::parse(text).unwrap();
    let within = |name: &str| {
        ovf.descendants()
            .find(|node| node.tag_name().name() == name)
            .unwrap_or_else(|| panic!("no {name}"))
    };
    let value = |node: roxmltree::Node<'_, '_>, name: &str| {
        let found = node.attributes().find(|attribute| attribute.name() == name);
        found.map(|attribute| attribute.value().to_owned())
    };
    let envelope = "http://schemas.dmtf.org/ovf/envelope/1";
    assert!(ovf.root_element().has_tag_name((envelope, "Envelope")));
    let disk = within("Disk");
    assert_eq!(value(disk, "capacity"), Some((16_u64 << 30).to_string()));
    assert_eq!(
        value(within("File"), "href").as_deref(),
        Some("box-disk001.vmdk")
    );
    assert_eq!(value(within("File"), "size").as_deref(), Some("5"));
    // The disk that the machine has is the one that the file is.
    let uuid = value(disk, "uuid").unwrap();
    assert_eq!(value(within("Image"), "uuid"), Some(format!("{{{uuid}}}")));
    assert_eq!(uuid.len(), 36);
    assert_eq!(value(within("Adapter"), "type").as_deref(), Some("virtio"));
    assert_eq!(
        value(within("StorageController"), "type").as_deref(),
        Some("VirtioSCSI")
    );
    assert_eq!(value(within("Machine"), "name"), Some(baked.name.clone()));
    let rasd =
        "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData";
    let kinds: Vec<&str> = ovf
        .descendants()
        .filter(|node| node.has_tag_name((rasd, "ResourceSubType")))
        .filter_map(|node| node.text())
        .collect();
    assert_eq!(kinds, ["VirtioSCSI", "VirtioNet"]);
}

#[test]
fn what_is_in_a_box_is_in_its_name() {
    let mut computer = Computer::new();
    let one = bake(&computer, Hypervisor::Libvirt).unwrap();
    if computer.bundle.arch == Arch::Amd64 {
        let other = bake(&computer, Hypervisor::VirtualBox).unwrap();
        assert_eq!(other.image, one.image);
        assert_ne!(other.name, one.name);
    }
    computer.bundle.content = "0".repeat(32);
    assert_ne!(bake(&computer, Hypervisor::Libvirt).unwrap().name, one.name);
}

#[test]
fn a_bake_that_fails_leaves_nothing_and_the_next_one_works() {
    let computer = Computer::new();
    for call in [
        // First, as the engine keeps what it made.
        "commit --change LABEL caravan.tools",
        "create --name caravan-box",
        "start --attach caravan-box",
        "export",
    ] {
        fs::write(computer.path("broken-docker"), call).unwrap();
        // The machine image's own calls work.
        let error = bake(&computer, Hypervisor::Libvirt);
        assert!(
            matches!(error, Err(Error::Program { .. })),
            "{call}: {error:?}"
        );
        let calls = computer.calls();
        let at = |word: &str| calls.iter().rposition(|call| call.starts_with(word));
        assert!(
            at("volume rm") > at(call),
            "{call}: what it left is removed"
        );
        for folder in ["tmp", "boxes"] {
            let left = fs::read_dir(computer.cache.root().join(folder)).unwrap();
            assert_eq!(left.count(), 0, "{call}: {folder}");
        }
    }
    fs::write(computer.path("broken-docker"), "").unwrap();
    bake(&computer, Hypervisor::Libvirt).unwrap();
}

#[test]
fn a_damaged_box_is_named_and_made_again() {
    let computer = Computer::new();
    let baked = bake(&computer, Hypervisor::Libvirt).unwrap();
    let file = baked.dir.join(FILE);
    fs::write(&file, "cut").unwrap();
    let notes = Notes::default();
    let wanted = recipe(&computer, Hypervisor::Libvirt);
    assert_eq!(find(&computer.cache, &wanted, &notes).unwrap(), None);
    let told = notes.0.lock().unwrap().join("\n");
    assert!(
        told.contains(&format!("`{}` is damaged", file.display()))
            && told.contains("the box is made again"),
        "{told}"
    );
    let again = bake(&computer, Hypervisor::Libvirt).unwrap();
    assert_eq!(again, baked);
    assert_ne!(fs::read(&file).unwrap(), b"cut");
}

#[test]
fn the_catalogue_says_where_the_box_lies_now() {
    let computer = Computer::new();
    let baked = bake(&computer, Hypervisor::Libvirt).unwrap();
    let moved = computer.path("a new cache");
    fs::rename(computer.cache.root(), &moved).unwrap();
    let cache = Cache::open(&moved).unwrap();
    let wanted = recipe(&computer, Hypervisor::Libvirt);
    let found = find(&cache, &wanted, &Silent).unwrap().expect("there");
    let url = catalogue::file_url(&found.dir.join(FILE));
    assert!(
        url.contains("a%20new%20cache") && found.id == baked.id,
        "{url}"
    );
    let catalogue = fs::read_to_string(&found.json).unwrap();
    assert!(catalogue.contains(&url), "{catalogue}");

    assert!(is_lost(&baked.url()) && !is_lost(&found.url()));
    fs::remove_file(found.dir.join(FILE)).unwrap();
    assert!(is_lost(&found.url()), "its catalogue alone is of no use");
    assert!(
        !is_lost("https://boxes.example/box.json"),
        "it is another's"
    );
}

#[test]
fn pruning_keeps_boxes_that_could_be_made_now() {
    let computer = Computer::new();
    let baked = bake(&computer, Hypervisor::Libvirt).unwrap();
    let old = computer.cache.boxes().unwrap().join("0".repeat(32));
    fs::create_dir(&old).unwrap();
    for file in ["manifest.json", FILE] {
        fs::copy(baked.dir.join(file), old.join(file)).unwrap();
    }
    let bundle = computer.bundle.id.clone();
    let pruned = crate::prune(&computer.cache, &[bundle]).unwrap();
    assert_eq!(pruned.entries, ["0".repeat(32)]);
    assert_eq!(list(&computer.cache).unwrap(), [baked]);
    // The image that disks are written in stays with the base system that it is made of.
    let tools = tools(&computer.cache).unwrap();
    let left = crate::docker::images_labelled(&computer.docker, TOOLS_LABEL).unwrap();
    assert!(left.iter().any(|name| tools.contains(name)), "{left:?}");
    let removed = image::prune(&computer.docker, &tools).unwrap();
    assert!(
        !removed.iter().any(|name| name.starts_with(TOOLS)),
        "{removed:?}"
    );
    // With its bundle, a box goes too.
    let pruned = crate::prune(&computer.cache, &[]).unwrap();
    assert_eq!(pruned.entries.len(), 2);
    assert_eq!(list(&computer.cache).unwrap(), []);
}

/// All that is in the folders of the recipe is in what is made by it.
#[test]
fn the_recipe_is_whole() {
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("image");
    for (folder, files) in [
        ("vm/files", &recipe::MACHINE_FILES[..]),
        ("disk/files", &recipe::DISK),
    ] {
        let mut open = vec![image.join(folder)];
        while let Some(next) = open.pop() {
            if next.is_dir() {
                open.extend(
                    fs::read_dir(&next)
                        .unwrap()
                        .map(|file| file.unwrap().path()),
                );
                continue;
            }
            let text = fs::read_to_string(&next).unwrap();
            assert!(
                files
                    .iter()
                    .any(|(path, _, known)| next.ends_with(path) && *known == text),
                "{} is in no box",
                next.display()
            );
        }
    }
}

#[test]
fn containers_get_packages_as_this_computer_does() {
    let fetching = "Acquire::http::Proxy \"http://proxy:3128\";\nAcquire::http::Proxy-Auto-Detect \"/usr/bin/squid\";\n\
                    Acquire::https::CAInfo \"/etc/own.pem\";\n";
    let settings = baking::apt_settings(fetching, true, true);
    assert!(settings.contains("Proxy \"http://proxy:3128\""));
    // Programs and files of this computer are none of a container's.
    assert!(
        !settings.contains("squid") && !settings.contains("own.pem"),
        "{settings}"
    );
    assert!(settings.contains("sourceparts \"/tmp/caravan-box/sources.d\""));
    assert!(settings.contains("CAInfo \"/tmp/caravan-box/trusted.crt\""));
    // Ubuntu's image knows its sources.
    assert!(!baking::apt_settings(fetching, false, false).contains("sourceparts"));
}
