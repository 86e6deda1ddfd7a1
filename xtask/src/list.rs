//! `cargo xtask list`: labs, or the machines of one.

use serde::Serialize;

use crate::data;
use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::machines::{self, Found};
use crate::show::screen::Screen;
use crate::show::timeline::table;
use crate::target::Target;
use crate::workspace::Workspace;

/// A lab, in a line.
#[derive(Serialize)]
struct LabLine {
    name: String,
    file: bool,
    machines: usize,
    running: usize,
}

/// A machine, in a line.
#[derive(Serialize)]
struct MachineLine {
    name: String,
    role: String,
    server: String,
    ip: String,
    state: String,
    id: Option<String>,
    /// The volumes that a machine has, or has left behind.
    volumes: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::List,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    match &flags.lab {
        Some(lab) => machines_of(&Target::of(workspace, Some(lab))?, flags.json),
        None => labs(workspace, screen, flags.json),
    }
}

fn labs(workspace: &Workspace, screen: &Screen, json: bool) -> Result<Exit, Error> {
    let files = workspace.labs();
    let mut names = [
        files.clone(),
        workspace.labs_with_state(),
        machines::labs(),
        machines::labs_with_data(),
    ]
    .concat();
    names.sort();
    names.dedup();
    let mut silent = false;
    let lines: Vec<LabLine> = names
        .into_iter()
        .map(|name| {
            // A broken lab file has no machines to count, and `plan` says what is wrong with it.
            let found = Target::of(workspace, Some(&name)).and_then(|target| target.machines());
            if let Err(Error::Vagrant(caravan_vagrant::Error::EngineDown { .. })) = &found {
                silent = true;
            }
            let found = found.unwrap_or_default();
            LabLine {
                file: files.contains(&name),
                name,
                machines: found.len(),
                running: found.iter().filter(|machine| machine.runs()).count(),
            }
        })
        .collect();
    if silent {
        screen.warn("the container engine does not answer, so no containers are counted");
    }
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(&lines).expect("plain data")
        );
        return Ok(Exit::Done);
    }
    let mut table = table::plain(&["lab", "machines", "running", "file"]);
    for line in lines {
        table.add_row([
            line.name,
            line.machines.to_string(),
            line.running.to_string(),
            if line.file { "there" } else { "gone" }.to_owned(),
        ]);
    }
    println!("{}", table::text(&table));
    Ok(Exit::Done)
}

fn machines_of(target: &Target, json: bool) -> Result<Exit, Error> {
    let found = target.machines()?;
    let kept = data::volumes(&target.name, target.provider())?;
    let volumes = |name: &str| -> Vec<String> {
        let theirs = kept.iter().filter(|volume| volume.machine == name);
        theirs.map(|volume| volume.name.clone()).collect()
    };
    let state =
        |name: &str| -> Option<&Found> { found.iter().find(|machine| machine.name == name) };
    let mut lines: Vec<MachineLine> = Vec::new();
    for machine in target
        .known_lab()
        .map(|lab| lab.machines())
        .unwrap_or_default()
    {
        let there = state(&machine.name);
        lines.push(MachineLine {
            name: machine.name.clone(),
            role: machine.role.to_string(),
            server: machine.server.clone(),
            ip: machine.ip.to_string(),
            state: there
                .map_or("absent", |found| found.state.word())
                .to_owned(),
            id: there.and_then(|found| found.id.clone()),
            volumes: volumes(&machine.name),
        });
    }
    for stranger in &found {
        if !lines.iter().any(|line| line.name == stranger.name) {
            lines.push(MachineLine {
                name: stranger.name.clone(),
                role: "unknown".to_owned(),
                server: stranger.server.clone(),
                ip: String::new(),
                state: stranger.state.word().to_owned(),
                id: stranger.id.clone(),
                volumes: volumes(&stranger.name),
            });
        }
    }
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(&lines).expect("plain data")
        );
        return Ok(Exit::Done);
    }
    let mut table = table::plain(&["machine", "role", "address", "server", "state"]);
    for line in lines {
        let state = match line.state.as_str() {
            "absent" if !line.volumes.is_empty() => "absent, its data is kept".to_owned(),
            _ => line.state,
        };
        table.add_row([line.name, line.role, line.ip, line.server, state]);
    }
    println!("{}", table::text(&table));
    Ok(Exit::Done)
}
