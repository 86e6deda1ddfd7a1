//! The templates, parsed once.

use std::sync::OnceLock;

use handlebars::{Context, Handlebars, no_escape};

use crate::error::Error;
use crate::group;
use crate::table::{self, Source};

/// The template of the head of a machine's archive.
pub(crate) const MACHINE: &str = "machine.sh.hbs";

/// Returns a registry that knows no template: strict, and without escaping, since nothing here is HTML.
pub(crate) fn empty() -> Handlebars<'static> {
    let mut handlebars = Handlebars::new();
    handlebars.set_strict_mode(true);
    handlebars.register_escape_fn(no_escape);
    handlebars
}

/// Returns the registry of all templates of this crate.
fn all() -> &'static Handlebars<'static> {
    static ALL: OnceLock<Handlebars<'static>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut handlebars = empty();
        let mut register = |name: &str, text: &str| {
            handlebars
                .register_template_string(name, text)
                .unwrap_or_else(|fault| panic!("template `{name}`: {fault}"));
        };
        for entry in table::FILES {
            match entry.source {
                Source::Lab(text) | Source::Machine(text) => register(entry.template, text),
                Source::Fixed(_) => {}
            }
        }
        register(MACHINE, include_str!("../templates/machine.sh.hbs"));
        register(group::TEMPLATE_NAME, group::VAGRANTFILE_TEMPLATE);
        handlebars
    })
}

/// Renders one of this crate's templates.
pub(crate) fn render(template: &str, context: &Context) -> Result<String, Error> {
    all()
        .render_with_context(template, context)
        .map_err(|source| Error::Template {
            template: template.into(),
            source: Box::new(source),
        })
}
