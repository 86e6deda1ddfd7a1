//! Adds a lab's contexts to a user's kubeconfig, and takes them out again, without touching a byte of anything else.
//!
//! The user's file is never written back from a parsed form, which would lose comments, order and whatever this program
//! does not know. [`outline`] says where its parts stand, [`splice`] adds text and takes it away; then the result is
//! parsed and must mean what the file meant, and our entries.

mod outline;
mod splice;

use std::path::Path;

use caravan_process::shell;
use outline::{CURRENT, Outline, Token, get, length, text_of};

/// The three lists of a kubeconfig, which hold named entries.
pub(crate) const LISTS: [&str; 3] = ["clusters", "contexts", "users"];

/// One named entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its place in [`LISTS`].
    pub(crate) list: &'static str,
    /// Its name.
    pub(crate) name: String,
    /// The lines of the YAML mapping, without indentation, name included.
    lines: Vec<String>,
    /// The same as JSON, in one line.
    json: String,
    tokens: Vec<Token>,
}

/// Why a kubeconfig is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is no text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// It is no YAML.
    #[error("line {line} is not YAML: {message}")]
    NotYaml {
        /// From 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// It is YAML, but not of this kind.
    #[error("it is not a kubeconfig: one YAML mapping, of kind `Config` and version `v1`")]
    NotAKubeconfig,
    /// kubectl reads the first document alone.
    #[error("it holds several YAML documents, of which kubectl reads the first alone")]
    SeveralDocuments,
    /// kubectl reads one of two.
    #[error("it says `{key}` twice, and kubectl reads the last alone")]
    Twice {
        /// What is said twice.
        key: String,
    },
    /// What the file says is said elsewhere in it.
    #[error("its first level has a merge key (`<<`), so that its lists cannot be told from it")]
    MergeKey,
    /// kubectl refuses it.
    #[error("its `{list}` are not a list, which kubectl refuses")]
    NotAList {
        /// Such as `contexts`.
        list: &'static str,
    },
    /// kubectl refuses it.
    #[error("its `{list}` have two entries `{name}`, which kubectl refuses")]
    SameName {
        /// Such as `contexts`.
        list: &'static str,
        /// The name of both.
        name: String,
    },
    /// Lines cannot be added to it without changing what else it says.
    #[error("its `{list}` are written in a way that nothing can be added to or taken from safely")]
    Shape {
        /// Such as `contexts`.
        list: &'static str,
    },
    /// The result would say something else.
    #[error("with the change it would say something else besides")]
    Meaning,
}

impl Refusal {
    /// The next thing to do about it, for the file at `path`; `tool` is the command whose verb `kubeconfig` tells a lab's own
    /// file, such as `cargo xtask`.
    pub fn hint(&self, path: &Path, tool: &str) -> String {
        let path = shell::path(path);
        match self {
            Self::MergeKey | Self::Shape { .. } | Self::Meaning => format!(
                "use both without merging: `export KUBECONFIG={path}:\"$({tool} kubeconfig LAB)\"`"
            ),
            _ => format!("`kubectl config view --kubeconfig {path}` says what kubectl makes of it"),
        }
    }
}

/// A kubeconfig with a lab's contexts in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merged {
    /// The new text.
    pub(crate) text: String,
    /// Whether taking the contexts out gives the old text again, to the byte.
    pub(crate) comes_back: bool,
}

/// What a kubeconfig has, for those who write to another one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The list and the name of each named entry.
    pub(crate) names: Vec<(&'static str, String)>,
    /// The authority of each cluster, by the cluster's name.
    pub(crate) authorities: Vec<(String, String)>,
    /// The current context.
    pub(crate) current: Option<String>,
}

/// Reads what a kubeconfig has.
///
/// # Errors
///
/// [`Refusal`] for what is no kubeconfig, or one that cannot be read safely.
pub(crate) fn contents(text: &str) -> Result<Contents, Refusal> {
    let outline = Outline::read(text)?;
    let mut found = Contents {
        current: outline.current().map(str::to_owned),
        ..Contents::default()
    };
    for list in LISTS {
        for entry in outline.entries(list) {
            let Some(name) = entry.name() else { continue };
            found.names.push((list, name.to_owned()));
            let authority = get(&entry.tokens, "cluster")
                .and_then(|cluster| get(cluster, "certificate-authority-data"))
                .and_then(text_of);
            if let Some(authority) = authority {
                let authority = authority.split_whitespace().collect();
                found.authorities.push((name.to_owned(), authority));
            }
        }
    }
    Ok(found)
}

/// The named entries of a kubeconfig in block style, as our own are.
pub(crate) fn entries(text: &str) -> Vec<Entry> {
    let Ok(outline) = Outline::read(text) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for list in LISTS {
        for item in outline.entries(list) {
            let Some(name) = item.name() else { continue };
            let start = text[..item.at.start]
                .rfind('\n')
                .map_or(0, |line_end| line_end + 1);
            let depth = item.at.start - start;
            let lines = text[start..item.at.end].lines();
            let lines = lines.map(|line| line.get(depth..).unwrap_or_default().trim_end());
            all.push(Entry {
                list,
                name: name.to_owned(),
                lines: lines.map(str::to_owned).collect(),
                json: json(&item.tokens),
                tokens: item.tokens.clone(),
            });
        }
    }
    all
}

