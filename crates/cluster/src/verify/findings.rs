//! What a check has seen, and the verdict that follows.

use super::Outcome;

/// How many things evidence names before it only counts them.
const NAMED: usize = 12;

/// What speaks for and against a promise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Findings {
    right: Vec<String>,
    wrong: Vec<String>,
}

impl Findings {
    /// Nothing seen yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Something that is as promised.
    pub(super) fn right(&mut self, seen: impl Into<String>) {
        self.right.push(seen.into());
    }

    /// Something that is not.
    pub(super) fn wrong(&mut self, seen: impl Into<String>) {
        self.wrong.push(seen.into());
    }

    /// The result of one part: `Err` is what is wrong.
    pub(super) fn add(&mut self, part: Result<impl Into<String>, impl Into<String>>) {
        match part {
            Ok(seen) => self.right(seen),
            Err(seen) => self.wrong(seen),
        }
    }

    /// All of `other` too.
    pub(super) fn extend(&mut self, other: Findings) {
        self.right.extend(other.right);
        self.wrong.extend(other.wrong);
    }

    /// Whether something is wrong.
    pub(super) fn is_broken(&self) -> bool {
        !self.wrong.is_empty()
    }

    /// Whether the verdict would be good.
    pub(super) fn holds(&self) -> bool {
        !self.is_broken() && !self.right.is_empty()
    }

    /// The outcome and its evidence. Who has seen nothing has proved nothing.
    pub(super) fn verdict(self) -> (Outcome, String) {
        if !self.wrong.is_empty() {
            return (Outcome::Failed, listed(&self.wrong));
        }
        if self.right.is_empty() {
            return (Outcome::Failed, "nothing was found to be tested".to_owned());
        }
        (Outcome::Passed, listed(&self.right))
    }
}

fn listed(seen: &[String]) -> String {
    let mut named = seen[..seen.len().min(NAMED)].join("; ");
    if seen.len() > NAMED {
        named.push_str(&format!("; and {} more", seen.len() - NAMED));
    }
    named
}

impl FromIterator<Result<String, String>> for Findings {
    fn from_iter<T: IntoIterator<Item = Result<String, String>>>(parts: T) -> Self {
        let mut findings = Self::new();
        for part in parts {
            findings.add(part);
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
        assert_eq!(findings.clone().verdict().0, Outcome::Failed);
        findings.right("a");
        findings.right("b");
        assert_eq!(
            findings.clone().verdict(),
            (Outcome::Passed, "a; b".to_owned())
        );
        findings.wrong("c");
        assert_eq!(findings.verdict(), (Outcome::Failed, "c".to_owned()));
    }

    #[test]
    fn long_evidence_is_counted() {
        let many: Findings = (0..20).map(|n| Ok(n.to_string())).collect();
        assert!(many.verdict().1.ends_with("11; and 8 more"));
    }
}
