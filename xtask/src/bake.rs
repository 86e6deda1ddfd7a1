//! `cargo xtask bake`: what machines start from.

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::show::screen::Screen;
use crate::software;

/// Runs the verb.
pub(crate) fn run(flags: &flags::Bake, screen: &Screen) -> Result<Exit, Error> {
    let provider = flags.provider.into();
    let made = software::image(
        &flags.kubernetes,
        flags.add_ons.kinds(),
        provider,
        &flags.origin,
        flags.yes,
        screen,
    )?;
    println!("{}", made.name);
    if let Some(url) = made.url {
        screen.say(&format!("Vagrant adds it from {url}"));
    }
    Ok(Exit::Done)
}
