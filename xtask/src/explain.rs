//! `cargo xtask explain`: why a line of a machine's file is there.

mod text;
mod view;

use caravan_lifecycle::{
    LabChoices, LabTarget, Workspace, machines, no_such_machine, plan, read_text,
};
use caravan_render::explain::{self, ExplainQuery, ListedFile, Refusal};

use self::view::View;
use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::show::table;
use crate::software;

/// Runs the verb.
pub(crate) fn run(flags: &flags::Explain, workspace: &Workspace) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let choices = match &target.choices {
        Some(choices) => choices.clone(),
        None => LabChoices::settle(lab, &flags::Making::default().request(), None, false)?,
    };
    let software = software::versions(workspace, lab)?;
    let sources = plan::sources(workspace, lab, &target.dir, &choices, software)?;
    let renderer = sources.renderer()?;
    let words = flags.machine.iter().chain(&flags.file).chain(&flags.text);
    let words: Vec<&str> = words.map(String::as_str).collect();
    let query = ExplainQuery::of(lab, &words).map_err(|refusal| match refusal {
        Refusal::NoMachine { word } => Error::from(no_such_machine(lab, &word)),
        refusal => refusal.into(),
    })?;
    let Some(file) = &query.file else {
        let listing = explain::list_files(lab, &renderer, query.owner)?;
        if flags.json {
            print_json(&listing);
        } else {
            print!("{}", listing_text(&listing));
        }
        return Ok(Exit::Done);
    };
    let found = explain::find_file(lab, &renderer, query.owner, file)?;
    let lab_file = lab_file(&target, workspace)?;
    let template = sources.template.as_deref();
    let (explained, mode) = found.explained(lab, &sources.settings, template, &renderer)?;
    let chosen = query.choose(&explained)?;
    let view = View {
        lab: lab.name(),
        lab_file,
        of: found.of().to_owned(),
        of_many: query.owner.is_none(),
        also: found.also.clone(),
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

fn listing_text(files: &[ListedFile]) -> String {
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
