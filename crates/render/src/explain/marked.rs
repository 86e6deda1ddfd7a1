//! Renders a template so that each line knows its line of the template, and each value its name.
//!
//! The template is rendered with marks in it, which are taken out again; so nothing here has to guess by comparing texts.

use std::ops::Range;

use handlebars::Context;

use crate::error::Error;
use crate::templates;

/// Before a value inside of a loop that is not the entry's.
const ROOT: &str = "@root.";

// No configuration file has these characters.
const LINE: char = '\u{1}';
const VALUE: char = '\u{2}';
const HEAD_END: char = '\u{3}';
const VALUE_END: char = '\u{4}';

/// One line of a rendered file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Marked {
    /// Its line of the template, from 1.
    pub(super) template_line: usize,
    pub(super) text: String,
    pub(super) values: Vec<Filled>,
}

/// A part of a line that the template has a placeholder for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    /// Bytes of the line.
    pub(super) range: Range<usize>,
    /// What the template calls it; inside of a loop with the list's name before it: `masters[].ip`.
    pub(super) name: String,
    /// The place in the list, from 0; 0 outside of loops.
    pub(super) index: usize,
}

/// Renders `text`, the template called `name`.
///
/// # Errors
///
/// As any rendering: a template with a fault.
pub(super) fn render(name: &str, text: &str, context: &Context) -> Result<Vec<Marked>, Error> {
    let mut handlebars = templates::empty(name);
    handlebars
        .register_template_string(name, mark(text))
        .map_err(|source| Error::Syntax {
            template: name.into(),
            source: Box::new(source),
        })?;
    Ok(unmark(&templates::rendered(&handlebars, name, context)?))
}

/// Returns the template with a mark before each line that gives one, and round each value.
pub(super) fn mark(template: &str) -> String {
    let mut marked = String::new();
    let mut loops = Vec::new();
    for (index, line) in template.split_inclusive('\n').enumerate() {
        // A mark beside a block's tag that stands alone would leave an empty line.
        if !is_lone_block(line) {
            marked += &format!("{LINE}{}{HEAD_END}", index + 1);
        }
        mark_line(line, &mut loops, &mut marked);
    }
    marked
}

/// True if a line has nothing but the tag that begins or ends a block, and so gives no line.
pub(super) fn is_lone_block(line: &str) -> bool {
    line.trim()
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .is_some_and(|tag| tag.starts_with(['#', '/']) && !tag.contains("}}"))
}

fn mark_line(line: &str, loops: &mut Vec<String>, marked: &mut String) {
    let mut rest = line;
    while let Some((before, tag, after)) = next_tag(rest) {
        *marked += before;
        rest = after;
        let whole = format!("{{{{{tag}}}}}");
        if let Some(block) = tag.strip_prefix('#') {
            let list = block.strip_prefix("each ").unwrap_or_default();
            loops.push(list.trim().to_owned());
            *marked += &whole;
        } else if tag.starts_with('/') {
            loops.pop();
            *marked += &whole;
        } else {
            let list = loops.iter().rev().find(|list| !list.is_empty());
            let (name, index) = match list.filter(|_| !tag.starts_with(ROOT)) {
                Some(list) if tag == "this" => (format!("{list}[]"), "{{@index}}"),
                Some(list) => (format!("{list}[].{tag}"), "{{@index}}"),
                None => (tag.trim_start_matches(ROOT).to_owned(), "0"),
            };
            *marked += &format!("{VALUE}{name} {index}{HEAD_END}{whole}{VALUE_END}");
        }
    }
    *marked += rest;
}

fn next_tag(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (tag, after) = rest.split_once("}}")?;
    Some((before, tag.trim(), after))
}

/// Returns what a template calls its values.
#[cfg(test)]
pub(super) fn names(template: &str) -> Vec<String> {
    let marked = mark(template);
    let heads = marked.split(VALUE).skip(1);
    heads
        .filter_map(|rest| rest.split_once(' '))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Takes the marks out of what was rendered of a marked template.
pub(super) fn unmark(rendered: &str) -> Vec<Marked> {
    rendered.lines().map(unmark_line).collect()
}

fn unmark_line(line: &str) -> Marked {
    let mut marked = Marked {
        template_line: 0,
        text: String::new(),
        values: Vec::new(),
    };
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        let mut head = || {
            chars
                .by_ref()
                .take_while(|char| *char != HEAD_END)
                .collect::<String>()
        };
        match char {
            LINE => marked.template_line = head().parse().unwrap_or_default(),
            VALUE => {
                let head = head();
                let (name, index) = head.rsplit_once(' ').unwrap_or((&head, ""));
                marked.values.push(Filled {
                    range: marked.text.len()..marked.text.len(),
                    name: name.to_owned(),
                    index: index.parse().unwrap_or_default(),
                });
            }
            VALUE_END => {
                if let Some(value) = marked.values.last_mut() {
                    value.range.end = marked.text.len();
                }
            }
            char => marked.text.push(char),
        }
    }
    marked
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Values<T> {
        x: &'static str,
        list: Vec<T>,
    }

    fn rendered<T: Serialize>(template: &str, x: &'static str, list: Vec<T>) -> Vec<Marked> {
        let context = Context::wraps(Values { x, list }).unwrap();
        render("t", template, &context).unwrap()
    }

    #[test]
    fn lines_and_values_know_where_they_come_from() {
        let template = "a {{x}}\n{{#each list}}\n  {{name}}: {{ip}}\n{{/each}}\n\nend\n";
        let item = |name, ip| BTreeMap::from([("name", name), ("ip", ip)]);
        let lines = rendered(template, "1", vec![item("p", "q"), item("r", "")]);
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["a 1", "  p: q", "  r: ", "", "end"]);
        let places: Vec<_> = lines.iter().map(|line| line.template_line).collect();
        assert_eq!(places, [1, 3, 3, 5, 6]);
        assert_eq!(
            lines[2].values,
            [
                Filled {
                    range: 2..3,
                    name: "list[].name".into(),
                    index: 1
                },
                Filled {
                    range: 5..5,
                    name: "list[].ip".into(),
                    index: 1
                },
            ]
        );
    }

    #[test]
    fn a_loop_inside_a_line_gives_one_line() {
        let template = "{ {{#each list}}{{this}}{{#unless @last}}, {{/unless}}{{/each}} }\n";
        let lines = rendered(template, "", vec!["a", "b"]);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].text, "{ a, b }");
        let names: Vec<_> = (lines[0].values.iter())
            .map(|value| (value.name.as_str(), value.index))
            .collect();
        assert_eq!(names, [("list[]", 0), ("list[]", 1)]);
    }
}
