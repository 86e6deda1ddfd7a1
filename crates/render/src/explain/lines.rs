//! Puts together what is known of each line: its reason, and where its values come from.

use super::marked::Marked;
use super::origin::FileOwner;
use super::reasons::{Reason, Reasons, goes_on, indentation};
use super::{Line, LineKind, SECRET, Value, script, why};
use crate::context::MachineLists;

/// A template and the reasons beside it.
pub(super) struct TemplateReasons {
    reasons: Option<&'static Reasons>,
    /// For each line of the template the place of its reason.
    because: Vec<Option<usize>>,
    /// For each line of a script what its comments say.
    comments: Vec<Option<String>>,
    is_ruby: bool,
}

impl TemplateReasons {
    pub(super) fn new(template: &str, text: &str) -> TemplateReasons {
        let reasons = why::of(template);
        let (because, comments) = match &reasons {
            Some(reasons) => (reasons.of(text).0, Vec::new()),
            None => (Vec::new(), script::reasons(text)),
        };
        TemplateReasons {
            reasons,
            because,
            comments,
            is_ruby: template == crate::group::TEMPLATE_NAME,
        }
    }

    pub(super) fn docs(&self) -> Option<String> {
        self.reasons.as_ref()?.docs.clone()
    }

    /// Explains the lines that were rendered of the template with what is in `lists`.
    pub(super) fn explain(
        &self,
        rendered: Vec<Marked>,
        owner: &FileOwner<'_>,
        lists: &dyn MachineLists,
    ) -> Vec<Line> {
        let mut lines: Vec<Line> = rendered
            .into_iter()
            .enumerate()
            .map(|(index, marked)| self.line(index + 1, marked, owner, lists))
            .collect();
        point(&mut lines);
        lines
    }

    fn line(
        &self,
        number: usize,
        marked: Marked,
        owner: &FileOwner<'_>,
        lists: &dyn MachineLists,
    ) -> Line {
        let place = marked.template_line.wrapping_sub(1);
        let because = self.because.get(place).copied().flatten();
        let reason = because.and_then(|because| self.reason(because));
        let comment = self.comments.get(place).cloned().flatten();
        let template_line = marked.template_line;
        let (text, values) = values(marked, owner, lists);
        Line {
            number,
            kind: self.kind(&text, because.is_some()),
            text,
            about: None,
            why: reason.map(|reason| reason.why.clone()).or(comment),
            docs: reason.and_then(|reason| reason.docs.clone().or(self.docs())),
            checks: reason.map_or_else(Vec::new, |reason| reason.verify.clone()),
            template_line: Some(template_line),
            values,
            reason: because,
        }
    }

    fn reason(&self, because: usize) -> Option<&Reason> {
        self.reasons.as_ref()?.reasons.get(because)
    }

    fn kind(&self, text: &str, has_reason: bool) -> LineKind {
        let text = text.trim();
        if text.is_empty() {
            LineKind::Empty
        } else if text.starts_with('#') {
            LineKind::Comment
        } else if !has_reason && closes(text, self.is_ruby) {
            LineKind::Closing
        } else {
            LineKind::Said
        }
    }
}

/// True if a line only ends a block.
fn closes(text: &str, is_ruby: bool) -> bool {
    text.chars().all(|char| "}])".contains(char) || char == ',') || (is_ruby && text == "end")
}

/// Returns the line as it may be shown, and where its values come from.
fn values(marked: Marked, owner: &FileOwner<'_>, lists: &dyn MachineLists) -> (String, Vec<Value>) {
    let mut text = String::new();
    let mut values = Vec::new();
    let mut copied = 0;
    for filled in marked.values {
        let value = &marked.text[filled.range.clone()];
        let found = owner.origin_of(&filled.name, filled.index, lists);
        let shown = if found.secret { SECRET } else { value };
        text += &marked.text[copied..filled.range.start];
        let start = text.len();
        text += shown;
        copied = filled.range.end;
        values.push(Value {
            range: start..text.len(),
            text: shown.to_owned(),
            name: filled.name,
            how: (found.how).map(|how| how.replace("<lab>", owner.lab.name())),
            places: found.places,
        });
    }
    text += &marked.text[copied..];
    (text, values)
}

/// Fills in which line a comment or a closing line is about.
fn point(lines: &mut [Line]) {
    for index in 0..lines.len() {
        let (before, after) = (&lines[..index], &lines[index + 1..]);
        let indent = indentation(&lines[index].text);
        let about = match lines[index].kind {
            LineKind::Said | LineKind::Empty => None,
            LineKind::Comment => after
                .iter()
                .take_while(|line| line.kind != LineKind::Empty)
                .find(|line| line.kind == LineKind::Said),
            LineKind::Closing => before.iter().rev().find(|line| {
                line.kind == LineKind::Said
                    && indentation(&line.text) <= indent
                    && !goes_on(&line.text)
            }),
        };
        lines[index].about = about.map(|line| line.number);
    }
}

/// Returns the lines of a template that is the same everywhere.
pub(super) fn fixed(text: &str) -> Vec<Marked> {
    text.lines()
        .enumerate()
        .map(|(index, line)| Marked {
            template_line: index + 1,
            text: line.to_owned(),
            values: Vec::new(),
        })
        .collect()
}

/// Returns the lines of a file without a template, all for the same reason.
pub(super) fn plain(text: &str, why: &str) -> Vec<Line> {
    text.lines()
        .enumerate()
        .map(|(index, line)| Line {
            number: index + 1,
            text: line.to_owned(),
            kind: LineKind::Said,
            about: None,
            why: Some(why.to_owned()),
            docs: None,
            checks: Vec::new(),
            template_line: None,
            values: Vec::new(),
            reason: Some(0),
        })
        .collect()
}
