//! The parts of machines that are containers: what each has written beside its image, and its volumes.
//!
//! Only root on the engine's computer may read these, and who uses the engine need not be root. So whatever is done is done in
//! a container that lives for as long as that takes: of the lab's own image, which has all programs for it, and without a
//! network. `docker commit` would copy layers as well, and volumes not at all; and a container could be put back only by making
//! another one, with another id, from an image that the next `docker image prune` removes.

use std::io::{self, Read};
use std::time::Duration;

use caravan_docker::DockerCli;
use caravan_process::{Call, Failure, FeedError, failure_of, interrupt};

use super::{DockerMachines, HOST_VOLUME, MACHINE_LABEL, filter};
use crate::Error;
use crate::parts::{
    MachinePart, PartPlace, PartSink, PartSpace, PartStanding, PartStore, ROOT, TransferError,
};

/// What is done in the container.
const SCRIPT: &str = include_str!("parts.sh");

/// The label of such a container; its value is the lab. One that outlived whoever started it ends by itself, and is removed
/// before the next one starts.
const HELPER_LABEL: &str = "caravan.checkpoint";

/// Where parts are in it.
const FOLDER: &str = "/parts";

/// How long what moves and removes may take; it waits for the disk.
const LIMIT: Duration = Duration::from_secs(600);

/// How many bytes are taken at once.
const CHUNK: usize = 1 << 18;

/// The parts of a lab's machines.
#[derive(Debug)]
struct ContainerParts {
    docker: DockerCli,
    lab: String,
    /// The id of an image that one of the lab's machines was made from.
    image: String,
    parts: Vec<MachinePart>,
}

/// Whether what is done in the container changes anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Read,
    Write,
}

impl DockerMachines {
    /// The parts of the machines of `lab`.
    ///
    /// # Errors
    ///
    /// [`Error::NoLayers`] where the engine keeps them where nobody finds them, [`Error::StrangeVolume`] where a machine has
    /// a volume that is not the lab's, [`Error::Docker`], [`Error::Process`].
    pub fn parts(&self, lab: &str) -> Result<Box<dyn PartStore>, Error> {
        let volumes = self.volumes(Some(lab))?;
        let mut parts = Vec::new();
        for layer in self.docker.layers(&filter(Some(lab)))? {
            let machine = (layer.labels.get(MACHINE_LABEL)).map_or("", String::as_str);
            let part = |name: &str, place| MachinePart {
                machine: machine.to_owned(),
                name: name.to_owned(),
                image: layer.image.clone(),
                place,
            };
            let written = layer.written.clone().ok_or_else(|| Error::NoLayers {
                driver: layer.driver.clone(),
            })?;
            parts.push(part(ROOT, PartPlace::Folder(written)));
            for name in layer.volumes.iter().filter(|name| *name != HOST_VOLUME) {
                let known = volumes.iter().find(|it| it.name == *name);
                let volume = known.filter(|it| !it.holds.is_empty());
                let volume = volume.ok_or_else(|| Error::StrangeVolume {
                    machine: machine.to_owned(),
                    volume: name.clone(),
                })?;
                parts.push(part(&volume.holds, PartPlace::Volume(name.clone())));
            }
        }
        parts.sort_by_key(MachinePart::id);
        Ok(Box::new(ContainerParts {
            docker: self.docker.clone(),
            lab: lab.to_owned(),
            image: (parts.first()).map_or_else(String::new, |it| it.image.clone()),
            parts,
        }))
    }

    /// Ends what was started for the parts of a lab's machines and has outlived whoever did.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`] and [`Error::Process`].
    pub(super) fn end_part_helpers(&self, lab: &str) -> Result<(), Error> {
        end_helpers(&self.docker, lab)
    }
}

fn end_helpers(docker: &DockerCli, lab: &str) -> Result<(), Error> {
    let helpers = format!("label={HELPER_LABEL}={lab}");
    let ids = docker.ask(["ps", "-aq", "--no-trunc", "--filter", &helpers])?;
    Ok(docker.remove_containers(ids.lines())?)
}

