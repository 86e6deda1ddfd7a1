//! The table: one fault a row, who refuses it, and where they differ, whom we follow and why.

mod authorities;
mod leaves;
mod lists;
mod names;
mod times;

use super::model::{Model, PLACES, ROOT};

/// What is put wrong.
pub(crate) type Change = Box<dyn Fn(&mut Model)>;

/// Who refuses. `None`: it is not asked, since it has no opinion on such things.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refusing {
    pub(crate) openssl: bool,
    pub(crate) go: Option<bool>,
    pub(crate) webpki: bool,
}

impl Refusing {
    const fn of(openssl: bool, go: bool, webpki: bool) -> Self {
        Self {
            openssl,
            go: Some(go),
            webpki,
        }
    }

    pub(crate) fn any(self) -> bool {
        self.openssl || self.go == Some(true) || self.webpki
    }

    pub(crate) fn all_agree(self) -> bool {
        self.openssl == self.webpki && self.go.is_none_or(|go| go == self.openssl)
    }
}

pub(crate) const NOBODY: Refusing = Refusing::of(false, false, false);
pub(crate) const ALL: Refusing = Refusing::of(true, true, true);
const OPENSSL: Refusing = Refusing::of(true, false, false);
const GO: Refusing = Refusing::of(false, true, false);
const WEBPKI: Refusing = Refusing::of(false, false, true);
const OPENSSL_GO: Refusing = Refusing::of(true, true, false);
const OPENSSL_WEBPKI: Refusing = Refusing::of(true, false, true);
const GO_WEBPKI: Refusing = Refusing::of(false, true, true);

/// What our lint is to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lint {
    /// An error by this rule.
    Error(&'static str),
    /// Nothing that it could know: it is not told what is asked, or which lists there are.
    Blind,
    /// Some error, of a pair.
    Any,
    /// No error.
    Clean,
}

pub(crate) struct Row {
    pub(crate) name: String,
    /// Two of one group change the same thing, and are not paired.
    pub(crate) group: String,
    pub(crate) change: Change,
    pub(crate) refusing: Refusing,
    pub(crate) ours: bool,
    pub(crate) lint: Lint,
    /// Whom we follow where they differ, and why.
    pub(crate) why: &'static str,
    /// Whether an authority with this fault still signs the leaf here, although somebody refuses that.
    pub(crate) still_issues: bool,
}

impl Row {
    fn new(
        name: impl Into<String>,
        group: impl Into<String>,
        refusing: Refusing,
        lint: Lint,
        change: impl Fn(&mut Model) + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            group: group.into(),
            change: Box::new(change),
            refusing,
            ours: refusing.any(),
            lint,
            why: "",
            still_issues: false,
        }
    }

    fn because(mut self, why: &'static str) -> Self {
        self.why = why;
        self
    }

    /// We accept it although somebody refuses it.
    fn accepted(mut self) -> Self {
        self.ours = false;
        self
    }
}

const STRICT: &str =
    "OpenSSL's strict mode, which Python has by default since 3.13: RFC 5280 demands it";
const ANCHOR: &str =
    "OpenSSL and Go: webpki knows of an anchor its name, key and name constraints alone";

fn at(place: usize) -> &'static str {
    PLACES[place]
}

/// webpki does not look at the root.
fn but_webpki_at_root(place: usize) -> Refusing {
    if place == ROOT { OPENSSL_GO } else { ALL }
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    authorities::authorities(&mut rows);
    authorities::identifiers(&mut rows);
    authorities::depth(&mut rows);
    authorities::extensions(&mut rows);
    leaves::leaves(&mut rows);
    names::names_and_constraints(&mut rows);
    times::signatures_and_times(&mut rows);
    lists::lists(&mut rows);
    rows
}

impl Row {
    /// Whether `other` changes the same, or changes what this fault is about, so that both together say nothing new.
    pub(crate) fn meddles_with(&self, other: &Self) -> bool {
        let same = |one: &str| other.group.split(", ").any(|theirs| theirs == one);
        let about_names =
            |row: &Self| row.group.contains("leaf names") || row.group.contains("leaf subject");
        let is_limited = |row: &Self| row.group.contains("constraints");
        let for_client = |row: &Self| row.name.contains("a client");
        let by_purpose = |row: &Self| {
            ["purposes", "leaf names", "leaf key usage"]
                .iter()
                .any(|part| row.group.contains(part))
        };
        let purposes = |row: &Self| row.group.contains("purposes");
        self.group.split(", ").any(same)
            || purposes(self) && purposes(other)
            || about_names(self) && is_limited(other)
            || is_limited(self) && about_names(other)
            || for_client(self) && by_purpose(other)
            || by_purpose(self) && for_client(other)
    }

    /// Whether it cuts the chain, so that nothing can be said of what is above.
    pub(crate) fn cuts(&self) -> bool {
        self.name.ends_with("names another issuer")
    }

    /// The leaf that we issue has this right whatever the one of the table has.
    fn still_issues_if(mut self, condition: bool) -> Self {
        self.still_issues |= condition;
        self
    }
}
