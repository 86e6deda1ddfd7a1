//! What the longer messages say.

use std::fmt;

use caravan_lab::{Provider, Role, listed};

use crate::SilentComputer;
use crate::lock::LockHolder;

pub(super) fn cluster_lost(
    lab: &str,
    seen: &str,
    gone: &[String],
    kept: &[String],
    machines: usize,
) -> String {
    let copy = match kept {
        [] => String::new(),
        kept => format!(
            "; {} still has a copy, which is no majority of {}",
            listed(kept),
            kept.len() + gone.len()
        ),
    };
    let left = match machines {
        0 => "no machine of the lab is left".to_owned(),
        1 => "1 machine of the lab is left, and is of no use without it".to_owned(),
        count => format!("{count} machines of the lab are left, and are of no use without it"),
    };
    let (are, them) = match gone {
        [_] => ("is", "it"),
        _ => ("are", "them"),
    };
    format!(
        "the cluster of lab `{lab}`, first seen ready at {seen}, is lost: {} {are} gone, and etcd's data with {them}{copy}. \
         All that was stored in the cluster goes with it; {left}",
        listed(gone)
    )
}

pub(super) fn by(holder: Option<&LockHolder>) -> String {
    match holder {
        Some(holder) => format!(
            ": `{}`, process {}, since {}",
            holder.verb, holder.pid, holder.since
        ),
        None => String::new(),
    }
}

pub(super) fn indented<T: fmt::Display>(lines: &[T]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
}

/// What a verb does, as a noun.
pub(super) fn of_verb(verb: &str) -> &str {
    match verb {
        "drill" => "the drill",
        crate::restore::VERB | crate::checkpoints::VERB => "the restoration",
        crate::rotate::VERB => "the rotation",
        "replace" => "the replacement",
        other => other,
    }
}

pub(super) fn irreplaceable(machine: &str, role: Role, faults: &[(String, String)]) -> String {
    if faults.is_empty() {
        return format!(
            "`{machine}` cannot be replaced while the lab goes on: it is its only {role}"
        );
    }
    let faults: Vec<String> = faults
        .iter()
        .map(|(other, why)| format!("`{other}` is not well either ({why})"))
        .collect();
    format!("`{machine}` cannot be replaced: {}", faults.join("; "))
}

pub(super) fn lines<T: fmt::Display>(things: impl Iterator<Item = T>) -> String {
    let all: Vec<String> = things.map(|thing| thing.to_string()).collect();
    all.join("\n")
}

pub(super) fn image_of_which(lab: &str, image: &str, providers: &[Provider]) -> String {
    let words: Vec<&str> = providers.iter().map(|it| it.word()).collect();
    let is = match providers {
        [_] => "an image for others",
        _ => "one image",
    };
    let of = words.join(" and ");
    format!("the machines of lab `{lab}` are of {of}, and `{image}` is {is}")
}

pub(super) fn silent(silent: &SilentComputer) -> String {
    let servers = match &silent.servers[..] {
        [one] => format!("server `{one}`"),
        several => format!("servers {}", listed(several)),
    };
    format!("{servers} on `{}`: {}", silent.host, silent.error)
}

pub(super) fn which_lab(running: &[String]) -> String {
    match running {
        [] => "no lab has machines".to_owned(),
        labs => format!("several labs have machines: {}", listed(labs)),
    }
}

/// Which nodes lack which image, a line each.
pub(super) fn not_loaded(failures: &[(String, String, String)]) -> String {
    let all: Vec<String> = (failures.iter())
        .map(|(node, image, why)| format!("`{node}` could not be given `{image}`: {why}"))
        .collect();
    all.join("\n")
}
