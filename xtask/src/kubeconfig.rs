//! `cargo xtask kubeconfig`: a lab's own kubeconfig, and its contexts in the user's.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use caravan_kubeconfig::{KubeconfigList, LabContexts, same_file};
use caravan_lifecycle::{Keys, LabTarget, MergeRecord, Workspace, context};
use caravan_process::shell;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::show::screen::Screen;

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Kubeconfig,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
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
    let keys = Keys::load(lab, &target.dir).ok_or_else(|| Error::not_made(&target.name))?;
    let text = keys.kubeconfig(lab)?;
    let own = target.dir.kubeconfig();
    caravan_files::write_if_changed(&own, 0o600, text.as_bytes())?;
    if flags.print {
        print!("{text}");
        return Ok(Exit::Done);
    }
    if !flags.merge {
        if let Some(problem) = colon(&own) {
            screen.warn(&problem);
        }
        println!("{}", own.display());
        return Ok(Exit::Done);
    }
    let file = merge(&target, &text, screen)?;
    println!("{}", file.display());
    Ok(Exit::Done)
}

/// Merges the lab's contexts, which its kubeconfig `own` has, into the user's file, and returns which that is.
///
/// # Errors
///
/// [`Error::Kubeconfig`], [`Error::Lifecycle`].
pub(crate) fn merge(target: &LabTarget, own: &str, screen: &Screen) -> Result<PathBuf, Error> {
    let file = put_in(target, own, screen)?;
    if let Some(problem) = colon(&file) {
        screen.warn(&problem);
    }
    Ok(file)
}

/// Has the lab's contexts in the user's kubeconfigs follow its own, where they were merged.
///
/// # Errors
///
/// [`Error::Kubeconfig`], [`Error::Read`].
pub(crate) fn follow(target: &LabTarget, screen: &Screen) -> Result<(), Error> {
    if MergeRecord::of(&target.dir).paths().next().is_none() {
        return Ok(());
    }
    let path = target.dir.kubeconfig();
    let own = fs::read_to_string(&path).map_err(|source| Error::Read { path, source })?;
    put_in(target, &own, screen).map(drop)
}

/// Takes the lab's contexts out of the user's kubeconfigs, if they are in them.
///
/// # Errors
///
/// [`Error::Kubeconfig`] and [`Error::Lifecycle`]: the first of them, when every file has been looked at.
pub(crate) fn forget(target: &LabTarget) -> Result<(), Error> {
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
fn put_in(target: &LabTarget, own: &str, screen: &Screen) -> Result<PathBuf, Error> {
    let name = context(&target.name);
    let contexts = LabContexts::new(&target.name, &name, own);
    let mut record = MergeRecord::of(&target.dir);
    let merged =
        contexts.merge_into(&users_list(), &|file| record.has(file), &mut |unreadable| {
            screen.warn(&format!(
                "`{}` is listed in `KUBECONFIG`, and cannot be read: {}",
                unreadable.path.display(),
                unreadable.problem
            ));
        })?;
    let file = merged.path;
    record.add(&file, merged.made);
    record.save(&target.dir)?;
    let next = format!("next: `kubectl --context {name} get nodes`");
    screen.say(&format!("merged into `{}`; {next}", file.display()));
    if let Some(kept) = merged.replaced {
        screen.say(&format!(
            "contexts `{name}` of another cluster were there; the file as it was is `{}`",
            kept.display()
        ));
    }
    Ok(file)
}

/// The files that kubectl reads for this user.
fn users_list() -> KubeconfigList {
    KubeconfigList::parse(
        &env::var_os("KUBECONFIG").unwrap_or_default(),
        env::home_dir().as_deref(),
    )
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
fn take_out(target: &LabTarget) -> Taken {
    let own = fs::read_to_string(target.dir.kubeconfig()).unwrap_or_default();
    let contexts = LabContexts::new(&target.name, &context(&target.name), &own);
    let list = users_list();
    let mut record = MergeRecord::of(&target.dir);
    let mut taken = Taken {
        files: Vec::new(),
        seen: list.files.clone(),
        error: None,
    };
    let merged: Vec<PathBuf> = record.paths().map(Path::to_owned).collect();
    for file in merged {
        if !taken.seen.iter().any(|seen| same_file(seen, &file)) {
            taken.seen.push(file);
        }
    }
    for file in &taken.seen {
        match contexts.take_out_of(file, record.made(file)) {
            Ok(true) => {
                record.remove(file);
                taken.files.push(file.clone());
            }
            Ok(false) => record.remove(file),
            Err(error) => taken.error = taken.error.or(Some(error.into())),
        }
    }
    let saved = match target.dir.exists() {
        true => record.save(&target.dir),
        false => Ok(()),
    };
    let rest = saved.map_err(Error::from).and_then(|()| Ok(list.check()?));
    if let Err(error) = rest {
        taken.error = taken.error.or(Some(error));
    }
    taken
}
