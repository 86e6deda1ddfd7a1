//! The page: one HTML file that loads nothing.
//!
//! Templates lie in `templates/`, and hold values and loops only; every word and mark is decided here. Values are escaped by
//! handlebars; what is put in as it is are the pictures, which are made and escaped by [`crate::svg`], styles and the script.

mod bars;
mod prose;
mod sections;

use std::sync::OnceLock;

use handlebars::Handlebars;
use serde_json::{Map, Value, json};

use crate::svg::{PictureUse, PictureWidth, topology};
use crate::verdict::Standing;
use crate::{Error, LabReport};

/// The templates, by the names that they call each other.
const TEMPLATES: [(&str, &str); 8] = [
    ("page", include_str!("../templates/page.html.hbs")),
    ("verdict", include_str!("../templates/verdict.hbs")),
    ("topology", include_str!("../templates/topology.hbs")),
    ("what-if", include_str!("../templates/what-if.hbs")),
    ("drills", include_str!("../templates/drills.hbs")),
    ("runs", include_str!("../templates/runs.hbs")),
    (
        "certificates",
        include_str!("../templates/certificates.hbs"),
    ),
    ("difference", include_str!("../templates/difference.hbs")),
];

/// The sections, by the ids in the templates.
const SECTIONS: [(&str, &str); 7] = [
    ("verdict", "Verdict"),
    ("topology", "Topology"),
    ("what-if", "What if"),
    ("drills", "Drills"),
    ("up", "Up"),
    ("certificates", "Certificates"),
    ("difference", "Difference"),
];

/// A word with a mark, so that nobody has to tell colours apart.
#[derive(Debug, Clone, Copy)]
struct Marked {
    class: &'static str,
    mark: &'static str,
    word: &'static str,
}

const fn marked(class: &'static str, mark: &'static str, word: &'static str) -> Marked {
    Marked { class, mark, word }
}

impl Marked {
    /// With `more` fields.
    fn with(self, more: Value) -> Value {
        let mut fields = Map::new();
        fields.insert("class".to_owned(), self.class.into());
        fields.insert("mark".to_owned(), self.mark.into());
        fields.insert("word".to_owned(), self.word.into());
        if let Value::Object(more) = more {
            fields.extend(more);
        }
        Value::Object(fields)
    }
}

/// How the program that makes the page is called.
#[derive(Debug, Clone, Copy)]
pub struct MadeBy<'a> {
    /// How it is started: `cargo xtask`.
    pub tool: &'a str,
    /// Its version.
    pub version: &'a str,
}

/// Makes the page of a report.
///
/// # Errors
///
/// [`Error::Template`].
pub fn html(report: &LabReport, made_by: MadeBy<'_>) -> Result<String, Error> {
    let mut context = json!({
        "tool": made_by.tool,
        "version": made_by.version,
        "lab": report.lab,
        "made": shown(&report.made),
        "picture_style": crate::svg::STYLE,
        "page_style": include_str!("../templates/page.css"),
        "script": include_str!("../templates/page.js"),
        "standing": standing(report.verdict.standing).with(json!({})),
        "sentence": report.verdict.sentence,
        "sections": SECTIONS.map(|(id, title)| json!({"id": id, "title": title})),
        "picture_wide": topology(&report.topology, PictureUse::Page, PictureWidth::Wide),
        "picture_narrow": topology(&report.topology, PictureUse::Page, PictureWidth::Narrow),
    });
    let sections = [
        sections::verdict(report),
        sections::topology(report),
        sections::what_if(report),
        sections::drills(report),
        bars::runs(report),
        bars::certificates(report),
        sections::difference(report),
    ];
    if let Value::Object(fields) = &mut context {
        for section in sections {
            if let Value::Object(section) = section {
                fields.extend(section);
            }
        }
    }
    templates()
        .render("page", &context)
        .map_err(|error| Error::Template(Box::new(error)))
}

fn templates() -> &'static Handlebars<'static> {
    static ALL: OnceLock<Handlebars<'static>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(true);
        handlebars.register_helper("prose", Box::new(prose::prose));
        for (name, text) in TEMPLATES {
            handlebars
                .register_template_string(name, text)
                .unwrap_or_else(|fault| panic!("template `{name}`: {fault}"));
        }
        handlebars
    })
}

fn standing(standing: Standing) -> Marked {
    match standing {
        Standing::Well => marked("ok", "✓", "well"),
        Standing::Unwell => marked("bad", "✕", "not well"),
        Standing::Halted => marked("warn", "‖", "halted"),
        Standing::Absent => marked("none", "○", "not there"),
        Standing::Unknown => marked("warn", "?", "unknown"),
    }
}

/// An RFC 3339 time for people; what is none is shown as it is.
fn shown(at: &str) -> String {
    at.parse()
        .map_or_else(|_| at.to_owned(), crate::time::shown)
}

/// Nothing, or a list of one: templates have loops and no conditions.
fn some<T: Into<Value>>(condition: bool, value: impl FnOnce() -> T) -> Vec<Value> {
    condition.then(|| value().into()).into_iter().collect()
}
