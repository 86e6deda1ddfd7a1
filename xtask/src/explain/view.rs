//! What is shown, as data.

use caravan_render::explain::Explained;
use serde::Serialize;

/// A file with its reasons.
#[derive(Clone, Debug, Serialize)]
pub(super) struct View<'l> {
    pub(super) lab: &'l str,
    /// What `places` are lines of.
    pub(super) lab_file: String,
    /// The machine or the server whose file it is.
    pub(super) of: String,
    /// True if nobody said whose file is meant.
    #[serde(skip)]
    pub(super) of_many: bool,
    /// Who else has such a file.
    pub(super) also: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<String>,
    #[serde(flatten)]
    pub(super) file: Explained,
}

impl View<'_> {
    /// The same with these lines alone, by their numbers; with all of them for `None`.
    pub(super) fn only(&self, chosen: Option<&[usize]>) -> Self {
        let mut view = self.clone();
        if let Some(chosen) = chosen {
            view.file.lines.retain(|line| chosen.contains(&line.number));
        }
        view
    }
}
