//! Why a file is on a machine, and why its lines are there.
//!
//! The reasons are data beside the templates, where whoever edits a template sees them: `haproxy.cfg.why.toml` beside
//! `haproxy.cfg.hbs`. Scripts have theirs in their own comments. `templates/values.toml` says where values come from.

mod lab_key;
mod lines;
mod marked;
mod origin;
mod query;
mod reasons;
mod refusal;
mod script;
#[cfg(test)]
mod tests;
mod why;

use std::ops::Range;

use caravan_lab::{Lab, Machine, Server};
use serde::Serialize;

pub use self::lab_key::LabKey;
use self::lines::TemplateReasons;
use self::origin::FileOwner;
pub use self::query::{ExplainQuery, ExplainedFile, ListedFile, find_file, list_files};
pub use self::refusal::Refusal;
use crate::context::{ListsContext, MachineContext};
use crate::error::Error;
use crate::file::GuestFile;
use crate::group::{self, GroupContext};
use crate::renderer::{Renderer, wrap};
use crate::settings::Settings;
use crate::table::{self, FileRow, FileSource, MachineKind, Scope};

/// What is known about a guest file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The file below `crates/render/templates/` that says what the file says; `None` for key material.
    pub template: Option<&'static str>,
    /// Who reads the file, and why it is there.
    pub purpose: &'static str,
}

/// A file with the reasons of its lines.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Explained {
    /// Absolute path on the machine, or `Vagrantfile`.
    pub path: String,
    /// Who reads it.
    pub purpose: String,
    /// The template, as a path in the workspace; `None` for keys and names, which have none.
    pub template: Option<String>,
    /// What else it is made of.
    pub made_of: String,
    /// Where upstream defines what such a file may say.
    pub docs: Option<String>,
    /// True if the whole file is a secret, and has no lines here.
    pub secret: bool,
    /// Its lines. Secret values in them are replaced by [`SECRET`].
    pub lines: Vec<Line>,
}

/// What stands in the place of a secret value.
pub const SECRET: &str = "<secret>";

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LineKind {
    /// It tells its reader something, and has a reason.
    Said,
    /// Nothing is in it.
    Empty,
    /// The template's own words.
    Comment,
    /// It only ends what an earlier line began.
    Closing,
}

/// One line of a file.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// Without the line's end.
    pub text: String,
    /// What it is.
    pub kind: LineKind,
    /// Of a comment the line below it, of a closing line the one that it closes.
    pub about: Option<usize>,
    /// What breaks without it, or what its number trades off.
    pub why: Option<String>,
    /// Where upstream defines it.
    pub docs: Option<String>,
    /// The checks of `verify` that prove it.
    pub checks: Vec<String>,
    /// The line of the template, from 1.
    pub template_line: Option<usize>,
    /// What the template has placeholders for; everything else in the line is the template's own.
    pub values: Vec<Value>,
    /// Lines of one reason have one number.
    #[serde(skip)]
    pub reason: Option<usize>,
}

/// A value in a line.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Value {
    /// Bytes of the line.
    pub range: Range<usize>,
    /// The value, or [`SECRET`].
    pub text: String,
    /// What the template calls it.
    pub name: String,
    /// How it follows from the lab, or who else knows it; `None` where it is just what the lab file says.
    pub how: Option<String>,
    /// Where the lab file says it, or what it follows from.
    pub places: Vec<LabKey>,
}

/// Returns what is known about the guest file at `path`; `None` if no machine gets such a file.
pub fn annotate(path: &str) -> Option<Explanation> {
    let mut rows = table::FILES.iter().filter(|row| row.path == path);
    let purpose = rows.clone().next()?.purpose;
    let template = rows.find_map(|row| row.template());
    Some(Explanation {
        template: template.map(|template| template.name),
        purpose,
    })
}

/// Returns the paths of all files that some machine gets, in their order.
pub fn paths() -> impl Iterator<Item = &'static str> {
    let mut paths: Vec<_> = table::FILES.iter().map(|row| row.path).collect();
    paths.dedup();
    paths.into_iter()
}