impl ContainerParts {
    /// A container that does `verb` to `parts`.
    fn call(&self, usage: Use, verb: &[&str], parts: &[&MachinePart]) -> Result<Call, Error> {
        end_helpers(&self.docker, &self.lab)?;
        let label = format!("{HELPER_LABEL}={}", self.lab);
        let mut call = self.docker.call(["run", "--rm", "--interactive"]);
        // What it prints is the copy itself, which the engine would write to its log, too.
        call = call.args([
            "--pull",
            "never",
            "--network",
            "none",
            "--log-driver",
            "none",
        ]);
        // An overlay's marks are readable to that one alone; SELinux lets containers into no other container's files.
        call = call.args(["--cap-add", "SYS_ADMIN", "--security-opt", "label=disable"]);
        call = call.args(["--label", label.as_str()]);
        for part in parts {
            call = call.arg("--mount").arg(mount(part, usage));
        }
        call = call.args([self.image.as_str(), "/bin/sh", "-c", SCRIPT, "parts"]);
        Ok(call.args(verb).args(parts.iter().map(|part| part.id())))
    }

    /// Does `verb` to all of `parts` at once, and returns what was printed.
    fn run(&self, usage: Use, verb: &'static str, parts: &[&MachinePart]) -> Result<String, Error> {
        if parts.is_empty() {
            return Ok(String::new());
        }
        let call = self.call(usage, &[verb], parts)?.timeout(LIMIT);
        match call.run() {
            Ok(output) => Ok(output.stdout),
            Err(error) => {
                self.end_quietly();
                Err(told(verb, parts, error))
            }
        }
    }

    /// What is said of each part by what was printed, a line each.
    fn each<T>(
        &self,
        verb: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let all: Vec<&MachinePart> = self.parts.iter().collect();
        let printed = self.run(Use::Read, verb, &all)?;
        let said = |part: &MachinePart| {
            let begin = format!("{} ", part.id());
            let line = printed.lines().find_map(|it| it.strip_prefix(&begin));
            line.and_then(&read).ok_or_else(|| Error::Part {
                verb,
                part: part.id(),
                said: format!("it printed `{}`", printed.trim()),
            })
        };
        self.parts.iter().map(said).collect()
    }

    /// Nobody waits any more for what was started. What cannot be ended now is before the next one starts.
    fn end_quietly(&self) {
        drop(end_helpers(&self.docker, &self.lab));
    }
}

impl PartStore for ContainerParts {
    fn parts(&self) -> &[MachinePart] {
        &self.parts
    }

    fn spaces(&self) -> Result<Vec<PartSpace>, Error> {
        self.each("space", |said| {
            let (used, free) = said.split_once(' ')?;
            let bytes = |kib: &str| Some(kib.parse::<u64>().ok()? * 1024);
            Some(PartSpace {
                used: bytes(used)?,
                free: bytes(free)?,
            })
        })
    }

    fn standings(&self) -> Result<Vec<PartStanding>, Error> {
        self.each("standing", PartStanding::read)
    }

    fn copy(&self, part: &MachinePart, to: &mut PartSink<'_>) -> Result<(), TransferError> {
        let call = self.call(Use::Read, &["copy"], &[part]);
        let call = call.map_err(TransferError::Part)?;
        let command = call.to_string();
        let ended = self.drain(call, &command, part, to);
        if ended.is_err() {
            self.end_quietly();
        }
        ended
    }

    fn stage(
        &self,
        part: &MachinePart,
        sum: &str,
        from: &mut dyn Read,
    ) -> Result<(), TransferError> {
        let call = self.call(Use::Write, &["stage", sum], &[part]);
        let call = call.map_err(TransferError::Part)?;
        let command = call.to_string();
        let failed = |error| TransferError::Part(told("stage", &[part], error));
        let ended = match call.feed(from, LIMIT, &mut |_| {}) {
            Ok(output) if output.success() => Ok(()),
            Ok(output) => Err(failed(failure(command, output.status, &output.stderr))),
            Err(FeedError::Source(error)) => Err(TransferError::File(error)),
            Err(FeedError::Program(error)) => Err(failed(error)),
        };
        if ended.is_err() {
            self.end_quietly();
        }
        ended
    }

