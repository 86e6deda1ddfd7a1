//! `cargo xtask explain`: why a line of a machine's file is there.

mod find;
pub(crate) mod refusal;
mod text;
mod view;

use std::collections::BTreeMap;

use caravan_lab::{Lab, Machine};
use caravan_lifecycle::{
    ChoiceRequest, LabChoices, LabTarget, Workspace, files::RenderSources, machines, read_text,
};
use caravan_render::{Renderer, VAGRANTFILE_TEMPLATE, explain};

use self::find::{ExplainQuery, FileOwner, Subject};
use self::view::{File, View};
use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::plan;
use crate::show::table;

/// Runs the verb.
pub(crate) fn run(flags: &flags::Explain, workspace: &Workspace) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let choices = match &target.choices {
        Some(choices) => choices.clone(),
        None => LabChoices::settle(lab, &ChoiceRequest::default(), None, false)?,
    };
    let sources = plan::sources(workspace, lab, &target.dir, &choices)?;
    let renderer = sources.renderer()?;
    let query = ExplainQuery::of(lab, flags)?;
    let Some(file) = &query.file else {
        let listing = listing(lab, &renderer, query.owner)?;
        if flags.json {
            print_json(&listing);
        } else {
            print!("{}", listing_text(&listing));
        }
        return Ok(Exit::Done);
    };
    let subject = find::subject(lab, &renderer, query.owner, file)?;
    let lab_file = lab_file(&target, workspace)?;
    let (explained, mode) = explained(&subject, &sources, &renderer)?;
    let chosen = query.choose(&explained)?;
    let view = View {
        lab: lab.name(),
        lab_file,
        of: subject.of().to_owned(),
        of_many: query.owner.is_none(),
        also: subject.also.clone(),
        mode: mode.map(|mode| format!("{mode:04o}")),
        file: explained,
    };
    if flags.json {
        print_json(&view.only(chosen.as_deref()));
        return Ok(Exit::Done);
    }
    let width = text::terminal_width();
    // anstream takes the colours away where they are not wanted.
    match chosen {
        Some(chosen) => anstream::print!("{}", text::lines(&view, &chosen, width)),
        None => anstream::print!("{}", text::whole(&view, width)),
    }
    Ok(Exit::Done)
}

/// The file with its reasons, and its mode where it is on a machine.
fn explained(
    subject: &Subject<'_>,
    sources: &RenderSources<'_>,
    renderer: &Renderer<'_>,
) -> Result<(explain::Explained, Option<u32>), Error> {
    match subject.owner {
        FileOwner::Server(server) => {
            let template = sources.template.as_deref().unwrap_or(VAGRANTFILE_TEMPLATE);
            let settings = &sources.settings;
            let explained = explain::vagrantfile(sources.lab, server, settings, template)?;
            Ok((explained, None))
        }
        FileOwner::Machine(machine) => {
            let files = renderer.guest_files(machine)?;
            let file = files
                .iter()
                .find(|file| file.path == subject.path)
                .expect("the path is of this machine's files");
            let explained = explain::file(renderer, machine, file)?;
            Ok((explained, Some(file.mode)))
        }
    }
}

/// What the lab file is called that `target` was read from.
fn lab_file(target: &LabTarget, workspace: &Workspace) -> Result<String, Error> {
    let label = format!("labs/{}.toml", target.name);
    if machines::deployed_lab(&target.name, &target.dir).is_none() {
        return Ok(label);
    }
    // The machines may have been made from an older text, in which other lines have other numbers.
    let now = read_text(&workspace.lab_file(&target.name)).unwrap_or_default();
    let deployed = target.dir.deployed_lab();
    let path = deployed.strip_prefix(workspace.root()).unwrap_or(&deployed);
    match read_text(&deployed)? == now {
        true => Ok(label),
        false => Ok(path.display().to_string()),
    }
}

/// The files of one machine, or of all machines of the lab, with who gets each.
fn listing(
    lab: &Lab,
    renderer: &Renderer<'_>,
    owner: Option<FileOwner<'_>>,
) -> Result<Vec<File>, Error> {
    let machines: Vec<&Machine> = match owner {
        Some(FileOwner::Machine(machine)) => vec![machine],
        _ => lab.machines().iter().collect(),
    };
    let mut files: BTreeMap<String, File> = BTreeMap::new();
    for machine in machines {
        for file in renderer.guest_files(machine)? {
            let purpose = explain::annotate(&file.path).map_or("", |known| known.purpose);
            files
                .entry(file.path.to_string())
                .or_insert_with(|| File {
                    path: file.path.to_string(),
                    mode: format!("{:04o}", file.mode),
                    purpose,
                    machines: Vec::new(),
                })
                .machines
                .push(machine.name.clone());
        }
    }
    Ok(files.into_values().collect())
}

fn listing_text(files: &[File]) -> String {
    let several = files.iter().any(|file| file.machines.len() > 1);
    let mut head = vec!["file", "mode", "for"];
    if several {
        head.push("machines");
    }
    let mut table = table::plain(&head);
    for file in files {
        let mut row = vec![
            file.path.clone(),
            file.mode.clone(),
            file.purpose.to_owned(),
        ];
        if several {
            row.push(file.machines.join(" "));
        }
        table.add_row(row);
    }
    table::text(&table) + "\n"
}

fn print_json(data: &impl serde::Serialize) {
    println!(
        "{}",
        serde_json::to_string_pretty(data).expect("plain data")
    );
}
