//! The templates, parsed once.

use std::collections::HashMap;
use std::sync::OnceLock;

use handlebars::{Context, Handlebars};

use crate::error::Error;
use crate::group;
use crate::quote::{Quotes, UNFIT};
use crate::table::{self, Scope};

/// The template of the head of a machine's archive.
pub(crate) const MACHINE: &str = "machine.sh.hbs";

/// Returns a registry that knows no template: strict, and with values escaped as the file that `template` makes needs it.
pub(crate) fn empty(template: &str) -> Handlebars<'static> {
    let mut handlebars = Handlebars::new();
    handlebars.set_strict_mode(true);
    handlebars.register_escape_fn(Quotes::of(template).escape());
    handlebars
}

/// Returns the registries of all templates of this crate, by template: each escapes for its own kind of file.
fn all() -> &'static HashMap<&'static str, Handlebars<'static>> {
    static ALL: OnceLock<HashMap<&str, Handlebars<'static>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let parsed = |(name, text)| {
            let mut handlebars = empty(name);
            handlebars
                .register_template_string(name, text)
                .unwrap_or_else(|fault| panic!("template `{name}`: {fault}"));
            (name, handlebars)
        };
        sources().map(parsed).collect()
    })
}

/// Returns the name and the text of each template of this crate.
fn sources() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_machines = table::templates()
        .filter(|template| template.scope != Scope::Fixed)
        .map(|template| (template.name, template.text));
    of_machines.chain([
        (MACHINE, include_str!("../templates/machine.sh.hbs")),
        (group::TEMPLATE_NAME, group::VAGRANTFILE_TEMPLATE),
    ])
}

/// Renders one of this crate's templates.
pub(crate) fn render(template: &str, context: &Context) -> Result<String, Error> {
    rendered(&all()[template], template, context)
}

