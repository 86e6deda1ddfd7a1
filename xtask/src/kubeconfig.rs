//! `cargo xtask kubeconfig`: a lab's own kubeconfig, and its contexts in the user's.

mod change;
mod list;
mod merge;
mod record;

use std::fs;
use std::path::{Path, PathBuf};

use caravan_process::shell;

use self::change::{Edited, change};
use self::list::{List, behind_links, hold_regular, text_of};
pub(crate) use self::merge::Refusal;
use self::merge::{Contents, Entry};
use self::record::Record;
use crate::certs::{Keys, context};
use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::show::screen::Screen;
use crate::target::Target;
use crate::workspace::Workspace;

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Kubeconfig,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = Target::of(workspace, flags.lab.as_deref())?;
    if flags.unmerge {
        let taken = take_out(&target);
        for file in &taken.files {
            screen.say(&format!(
                "took the contexts of lab `{}` out of `{}`",
                target.name,
                file.display()
            ));
        }
        if let Some(error) = taken.error {
            return Err(error);
        }
        if taken.files.is_empty() {
            let seen: Vec<String> = taken
                .seen
                .iter()
                .map(|file| format!("`{}`", file.display()))
                .collect();
            screen.say(&match seen.as_slice() {
                [] => format!(
                    "`KUBECONFIG` names no file, so there are no contexts of lab `{}`",
                    target.name
                ),
                [one] => format!("{one} has no contexts of lab `{}`", target.name),
                all => format!(
                    "none of {} has contexts of lab `{}`",
                    all.join(", "),
                    target.name
                ),
            });
        }
        return Ok(Exit::Done);
    }
    let lab = target.lab(workspace)?;
    let keys = Keys::load(lab, &target.dir).ok_or_else(|| Error::NotMade {
        lab: target.name.clone(),
    })?;
    let text = keys.kubeconfig(lab)?;
    let own = target.dir.kubeconfig();
    caravan_files::write_if_changed(&own, 0o600, text.as_bytes())?;
    if !flags.merge {
        if let Some(problem) = colon(&own) {
            screen.warn(&problem);
        }
        println!("{}", own.display());
        return Ok(Exit::Done);
    }
    let file = put_in(&target, &text, screen)?;
    if let Some(problem) = colon(&file) {
        screen.warn(&problem);
    }
    println!("{}", file.display());
    Ok(Exit::Done)
}

/// Takes the lab's contexts out of the user's kubeconfigs, if they are in them.
///
/// # Errors
///
/// [`Error::Kubeconfig`], [`Error::KubeconfigHome`], [`Error::KubeconfigLocked`], [`Error::Read`], [`Error::Write`]:
/// the first of them, when every file has been looked at.
pub(crate) fn forget(target: &Target) -> Result<(), Error> {
    take_out(target).error.map_or(Ok(()), Err)
}

/// What does not work with a kubeconfig whose path has a colon in it: lists of paths are split there.
pub(crate) fn colon(kubeconfig: &Path) -> Option<String> {
    let shown = kubeconfig.display().to_string();
    shown.contains(':').then(|| {
        format!(
            "the path `{shown}` has a colon in it, where `KUBECONFIG` is split: `export KUBECONFIG=...` does not find this \
             file, `kubectl --kubeconfig {}` does; `docker run --volume` takes no such folder either",
            shell::path(kubeconfig)
        )
    })
}

/// Merges the lab's contexts, which its kubeconfig `own` has, into one of the user's files.
fn put_in(target: &Target, own: &str, screen: &Screen) -> Result<PathBuf, Error> {
    let name = context(&target.name);
    let lab = Lab {
        name: &name,
        entries: merge::entries(own),
        authority: authority_of(&merge::contents(own).unwrap_or_default(), &name),
    };
    let list = List::of_user();
    let mut record = Record::of(&target.dir);
    let new = list.destination()?;
    let others = lab.look_at(&list, screen);
    // As kubectl does: what is in one of the files already, is changed there.
    let there = others
        .iter()
        .find(|(file, contents)| lab.is_in(contents, record.has(file)));
    let file = there.map_or(new, |(file, _)| file.as_path()).to_owned();
    hold_regular(&file)?;
    let target_file = behind_links(&file);
    let is_other = |other: &Path| behind_links(other) != target_file;
    let mut others_current = false;
    for (other, contents) in others.iter().filter(|(other, _)| is_other(other)) {
        if let Some((_, taken)) = contents.names.iter().find(|(_, taken)| lab.is_named(taken)) {
            return Err(Error::KubeconfigConflict {
                lab: target.name.clone(),
                name: taken.clone(),
                other: other.clone(),
                file,
            });
        }
        others_current |= contents.current.is_some();
    }
    let strange = others.iter().find(|(other, _)| !is_other(other));
    let strange = strange.is_some_and(|(_, contents)| lab.is_strange_in(contents));
    let was_there = fs::metadata(&target_file).is_ok();
    change(&file, |theirs| {
        let current = (!others_current).then_some(&*name);
        let merged = merge::merge(theirs, &lab.entries, current, &|found| lab.is_ours(found))?;
        Ok(Edited {
            text: merged.text,
            keep: was_there && (strange || !merged.comes_back),
        })
    })?;
    record.add(&file, !was_there);
    record.save(&target.dir)?;
    let next = format!("next: `kubectl --context {name} get nodes`");
    screen.say(&format!("merged into `{}`; {next}", file.display()));
    if strange {
        screen.say(&format!(
            "contexts `{name}` of another cluster were there; the file as it was is `{}`",
            list::with_suffix(&target_file, ".before-caravan").display()
        ));
    }
    Ok(file)
}

