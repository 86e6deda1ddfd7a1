//! Reasons on a terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use anstyle::{AnsiColor, Style};
use caravan_cluster::verify::{self, Depth};
use caravan_lifecycle::listed;
use caravan_render::explain::{Explained, LabKey, Line, LineKind};

use super::view::View;
use crate::error::TOOL;

/// How wide text is where no terminal says: what a pipe, a page and a mail take.
const WIDTH: usize = 100;
/// Longer lines are hard to read, whatever the terminal holds.
const WIDEST: usize = 120;
/// The column that labels stand in.
const LABEL: usize = 8;

/// The columns of the terminal that stdout is, within reason.
pub(super) fn terminal_width() -> usize {
    let columns = rustix::termios::tcgetwinsize(std::io::stdout())
        .map(|size| usize::from(size.ws_col))
        .ok()
        .filter(|columns| *columns > 0);
    columns.unwrap_or(WIDTH).clamp(40, WIDEST)
}

const QUIET: Style = AnsiColor::Cyan.on_default();
const STRONG: Style = Style::new().bold();

/// The whole file, each line below its reason.
pub(super) fn whole(view: &View<'_>, width: usize) -> String {
    let file = &view.file;
    let mut text = head(view, width);
    if file.secret {
        text += "\n(secret: its lines are not shown)\n";
        return text;
    }
    let command = field(
        "more",
        &format!(
            "`{TOOL} explain {} {} {}:LINE` says where a line's values come from, what documents it, and what proves it",
            view.lab, view.of, file.path
        ),
        width,
    );
    if file.template.is_some() {
        text += &command;
    }
    text.push('\n');
    let digits = file.lines.len().to_string().len();
    // The first line of each reason, which later lines of the same reason lead back to.
    let mut told: BTreeMap<usize, usize> = BTreeMap::new();
    // The reason of the line before, if it has one; nothing at the start.
    let mut last: Option<Option<usize>> = None;
    for line in &file.lines {
        // A comment stays with the line that it is about: the reason of that line comes before both.
        let about = match (line.kind, line.about) {
            (LineKind::Comment, Some(about)) if last.is_some() => &file.lines[about - 1],
            _ => line,
        };
        let reason = about.reason.filter(|_| about.kind == LineKind::Said);
        if let Some(reason) = reason.filter(|_| file.template.is_some())
            && last != Some(Some(reason))
        {
            let why = match told.get(&reason) {
                Some(first) => format!("As line {first}."),
                None => about.why.clone().unwrap_or_default() + &places_in_short(view, about),
            };
            told.entry(reason).or_insert(about.number);
            for part in wrapped(&why, width.saturating_sub(digits + 3)) {
                writeln!(text, "{:digits$}   {QUIET}{part}{QUIET:#}", "").expect("text");
            }
        }
        last = match (line.kind, reason) {
            (_, Some(_)) => Some(reason),
            // A closing brace does not interrupt what is said of the lines round it, nor does the file's first comment.
            (LineKind::Closing, None) => last,
            (LineKind::Comment, None) if last.is_none() => None,
            (_, None) => Some(None),
        };
        writeln!(text, "{:>digits$} | {}", line.number, line.text).expect("text");
    }
    text.lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// Some lines of the file, with all that is known of them.
pub(super) fn lines(view: &View<'_>, chosen: &[usize], width: usize) -> String {
    let mut groups: Vec<Vec<&Line>> = Vec::new();
    for number in chosen {
        let line = &view.file.lines[number - 1];
        match groups.last_mut() {
            Some(group) if line.reason.is_some() && group[0].reason == line.reason => {
                group.push(line);
            }
            _ => groups.push(vec![line]),
        }
    }
    // Lines without words of their own are worth an answer only to whoever asks for them alone.
    if groups.len() > 1 {
        groups.retain(|group| group[0].kind == LineKind::Said);
    }
    let told: Vec<String> = groups
        .iter()
        .map(|group| lines_of_one_reason(view, group, width))
        .collect();
    told.join("\n")
}

fn lines_of_one_reason(view: &View<'_>, group: &[&Line], width: usize) -> String {
    let file = &view.file;
    let mut text = snippet(view, group, width) + "\n\n";
    let first = group[0];
    let about = first.about.map(|number| &file.lines[number - 1]);
    let (explained, introduction) = match (first.kind, about) {
        (LineKind::Empty, _) => return text + &field("why", "An empty line.", width),
        (LineKind::Closing, Some(line)) => (line, format!("It ends {}. ", quoted(line))),
        (LineKind::Comment, Some(line)) => (
            line,
            format!("The template's own words about {}. ", quoted(line)),
        ),
        (LineKind::Comment, None) => (first, "The template's own words. ".to_owned()),
        _ => (first, String::new()),
    };
    let why = match (&explained.why, first.kind) {
        (Some(why), _) => introduction + why,
        (None, LineKind::Comment) => introduction,
        (None, _) => introduction + "Nobody has written down why: the template was edited here.",
    };
    text += &field("why", &why, width);
    text += &fields("from", &origins(view, group), width);
    if let Some(docs) = explained.docs.as_ref().or(file.docs.as_ref()) {
        text += &field("docs", docs, width);
    }
    let proofs: Vec<String> = (explained.checks.iter())
        .map(|check| proof(view.lab, check))
        .collect();
    text + &fields("proof", &proofs, width)
}

fn quoted(line: &Line) -> String {
    format!("line {}, `{}`", line.number, line.text.trim())
}

/// The lines as they stand in the file, with their values underlined.
fn snippet(view: &View<'_>, group: &[&Line], width: usize) -> String {
    let file = &view.file;
    let mut source = String::new();
    let mut starts = Vec::new();
    for line in &file.lines {
        starts.push(source.len());
        source += &line.text;
        source.push('\n');
    }
    let mut annotations = Vec::new();
    // What does not fit is shown whole and not underlined, rather than cut.
    let longest = group.iter().map(|line| line.text.chars().count()).max();
    let fits = longest.unwrap_or_default() + 10 <= width;
    for line in group {
        let start = starts[line.number - 1];
        annotations.push(AnnotationKind::Visible.span(start..start + line.text.len()));
        for value in line.values.iter().filter(|value| !value.range.is_empty()) {
            let span = start + value.range.start..start + value.range.end;
            if fits {
                annotations.push(AnnotationKind::Context.span(span));
            }
        }
    }
    let mut place = format!("{}:{}:{}", view.of, file.path, group[0].number);
    if view.of_many && !view.also.is_empty() {
        write!(place, ", also on {}", listed(&view.also)).expect("text");
    }
    let snippet = Snippet::source(source).annotations(annotations);
    let group = Group::with_level(Level::NOTE).element(snippet);
    let renderer = Renderer::styled().term_width(if fits { width } else { usize::MAX / 2 });
    let rendered = renderer.render(&[group]);
    format!("{STRONG}{place}{STRONG:#}\n{}", rendered.trim_end())
}

/// Where the values of the lines come from, and the rest of them.
fn origins(view: &View<'_>, group: &[&Line]) -> Vec<String> {
    let mut parts = Vec::new();
    for value in group.iter().flat_map(|line| &line.values) {
        let mut part = format!("`{}`: ", value.text);
        let places: Vec<String> = value
            .places
            .iter()
            .map(|place| in_full(view, place))
            .collect();
        part += &places.join("; ");
        if let Some(how) = &value.how {
            if !places.is_empty() {
                part += "; ";
            }
            part += how;
        }
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if let (Some(template), Some(line)) = (&view.file.template, group[0].template_line) {
        let rest = match parts.as_slice() {
            [] => "a fixed choice of the template",
            _ => "the rest: the template",
        };
        parts.push(format!("{rest}, {template}:{line}"));
    } else {
        parts.push(view.file.made_of.clone());
    }
    parts
}

/// A place as editors take it, and what stands there.
fn in_full(view: &View<'_>, place: &LabKey) -> String {
    let mut text = format!("{}:{}", view.lab_file, place.line);
    for part in [
        place.table.clone(),
        match place.key.as_str() {
            "" => String::new(),
            key => format!("key `{key}`"),
        },
    ] {
        if !part.is_empty() {
            write!(text, ", {part}").expect("text");
        }
    }
    text
}

/// The lines of the lab file that the lines of a reason, from `first` on, have their values from.
fn places_in_short(view: &View<'_>, first: &Line) -> String {
    let numbers: BTreeSet<usize> = view.file.lines[first.number - 1..]
        .iter()
        .take_while(|line| line.reason == first.reason)
        .flat_map(|line| &line.values)
        .flat_map(|value| &value.places)
        .map(|place| place.line)
        .collect();
    if numbers.is_empty() {
        return String::new();
    }
    let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
    format!(" [{}:{}]", view.lab_file, numbers.join(","))
}

/// What `verify` promises by the check of this name.
fn proof(lab: &str, check: &str) -> String {
    let promise = verify::list(Depth::Disrupt)
        .find(|(id, _)| *id == check)
        .map_or("", |(_, promise)| promise);
    let flag = match verify::list(Depth::Full).any(|(id, _)| id == check) {
        true => "",
        false => " --disrupt",
    };
    format!("`{check}` of `{TOOL} verify {lab}{flag}`: {promise}")
}

/// What is known of the file as a whole.
fn head(view: &View<'_>, width: usize) -> String {
    let Explained {
        path,
        purpose,
        template,
        made_of,
        docs,
        ..
    } = &view.file;
    let also = match view.also.as_slice() {
        [] => String::new(),
        also => format!(", also on {}", listed(also)),
    };
    let mode = view
        .mode
        .as_ref()
        .map_or(String::new(), |mode| format!("  {mode}"));
    let mut text = format!("{STRONG}{path}{STRONG:#}{mode}  of `{}`{also}\n", view.of);
    text += &field("for", purpose, width);
    let from = match template {
        Some(template) => format!("{template}, with {made_of}"),
        None => made_of.clone(),
    };
    text += &field("from", &from, width);
    if let Some(docs) = docs {
        text += &field("docs", docs, width);
    }
    text
}

/// A label, and text that is wrapped beside it.
fn field(label: &str, text: &str, width: usize) -> String {
    fields(label, &[text.to_owned()], width)
}

/// A label, and several texts below each other beside it.
fn fields(label: &str, texts: &[String], width: usize) -> String {
    let mut out = String::new();
    let mut label = label;
    for part in texts.iter().flat_map(|text| wrapped(text, width - LABEL)) {
        writeln!(out, "{QUIET}{label:LABEL$}{QUIET:#}{part}").expect("text");
        label = "";
    }
    out
}

/// Breaks text into lines of at most `width` columns; a word that is longer has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_words() {
        assert_eq!(wrapped("a bb ccc dd", 5), ["a bb", "ccc", "dd"]);
        assert_eq!(wrapped("a https://long b", 4), ["a", "https://long", "b"]);
        assert_eq!(wrapped("  ", 4), [""; 0]);
    }
}
