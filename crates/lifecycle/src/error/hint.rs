//! What to do about each error.

use std::io;
use std::path::Path;

use caravan_lab::LabChange;
use caravan_process::shell;

use super::{Error, listed};

impl Error {
    /// The next thing to do about it; `tool` is how the program that calls this is started, such as `cargo xtask`.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::Bundle(caravan_bundle::Error::NoSuchImage { name, names }) => Some(match nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "the engine has no images: build one, or give an archive".to_owned(),
                None => format!("the engine has {}; an archive is given by its path", listed(names)),
            }),
            Self::Bundle(error) => error.hint(tool),
            Self::ImageFolder { path } => Some(format!(
                "`tar -C {0} -cf image.tar .` makes an archive of an OCI layout",
                shell::path(path)
            )),
            Self::InputIsTerminal => Some(format!("`docker save app:1 | {tool} load LAB -`")),
            Self::NamelessImage { id, is_of_engine: true, .. } => Some(format!(
                "`docker tag {id} app:1` gives it one; so does `--name app:1` here"
            )),
            Self::NamelessImage { .. } => Some("`--name app:1` gives it one".to_owned()),
            Self::NoNode { .. } => Some("masters and workers run images".to_owned()),
            Self::NotLoaded { lab, .. } => Some(format!(
                "the others have it; `{tool} up {lab}`, or the same command, goes on with those that lack it"
            )),
            Self::NotRemembered { name, names } => Some(match nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "none is".to_owned(),
                None => format!("those are {}", listed(names)),
            }),
            Self::SeveralImages { .. } => Some("leave `--name` out: each has its own".to_owned()),
            Self::Busy { holder, .. } => Some(match holder {
                Some(holder) => format!(
                    "wait for it to end, or stop it with `kill -INT {}`: the lab stays in a state that `up` and `destroy` accept",
                    holder.pid
                ),
                None => "wait for it to end".to_owned(),
            }),
            Self::Cluster(error) => error.hint(tool),
            Self::Certificates(error) => error.hint(tool),
            Self::Checkpoint(error) => error.hint(tool),
            Self::Snapshot(error) => error.hint(tool),
            Self::ClusterLost { lab, kept, .. } => Some(format!(
                "`{tool} up {lab} --new-cluster` removes what is left and makes a new, empty cluster{}",
                if kept.is_empty() {
                    ""
                } else {
                    "; docs/troubleshooting.md says how to save the copy first"
                }
            )),
            Self::Conflicts { conflicts } => conflicts.iter().find_map(|it| it.hint(tool)),
            Self::Died { lab, machine, .. } => Some(format!(
                "`{tool} up {lab}` starts `{machine}` again, and it goes on"
            )),
            Self::Edited { lab, changes } if changes.iter().all(LabChange::can_be_applied) => Some(
                format!("`{tool} up {lab}` brings it to the machines, one master after the other"),
            ),
            Self::Edited { lab, .. } => Some(format!(
                "`{tool} destroy {lab}`, then `up` again; `{tool} plan {lab}` shows what would change; or undo \
                 the edit"
            )),
            Self::Irreplaceable { lab, machine, faults, .. } => Some(match faults.first() {
                Some((other, _)) => format!(
                    "`{tool} up {lab} {other}` starts it again; `{tool} status {lab}` shows more"
                ),
                None => format!(
                    "`{tool} destroy {lab} {machine}`, then `{tool} up {lab}`: it is made anew, and what it does is away meanwhile"
                ),
            }),
            Self::NoTarget { lab, .. } => Some(format!("`{tool} status {lab}` shows who does what; `{tool} plan {lab}` what it can be without")),
            Self::NotJoined { lab, machine } => Some(format!(
                "`{tool} logs {lab} {machine}` shows what it waits for; `{tool} replace {lab} {machine}` goes on"
            )),
            Self::OperationOpen { lab, verb, machine, .. } if verb == crate::checkpoints::VERB => Some(format!(
                "`{tool} {verb} {lab} {machine}` goes on with it; `{tool} {verb} {lab} --give-up` returns to what was there \
                 before, until all machines have what was saved"
            )),
            Self::OperationOpen { lab, verb, machine, .. } => Some(format!(
                "`{tool} {verb} {lab} {machine}` goes on with it; `{tool} up {lab} MACHINE...` starts others that are halted"
            )),
            Self::EditedUnasked { source, .. } => source.hint(tool),
            Self::Elsewhere { lab, server, host } => Some(format!(
                "`{tool} export {lab} --server {server} {lab}-{server}.tar` makes one archive: carry it to `{host}`, and run \
                 `vagrant up` there as its README says; `--server` brings up another server's machines from here"
            )),
            Self::SentFromElsewhere { lab, host, folder } => Some(format!(
                "copy `.lab/{lab}` of that workspace to this one, or remove the lab there: `ssh {host} rm -r {}`, once \
                 nobody needs it",
                shell::path(folder)
            )),
            Self::Silent(silent) => match &silent.error {
                caravan_process::Error::HostKey { .. } => silent.error.hint(tool),
                _ => Some(format!(
                    "`ssh {}` shows more; what was done on the others stays, and the same command goes on from there",
                    silent.host
                )),
            },
            Self::ImageOfWhich { providers, .. } => {
                let flags = providers.iter().map(|it| format!("`--image {it}=IMAGE`"));
                let flags = flags.collect::<Vec<_>>().join(" or ");
                Some(format!("{flags} says which machines are made from it"))
            }
            Self::ProvidersApart { .. } => Some(
                "give both servers the `bridge` that is to join them, or one provider: `--provider virtualbox`".to_owned(),
            ),
            Self::LabFileGone { lab, path, kept } => Some(format!(
                "`cp {} {}` brings it back; `{tool} destroy {lab}` removes the lab, which needs no file",
                shell::path(kept),
                shell::path(path)
            )),
            Self::MadeElsewhere { lab, workspace, .. } => Some(format!(
                "`cd {} && {tool} destroy {lab}`, or give the lab here another name and `subnet`",
                shell::path(workspace)
            )),
            Self::Strangers { lab, .. } => Some(format!(
                "`{tool} destroy {lab}` removes them; nobody has their keys any more"
            )),
            Self::Stuck(stuck) => Some(format!("`{tool} {}` shows more; correct the cause, then run `{tool} up` again", stuck.verb)),
            Self::NoneRuns { lab, .. } | Self::NotNear { lab, .. } => Some(format!("`{tool} up {lab}` starts them")),
            Self::NotMade { lab } => Some(format!("`{tool} up {lab}` makes it")),
            Self::ChosenOtherwise { lab, .. } => Some(format!(
                "leave the flag out to go on with the machines there are, or `{tool} destroy {lab}` first"
            )),
            Self::NoLabFile { .. } => {
                Some("remove it, or put a lab file there; `labs/ha.toml` is one".to_owned())
            }
            Self::NotText { .. } => Some("save the file as UTF-8".to_owned()),
            Self::NoLabNamed { running } if running.is_empty() => {
                Some(format!("name a lab; `{tool} list` shows them"))
            }
            Self::NoLabNamed { .. } => Some("name the lab".to_owned()),
            Self::NoSuchLab { name, labs } => Some(match nearest(name, labs) {
                Some(near) => format!("did you mean `{near}`?"),
                None if labs.is_empty() => "make a file in `labs/`".to_owned(),
                None => format!("the labs are {}", listed(labs)),
            }),
            Self::NoSuchMachine { name, machines, .. } => Some(match nearest(name, machines) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its machines are {}", listed(machines)),
            }),
            Self::NoSuchServer { name, servers, .. } => Some(match nearest(name, servers) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its servers are {}", listed(servers)),
            }),
            Self::NoneOnServer { lab, .. } => Some(format!("`{tool} list {lab}` shows which machine is on which server")),
            Self::OtherCluster { lab, .. } => Some(format!(
                "`{tool} up {lab} --new-cluster` goes on with this one; `{tool} destroy {lab}` ends it"
            )),
            Self::Pki(error) => error.hint(),
            Self::Process(error) => error.hint(tool),
            Self::Render(error) => error.hint(tool),
            Self::Vagrant(error) => error.hint(tool),
            Self::VagrantAtWork { pid, .. } => Some(format!(
                "`kill -INT {pid}` ends it in its own way; then run the same command again"
            )),
            Self::Read { path, source } | Self::Write { path, source } => hint_of_file(tool, path, source),
            _ => None,
        }
    }
}

/// What to do about a file that cannot be read or written.
pub fn hint_of_file(tool: &str, path: &Path, source: &io::Error) -> Option<String> {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            Some(format!("`ls -ld {}` shows who may", shell::path(path)))
        }
        io::ErrorKind::ReadOnlyFilesystem => Some(format!(
            "`findmnt --target {}` shows what is mounted there",
            shell::path(path)
        )),
        io::ErrorKind::StorageFull => Some(format!(
            "the disk is full: free some space (`{tool} bundle prune`), then run the same command again"
        )),
        _ => None,
    }
}

/// The name that was probably meant by `name`.
pub fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a String> {
    names
        .iter()
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
