//! `cargo xtask explain`: why a line of a machine's file is there.

use caravan_lab::Lab;
use caravan_render::{GuestFile, explain};

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::plan;
use crate::show::timeline::table;
use crate::state::choices::Choices;
use crate::target::{self, Target};
use crate::workspace::Workspace;

/// Runs the verb.
pub(crate) fn run(flags: &flags::Explain, workspace: &Workspace) -> Result<Exit, Error> {
    let target = Target::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let machine = target::machine(lab, &flags.machine)?;
    let choices = match &target.choices {
        Some(choices) => choices.clone(),
        None => Choices::settle(lab, &flags::Making::default(), None, false)?,
    };
    let sources = plan::sources(workspace, lab, &target.dir, &choices)?;
    let files = sources.renderer()?.guest_files(machine)?;
    let Some(path) = &flags.path else {
        print!("{}", listing(&files));
        return Ok(Exit::Done);
    };
    let Some(file) = files.iter().find(|file| file.path == *path) else {
        return Err(Error::NoSuchFile {
            machine: machine.name.clone(),
            path: path.clone(),
            paths: files.iter().map(|file| file.path.to_string()).collect(),
        });
    };
    print!("{}", explained(lab, file));
    Ok(Exit::Done)
}

/// All files of a machine, with who reads each.
fn listing(files: &[GuestFile]) -> String {
    let mut table = table::plain(&["file", "mode", "for"]);
    for file in files {
        table.add_row([
            file.path.to_string(),
            format!("{:04o}", file.mode),
            explain::annotate(&file.path)
                .map_or("", |known| known.purpose)
                .to_owned(),
        ]);
    }
    table::text(&table) + "\n"
}

/// One file with what is known about it above its lines. The reasons of lines are the template's own comments, which the
/// file still has.
fn explained(lab: &Lab, file: &GuestFile) -> String {
    let mut text = format!("{}  {:04o}\n", file.path, file.mode);
    if let Some(known) = explain::annotate(&file.path) {
        text += &format!("for   {}\n", known.purpose);
        text += &match known.template {
            Some(template) => format!(
                "from  crates/render/templates/{template}, with labs/{}.toml\n",
                lab.name()
            ),
            None => format!("from  .lab/{}/pki\n", lab.name()),
        };
    }
    text.push('\n');
    if file.secret {
        text += "(secret: its lines are not shown)\n";
    } else {
        text += &file.content;
    }
    text
}
