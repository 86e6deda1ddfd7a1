//! `cargo xtask plan`: what a lab makes, what would change, and what each failure costs.

mod failure;

use caravan_lab::Lab;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::show::screen::Screen;
use crate::show::timeline::table;
use crate::workspace::Workspace;

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Plan,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let (lab, source) = workspace.lab(&flags.lab)?;
    crate::show::report::warnings(&workspace.lab_file(lab.name()), &source, lab.warnings());
    let analysis = caravan_lab::failure::analyse(&lab);
    let _ = screen;
    println!("{}\n", machines(&lab));
    println!("{}", failure::text(&lab, &analysis));
    Ok(Exit::Done)
}

fn machines(lab: &Lab) -> String {
    let memory: u32 = lab
        .machines()
        .iter()
        .map(|machine| machine.memory_mib)
        .sum();
    let cpus: u32 = lab
        .machines()
        .iter()
        .map(|machine| u32::from(machine.cpus))
        .sum();
    let head = format!(
        "lab {}: Kubernetes {}, endpoint https://{}, {} machines on {} servers, {memory} MiB, {cpus} CPUs",
        lab.name(),
        lab.kubernetes(),
        lab.api_endpoint(),
        lab.machines().len(),
        lab.servers().len(),
    );
    let mut table = table::plain(&["machine", "role", "address", "memory", "cpus", "server"]);
    for machine in lab.machines() {
        table.add_row([
            machine.name.clone(),
            machine.role.to_string(),
            machine.ip.to_string(),
            format!("{} MiB", machine.memory_mib),
            machine.cpus.to_string(),
            machine.server.clone(),
        ]);
    }
    format!("{head}\n\n{}", table::text(&table))
}
