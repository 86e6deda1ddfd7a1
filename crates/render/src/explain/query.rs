//! Questions: which lines of which file are asked about.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use caravan_lab::{Lab, Machine, Role, Server};
use serde::Serialize;

use super::{Explained, Refusal, annotate, file as explain_file, paths, vagrantfile};
use crate::{Error, Renderer, Settings, VAGRANTFILE_TEMPLATE};

/// The one file of a server.
const VAGRANTFILE: &str = "Vagrantfile";

/// Whose file it is.
#[derive(Clone, Copy, Debug)]
pub enum FileOwner<'l> {
    /// A machine's.
    Machine(&'l Machine),
    /// A server's: its Vagrantfile.
    Server(&'l Server),
}

/// A question: whose file, which one, which lines of it.
#[derive(Debug)]
pub struct ExplainQuery<'l> {
    /// Whose; nobody's where it was not said.
    pub owner: Option<FileOwner<'l>>,
    /// A path, or the end of one.
    pub file: Option<String>,
    lines: Option<RangeInclusive<usize>>,
    text: Option<String>,
}

/// The file that is asked about.
#[derive(Debug)]
pub struct ExplainedFile<'l> {
    /// Whose it is; one of several where it was not said.
    pub owner: FileOwner<'l>,
    /// Its path on the machine, or in the server's project.
    pub path: String,
    /// Other machines or servers that have such a file.
    pub also: Vec<String>,
}

impl<'l> ExplainQuery<'l> {
    /// Reads words as people type them: `[MACHINE] [FILE[:LINE]] [TEXT...]`. Whoever leaves the machine out begins with a
    /// file.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoMachine`] where the first word is neither.
    pub fn of(lab: &'l Lab, words: &[&str]) -> Result<Self, Refusal> {
        let mut words = words.iter().copied().peekable();
        let owner = words.peek().and_then(|word| owner_called(lab, word));
        match (owner, words.peek()) {
            (Some(_), _) => drop(words.next()),
            (None, Some(word)) if !looks_like_a_file(word) => {
                return Err(Refusal::NoMachine {
                    word: (*word).to_owned(),
                });
            }
            (None, _) => {}
        }
        let (file, lines) = match words.next() {
            Some(word) => {
                let (file, lines) = split_lines(word);
                (Some(file.to_owned()), lines)
            }
            None if matches!(owner, Some(FileOwner::Server(_))) => {
                (Some(VAGRANTFILE.to_owned()), None)
            }
            None => (None, None),
        };
        let text = words.collect::<Vec<_>>().join(" ");
        Ok(Self {
            owner,
            file,
            lines,
            text: (!text.is_empty()).then_some(text),
        })
    }

    /// The numbers of the lines that are asked about; `None` for the whole file.
    ///
    /// # Errors
    ///
    /// Where there are no such lines, or nobody is shown them.
    pub fn choose(&self, file: &Explained) -> Result<Option<Vec<usize>>, Refusal> {
        if self.lines.is_none() && self.text.is_none() {
            return Ok(None);
        }
        let path = file.path.clone();
        if file.secret {
            return Err(Refusal::Secret { path });
        }
        let count = file.lines.len();
        let all = 1..=count;
        let range = self.lines.clone().unwrap_or(all.clone());
        if let Some(asked) = [*range.start(), *range.end()]
            .into_iter()
            .find(|number| !all.contains(number))
        {
            return Err(Refusal::PastTheEnd { path, asked, count });
        }
        let text = self.text.clone().unwrap_or_default();
        let wanted = text.to_lowercase();
        let chosen: Vec<usize> = file.lines[range.start() - 1..*range.end()]
            .iter()
            .filter(|line| line.text.to_lowercase().contains(&wanted))
            .map(|line| line.number)
            .collect();
        if chosen.is_empty() {
            return Err(Refusal::NoText { path, text });
        }
        Ok(Some(chosen))
    }
}

impl ExplainedFile<'_> {
    /// The name of the machine or server.
    pub fn of(&self) -> &str {
        match self.owner {
            FileOwner::Machine(machine) => &machine.name,
            FileOwner::Server(server) => &server.name,
        }
    }
}