/// Explains a file of a machine, as `renderer` rendered it.
///
/// # Errors
///
/// As rendering itself.
pub fn file(
    renderer: &Renderer<'_>,
    machine: &Machine,
    file: &GuestFile,
) -> Result<Explained, Error> {
    let (lab, context) = (renderer.lab(), renderer.lab_context());
    let kind = MachineKind::of(lab, machine, context.settings());
    let here = |row: &&FileRow| row.path == file.path && row.is_of(kind);
    let row = table::FILES.iter().find(here);
    let Some(template) = row.and_then(FileRow::template) else {
        return Ok(without_template(lab, file, row));
    };
    let purpose = row.map_or("", |row| row.purpose);
    let source = TemplateReasons::new(template.name, template.text);
    let docs = source.docs();
    let owner = FileOwner {
        lab,
        machine: Some(machine),
        server: lab.server(&machine.server),
    };
    let (name, text) = (template.name, template.text);
    let lines = match template.scope {
        Scope::Fixed => source.explain(lines::fixed(text), &owner, context),
        Scope::Lab => {
            let lists = ListsContext::new(lab, context);
            let marked = marked::render(name, text, &wrap(&lists))?;
            source.explain(marked, &owner, &lists)
        }
        Scope::Machine => {
            let context = MachineContext::new(lab, machine, context);
            let marked = marked::render(name, text, &wrap(&context))?;
            source.explain(marked, &owner, &context)
        }
    };
    Ok(Explained {
        path: file.path.to_string(),
        purpose: purpose.into(),
        template: Some(format!("crates/render/templates/{name}")),
        made_of: format!("labs/{}.toml", lab.name()),
        docs,
        secret: false,
        lines,
    })
}

/// Explains a server's Vagrantfile. `template` is the user's own, or [`crate::VAGRANTFILE_TEMPLATE`].
///
/// # Errors
///
/// As rendering itself.
pub fn vagrantfile(
    lab: &Lab,
    server: &Server,
    settings: &Settings,
    template: &str,
) -> Result<Explained, Error> {
    let context = GroupContext::new(lab, server, settings);
    let rendered = group::vagrantfile(&context, Some(&marked::mark(template)))?;
    let lines = marked::unmark(&String::from_utf8_lossy(&rendered.content));
    let owner = FileOwner {
        lab,
        machine: None,
        server: Some(server),
    };
    let source = TemplateReasons::new(group::TEMPLATE_NAME, template);
    let docs = source.docs();
    Ok(Explained {
        path: rendered.path,
        purpose: "Vagrant: the machines of this server".into(),
        template: Some(group::TEMPLATE_NAME.into()),
        made_of: format!("labs/{}.toml", lab.name()),
        docs,
        secret: false,
        lines: source.explain(lines, &owner, &context),
    })
}

/// A key, a certificate, a file of one word, or one that others publish: its purpose is the reason of all its lines.
fn without_template(lab: &Lab, file: &GuestFile, row: Option<&FileRow>) -> Explained {
    let purpose = row.map_or("", |row| row.purpose);
    let state = format!(".lab/{}", lab.name());
    let made_of = match row.map(|row| row.source) {
        Some(FileSource::SshKey) => format!("{state}/ssh"),
        Some(
            FileSource::Hostname
            | FileSource::SettingsStamp
            | FileSource::KubeletSettings
            | FileSource::AuditPolicy,
        ) => format!("labs/{}.toml", lab.name()),
        Some(FileSource::CalicoManifest) => "the bundle".into(),
        Some(FileSource::Pki | FileSource::Encryption | FileSource::Template(_)) | None => {
            format!("{state}/pki")
        }
    };
    let shown = if file.secret { "" } else { &*file.content };
    Explained {
        path: file.path.to_string(),
        purpose: purpose.into(),
        template: None,
        made_of,
        docs: None,
        secret: file.secret,
        lines: lines::plain(shown, purpose),
    }
}
