//! Adds a lab's contexts to a user's kubeconfig, and takes them out again, without touching a byte of anything else.
//!
//! The user's file is never written back from a parsed form, which would lose comments, order and whatever this program
//! does not know. Lines are added and removed; then both texts are parsed and must mean the same but for our entries.

use saphyr::{LoadableYamlNode, Yaml};

/// The three lists of a kubeconfig, which hold named entries.
const LISTS: [&str; 3] = ["clusters", "contexts", "users"];

/// One named entry of a list, as the lines of a YAML mapping without indentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its place in [`LISTS`].
    pub(super) list: &'static str,
    /// Its name.
    pub(super) name: String,
    /// The lines of the mapping, name included.
    pub(super) lines: Vec<String>,
}

/// Why a kubeconfig is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// It is no YAML.
    #[error("line {line} is no YAML: {message}")]
    NotYaml { line: usize, message: String },
    /// It is YAML, but not of this kind.
    #[error("it is not one YAML mapping of kind `Config`")]
    NotAKubeconfig,
    /// Lines cannot be added to it without changing what else it says.
    #[error(
        "its `{list}` are not written one entry per line block, so nothing can be added safely"
    )]
    Shape { list: &'static str },
}

/// The named entries of a kubeconfig that is written one entry per line block, as our own are.
pub(super) fn entries(text: &str) -> Vec<Entry> {
    let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let mut all = Vec::new();
    for list in LISTS {
        let Ok(Some(found)) = find(&lines, list) else {
            continue;
        };
        for (number, &start) in found.entries.iter().enumerate() {
            let end = found.entries.get(number + 1).copied().unwrap_or(found.end);
            let block = &lines[start..end];
            let name = Yaml::load_from_str(&block.concat())
                .ok()
                .and_then(|parsed| {
                    let entry = parsed.first()?.as_sequence_get(0)?;
                    name_of(entry).map(str::to_owned)
                });
            let Some(name) = name else { continue };
            all.push(Entry {
                list,
                name,
                // The mark and the indentation of entries take two more columns than the list's depth.
                lines: block
                    .iter()
                    .map(|line| {
                        line.get(found.depth + 2..)
                            .unwrap_or_default()
                            .trim_end()
                            .to_owned()
                    })
                    .filter(|line| !line.is_empty())
                    .collect(),
            });
        }
    }
    all
}

/// Returns `text` with `entries` added, in place of ours of the same lab: those whose name `is_ours`.
///
/// `current` becomes the current context where the user has chosen none.
///
/// # Errors
///
/// [`Refusal`] where the result would not mean what `text` means plus the entries.
pub(super) fn merge(
    text: &str,
    entries: &[Entry],
    current: &str,
    is_ours: &dyn Fn(&str) -> bool,
) -> Result<String, Refusal> {
    let before = meaning(text, is_ours)?;
    let mut lines = without(text, is_ours)?;
    for list in LISTS {
        let of_list: Vec<&Entry> = entries.iter().filter(|entry| entry.list == list).collect();
        insert(&mut lines, list, &of_list)?;
    }
    if !before.has_current {
        set_current(&mut lines, current);
    }
    checked(lines.concat(), &before, entries, is_ours)
}

/// Returns `text` without the entries whose name `is_ours`.
///
/// # Errors
///
/// [`Refusal`], as [`merge`].
pub(super) fn unmerge(text: &str, is_ours: &dyn Fn(&str) -> bool) -> Result<String, Refusal> {
    let before = meaning(text, is_ours)?;
    let mut lines = without(text, is_ours)?;
    if !before.has_current && lines.iter().any(|line| line.starts_with(CURRENT)) {
        set_current(&mut lines, "\"\"");
    }
    checked(lines.concat(), &before, &[], is_ours)
}

/// Holds that `result` means what was there `before`, and `entries`, and nothing else.
fn checked(
    result: String,
    before: &Meaning,
    entries: &[Entry],
    is_ours: &dyn Fn(&str) -> bool,
) -> Result<String, Refusal> {
    let after = meaning(&result, is_ours).map_err(|_| Refusal::Shape { list: LISTS[0] })?;
    for (place, list) in LISTS.into_iter().enumerate() {
        let added = entries.iter().filter(|entry| entry.list == list);
        let added: Vec<&str> = added.map(|entry| entry.name.as_str()).collect();
        if after.lists[place] != before.lists[place] || after.ours[place] != added {
            return Err(Refusal::Shape { list });
        }
    }
    if after.rest == before.rest && after.has_current == before.has_current {
        Ok(result)
    } else {
        Err(Refusal::NotAKubeconfig)
    }
}

/// The key of the context that `kubectl` uses by itself.
const CURRENT: &str = "current-context:";

/// What a kubeconfig says: our entries by name, and all that is not ours.
#[derive(Debug, PartialEq)]
struct Meaning {
    ours: [Vec<String>; 3],
    lists: [Vec<String>; 3],
    /// Whether a context that is not ours is the current one.
    has_current: bool,
    rest: String,
}