/// A lab's contexts.
struct Lab<'a> {
    /// The name of the endpoint's context.
    name: &'a str,
    entries: Vec<Entry>,
    /// The certificate authority of its clusters, as kubeconfigs have it.
    authority: Option<String>,
}

impl Lab<'_> {
    /// Whether an entry of this name is the lab's: its endpoint, its user, or one that its own file has.
    fn is_ours(&self, found: &str) -> bool {
        // Without the lab's own file, which lists what was merged, only the first two are surely ours.
        found == self.name
            || found.strip_prefix(self.name) == Some("-admin")
            || self.is_named(found)
    }

    /// Whether an entry of this name is in the lab's own file.
    fn is_named(&self, found: &str) -> bool {
        self.entries.iter().any(|entry| entry.name == found)
    }

    /// What the files of `list` have that can be read. kubectl stops at what cannot.
    fn look_at(&self, list: &List, screen: &Screen) -> Vec<(PathBuf, Contents)> {
        let mut all = Vec::new();
        for file in &list.files {
            let problem = match text_of(file) {
                Ok(None) => continue,
                Ok(Some(text)) => match merge::contents(&text) {
                    Ok(contents) => {
                        all.push((file.clone(), contents));
                        continue;
                    }
                    Err(refusal) => refusal.to_string(),
                },
                Err(error) => error.to_string(),
            };
            if list.files.len() > 1 {
                screen.warn(&format!(
                    "`{}` is listed in `KUBECONFIG`, and cannot be read: {problem}",
                    file.display()
                ));
            }
        }
        all
    }

    /// Whether a file has this lab's contexts, and not those of another one with the same name.
    fn is_in(&self, contents: &Contents, is_known: bool) -> bool {
        let is_there = contents.names.iter().any(|(_, name)| self.is_named(name));
        let authority = authority_of(contents, self.name);
        is_there && (is_known || (authority.is_some() && authority == self.authority))
    }

    /// Whether a file has contexts of the same names that lead to another cluster.
    fn is_strange_in(&self, contents: &Contents) -> bool {
        let is_there = contents.names.iter().any(|(_, name)| self.is_named(name));
        is_there && authority_of(contents, self.name) != self.authority
    }
}

/// The certificate authority of the cluster of this name.
fn authority_of(contents: &Contents, name: &str) -> Option<String> {
    let found = contents
        .authorities
        .iter()
        .find(|(cluster, _)| cluster == name);
    found.map(|(_, authority)| authority.clone())
}

/// What became of the user's kubeconfigs.
struct Taken {
    /// The files that had contexts of the lab, and have none now.
    files: Vec<PathBuf>,
    /// All files that were looked at.
    seen: Vec<PathBuf>,
    /// The first that went wrong.
    error: Option<Error>,
}

/// Takes the lab's contexts out of every file that kubectl reads now, and those that they were merged into.
fn take_out(target: &Target) -> Taken {
    let name = context(&target.name);
    let own = fs::read_to_string(target.dir.kubeconfig()).unwrap_or_default();
    let lab = Lab {
        name: &name,
        entries: merge::entries(&own),
        authority: None,
    };
    let list = List::of_user();
    let mut record = Record::of(&target.dir);
    let mut taken = Taken {
        files: Vec::new(),
        seen: list.files.clone(),
        error: None,
    };
    let merged: Vec<PathBuf> = record.paths().map(Path::to_owned).collect();
    for file in merged {
        let is_listed = |seen: &PathBuf| behind_links(&absolute(seen)) == behind_links(&file);
        if !taken.seen.iter().any(is_listed) {
            taken.seen.push(file);
        }
    }
    for file in &taken.seen {
        match take_out_of(file, &lab, &record) {
            Ok(true) => {
                record.remove(file);
                taken.files.push(file.clone());
            }
            Ok(false) => record.remove(file),
            Err(error) => taken.error = taken.error.or(Some(error)),
        }
    }
    let saved = match target.dir.exists() {
        true => record.save(&target.dir),
        false => Ok(()),
    };
    let rest = saved.and_then(|()| list.hold());
    if let Err(error) = rest {
        taken.error = taken.error.or(Some(error));
    }
    taken
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn take_out_of(file: &Path, lab: &Lab<'_>, record: &Record) -> Result<bool, Error> {
    // A file without the name has nothing of ours, whatever else is wrong with it.
    let Some(before) = text_of(file)?.filter(|text| text.contains(lab.name)) else {
        return Ok(false);
    };
    let mut result = String::new();
    let changed = change(file, |theirs| {
        result = merge::unmerge(theirs, &|found| lab.is_ours(found))?;
        Ok(Edited {
            text: result.clone(),
            keep: false,
        })
    })?;
    // What was made for the contexts alone goes with them.
    if changed && result.is_empty() && !before.is_empty() && record.made(file) {
        let file = behind_links(file);
        fs::remove_file(&file).map_err(|source| Error::Write { path: file, source })?;
    }
    Ok(changed)
}
