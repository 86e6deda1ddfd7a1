//! A machine's files as one self-extracting script: a few lines of shell, then a tar archive.
//!
//! Not compressed and without times, so that the same files give the same bytes, and a difference can be read.

use caravan_lab::{Lab, Machine};
use serde::Serialize;

use crate::context::LabContext;
use crate::error::Error;
use crate::file::{GuestFile, HostFile};
use crate::renderer::wrap;
use crate::table::{self, MachineKind};
use crate::templates;

#[derive(Serialize)]
struct HeadContext<'a> {
    lab: &'a str,
    lab_file: &'a str,
    name: &'a str,
    /// The number of the line that the archive starts on.
    payload_line: usize,
    enabled_units: Vec<&'static str>,
    /// One entry for a virtual machine.
    r#virtual: Vec<()>,
}

/// Returns `machines/<name>.sh`.
pub(crate) fn script(
    lab: &Lab,
    context: &LabContext,
    machine: &Machine,
    files: &[GuestFile],
) -> Result<HostFile, Error> {
    let kind = MachineKind::of(lab, machine, context.settings());
    let head = |payload_line| {
        let context = HeadContext {
            lab: lab.name(),
            lab_file: &context.lab_file,
            name: &machine.name,
            payload_line,
            enabled_units: table::enabled_units(kind),
            r#virtual: kind.is_virtual.then_some(()).into_iter().collect(),
        };
        templates::render(templates::MACHINE, &wrap(&context))
    };
    // The head says how long it is, which changes no number of lines.
    let lines = head(0)?.lines().count();
    let mut content = head(lines + 1)?.into_bytes();
    append_tar(&mut content, files);
    Ok(HostFile {
        path: format!("machines/{}.sh", machine.name),
        mode: 0o600,
        content,
    })
}

/// Appends the archive.
///
/// # Panics
///
/// Never: writing to memory does not fail, and the paths of the table are short.
fn append_tar(content: &mut Vec<u8>, files: &[GuestFile]) {
    let mut archive = tar::Builder::new(content);
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.content.len() as u64);
        header.set_mode(file.mode);
        // Numbers 0 stay for owner, group and time: root, and no time at all.
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let path = file.path.trim_start_matches('/');
        archive
            .append_data(&mut header, path, file.content.as_bytes())
            .expect("a file is appended to memory");
    }
    archive.finish().expect("an archive ends in memory");
}
