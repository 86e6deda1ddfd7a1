//! The lab tool: parses the command line, goes to the workspace, runs one verb.

mod bake;
mod bench;
mod bundle;
mod certs;
mod checkpoint;
mod completion;
mod destroy;
mod doctor;
mod drill;
mod environment;
mod error;
mod etcd;
mod exit;
mod explain;
mod export;
mod flags;
mod halt;
mod images;
mod kill_after;
mod kubeconfig;
mod kubectl;
mod list;
mod load;
mod logs;
mod new;
mod plan;
mod replace;
mod report;
mod setup;
mod show;
mod software;
mod ssh;
mod status;
mod up;
mod verify;
mod version;
mod way_in;

use std::process::ExitCode;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags::{Flags, Verb};
use caravan_lifecycle::Workspace;
use caravan_process::{interrupt, show_calls};

fn main() -> ExitCode {
    show::pipe::end_when_nobody_reads();
    completion::answer();
    let flags = flags::parse();
    // Ctrl-C and `kill` are noted here, and every loop that waits looks at it.
    if let Err(error) = ctrlc::set_handler(interrupt::raise) {
        eprintln!("warning: Ctrl-C will end this at once: {error}");
    }
    match run(flags) {
        Ok(exit) => exit.into(),
        Err(error) => {
            show::report::error(&error);
            error.exit().into()
        }
    }
}

fn run(flags: Flags) -> Result<Exit, Error> {
    let mut screen = show::screen::Screen::new(flags.quiet, error::TOOL);
    if flags.verbose {
        screen = screen.plain();
        show_calls(|line| show::screen::to_stderr(&format!("$ {line}\n")));
    }
    let workspace = match flags.verb {
        Verb::Version(_) | Verb::Completion(_) => Workspace::at(""),
        _ => environment::workspace()?,
    };
    match flags.verb {
        Verb::Version(version) => version::run(&version),
        Verb::Completion(completion) => completion::run(&completion, &screen),
        Verb::Load(load) => load::run(&load, &workspace, &screen),
        Verb::Images(images) => images::run(&images, &workspace, &screen),
        Verb::Kubectl(kubectl) => kubectl::run(&kubectl, &workspace),
        Verb::Etcdctl(etcdctl) => kubectl::run_etcdctl(&etcdctl, &workspace),
        Verb::New(new) => new::run(&new, &workspace, &screen),
        Verb::Doctor(doctor) => doctor::run(&doctor, &workspace),
        Verb::Setup(setup) => setup::run(&setup, &screen),
        Verb::Up(up) => up::run(&up, &workspace, &screen),
        Verb::Halt(halt) => halt::run(&halt, &workspace, &screen),
        Verb::Destroy(destroy) => destroy::run(&destroy, &workspace, &screen),
        Verb::Replace(replace) => replace::run(&replace, &workspace, &screen),
        Verb::Drill(drill) => drill::run(&drill, &workspace, &screen),
        Verb::Status(status) => status::run(&status, &workspace),
        Verb::Etcd(etcd) => etcd::run(&etcd, &workspace, &screen),
        Verb::Checkpoint(checkpoint) => checkpoint::run(&checkpoint, &workspace, &screen),
        Verb::Certs(certs) => certs::run(&certs, &workspace, &screen),
        Verb::Verify(verify) => verify::run(&verify, &workspace, &screen),
        Verb::Report(report) => report::run(&report, &workspace, &screen),
        Verb::List(list) => list::run(&list, &workspace, &screen),
        Verb::Ssh(ssh) => ssh::run(&ssh, &workspace),
        Verb::Logs(logs) => logs::run(&logs, &workspace, &screen),
        Verb::Kubeconfig(kubeconfig) => kubeconfig::run(&kubeconfig, &workspace, &screen),
        Verb::Bundle(bundle) => bundle::run(&bundle, &screen),
        Verb::Bake(bake) => bake::run(&bake, &screen),
        Verb::Explain(explain) => explain::run(&explain, &workspace),
        Verb::Export(export) => export::run(&export, &workspace, &screen),
        Verb::Plan(plan) => plan::run(&plan, &workspace, &screen),
        Verb::Bench(bench) => bench::run(&bench, &workspace, flags.quiet),
    }
}
