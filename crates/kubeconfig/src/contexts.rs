//! A lab's contexts, and the user's files that they go into and come out of.

use std::fs;
use std::path::{Path, PathBuf};

use crate::change::{Edited, change};
use crate::list::{KubeconfigList, behind_links, check_regular, text_of, with_suffix};
use crate::merge::{self, Contents, Entry};
use crate::{Error, Refusal};

/// A lab's contexts, as its own kubeconfig has them.
#[derive(Debug, Clone)]
pub struct LabContexts {
    lab: String,
    /// The name of the endpoint's context.
    name: String,
    entries: Vec<Entry>,
    /// The certificate authority of its clusters, as kubeconfigs have it.
    authority: Option<String>,
}

/// One of the user's files that the contexts are in now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedFile {
    /// Where it is, as it is listed.
    pub path: PathBuf,
    /// Whether there was no such file before.
    pub made: bool,
    /// The copy of the file as it was, where contexts of the same names led to another cluster.
    pub replaced: Option<PathBuf>,
}

/// One of several listed files that kubectl would stop at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableFile {
    /// Where it is, as it is listed.
    pub path: PathBuf,
    /// Why.
    pub problem: String,
}

impl LabContexts {
    /// The contexts of `lab`, whose endpoint's context is `name`; `own` is the text of its own kubeconfig, empty where it has
    /// none any more.
    pub fn new(lab: &str, name: &str, own: &str) -> Self {
        Self {
            lab: lab.to_owned(),
            name: name.to_owned(),
            entries: merge::entries(own),
            authority: authority_of(&merge::contents(own).unwrap_or_default(), name),
        }
    }

    /// Merges the contexts into one of the files of `list`: the one that has them already, else the one that kubectl writes
    /// what is new into.
    ///
    /// `was_merged` says of a file whether the contexts were merged into it before; `on_unreadable` is told of each of several
    /// files that cannot be read.
    ///
    /// # Errors
    ///
    /// Each [`Error`]; no file is changed then.
    pub fn merge_into(
        &self,
        list: &KubeconfigList,
        was_merged: &dyn Fn(&Path) -> bool,
        on_unreadable: &mut dyn FnMut(&UnreadableFile),
    ) -> Result<MergedFile, Error> {
        let new = list.destination()?;
        let others = look_at(list, on_unreadable);
        // As kubectl does: what is in one of the files already, is changed there.
        let there = others
            .iter()
            .find(|(file, contents)| self.is_in(contents, was_merged(file)));
        let file = there.map_or(new, |(file, _)| file.as_path()).to_owned();
        check_regular(&file)?;
        let target = behind_links(&file);
        let is_other = |other: &Path| behind_links(other) != target;
        let mut others_current = false;
        for (other, contents) in others.iter().filter(|(other, _)| is_other(other)) {
            if let Some((_, taken)) = contents.names.iter().find(|(_, taken)| self.has(taken)) {
                return Err(Error::Conflict {
                    lab: self.lab.clone(),
                    name: taken.clone(),
                    other: other.clone(),
                    file,
                });
            }
            others_current |= contents.current.is_some();
        }
        let before = others.iter().find(|(other, _)| !is_other(other));
        let is_strange = before.is_some_and(|(_, contents)| self.is_strange_in(contents));
        let was_there = fs::metadata(&target).is_ok();
        change(&file, |theirs| {
            let current = (!others_current).then_some(&*self.name);
            let is_ours = |found: &str| self.is_ours(found);
            let merged = merge::merge(theirs, &self.entries, current, &is_ours)?;
            Ok(Edited {
                text: merged.text,
                keep: was_there && (is_strange || !merged.comes_back),
            })
        })?;
        Ok(MergedFile {
            path: file,
            made: !was_there,
            replaced: is_strange.then(|| with_suffix(&target, ".before-caravan")),
        })
    }

    /// Takes the contexts out of `file`, and removes it where nothing is left and it was `made` for them.
    ///
    /// Returns whether it had any.
    ///
    /// # Errors
    ///
    /// Each [`Error`] but [`Error::Conflict`], [`Error::NoFile`] and [`Error::Tilde`].
    pub fn take_out_of(&self, file: &Path, made: bool) -> Result<bool, Error> {
        // A file without the name has nothing of ours, whatever else is wrong with it.
        let Some(before) = text_of(file)?.filter(|text| text.contains(&self.name)) else {
            return Ok(false);
        };
        let mut is_empty = false;
        let changed = change(file, |theirs| {
            let text = merge::unmerge(theirs, &|found| self.is_ours(found))?;
            is_empty = text.is_empty();
            Ok(Edited { text, keep: false })
        })?;
        if changed && is_empty && !before.is_empty() && made {
            caravan_files::remove_file(&behind_links(file))?;
        }
        Ok(changed)
    }

    /// Whether an entry of this name is the lab's: its endpoint, its user, or one that its own file has.
    fn is_ours(&self, found: &str) -> bool {
        // Without the lab's own file, which lists what was merged, only the first two are surely ours.
        found == self.name || found.strip_prefix(&self.name) == Some("-admin") || self.has(found)
    }

    /// Whether an entry of this name is in the lab's own file.
    fn has(&self, found: &str) -> bool {
        self.entries.iter().any(|entry| entry.name == found)
    }