impl ExplainedFile<'_> {
    /// The file with its reasons, and its mode where it is on a machine.
    ///
    /// # Errors
    ///
    /// Where it cannot be rendered.
    pub fn explained(
        &self,
        lab: &Lab,
        settings: &Settings,
        template: Option<&str>,
        renderer: &Renderer<'_>,
    ) -> Result<(Explained, Option<u32>), Error> {
        match self.owner {
            FileOwner::Server(server) => {
                let template = template.unwrap_or(VAGRANTFILE_TEMPLATE);
                Ok((vagrantfile(lab, server, settings, template)?, None))
            }
            FileOwner::Machine(machine) => {
                let files = renderer.guest_files(machine)?;
                let file = files
                    .iter()
                    .find(|file| file.path == self.path)
                    .expect("the path is of this machine's files");
                Ok((explain_file(renderer, machine, file)?, Some(file.mode)))
            }
        }
    }
}

/// A file in a list, and who gets it.
#[derive(Debug, Serialize)]
pub struct ListedFile {
    /// Its path on machines.
    pub path: String,
    /// Its mode, such as `0644`.
    pub mode: String,
    /// What it is for.
    #[serde(rename = "for")]
    pub purpose: &'static str,
    /// The machines that get it, in the order of the lab file.
    pub machines: Vec<String>,
}

/// The files of one machine, or of all machines of the lab, with who gets each.
///
/// # Errors
///
/// Where they cannot be rendered.
pub fn list_files(
    lab: &Lab,
    renderer: &Renderer<'_>,
    owner: Option<FileOwner<'_>>,
) -> Result<Vec<ListedFile>, Error> {
    let machines: Vec<&Machine> = match owner {
        Some(FileOwner::Machine(machine)) => vec![machine],
        _ => lab.machines().iter().collect(),
    };
    let mut files: BTreeMap<String, ListedFile> = BTreeMap::new();
    for machine in machines {
        for file in renderer.guest_files(machine)? {
            let purpose = annotate(&file.path).map_or("", |known| known.purpose);
            files
                .entry(file.path.to_string())
                .or_insert_with(|| ListedFile {
                    path: file.path.to_string(),
                    mode: format!("{:04o}", file.mode),
                    purpose,
                    machines: Vec::new(),
                })
                .machines
                .push(machine.name.clone());
        }
    }
    Ok(files.into_values().collect())
}

fn owner_called<'l>(lab: &'l Lab, word: &str) -> Option<FileOwner<'l>> {
    lab.machine(word)
        .map(FileOwner::Machine)
        .or_else(|| lab.server(word).map(FileOwner::Server))
}

/// True if a word is no machine's name with a slip in it: names of machines have no dot and no slash.
fn looks_like_a_file(word: &str) -> bool {
    let (file, lines) = split_lines(word);
    lines.is_some()
        || file.contains(['/', '.'])
        || ends_with(VAGRANTFILE, file)
        || paths().any(|path| ends_with(path, file))
}

/// Splits `FILE:LINE`, `FILE:FIRST-LAST` and, as compilers write it, `FILE:LINE:COLUMN`.
fn split_lines(word: &str) -> (&str, Option<RangeInclusive<usize>>) {
    let Some((file, last)) = word.rsplit_once(':') else {
        return (word, None);
    };
    if let Some((earlier, line)) = file.rsplit_once(':')
        && let (Ok(line), Ok(_)) = (line.parse(), last.parse::<usize>())
    {
        return (earlier, Some(line..=line));
    }
    let (from, to) = last.split_once('-').unwrap_or((last, last));
    match (from.parse::<usize>(), to.parse::<usize>()) {
        (Ok(from), Ok(to)) => (file, Some(from.min(to)..=from.max(to))),
        _ => (word, None),
    }
}

/// True if `path` is `end`, or ends with it after a slash.
fn ends_with(path: &str, end: &str) -> bool {
    path.strip_suffix(end)
        .is_some_and(|folder| folder.is_empty() || folder.ends_with('/') || end.starts_with('/'))
}

