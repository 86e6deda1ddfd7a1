//! `cargo xtask setup`: installs what this computer lacks.

use std::collections::BTreeSet;

use caravan_host::{Purpose, setup};
use caravan_lab::Provider;
use caravan_screen::SetupOnScreen;

use crate::error::{Error, TOOL, command};
use crate::exit::Exit;
use crate::flags;
use crate::show::screen::Screen;

/// The verb, as people type it.
pub(crate) const COMMAND: &str = command!("setup");

/// Runs the verb.
pub(crate) fn run(flags: &flags::Setup, screen: &Screen) -> Result<Exit, Error> {
    let (source, base) = (flags.origin.source, flags.origin.base);
    let mut providers: BTreeSet<Provider> = flags.provider.iter().map(|it| it.provider).collect();
    if providers.is_empty() {
        providers.insert(Provider::default());
    }
    let running = Purpose::running(providers.iter().copied());
    let mut purpose = running.and(Purpose::making(source.into(), base.into()));
    purpose.checked = flags.checkers;
    ensure(purpose, flags.yes, screen)?;
    let with = match providers.first() {
        Some(Provider::Docker) | None => String::new(),
        Some(other) => format!(" --provider {other}"),
    };
    screen.say(&format!(
        "everything is here; `{TOOL} up ha{with}` makes a lab"
    ));
    Ok(Exit::Done)
}

/// Installs what `purpose` needs and this computer lacks, and starts the engine; does nothing where all is there.
///
/// # Errors
///
/// [`Error::Host`].
pub(crate) fn ensure(purpose: Purpose, yes: bool, screen: &Screen) -> Result<(), Error> {
    Ok(setup::ensure(purpose, &SetupOnScreen { screen, yes })?)
}
