//! What was chosen for a lab, as `render` takes it.

use caravan_render::Settings;

use crate::state::choices::Choices;

/// The image that files name before one was made.
const NO_IMAGE: &str = "caravan-machine:not-made-yet";

/// The settings that follow from the choices.
pub(crate) fn of(choices: &Choices) -> Settings {
    Settings {
        provider: choices.provider,
        airgap: choices.airgap,
        image: choices.image.clone().unwrap_or_else(|| NO_IMAGE.to_owned()),
        nameservers: choices.nameservers.clone(),
    }
}
