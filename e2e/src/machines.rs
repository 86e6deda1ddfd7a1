//! The machines of a lab, from this computer: by the engine that runs them, and from within.

use caravan_process::Program;

use crate::Tool;

/// What the engine's own client prints.
///
/// # Panics
///
/// When there is none, or it fails.
pub fn docker(args: &[&str]) -> String {
    println!("\n$ docker {}", args.join(" "));
    Program::find("docker")
        .and_then(|docker| docker.call(args).run())
        .unwrap_or_else(|error| panic!("{error}"))
        .stdout
}

/// What a script of bash prints that root runs on a machine.
///
/// # Panics
///
/// When it fails.
pub fn on(tool: &Tool, lab: &str, machine: &str, script: &str) -> String {
    let script = format!("'{}'", script.replace('\'', "'\\''"));
    let words = ["ssh", lab, machine, "--", "sudo", "bash", "-c", &script];
    tool.ok(&words).stdout
}
