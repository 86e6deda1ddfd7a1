//! What a check has seen, and the verdict that follows.

use super::{Evidence, Measured, VerifyOutcome};

/// How many things the text of a verdict names before it only counts them.
const NAMED: usize = 12;

/// What speaks for and against a promise, in the order in which it was seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Findings {
    seen: Vec<Evidence>,
}

/// What follows from findings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    pub(super) outcome: VerifyOutcome,
    /// What decided it, in a line; long lists are cut.
    pub(super) text: String,
    /// All that was seen.
    pub(super) findings: Vec<Evidence>,
}

impl Findings {
    /// Nothing seen yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Something of `subject` (a machine, where it is one) that is as promised.
    pub(super) fn right(&mut self, subject: &str, text: impl Into<String>) {
        self.see(subject, true, text.into(), None);
    }

    /// Something of `subject` that is not.
    pub(super) fn wrong(&mut self, subject: &str, text: impl Into<String>) {
        self.see(subject, false, text.into(), None);
    }

    /// The result of one part: `Err` is what is wrong.
    pub(super) fn add(
        &mut self,
        subject: &str,
        part: Result<impl Into<String>, impl Into<String>>,
    ) {
        match part {
            Ok(text) => self.right(subject, text),
            Err(text) => self.wrong(subject, text),
        }
    }

    /// The same with the figures that were measured.
    pub(super) fn add_measured(
        &mut self,
        subject: &str,
        part: Result<String, String>,
        measured: Measured,
    ) {
        let (holds, text) = match part {
            Ok(text) => (true, text),
            Err(text) => (false, text),
        };
        self.see(subject, holds, text, Some(measured));
    }

    fn see(&mut self, subject: &str, holds: bool, text: String, measured: Option<Measured>) {
        self.seen.push(Evidence {
            subject: subject.to_owned(),
            holds,
            text,
            measured,
        });
    }

    /// All of `other` too.
    pub(super) fn extend(&mut self, other: Findings) {
        self.seen.extend(other.seen);
    }

    /// Whether something is wrong.
    pub(super) fn is_broken(&self) -> bool {
        self.seen.iter().any(|evidence| !evidence.holds)
    }

    /// Whether the verdict would be good.
    pub(super) fn holds(&self) -> bool {
        !self.is_broken() && !self.seen.is_empty()
    }

    /// The outcome, and what decided it. Who has seen nothing has proved nothing.
    pub(super) fn verdict(self) -> Verdict {
        let (outcome, holds) = match (self.is_broken(), self.seen.is_empty()) {
            (true, _) => (VerifyOutcome::Failed, false),
            (false, false) => (VerifyOutcome::Passed, true),
            (false, true) => {
                return Verdict {
                    outcome: VerifyOutcome::Failed,
                    text: "nothing was found to be tested".to_owned(),
                    findings: Vec::new(),
                };
            }
        };
        let decisive = self.seen.iter().filter(|evidence| evidence.holds == holds);
        let texts: Vec<&str> = decisive.map(|evidence| evidence.text.as_str()).collect();
        Verdict {
            outcome,
            text: listed(&texts),
            findings: self.seen,
        }
    }
}

fn listed(seen: &[&str]) -> String {
    let mut named = seen[..seen.len().min(NAMED)].join("; ");
    if seen.len() > NAMED {
        named.push_str(&format!("; and {} more", seen.len() - NAMED));
    }
    named
}

impl<S: AsRef<str>> FromIterator<(S, Result<String, String>)> for Findings {
    fn from_iter<T: IntoIterator<Item = (S, Result<String, String>)>>(parts: T) -> Self {
        let mut findings = Self::new();
        for (subject, part) in parts {
            findings.add(subject.as_ref(), part);
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let mut findings = Findings::new();
        let of = |findings: &Findings| {
            let verdict = findings.clone().verdict();
            (verdict.outcome, verdict.text, verdict.findings.len())
        };
        assert_eq!(of(&findings).0, VerifyOutcome::Failed);
        findings.right("one", "a");
        findings.right("two", "b");
        assert!(findings.holds());
        assert_eq!(of(&findings), (VerifyOutcome::Passed, "a; b".to_owned(), 2));
        findings.wrong("one", "c");
        assert!(!findings.holds());
        // What speaks for it is evidence too.
        assert_eq!(of(&findings), (VerifyOutcome::Failed, "c".to_owned(), 3));
    }

    #[test]
    fn a_long_text_is_cut_and_the_list_is_not() {
        let many: Findings = (0..20).map(|n| ("x", Ok(n.to_string()))).collect();
        let verdict = many.verdict();
        assert!(verdict.text.ends_with("11; and 8 more"));
        assert_eq!(verdict.findings.len(), 20);
    }
}