    /// Whether a file has this lab's contexts, and not those of another one with the same name.
    fn is_in(&self, contents: &Contents, was_merged: bool) -> bool {
        let is_there = contents.names.iter().any(|(_, name)| self.has(name));
        let authority = authority_of(contents, &self.name);
        is_there && (was_merged || (authority.is_some() && authority == self.authority))
    }

    /// Whether a file has contexts of the same names that lead to another cluster.
    fn is_strange_in(&self, contents: &Contents) -> bool {
        let is_there = contents.names.iter().any(|(_, name)| self.has(name));
        is_there && authority_of(contents, &self.name) != self.authority
    }
}

/// What the files of `list` have that can be read. kubectl stops at what cannot.
fn look_at(
    list: &KubeconfigList,
    on_unreadable: &mut dyn FnMut(&UnreadableFile),
) -> Vec<(PathBuf, Contents)> {
    let mut all = Vec::new();
    for file in &list.files {
        let problem = match text_of(file) {
            Ok(None) => continue,
            Ok(Some(text)) => match merge::contents(&text) {
                Ok(contents) => {
                    all.push((file.clone(), contents));
                    continue;
                }
                Err(refusal) => Refusal::to_string(&refusal),
            },
            Err(error) => error.to_string(),
        };
        if list.files.len() > 1 {
            on_unreadable(&UnreadableFile {
                path: file.clone(),
                problem,
            });
        }
    }
    all
}

/// The certificate authority of the cluster of this name.
fn authority_of(contents: &Contents, name: &str) -> Option<String> {
    let found = contents
        .authorities
        .iter()
        .find(|(cluster, _)| cluster == name);
    found.map(|(_, authority)| authority.clone())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn kubeconfig(names: &[&str], authority: &str) -> String {
        let clusters: String = names
            .iter()
            .map(|name| {
                format!(
                    "- name: {name}\n  cluster:\n    certificate-authority-data: {authority}\n    server: https://192.0.2.1\n"
                )
            })
            .collect();
        format!("apiVersion: v1\nkind: Config\nclusters:\n{clusters}contexts: []\nusers: []\n")
    }

    fn list(files: &[&Path]) -> KubeconfigList {
        let listed = std::env::join_paths(files).expect("no colon");
        KubeconfigList::parse(&listed, None)
    }

    fn merged(
        contexts: &LabContexts,
        list: &KubeconfigList,
    ) -> (Result<MergedFile, Error>, Vec<UnreadableFile>) {
        let mut unreadable = Vec::new();
        let merged = contexts.merge_into(list, &|_| false, &mut |file| {
            unreadable.push(file.clone());
        });
        (merged, unreadable)
    }

    #[test]
    fn a_file_that_was_made_comes_and_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("new/config");
        let contexts = LabContexts::new("small", "small", &kubeconfig(&["small"], "QQ=="));
        let (found, unreadable) = merged(&contexts, &list(&[&file]));
        assert_eq!(
            found.expect("merged"),
            MergedFile {
                path: file.clone(),
                made: true,
                replaced: None
            }
        );
        assert_eq!(unreadable, []);
        assert!(contexts.take_out_of(&file, true).expect("taken out"));
        assert!(!file.exists());
        assert!(!contexts.take_out_of(&file, true).expect("nothing there"));
    }

    #[test]
    fn a_name_in_another_file_is_a_conflict_that_names_the_tool() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        fs::write(&one, kubeconfig(&["theirs"], "QQ==")).expect("written");
        fs::write(&other, kubeconfig(&["small"], "Qg==")).expect("written");
        let contexts = LabContexts::new("small", "small", &kubeconfig(&["small"], "QQ=="));
        let (found, _) = merged(&contexts, &list(&[&one, &other]));
        let error = found.expect_err("of another cluster");
        assert_eq!(
            error.hint("the tool").expect("a hint"),
            "`the tool kubeconfig small --unmerge` takes it out there; then merge again"
        );
        // In the one file alone it is replaced, and the file as it was is kept.
        let (found, _) = merged(&contexts, &list(&[&other]));
        let kept = found.expect("merged").replaced.expect("kept");
        assert_eq!(
            fs::read_to_string(kept).expect("read"),
            kubeconfig(&["small"], "Qg==")
        );
    }

    #[test]
    fn of_several_files_those_that_cannot_be_read_are_told_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        fs::write(&one, kubeconfig(&[], "QQ==")).expect("written");
        fs::write(&other, "- a list\n").expect("written");
        let contexts = LabContexts::new("small", "small", &kubeconfig(&["small"], "QQ=="));
        let (found, unreadable) = merged(&contexts, &list(&[&one, &other]));
        assert_eq!(found.expect("merged").path, one);
        let [told] = &unreadable[..] else {
            panic!("{unreadable:?}")
        };
        assert_eq!(told.path, other);
        assert_eq!(told.problem, Refusal::NotAKubeconfig.to_string());
        // Alone, it is refused.
        let (found, unreadable) = merged(&contexts, &list(&[&other]));
        assert!(matches!(found, Err(Error::Refused { .. })), "{found:?}");
        assert_eq!(unreadable, []);
        let none = KubeconfigList::parse(OsStr::new(":"), None);
        assert!(matches!(merged(&contexts, &none).0, Err(Error::NoFile)));
    }
}
