//! The whole of `up` against the floor, in one run on one computer.

use std::fs;
use std::time::{Duration, Instant};

use caravan_lab::{Lab, Provider};
use caravan_process::Program;
use caravan_vagrant::ssh::Ssh;
use serde_json::Value;

use super::{Figure, floor, seconds};
use crate::destroy;
use crate::error::Error;
use crate::flags::{self, BenchAction};
use crate::lab_dir::LabDir;
use crate::machines;
use crate::show::screen::Screen;
use crate::software;
use crate::state::choices::Choices;
use crate::target;
use crate::up;
use crate::workspace::Workspace;

/// What a machine is asked for the CPU time that it has used since it was made: nanoseconds or microseconds, by version.
const CPU: &str = "cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null || sed -n 's/^usage_usec //p' /sys/fs/cgroup/cpu.stat | sed 's/$/000/'";

pub(super) fn measure(
    action: &BenchAction,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Vec<Figure>, Error> {
    let BenchAction::Up {
        lab: name,
        keep,
        making,
        origin,
        ..
    } = action
    else {
        return Ok(Vec::new());
    };
    let (lab, source) = workspace.lab(name)?;
    let dir = workspace.state(name);
    let there = machines::of(name, Provider::Docker, &dir)?;
    if !there.is_empty() {
        return Err(Error::Occupied { lab: name.clone() });
    }
    let mut choices = Choices::settle(&lab, making, None, false)?;
    let minor = lab.kubernetes().to_string();
    if choices.image.is_none() {
        choices.image = Some(software::image(&minor, origin, true, screen)?);
    }
    let bare = floor::measure(workspace, &source, &lab, &choices, screen)?;

    let asked = flags::Up {
        lab: name.clone(),
        machines: Vec::new(),
        server: None,
        yes: true,
        making: making.clone(),
        origin: origin.clone(),
    };
    let began = Instant::now();
    up::run(&asked, workspace, screen)?;
    let whole = began.elapsed();

    let mut figures = vec![
        seconds("floor: bare machines", bare),
        seconds("up, until verified", whole),
        Figure {
            what: "times the floor".to_owned(),
            value: whole.as_secs_f64() / bare.as_secs_f64(),
            unit: "x",
        },
    ];
    figures.extend(steps(&dir));
    figures.extend(used(&lab, &dir)?);
    let began = Instant::now();
    up::run(&asked, workspace, screen)?;
    figures.push(seconds("up again, with nothing to do", began.elapsed()));
    if !keep {
        let began = Instant::now();
        let gone = flags::Destroy {
            lab: name.clone(),
            machines: Vec::new(),
            yes: true,
        };
        destroy::run(&gone, workspace, screen)?;
        figures.push(seconds("destroy", began.elapsed()));
    }
    Ok(figures)
}

/// The steps of the run that was recorded last.
fn steps(dir: &LabDir) -> Vec<Figure> {
    let newest = fs::read_dir(dir.timelines())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .max();
    let timeline: Value = newest
        .and_then(|path| fs::read_to_string(path).ok())
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let spans = timeline["spans"].as_array().cloned().unwrap_or_default();
    spans
        .iter()
        .filter(|span| span["subject"] == "run")
        .filter_map(|span| {
            let ms = span["to_ms"]
                .as_u64()?
                .checked_sub(span["from_ms"].as_u64()?)?;
            let phase = span["phase"].as_str()?;
            Some(seconds(
                &format!("  step {phase}"),
                Duration::from_millis(ms),
            ))
        })
        .collect()
}

/// What the machines have used until now.
fn used(lab: &Lab, dir: &LabDir) -> Result<Vec<Figure>, Error> {
    let ssh = target::ssh(lab, dir)?;
    let cpu: f64 = lab
        .machines()
        .iter()
        .filter_map(|machine| cpu_seconds(&ssh, lab, machine))
        .sum();
    let ids: Vec<String> = machines::of(lab.name(), Provider::Docker, dir)?
        .into_iter()
        .filter_map(|machine| machine.id)
        .collect();
    let stats = Program::find("docker")?
        .call(["stats", "--no-stream", "--format", "{{.MemUsage}}"])
        .args(&ids)
        .run()?;
    let memory: f64 = stats.stdout.lines().filter_map(mib).sum();
    Ok(vec![
        Figure {
            what: "CPU time used in the machines".to_owned(),
            value: cpu,
            unit: "s",
        },
        Figure {
            what: "memory of the idle lab".to_owned(),
            value: memory,
            unit: "MiB",
        },
    ])
}

fn cpu_seconds(ssh: &Ssh, lab: &Lab, machine: &caravan_lab::Machine) -> Option<f64> {
    let output = target::remote(ssh, lab, machine)
        .script(CPU, Duration::from_secs(10))
        .ok()?;
    let nanoseconds: f64 = output.stdout.trim().parse().ok()?;
    Some(nanoseconds / 1e9)
}

/// The first size of `330.5MiB / 2GiB`, in MiB.
fn mib(usage: &str) -> Option<f64> {
    let word = usage.split('/').next()?.trim();
    let digits = word.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = word[..digits].parse().ok()?;
    let factor = match &word[digits..] {
        "B" => 1.0 / (1024.0 * 1024.0),
        "KiB" => 1.0 / 1024.0,
        "MiB" => 1.0,
        "GiB" => 1024.0,
        _ => return None,
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("330.5MiB / 2GiB", Some(330.5)),
            ("1.5GiB / 2GiB", Some(1536.0)),
            ("512KiB / 1GiB", Some(0.5)),
            ("-- / --", None),
            ("", None),
        ] {
            assert_eq!(mib(text), expected, "{text}");
        }
    }
}
