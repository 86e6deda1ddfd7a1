//! `cargo xtask report`: a lab as a page, its JSON twin, and its topology as pictures.

mod gather;

use std::path::{Path, PathBuf};

use caravan_lifecycle::{LabTarget, Workspace};
use caravan_report::page::{self, MadeBy};
use caravan_report::svg::{self, PictureUse, PictureWidth};
use caravan_report::{LabReport, mermaid};

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags;
use crate::show::screen::Screen;
use crate::version::VERSION;

/// What stands beside the page, by the ends of names.
const BESIDE: [&str; 3] = ["json", "svg", "mmd"];

/// Runs the verb. What is told of the lab decides nothing: the report of a broken lab is done as well.
pub(crate) fn run(
    flags: &flags::Report,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let page = match &flags.output {
        Some(file) => file.clone(),
        None => PathBuf::from(format!("report-{}.html", target.name)),
    };
    let beside = |end: &str| page.with_extension(end);
    if BESIDE.iter().any(|end| beside(end) == page) {
        return Err(Error::ReportName { path: page });
    }
    let mut records = gather::records(workspace, &target, lab)?;
    let before = flags.before.clone().unwrap_or_else(|| beside("json"));
    records.before = read_before(&before, flags.before.is_some())?;
    let report = LabReport::of(&records);
    if flags.json {
        print!("{}", report.to_json());
        return Ok(Exit::Done);
    }
    let made_by = MadeBy {
        tool: TOOL,
        version: VERSION,
    };
    let topology = svg::topology(&report.topology, PictureUse::File, PictureWidth::Wide);
    for (path, text) in [
        (beside("json"), report.to_json()),
        (beside("svg"), topology),
        (beside("mmd"), mermaid::mermaid(&report.topology)),
        (page.clone(), page::html(&report, made_by)?),
    ] {
        caravan_files::write_if_changed(&path, 0o644, text.as_bytes())?;
    }
    screen.say(&format!(
        "beside it: the same as data (`{}`), and its topology (`{}`, `{}`)",
        beside("json").display(),
        beside("svg").display(),
        beside("mmd").display()
    ));
    println!("{}", page.display());
    Ok(Exit::Done)
}

/// The report before, as data. One that nobody named may be absent, or of an earlier version of this tool.
///
/// # Errors
///
/// [`Error::Read`] of one that is named.
fn read_before(path: &Path, named: bool) -> Result<Option<Box<LabReport>>, Error> {
    let read = std::fs::read(path).and_then(|text| {
        LabReport::read(&text).ok_or_else(|| {
            let why = "it is no report of this version of the tool";
            std::io::Error::new(std::io::ErrorKind::InvalidData, why)
        })
    });
    match read {
        Ok(report) => Ok(Some(Box::new(report))),
        Err(source) if named => Err(Error::Read {
            path: path.to_owned(),
            source,
        }),
        Err(_) => Ok(None),
    }
}
