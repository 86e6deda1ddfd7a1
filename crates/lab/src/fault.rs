//! What is wrong with a lab file, and where.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use crate::place::{Lines, Place};
use crate::rule::Rule;

/// One thing that is wrong with a lab file, with all that a renderer needs to show it in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The rule that was broken.
    pub rule: Rule,
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// The bytes of the source that are wrong; empty where something is missing at a point.
    pub place: Place,
    /// What was found wrong: lower case, no final period.
    pub message: String,
    /// What was expected at `place`, short enough to stand under it.
    pub label: Option<String>,
    /// What to write instead, or why the rule exists.
    pub help: Option<String>,
    /// Other places that have part in it, such as the first use of a name.
    pub related: Vec<Related>,
}

/// How bad a [`Fault`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The lab is refused.
    Refusal,
    /// Legal, but hardly meant.
    Warning,
}

/// Another place of the lab file that has part in a [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Related {
    /// The bytes of the source.
    pub place: Place,
    /// What is there: lower case, no final period.
    pub message: String,
}

/// Everything that is wrong with a lab file, in the order of the file; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    lab: String,
    faults: Vec<Fault>,
}

impl Faults {
    /// Those of the lab called `lab`; there must be at least one.
    pub(crate) fn of(lab: &str, faults: Vec<Fault>) -> Self {
        Self {
            lab: lab.to_owned(),
            faults,
        }
    }

    /// Returns the name of the lab.
    pub fn lab(&self) -> &str {
        &self.lab
    }

    /// Iterates over the faults in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.faults.iter()
    }

    /// Returns the number of faults, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.faults.len()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.faults.into_iter()
    }
}

/// One line per fault, `lab:line:column: message`, for places that cannot show the source.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let Fault { place, message, .. } = fault;
            let Place { line, column, .. } = place;
            write!(f, "{}:{line}:{column}: {message}", self.lab)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Collects faults while a file is read and checked.
#[derive(Default)]
pub(crate) struct FaultSink {
    drafts: Vec<FaultDraft>,
}

/// A fault whose line and column are not known yet. A check says beside its rule all that is said about it.
pub(crate) struct FaultDraft {
    rule: Rule,
    severity: Severity,
    span: Range<usize>,
    message: String,
    label: Option<String>,
    help: Option<String>,
    related: Vec<(Range<usize>, &'static str)>,
    is_of_whole_file: bool,
}

impl FaultSink {
    /// Refuses the file for what is at `span`. `message` says what was found there: lower case, no final period.
    pub(crate) fn refuse(
        &mut self,
        rule: Rule,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> &mut FaultDraft {
        self.note(rule, Severity::Refusal, span, message.into())
    }

    /// Notes what is legal but hardly meant.
    pub(crate) fn warn(
        &mut self,
        rule: Rule,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> &mut FaultDraft {
        self.note(rule, Severity::Warning, span, message.into())
    }

    fn note(
        &mut self,
        rule: Rule,
        severity: Severity,
        span: &Range<usize>,
        message: String,
    ) -> &mut FaultDraft {
        self.drafts.push(FaultDraft {
            rule,
            severity,
            span: span.clone(),
            message,
            label: None,
            help: None,
            related: Vec::new(),
            is_of_whole_file: false,
        });
        self.drafts.last_mut().expect("pushed just now")
    }

    /// Sorts what was found and gives it lines and columns; refusals first, warnings second.
    pub(crate) fn finish(self, lab: &str, lines: &Lines<'_>) -> (Option<Faults>, Vec<Fault>) {
        let broken: HashSet<_> = (self.drafts.iter())
            .filter(|draft| draft.rule == Rule::Syntax)
            .map(|draft| lines.line(draft.span.start))
            .collect();
        let mut faults: Vec<Fault> = (self.drafts.into_iter())
            .filter(|draft| broken.is_empty() || draft.holds_beside(&broken, lines))
            .map(|draft| draft.placed(lines))
            .collect();
        faults.sort_by_key(|fault| (fault.place.span.start, fault.place.span.end));
        faults.dedup();
        let (warnings, faults): (Vec<_>, Vec<_>) = faults
            .into_iter()
            .partition(|fault| fault.severity == Severity::Warning);
        let refusal = (!faults.is_empty()).then(|| Faults {
            lab: lab.to_owned(),
            faults,
        });
        (refusal, warnings)
    }
}

impl FaultDraft {
    /// Says what was expected at the place, short enough to stand under it.
    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(label.into());
        self
    }

    /// Says what to write instead, or why the rule exists.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Asks whether `suggestion` was meant, where there is one.
    pub(crate) fn suggest(&mut self, suggestion: Option<&str>) -> &mut Self {
        match suggestion {
            Some(meant) => self.help(format!("did you mean `{meant}`?")),
            None => self,
        }
    }

    /// Shows another place that has part in it, and says what is there.
    pub(crate) fn related(&mut self, span: &Range<usize>, message: &'static str) -> &mut Self {
        self.related.push((span.clone(), message));
        self
    }

    /// Says that the rule is about all of the file: what is missing or does not add up in a file with broken lines may
    /// only be unreadable.
    pub(crate) fn of_whole_file(&mut self) -> &mut Self {
        self.is_of_whole_file = true;
        self
    }

    /// Returns true if the fault is there even though `broken` lines cannot be read: what stands in one of them is the
    /// parser's guess.
    fn holds_beside(&self, broken: &HashSet<usize>, lines: &Lines<'_>) -> bool {
        self.rule == Rule::Syntax
            || !(self.is_of_whole_file || broken.contains(&lines.line(self.span.start)))
    }

    fn placed(self, lines: &Lines<'_>) -> Fault {
        let related = self.related.into_iter().map(|(span, message)| Related {
            place: lines.place(span),
            message: message.to_owned(),
        });
        Fault {
            rule: self.rule,
            severity: self.severity,
            place: lines.place(self.span),
            message: self.message,
            label: self.label,
            help: self.help,
            related: related.collect(),
        }
    }
}