fn meaning(text: &str, is_ours: &dyn Fn(&str) -> bool) -> Result<Meaning, Refusal> {
    let documents = Yaml::load_from_str(text).map_err(|error| Refusal::NotYaml {
        line: error.marker().line(),
        message: error.info().to_owned(),
    })?;
    let mut ours = [const { Vec::new() }; 3];
    let mut lists = [const { Vec::new() }; 3];
    let mut has_current = false;
    let mut rest = Vec::new();
    match documents.as_slice() {
        [] => {}
        [only] if only.is_null() => {}
        [only] => {
            let mapping = only.as_mapping().ok_or(Refusal::NotAKubeconfig)?;
            for (key, value) in mapping {
                let place = LISTS.iter().position(|list| key.as_str() == Some(list));
                match place {
                    // An absent, an empty and a null list are one thing to kubectl.
                    Some(_) if value.is_null() => {}
                    Some(place) => {
                        let found = value
                            .as_sequence()
                            .ok_or(Refusal::Shape { list: LISTS[place] })?;
                        for entry in found {
                            match name_of(entry).filter(|name| is_ours(name)) {
                                Some(name) => ours[place].push(name.to_owned()),
                                None => lists[place].push(format!("{entry:?}")),
                            }
                        }
                    }
                    None if key.as_str() == Some(CURRENT.trim_end_matches(':')) => {
                        let current = value.as_str().unwrap_or_default();
                        if !current.is_empty() && !is_ours(current) {
                            has_current = true;
                            rest.push(format!("{key:?}: {value:?}"));
                        }
                    }
                    None if key.as_str() == Some("kind") && value.as_str() != Some("Config") => {
                        return Err(Refusal::NotAKubeconfig);
                    }
                    None => rest.push(format!("{key:?}: {value:?}")),
                }
            }
        }
        _ => return Err(Refusal::NotAKubeconfig),
    }
    Ok(Meaning {
        ours,
        lists,
        has_current,
        rest: rest.join("\n"),
    })
}

fn name_of<'a>(entry: &'a Yaml<'_>) -> Option<&'a str> {
    entry.as_mapping_get("name").and_then(Yaml::as_str)
}

/// A line's indentation, when it holds more than white space or a comment.
fn indent(line: &str) -> Option<usize> {
    let trimmed = line.trim_start_matches(' ');
    let said = trimmed.trim_end();
    (!said.is_empty() && !said.starts_with('#')).then(|| line.len() - trimmed.len())
}

/// Where one list stands.
struct List {
    /// The line of its key.
    key: usize,
    /// The line after its last entry; `key + 1` when it has none.
    end: usize,
    /// How deep its entries are indented.
    depth: usize,
    /// The first line of each entry.
    entries: Vec<usize>,
}

fn find(lines: &[String], list: &'static str) -> Result<Option<List>, Refusal> {
    let prefix = format!("{list}:");
    let Some(key) = lines.iter().position(|line| line.starts_with(&prefix)) else {
        return Ok(None);
    };
    let mut found = List {
        key,
        end: key + 1,
        depth: 0,
        entries: Vec::new(),
    };
    for (number, line) in lines.iter().enumerate().skip(key + 1) {
        let Some(depth) = indent(line) else { continue };
        let is_entry = line[depth..].starts_with("- ") || line[depth..].trim_end() == "-";
        if found.entries.is_empty() && is_entry {
            found.depth = depth;
        }
        if depth == found.depth && is_entry {
            found.entries.push(number);
        } else if depth == 0 {
            break;
        } else if found.entries.is_empty() {
            return Err(Refusal::Shape { list });
        }
        found.end = number + 1;
    }
    Ok(Some(found))
}

/// The lines of `text` less our entries, each with its line end.
fn without(text: &str, is_ours: &dyn Fn(&str) -> bool) -> Result<Vec<String>, Refusal> {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for list in LISTS {
        let Some(found) = find(&lines, list)? else {
            continue;
        };
        let mut kept = found.entries.len();
        for (number, &start) in found.entries.iter().enumerate().rev() {
            let end = match found.entries.get(number + 1) {
                Some(&next) => next,
                None => found.end,
            };
            // An entry ends with its own last line; comments and blanks after it belong to what follows.
            let end = (start..end)
                .rev()
                .find(|&line| indent(&lines[line]).is_some())
                .map_or(end, |last| last + 1);
            let snippet = lines[start..end].concat();
            let ours = Yaml::load_from_str(&snippet).is_ok_and(|parsed| {
                parsed
                    .first()
                    .and_then(|list| list.as_sequence_get(0))
                    .and_then(name_of)
                    .is_some_and(is_ours)
            });
            if ours {
                lines.drain(start..end);
                kept -= 1;
            }
        }
        if kept == 0 && !found.entries.is_empty() {
            lines[found.key] = format!("{list}: []\n");
        }
    }
    Ok(lines)
}

fn insert(lines: &mut Vec<String>, list: &'static str, entries: &[&Entry]) -> Result<(), Refusal> {
    if entries.is_empty() {
        return Ok(());
    }
    if let Some(last) = lines.last_mut()
        && !last.ends_with('\n')
    {
        last.push('\n');
    }
    let (at, depth) = match find(lines, list)? {
        None => {
            lines.push(format!("{list}:\n"));
            (lines.len(), 0)
        }
        Some(found) => {
            let said = lines[found.key][list.len() + 1..].trim();
            let said = said.split('#').next().unwrap_or_default().trim();
            match said {
                "" => {}
                "[]" | "null" | "~" if found.entries.is_empty() => {
                    lines[found.key] = format!("{list}:\n");
                }
                _ => return Err(Refusal::Shape { list }),
            }
            (found.end, found.depth)
        }
    };
    let pad = " ".repeat(depth);
    let added = entries.iter().flat_map(|entry| {
        entry.lines.iter().enumerate().map(|(number, line)| {
            let mark = if number == 0 { "- " } else { "  " };
            format!("{pad}{mark}{line}\n")
        })
    });
    let added: Vec<String> = added.collect();
    lines.splice(at..at, added);
    Ok(())
}

fn set_current(lines: &mut Vec<String>, context: &str) {
    let line = format!("{CURRENT} {context}\n");
    match lines.iter_mut().find(|line| line.starts_with(CURRENT)) {
        Some(found) => *found = line,
        None => lines.push(line),
    }
}

#[cfg(test)]
mod tests;
