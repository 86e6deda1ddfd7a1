//! `cargo xtask export`: one archive for the administrator of a server, who needs nothing of ours.

use caravan_host::{ranges, resolvers};
use caravan_lifecycle::export::ServerExport;
use caravan_lifecycle::{Error as LabError, Keys, LabLock, Workspace, plan};
use caravan_process::shell;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::show::report;
use crate::show::screen::Screen;
use crate::software;

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Export,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let (lab, source) = workspace.lab(&flags.lab)?;
    report::warnings(&workspace.lab_file(lab.name()), &source, lab.warnings());
    let server = lab
        .server(&flags.server)
        .ok_or_else(|| LabError::NoSuchServer {
            lab: lab.name().to_owned(),
            name: flags.server.clone(),
            servers: lab.servers().iter().map(|it| it.name.clone()).collect(),
        })?;
    let dir = workspace.state(lab.name());
    dir.make()?;
    let _lock = LabLock::take(&dir, lab.name(), "export")?;
    let resolvers = ranges::usable(&lab, &resolvers::nameservers());
    let asked = flags.making.request();
    let mut choices = plan::choices_to_write(&lab, &dir, &asked, &resolvers)?;
    for provider in choices.without_image() {
        let made = software::image_for(&lab, provider, &flags.origin, flags.yes, screen)?;
        choices.images.insert(provider, made);
    }
    Keys::ensure(&lab, &dir)?;
    plan::sources(
        workspace,
        &lab,
        &dir,
        &choices,
        software::versions(workspace, &lab)?,
    )?
    .write_projects(&dir, &source, &choices)?;
    let provider = choices.provider(&server.name);
    let image_name = choices.settings().image_name(provider).to_owned();
    let image = software::image_file(provider, &image_name, screen)?;
    if image.is_none() {
        screen.warn(&format!(
            "`{image_name}` is not in the archive: it is none that this computer made, and `{}` must get it by itself",
            server.name
        ));
    }
    let export = ServerExport {
        lab: &lab,
        server,
        provider,
        dir: &dir,
        image: image.as_ref(),
        image_name: &image_name,
    };
    let written = export.write(&flags.file)?;
    screen.say(&format!(
        "wrote `{}`, {} MiB: it has keys of the lab, and nobody but you may read it",
        written.path.display(),
        written.bytes >> 20
    ));
    screen.say(&format!(
        "there: `tar -xf {}`, then read `{}/README.md`",
        shell::path(flags.file.file_name().unwrap_or_default().as_ref()),
        written.folder
    ));
    Ok(Exit::Done)
}