    fn swap(&self, parts: &[&MachinePart]) -> Result<(), Error> {
        self.run(Use::Write, "swap", parts).map(drop)
    }

    fn take_back(&self, parts: &[&MachinePart]) -> Result<(), Error> {
        self.run(Use::Write, "take-back", parts).map(drop)
    }

    fn clean(&self, parts: &[&MachinePart]) -> Result<(), Error> {
        self.run(Use::Write, "clean", parts).map(drop)
    }
}

impl ContainerParts {
    /// Hands on what a container prints until it ends.
    fn drain(
        &self,
        call: Call,
        command: &str,
        part: &MachinePart,
        to: &mut PartSink<'_>,
    ) -> Result<(), TransferError> {
        let failed = |error| TransferError::Part(told("copy", &[part], error));
        let mut printed = call.read().map_err(failed)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            if interrupt::raised() {
                let command = command.to_owned();
                return Err(failed(caravan_process::Error::Interrupted { command }));
            }
            match printed.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => to(&chunk[..count]).map_err(TransferError::File)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let error = match failure_of(&error) {
                        Some(known) => {
                            failure(command.to_owned(), known.status, &known.tail.join("\n"))
                        }
                        None => failure(command.to_owned(), None, &error.to_string()),
                    };
                    return Err(failed(error));
                }
            }
        }
    }
}

fn failure(command: String, status: Option<i32>, said: &str) -> caravan_process::Error {
    caravan_process::Error::Failed(Box::new(Failure {
        command,
        dir: None,
        status,
        tail: said.trim().lines().map(str::to_owned).collect(),
        log: None,
    }))
}

/// The error for what was not done to parts: its command line would be a script.
fn told(verb: &'static str, parts: &[&MachinePart], error: caravan_process::Error) -> Error {
    match caravan_docker::Error::from(error) {
        caravan_docker::Error::Process(caravan_process::Error::Failed(failure)) => {
            let ids: Vec<String> = parts.iter().map(|part| part.id()).collect();
            Error::Part {
                verb,
                part: ids.join(", "),
                said: failure.tail.join("; "),
            }
        }
        error => error.into(),
    }
}

/// How a part comes into the container.
fn mount(part: &MachinePart, usage: Use) -> String {
    let source = match &part.place {
        PartPlace::Folder(folder) => format!("source={}", folder.display()),
        PartPlace::Volume(name) => format!("source={name}"),
    };
    let mut fields = match part.place {
        PartPlace::Folder(_) => vec!["type=bind".to_owned()],
        PartPlace::Volume(_) => vec!["type=volume".to_owned(), "volume-nocopy".to_owned()],
    };
    fields.extend([source, format!("target={FOLDER}/{}", part.id())]);
    fields.extend((usage == Use::Read).then(|| "readonly".to_owned()));
    // The engine's client reads a line of comma-separated values.
    let quoted = fields.iter().map(|field| match field.contains([',', '"']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.clone(),
    });
    quoted.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(place: PartPlace) -> MachinePart {
        MachinePart {
            machine: "etcdone".to_owned(),
            name: "etcd".to_owned(),
            image: "sha256:cafe".to_owned(),
            place,
        }
    }

    #[test]
    fn parts_are_mounted_where_their_ids_say() {
        let volume = part(PartPlace::Volume("caravan.ha.etcdone.etcd".to_owned()));
        assert_eq!(
            mount(&volume, Use::Write),
            "type=volume,volume-nocopy,source=caravan.ha.etcdone.etcd,target=/parts/etcdone.etcd"
        );
        let folder = part(PartPlace::Folder("/var/lib/a,b/diff".into()));
        assert_eq!(
            mount(&folder, Use::Read),
            "type=bind,\"source=/var/lib/a,b/diff\",target=/parts/etcdone.etcd,readonly"
        );
    }
}
