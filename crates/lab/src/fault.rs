//! What is wrong with a lab file, and where.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use crate::problem::Problem;

/// One thing that is wrong with a lab file, with all that a renderer needs to show it in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The bytes of the source that are wrong; empty where something is missing at a point.
    pub span: Range<usize>,
    /// The line of the start of `span`, from 1.
    pub line: usize,
    /// The column of the start of `span`, in characters, from 1.
    pub column: usize,
    /// What was found wrong: lower case, no final period.
    pub message: String,
    /// What was expected in the place of `span`, short enough to stand under it.
    pub label: Option<String>,
    /// What to write instead, or why the rule exists.
    pub help: Option<String>,
    /// Other places that have part in it, such as the first use of a name.
    pub related: Vec<Related>,
    /// The same as data.
    pub problem: Problem,
}

impl Fault {
    /// Returns the name of the rule that was broken, such as `duplicate-address`.
    pub fn rule(&self) -> &'static str {
        self.problem.rule()
    }
}

/// Another place of the lab file that has part in a [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Related {
    /// The bytes of the source.
    pub span: Range<usize>,
    /// The line of the start of `span`, from 1.
    pub line: usize,
    /// The column of the start of `span`, in characters, from 1.
    pub column: usize,
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
            let Fault {
                line,
                column,
                message,
                ..
            } = fault;
            write!(f, "{}:{line}:{column}: {message}", self.lab)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// A value and the place where the file says it.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// Collects faults while a file is read and checked.
#[derive(Default)]
pub(crate) struct Sink {
    found: Vec<Found>,
}

struct Found {
    span: Range<usize>,
    problem: Problem,
    related: Vec<(Range<usize>, String)>,
}

impl Sink {
    /// Notes a problem at a place.
    pub(crate) fn push(&mut self, span: &Range<usize>, problem: Problem) {
        self.push_related(span, problem, Vec::new());
    }

    /// Notes a problem in which other places have part.
    pub(crate) fn push_related(
        &mut self,
        span: &Range<usize>,
        problem: Problem,
        related: Vec<(Range<usize>, String)>,
    ) {
        self.found.push(Found {
            span: span.clone(),
            problem,
            related,
        });
    }

    /// Sorts what was found and gives it lines and columns; refusals first, warnings second.
    pub(crate) fn finish(self, lab: &str, source: &str) -> (Option<Faults>, Vec<Fault>) {
        let lines = Lines::new(source);
        let broken: HashSet<_> = (self.found.iter())
            .filter(|found| matches!(found.problem, Problem::Syntax { .. }))
            .map(|found| lines.line(found.span.start))
            .collect();
        let mut faults: Vec<Fault> = (self.found.into_iter())
            .filter(|found| {
                broken.is_empty()
                    || found
                        .problem
                        .holds_in_a_broken_file(|| broken.contains(&lines.line(found.span.start)))
            })
            .map(|found| found.place(&lines))
            .collect();
        faults.sort_by_key(|fault| (fault.span.start, fault.span.end));
        faults.dedup();
        let (warnings, faults): (Vec<_>, Vec<_>) = faults
            .into_iter()
            .partition(|fault| fault.problem.is_warning());
        let refusal = (!faults.is_empty()).then(|| Faults {
            lab: lab.to_owned(),
            faults,
        });
        (refusal, warnings)
    }
}

impl Found {
    fn place(self, lines: &Lines<'_>) -> Fault {
        let (span, line, column) = lines.place(self.span);
        let related = self.related.into_iter().map(|(span, message)| {
            let (span, line, column) = lines.place(span);
            Related {
                span,
                line,
                column,
                message,
            }
        });
        Fault {
            span,
            line,
            column,
            message: self.problem.to_string(),
            label: self.problem.label(),
            help: self.problem.help(),
            related: related.collect(),
            problem: self.problem,
        }
    }
}

/// Finds lines and columns of places without reading the source again for each.
struct Lines<'s> {
    source: &'s str,
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    fn new(source: &'s str) -> Self {
        let after_breaks = source.match_indices('\n').map(|(place, _)| place + 1);
        Lines {
            source,
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// Returns the line of a byte, from 1.
    fn line(&self, place: usize) -> usize {
        self.starts.partition_point(|start| *start <= place)
    }

    /// Returns the span cut to characters of the source, and its start's line and column.
    fn place(&self, span: Range<usize>) -> (Range<usize>, usize, usize) {
        let cut = |mut place: usize| {
            place = place.min(self.source.len());
            while !self.source.is_char_boundary(place) {
                place -= 1;
            }
            place
        };
        let start = cut(span.start);
        let end = cut(span.end).max(start);
        let line = self.line(start);
        let column = self.source[self.starts[line - 1]..start].chars().count() + 1;
        (start..end, line, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_stay_inside() {
        let lines = Lines::new("ab\r\né = 1\n");
        assert_eq!(lines.place(0..1), (0..1, 1, 1));
        assert_eq!(lines.place(4..6), (4..6, 2, 1));
        assert_eq!(lines.place(7..8), (7..8, 2, 3));
        assert_eq!(lines.place(5..6), (4..6, 2, 1), "inside a character");
        assert_eq!(lines.place(11..99), (11..11, 3, 1), "past the end");
    }
}
