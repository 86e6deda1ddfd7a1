//! The reasons beside each template, read once.

use std::sync::OnceLock;

use super::reasons::Reasons;
use crate::group;
use crate::table::{FILES, FileRow};

/// Returns the reasons of a template's lines; `None` for scripts, whose comments are their reasons.
///
/// # Panics
///
/// Never: a test reads all of them.
pub(super) fn of(template: &str) -> Option<&'static Reasons> {
    static VAGRANTFILE: OnceLock<Reasons> = OnceLock::new();
    static READ: [OnceLock<Reasons>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];
    let (read, why) = if template == group::TEMPLATE_NAME {
        (&VAGRANTFILE, group::VAGRANTFILE_WHY)
    } else {
        let named = |row: &FileRow| row.template().is_some_and(|known| known.name == template);
        let place = FILES.iter().position(named)?;
        (&READ[place], FILES[place].template()?.why?)
    };
    let parsed =
        || Reasons::parse(why).unwrap_or_else(|error| panic!("reasons of `{template}`: {error}"));
    Some(read.get_or_init(parsed))
}
