//! `cargo xtask list`: labs, or the machines of one.

use caravan_lifecycle::{LabTarget, MachineRecord, Workspace, machines};
use caravan_vagrant::provider::FoundMachine;
use serde::Serialize;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::show::screen::Screen;
use crate::show::table;

/// A lab, in a line.
#[derive(Serialize)]
struct LabLine {
    name: String,
    file: bool,
    /// None where nobody could be asked.
    machines: Option<usize>,
    running: Option<usize>,
}

/// A machine, in a line.
#[derive(Serialize)]
struct MachineLine {
    name: String,
    role: String,
    server: String,
    ip: String,
    /// What runs it, or is to run it.
    provider: String,
    state: String,
    id: Option<String>,
    /// What it was made from; none where it was not made from this workspace, or by a version that kept no record.
    made_from: Option<MachineRecord>,
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
        Some(lab) => machines_of(&LabTarget::of(workspace, Some(lab))?, flags.json),
        None => labs(workspace, screen, flags.json),
    }
}

fn labs(workspace: &Workspace, screen: &Screen, json: bool) -> Result<Exit, Error> {
    let files = workspace.labs();
    let mut silent = None;
    let on_engine = match machines::labs().and_then(|labs| {
        let with_data = machines::labs_with_data()?;
        Ok([labs, with_data].concat())
    }) {
        Err(error) if error.is_interrupt() => return Err(error.into()),
        Err(error) => {
            silent = Some(error);
            Vec::new()
        }
        Ok(labs) => labs,
    };
    let mut names = [files.clone(), workspace.labs_with_state(), on_engine].concat();
    names.sort();
    names.dedup();
    let mut lines = Vec::new();
    for name in names {
        let found = machines::of_any(workspace, &name);
        if let Err(error) = &found
            && error.is_interrupt()
        {
            return Err(Error::interrupted());
        }
        let count = |is: &dyn Fn(&FoundMachine) -> bool| {
            let found = found.as_ref().ok()?;
            Some(found.iter().filter(|machine| is(machine)).count())
        };
        lines.push(LabLine {
            file: files.contains(&name),
            machines: count(&|_| true),
            running: count(&FoundMachine::runs),
            name,
        });
        silent = silent.or(found.err());
    }
    if let Some(error) = silent {
        screen.warn(&format!(
            "some machines could not be counted, and labs may be missing: {error}"
        ));
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
            counted(line.machines),
            counted(line.running),
            if line.file { "there" } else { "gone" }.to_owned(),
        ]);
    }
    println!("{}", table::text(&table));
    Ok(Exit::Done)
}

fn counted(count: Option<usize>) -> String {
    count.map_or("unknown".to_owned(), |count| count.to_string())
}

fn machines_of(target: &LabTarget, json: bool) -> Result<Exit, Error> {
    let providers = target.providers();
    let found = target.machines()?;
    let kept = target.volumes()?;
    let volumes = |name: &str| -> Vec<String> {
        let theirs = kept.iter().filter(|volume| volume.machine == name);
        theirs.map(|volume| volume.name.clone()).collect()
    };
    let state =
        |name: &str| -> Option<&FoundMachine> { found.iter().find(|machine| machine.name == name) };
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
            provider: there
                .map_or_else(
                    || providers.of_server(&machine.server).word(),
                    |found| found.provider,
                )
                .to_owned(),
            state: there
                .map_or("absent", |found| found.state.word())
                .to_owned(),
            id: there.and_then(|found| found.id.clone()),
            // The table for people does not show it.
            made_from: match there {
                Some(_) if json => MachineRecord::read(&target.dir, &machine.name)?,
                _ => None,
            },
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
                provider: stranger.provider.to_owned(),
                state: stranger.state.word().to_owned(),
                id: stranger.id.clone(),
                made_from: None,
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
    let is_mixed = lines.iter().any(|line| line.provider != lines[0].provider);
    let mut columns = vec!["machine", "role", "address", "server", "state"];
    columns.extend(is_mixed.then_some("provider"));
    let mut table = table::plain(&columns);
    for line in lines {
        let state = match line.state.as_str() {
            "absent" if !line.volumes.is_empty() => "absent, its data is kept".to_owned(),
            _ => line.state,
        };
        let mut row = vec![line.name, line.role, line.ip, line.server, state];
        row.extend(is_mixed.then_some(line.provider));
        table.add_row(row);
    }
    println!("{}", table::text(&table));
    Ok(Exit::Done)
}