/// Finds the file called `name`, of `owner` or of anybody.
///
/// # Errors
///
/// [`Refusal`] where there is none, or several.
pub fn find_file<'l>(
    lab: &'l Lab,
    renderer: &Renderer<'_>,
    owner: Option<FileOwner<'l>>,
    name: &str,
) -> Result<ExplainedFile<'l>, Refusal> {
    // Machines of one role have the same files.
    let machines: Vec<&Machine> = match owner {
        Some(FileOwner::Machine(machine)) => vec![machine],
        Some(FileOwner::Server(_)) => Vec::new(),
        None => (Role::ALL.into_iter())
            .filter_map(|role| lab.of_role(role).next())
            .collect(),
    };
    let mut paths = vec![VAGRANTFILE.to_owned()];
    for machine in &machines {
        for file in renderer.guest_files(machine)? {
            if !paths.iter().any(|path| *path == file.path) {
                paths.push(file.path.to_string());
            }
        }
    }
    let mut found: Vec<_> = paths.iter().filter(|path| ends_with(path, name)).collect();
    if let Some(exact) = found.iter().find(|path| **path == name) {
        found = vec![exact];
    }
    let path = match found.as_slice() {
        [path] => (*path).clone(),
        [] => return Err(no_file(lab, renderer, owner, name, paths)),
        several => {
            return Err(Refusal::Ambiguous {
                name: name.to_owned(),
                paths: several.iter().map(|path| (*path).clone()).collect(),
            });
        }
    };
    if path == VAGRANTFILE {
        return Ok(vagrantfile_of(lab, owner, path));
    }
    let mut owners = Vec::new();
    for machine in &machines {
        let files = renderer.guest_files(machine)?;
        if files.iter().any(|file| file.path == path) {
            owners.push(machine.role);
        }
    }
    let mut having = (lab.machines().iter()).filter(|machine| owners.contains(&machine.role));
    let machine = match owner {
        Some(FileOwner::Machine(machine)) => machine,
        _ => having.clone().next().expect("a machine has the path"),
    };
    let also = having
        .by_ref()
        .filter(|other| other.name != machine.name)
        .map(|other| other.name.clone());
    Ok(ExplainedFile {
        owner: FileOwner::Machine(machine),
        path,
        also: also.collect(),
    })
}

/// The error for a name that no file has, at least none of whom it is asked of.
fn no_file(
    lab: &Lab,
    renderer: &Renderer<'_>,
    owner: Option<FileOwner<'_>>,
    name: &str,
    paths: Vec<String>,
) -> Refusal {
    if let Some(FileOwner::Machine(machine)) = owner
        && let Ok(found) = find_file(lab, renderer, None, name)
    {
        let first = found.of().to_owned();
        return Refusal::Elsewhere {
            lab: lab.name().to_owned(),
            machine: machine.name.clone(),
            path: found.path,
            machines: [vec![first], found.also].concat(),
        };
    }
    let who = match owner {
        Some(FileOwner::Machine(machine)) => format!("machine `{}` gets no file", machine.name),
        Some(FileOwner::Server(server)) => format!("server `{}` gets no file", server.name),
        None => format!("no machine of lab `{}` gets a file", lab.name()),
    };
    Refusal::NoFile {
        who,
        path: name.to_owned(),
        paths,
    }
}

/// The Vagrantfile of a server, of a machine's server, or of the first one.
fn vagrantfile_of<'l>(
    lab: &'l Lab,
    owner: Option<FileOwner<'l>>,
    path: String,
) -> ExplainedFile<'l> {
    let server = match owner {
        Some(FileOwner::Server(server)) => server,
        Some(FileOwner::Machine(machine)) => lab.server(&machine.server).expect("a valid lab"),
        None => &lab.servers()[0],
    };
    let others = lab.servers().iter().map(|other| other.name.clone());
    ExplainedFile {
        owner: FileOwner::Server(server),
        path,
        also: others.filter(|other| *other != server.name).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_behind_the_file() {
        assert_eq!(split_lines("/etc/x.cfg:28"), ("/etc/x.cfg", Some(28..=28)));
        assert_eq!(split_lines("x.cfg:30-28"), ("x.cfg", Some(28..=30)));
        assert_eq!(split_lines("x.cfg:28:5"), ("x.cfg", Some(28..=28)));
        assert_eq!(split_lines("x.cfg"), ("x.cfg", None));
        assert_eq!(split_lines("a:b"), ("a:b", None));
    }

    #[test]
    fn a_name_is_the_end_of_a_path() {
        assert!(ends_with("/etc/haproxy/haproxy.cfg", "haproxy.cfg"));
        assert!(ends_with(
            "/etc/haproxy/haproxy.cfg",
            "/etc/haproxy/haproxy.cfg"
        ));
        assert!(ends_with("/etc/haproxy/haproxy.cfg", "haproxy/haproxy.cfg"));
        assert!(!ends_with("/etc/haproxy/haproxy.cfg", "proxy.cfg"));
    }
}
