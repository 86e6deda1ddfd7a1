//! `caravan-pki`: the crate of the same name, for those who do not write Rust.

mod bundle;
mod cfssl;
mod csr;
mod flags;
mod folder;
mod init;
mod inspect;
mod issue;
mod kubernetes;
mod lint;
mod output;
mod renew;
mod revoke;
mod rotate;
mod server;
mod verify;

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;

use flags::{Flags, Verb};
use output::Exit;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let now = SystemTime::now();
    let result = match flags.verb {
        Verb::Init(args) => init::run(&args, flags.json, now),
        Verb::Issue(args) => issue::run(&args, flags.json, now),
        Verb::Inspect(args) => inspect::run(&args, flags.json, now),
        Verb::Verify(args) => verify::run(&args, flags.json, now),
        Verb::Renew(args) => renew::run(&args, flags.json, now),
        Verb::Revoke(args) => revoke::run(&args, flags.json, now),
        Verb::Rotate(args) => rotate::run(&args, flags.json, now),
        Verb::Csr(args) => csr::run(&args, flags.json),
        Verb::Bundle(args) => bundle::run(&args, flags.json),
        Verb::Cfssl(args) => cfssl::run(&args, flags.json, now),
        Verb::Kubernetes(args) => kubernetes::run(&args, flags.json, now),
        Verb::Lint(args) => lint::run(&args, flags.json, now),
    };
    match result {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::Failed) => ExitCode::from(1),
        Ok(Exit::Degraded) => ExitCode::from(3),
        Err(failure) => {
            failure.show();
            if flags.json {
                output::show_json(&failure.to_json());
            }
            ExitCode::from(1)
        }
    }
}