/// Renders the template that `handlebars` has under the name `template`.
///
/// # Errors
///
/// [`Error::Template`], and [`Error::Unfit`] for a value that the file cannot hold.
pub(crate) fn rendered(
    handlebars: &Handlebars<'_>,
    template: &str,
    context: &Context,
) -> Result<String, Error> {
    let text = handlebars
        .render_with_context(template, context)
        .map_err(|source| Error::Template {
            template: template.into(),
            source: Box::new(source),
        })?;
    match text.lines().position(|line| line.contains(UNFIT)) {
        Some(place) => Err(Error::Unfit {
            template: template.into(),
            line: place + 1,
        }),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use caravan_lab::{Lab, PodNetwork};
    use serde_json::Value;

    use super::*;
    use crate::context::{LabContext, ListsContext, MachineContext};
    use crate::key_files::Material;
    use crate::renderer::wrap;
    use crate::settings::{Settings, Software};

    /// What templates may say, of a lab that fills every list.
    fn contexts() -> Vec<Value> {
        let source = include_str!("../../../labs/ha.toml").replacen(
            "[servers.",
            "[cluster]\nfeature_gates = { A = true }\naudit = \"metadata\"\n[controller_manager]\nargs = { v = \"4\" }\n[servers.",
            1,
        );
        let lab = Lab::parse("ha", &source).unwrap();
        assert_eq!(lab.pod_network(), PodNetwork::Vxlan);
        let settings = Settings {
            airgap: true,
            ..Settings::default()
        };
        let material = Material::placeholder(&lab).unwrap();
        let context = LabContext::new(&lab, &Software::example(), &settings, &material).unwrap();
        let lists = wrap(&ListsContext::new(&lab, &context)).data().clone();
        let machines = lab
            .machines()
            .iter()
            .map(|machine| wrap(&MachineContext::new(&lab, machine, &context)));
        let mut all: Vec<Value> = machines.map(|context| context.data().clone()).collect();
        all.push(lists);
        all
    }

    /// True if a tag, in the loop over `list`, gives a number or a boolean, which mean the same with and without quotes.
    fn is_plain(contexts: &[Value], list: Option<&str>, tag: &str) -> bool {
        let (list, tag) = match tag.strip_prefix("@root.") {
            Some(tag) => (None, tag),
            None => (list, tag),
        };
        let mut path: Vec<&str> = list.iter().flat_map(|list| list.split('.')).collect();
        let in_item = usize::from(list.is_some());
        path.extend(["0"].iter().take(in_item));
        path.extend(tag.split('.').filter(|part| *part != "this"));
        let pointer = format!("/{}", path.join("/"));
        let mut found = contexts.iter().filter_map(|it| it.pointer(&pointer));
        let mut all = found.clone().peekable();
        all.peek().is_some() && found.all(|value| value.is_number() || value.is_boolean())
    }

    /// Returns the lines of a template on which a value stands outside of double quotes.
    fn bare_values(contexts: &[Value], text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut loops: Vec<String> = Vec::new();
        for line in text.lines() {
            let comment = line.trim_start().starts_with('#');
            let mut quoted = false;
            let mut rest = line;
            while !rest.is_empty() {
                if let Some(tail) = rest.strip_prefix("{{") {
                    let (tag, after) = tail.split_once("}}").expect("a whole tag");
                    rest = after;
                    if let Some(list) = tag.strip_prefix("#each ") {
                        loops.push(list.to_owned());
                    } else if tag.starts_with('#') {
                        loops.push(String::new());
                    } else if tag.starts_with('/') {
                        loops.pop();
                    } else {
                        let list = loops.iter().rev().find(|list| !list.is_empty());
                        let plain = is_plain(contexts, list.map(String::as_str), tag);
                        if !quoted && !comment && !plain {
                            found.push(line.to_owned());
                        }
                    }
                    continue;
                }
                let mut chars = rest.chars();
                match chars.next() {
                    Some('"') => quoted = !quoted,
                    Some('\\') => drop(chars.next()),
                    _ => {}
                }
                rest = chars.as_str();
            }
        }
        found
    }

    #[test]
    fn every_value_stands_in_quotes_where_the_format_has_them() {
        let contexts = contexts();
        let mut count = 0;
        for (name, text) in sources() {
            let quotes = Quotes::of(name);
            // A Vagrantfile's numbers come from no context here; the rest of it is as in the other files.
            if matches!(quotes, Quotes::Json | Quotes::Shell) {
                assert_eq!(bare_values(&contexts, text), [""; 0], "`{name}`");
                count += 1;
            }
        }
        assert!(count >= 10, "{count} templates");
        let vagrantfile = bare_values(&contexts, group::VAGRANTFILE_TEMPLATE);
        let numbers = [
            "AIRGAP = {{airgap}}",
            "  \"{{name}}\" => { ip: \"{{ip}}\", role: \"{{role}}\", memory: {{memory_mib}}, cpus: {{cpus}}, mac: \"{{mac}}\" },",
            "  \"{{name}}\" => { ip: \"{{ip}}\", role: \"{{role}}\", memory: {{memory_mib}}, cpus: {{cpus}}, mac: \"{{mac}}\" },",
        ];
        assert_eq!(vagrantfile, numbers);
    }

    #[test]
    fn a_value_without_quotes_is_found() {
        let contexts = contexts();
        let bare = |text| !bare_values(&contexts, text).is_empty();
        for text in [
            "name: {{name}}",
            "- \"x\": {{name}}",
            "a: \"b\\\"{{name}}\" {{ip}}",
            "{{#each masters}}\n  - {{name}}\n{{/each}}",
            "{{#each etcd.endpoints}}{{this}}{{/each}}",
            "mode: {{unknown}}",
        ] {
            assert!(bare(text), "{text}");
        }
        for text in [
            "# {{name}}",
            "name: \"a {{name}} b\"",
            "cpus: {{cpus}}",
            "min: {{conntrack.min}}",
            "{{#each masters}}\n  - \"{{name}}\"\n{{/each}}",
        ] {
            assert!(!bare(text), "{text}");
        }
    }

    #[test]
    fn a_file_of_words_refuses_what_it_cannot_hold() {
        let mut handlebars = empty("etc/x.nft.hbs");
        handlebars
            .register_template_string("t", "a\nb {{x}}\n")
            .unwrap();
        let render = |x: &str| {
            let context = Context::wraps(serde_json::json!({ "x": x })).unwrap();
            rendered(&handlebars, "t", &context)
        };
        assert_eq!(render("a-b.c/1:2,3=4").unwrap(), "a\nb a-b.c/1:2,3=4\n");
        for bad in ["a;", "a{", "%n", "$x", "a#", "\"", "\n", "ü"] {
            let error = render(bad).unwrap_err().to_string();
            assert!(error.starts_with("line 2 of "), "{error}");
        }
    }
}
