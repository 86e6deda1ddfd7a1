//! `cargo xtask images`: which images the nodes of a lab have, and which they are to have.

use std::collections::{BTreeMap, BTreeSet};

use caravan_bundle::image_archive::full_name;
use caravan_lab::Machine;
use caravan_lifecycle::load::{self, NodeStanding};
use caravan_lifecycle::{
    Error as LifecycleError, ImageRecord, LabLock, LabTarget, Workspace, listed,
};
use serde::Serialize;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags;
use crate::show::screen::Screen;
use crate::show::table;
use crate::way_in;

/// What comes of it where it is whole.
#[derive(Serialize)]
struct ImagesJson {
    images: Vec<ImageLine>,
    /// The nodes that were not asked, and why.
    unknown: BTreeMap<String, String>,
}

/// An image by one name.
#[derive(Serialize)]
struct ImageLine {
    name: String,
    /// The digest of its manifest.
    digest: String,
    /// The nodes that have it.
    nodes: Vec<String>,
    /// The nodes that are to have it and have not.
    lacking: Vec<String>,
    /// `machine` where machines came with it, `load` where it was asked for, else `cluster`.
    from: &'static str,
    /// The digest of its configuration, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The size of its blobs, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

/// Runs the verb; an image that a running node lacks is [`Exit::Degraded`].
pub(crate) fn run(
    flags: &flags::Images,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
    if let Some(name) = &flags.forget {
        return forget(&target, name, screen);
    }
    let lab = target.lab(workspace)?;
    let nodes = load::wanted(lab, &[])?;
    let record = ImageRecord::read(&target.dir)?;
    let (running, access) = way_in::running(&target, lab, &nodes)?;
    let looked = load::look(access.as_ref(), &nodes, &running);
    let mut found = lines(&record, &looked);
    if !flags.all {
        found.images.retain(|line| line.from != "machine");
    }
    let lacks = found.images.iter().any(|line| !line.lacking.is_empty());
    match flags.json {
        true => println!(
            "{}",
            serde_json::to_string_pretty(&found).expect("plain data")
        ),
        false => show(&found, nodes.len(), screen),
    }
    if lacks {
        screen.say(&format!(
            "`{TOOL} up {}` gives nodes what they lack",
            target.name
        ));
    }
    let silent = looked
        .iter()
        .any(|(_, it)| matches!(it, NodeStanding::Silent(_)));
    Ok(match lacks || silent {
        true => Exit::Degraded,
        false => Exit::Done,
    })
}

fn forget(target: &LabTarget, name: &str, screen: &Screen) -> Result<Exit, Error> {
    let full = full_name(name).map_err(LifecycleError::from)?;
    // A `load` that is under way writes the record too.
    let _lock = LabLock::take(&target.dir, &target.name, "images")?;
    let mut record = ImageRecord::read(&target.dir)?;
    let names = record.images.iter().flat_map(|image| image.names.clone());
    let names: Vec<String> = names.collect();
    if !record.forget(&full) {
        return Err(LifecycleError::NotRemembered { name: full, names }.into());
    }
    record.write(&target.dir)?;
    screen.say(&format!(
        "`{full}` is not given to machines any more; those that have it keep it"
    ));
    Ok(Exit::Done)
}

/// All images by name, with who has them and who should.
fn lines(record: &ImageRecord, looked: &[(&Machine, NodeStanding)]) -> ImagesJson {
    let mut by_name: BTreeMap<(String, String), ImageLine> = BTreeMap::new();
    let mut unknown = BTreeMap::new();
    for (node, standing) in looked {
        let has = match standing {
            NodeStanding::Has(has) => Some(has),
            NodeStanding::Halted => {
                unknown.insert(node.name.clone(), "it does not run".to_owned());
                None
            }
            NodeStanding::Silent(error) => {
                unknown.insert(node.name.clone(), error.chain());
                None
            }
        };
        let came: BTreeSet<&String> = has.iter().flat_map(|it| &it.preloaded).collect();
        let named = has.iter().flat_map(|it| &it.by_name);
        for (name, digest) in named.filter(|(name, _)| !name.starts_with("sha256:")) {
            let from = if came.contains(name) {
                "machine"
            } else {
                "cluster"
            };
            let line = line(&mut by_name, name, digest, from);
            line.nodes.push(node.name.clone());
        }
        for (image, names) in record.for_machine(&node.name) {
            for name in names {
                let line = line(&mut by_name, &name, &image.digest, "load");
                line.from = "load";
                line.id = Some(image.id.clone());
                line.bytes = Some(image.bytes);
                if has.is_some() && !line.nodes.contains(&node.name) {
                    line.lacking.push(node.name.clone());
                }
            }
        }
    }
    ImagesJson {
        images: by_name.into_values().collect(),
        unknown,
    }
}

fn line<'a>(
    by_name: &'a mut BTreeMap<(String, String), ImageLine>,
    name: &str,
    digest: &str,
    from: &'static str,
) -> &'a mut ImageLine {
    let key = (name.to_owned(), digest.to_owned());
    by_name.entry(key).or_insert_with(|| ImageLine {
        name: name.to_owned(),
        digest: digest.to_owned(),
        nodes: Vec::new(),
        lacking: Vec::new(),
        from,
        id: None,
        bytes: None,
    })
}

fn show(found: &ImagesJson, nodes: usize, screen: &Screen) {
    let mut table = table::plain(&["image", "digest", "MiB", "from", "nodes"]);
    for line in &found.images {
        let mut who = match line.nodes.len() {
            0 => "none".to_owned(),
            all if all == nodes => format!("all {all}"),
            _ => line.nodes.join(", "),
        };
        if !line.lacking.is_empty() {
            who += &format!("; lacking on {}", line.lacking.join(", "));
        }
        let short = line.digest.trim_start_matches("sha256:").get(..12);
        table.add_row([
            line.name.clone(),
            short.unwrap_or(&line.digest).to_owned(),
            line.bytes
                .map_or_else(String::new, |it| it.div_ceil(1 << 20).to_string()),
            line.from.to_owned(),
            who,
        ]);
    }
    match found.images.is_empty() {
        true => screen.say("no images but those that machines came with (`--all`)"),
        false => println!("{}", table::text(&table)),
    }
    let mut by_why: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for (node, why) in &found.unknown {
        by_why.entry(why).or_default().push(node.clone());
    }
    for (why, nodes) in by_why {
        screen.say(&format!("{} not asked: {why}", listed(&nodes)));
    }
}
