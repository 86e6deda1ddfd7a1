//! `cargo xtask bake`: the machine image.

use caravan_bundle::Network;
use caravan_host::Purpose;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::setup;
use crate::show::screen::Screen;
use crate::software;

/// Runs the verb.
pub(crate) fn run(flags: &flags::Bake, screen: &Screen) -> Result<Exit, Error> {
    setup::ensure(Purpose::RUNNING, flags.yes, screen)?;
    let network = flags.pod_network.map(Network::from);
    let image = software::image(&flags.kubernetes, network, &flags.origin, flags.yes, screen)?;
    println!("{image}");
    Ok(Exit::Done)
}
