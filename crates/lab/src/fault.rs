//! What is wrong with a lab file, and where.

use std::fmt;
use std::ops::Range;

/// One thing that is wrong with a lab file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The bytes of the source that are wrong; empty where something is missing at a point.
    pub span: Range<usize>,
    /// The line of the start of `span`, from 1.
    pub line: usize,
    /// The column of the start of `span`, in characters, from 1.
    pub column: usize,
    /// What is wrong: lower case, no final period.
    pub message: String,
    /// What to write instead, or why the rule exists.
    pub help: Option<String>,
    /// Other places that have part in it, such as the first use of a name.
    pub related: Vec<Related>,
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
    pub(crate) lab: String,
    pub(crate) faults: Vec<Fault>,
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