/// The first value of `tokens` as JSON, which in flow style is YAML too.
fn json(tokens: &[Token]) -> String {
    let quoted = |value: &str| serde_json::Value::from(value).to_string();
    let children = |mut at: usize| {
        let mut all = Vec::new();
        while at + 1 < tokens.len() {
            let after = at + length(&tokens[at..]);
            all.push(json(&tokens[at..after]));
            at = after;
        }
        all
    };
    match tokens.first() {
        Some(Token::Scalar { value, .. }) => quoted(value),
        Some(Token::List(_)) => format!("[{}]", children(1).join(", ")),
        Some(Token::Mapping(_)) => {
            let all = children(1);
            let pairs = all.chunks_exact(2);
            let pairs: Vec<String> = pairs
                .map(|pair| format!("{}: {}", pair[0], pair[1]))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        _ => quoted(""),
    }
}

/// Returns `text` with `entries` added, in place of ours of the same lab: those whose name `is_ours`.
///
/// `current`, if given, becomes the current context where the user has chosen none.
///
/// # Errors
///
/// [`Refusal`] where the result would not mean what `text` means plus the entries.
pub(crate) fn merge(
    text: &str,
    entries: &[Entry],
    current: Option<&str>,
    is_ours: &dyn Fn(&str) -> bool,
) -> Result<Merged, Refusal> {
    let before = Meaning::of(text, is_ours)?;
    before.hold_names_apart()?;
    let without = unmerge(text, is_ours)?;
    let current = current.filter(|_| before.current.is_none());
    let merged = splice::insert(&without, entries, current)?;
    let after = Meaning::of(&merged, is_ours).map_err(|_| Refusal::Meaning)?;
    let ours: [Vec<Vec<Token>>; 3] = LISTS.map(|list| {
        let of_list = entries.iter().filter(|entry| entry.list == list);
        of_list.map(|entry| untyped(&entry.tokens)).collect()
    });
    if !after.is_same_but_for_ours(&before) || after.ours != ours {
        return Err(Refusal::Meaning);
    }
    let comes_back = unmerge(&merged, is_ours).is_ok_and(|back| back == without);
    Ok(Merged {
        text: merged,
        comes_back,
    })
}

/// Returns `text` without the entries whose name `is_ours`.
///
/// # Errors
///
/// [`Refusal`], as [`merge`].
pub(crate) fn unmerge(text: &str, is_ours: &dyn Fn(&str) -> bool) -> Result<String, Refusal> {
    let before = Meaning::of(text, is_ours)?;
    if before.ours.iter().all(Vec::is_empty) && !before.current_is_ours {
        return Ok(text.to_owned());
    }
    let without = splice::remove(text, is_ours)?;
    let after = Meaning::of(&without, is_ours).map_err(|_| Refusal::Meaning)?;
    let has_ours = after.current_is_ours || after.ours.iter().any(|list| !list.is_empty());
    if has_ours || !after.is_same_but_for_ours(&before) {
        return Err(Refusal::Meaning);
    }
    Ok(without)
}

/// What a kubeconfig says: our entries, and all that is not ours.
#[derive(Debug, PartialEq)]
struct Meaning {
    ours: [Vec<Vec<Token>>; 3],
    theirs: [Vec<(Option<String>, Vec<Token>)>; 3],
    /// The current context, unless it is ours.
    current: Option<String>,
    current_is_ours: bool,
    /// Every other key, in order, with its value.
    rest: Vec<(String, Vec<Token>)>,
}

impl Meaning {
    fn of(text: &str, is_ours: &dyn Fn(&str) -> bool) -> Result<Self, Refusal> {
        let outline = Outline::read(text)?;
        let mut ours = [const { Vec::new() }; 3];
        let mut theirs = [const { Vec::new() }; 3];
        for (place, list) in LISTS.into_iter().enumerate() {
            for entry in outline.entries(list) {
                match entry.name() {
                    Some(name) if is_ours(name) => ours[place].push(untyped(&entry.tokens)),
                    name => theirs[place].push((name.map(str::to_owned), entry.tokens.clone())),
                }
            }
        }
        let is_rest = |key: &str| !LISTS.contains(&key) && key != CURRENT;
        let current = outline.current();
        let rest = outline.slots.iter().filter(|slot| is_rest(&slot.key));
        Ok(Self {
            ours,
            theirs,
            current: current.filter(|name| !is_ours(name)).map(str::to_owned),
            current_is_ours: current.is_some_and(is_ours),
            rest: rest
                .map(|slot| (slot.key.clone(), slot.value.tokens.clone()))
                .collect(),
        })
    }

    fn is_same_but_for_ours(&self, other: &Self) -> bool {
        (&self.theirs, &self.current, &self.rest) == (&other.theirs, &other.current, &other.rest)
    }

    fn hold_names_apart(&self) -> Result<(), Refusal> {
        for (list, entries) in LISTS.into_iter().zip(&self.theirs) {
            let mut seen = std::collections::BTreeSet::new();
            for name in entries.iter().filter_map(|(name, _)| name.as_ref()) {
                if !seen.insert(name) {
                    let name = name.clone();
                    return Err(Refusal::SameName { list, name });
                }
            }
        }
        Ok(())
    }
}

/// `tokens` of which all scalars are text, as ours are, with and without quotes.
fn untyped(tokens: &[Token]) -> Vec<Token> {
    let text = |token: &Token| match token {
        Token::Scalar { value, tag, .. } => Token::Scalar {
            value: value.clone(),
            typed: false,
            tag: tag.clone(),
        },
        other => other.clone(),
    };
    tokens.iter().map(text).collect()
}

#[cfg(test)]
mod tests;
