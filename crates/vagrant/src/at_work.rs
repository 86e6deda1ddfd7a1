//! Vagrants at work that nobody here waits for.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_process::Computer;

use crate::Error;

/// What Vagrant is asked when it changes machines.
const CHANGES: [&str; 8] = [
    "destroy",
    "halt",
    "provision",
    "reload",
    "resume",
    "snapshot",
    "suspend",
    "up",
];

/// How long another computer may take for an answer.
const QUESTION: Duration = Duration::from_secs(60);

/// Stands in the place of the NUL behind each word.
const SEPARATOR: char = '\u{1f}';

/// Prints the process id and the words of each process whose folder is `$1`.
const LIST: &str = r#"dir=$(cd -- "$1" 2>/dev/null && pwd -P) || exit 0
for process in /proc/[0-9]*; do
    [ "$(readlink "$process/cwd" 2>/dev/null)" = "$dir" ] || continue
    printf '%s %s\n' "${process##*/}" "$(tr '\000\n' '\037 ' <"$process/cmdline" 2>/dev/null)"
done
exit 0
"#;

/// A Vagrant that changes machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtWork {
    /// Its process id.
    pub pid: u32,
    /// What it was asked, such as `vagrant up masterone`.
    pub command: String,
}

/// The Vagrants that change machines of the project in `dir` now, such as one that a killed runner left behind.
///
/// They are told by their folder and arguments, in `/proc`; none is seen where the kernel has no such folder.
/// Vagrant's own locks do not tell as much: it takes them after a second of loading, and holds them machine by machine.
pub fn at_work(dir: &Path) -> Vec<AtWork> {
    let dir = real(dir);
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut found: Vec<AtWork> = processes
        .flatten()
        .filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let folder = fs::read_link(process.path().join("cwd")).ok()?;
            // So the kernel shows a folder that was removed under the process.
            let folder = folder.to_str()?.trim_end_matches(" (deleted)");
            let command = (Path::new(folder) == dir)
                .then(|| fs::read(process.path().join("cmdline")).ok())
                .flatten()?;
            Some(AtWork {
                pid,
                command: change(&command)?,
            })
        })
        .collect();
    found.sort_by_key(|it| it.pid);
    found
}

/// As [`at_work`], on another computer.
///
/// # Errors
///
/// [`Error::Process`] where it is not reached.
pub fn at_work_on(computer: &Computer, dir: &Path) -> Result<Vec<AtWork>, Error> {
    if computer.is_here() {
        return Ok(at_work(dir));
    }
    let dir = dir.display().to_string();
    let words = ["sh", "-c", LIST, "list", &dir];
    let output = computer.run(&words, "", QUESTION)?;
    let found = output.stdout.lines().filter_map(|line| {
        let (pid, cmdline) = line.split_once(' ')?;
        let command = change(cmdline.replace(SEPARATOR, "\0").as_bytes())?;
        let pid = pid.parse().ok()?;
        Some(AtWork { pid, command })
    });
    Ok(found.collect())
}

/// The command, if `cmdline` (words that end in a NUL) is that of a Vagrant which changes machines.
///
/// Vagrant is a script, so its name is the second word and its interpreter's the first.
fn change(cmdline: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(cmdline);
    let mut words = text.split_terminator('\0');
    words.by_ref().take(2).find(|word| {
        Path::new(word)
            .file_name()
            .is_some_and(|it| it == "vagrant")
    })?;
    let words: Vec<&str> = words.collect();
    let verb = words.iter().find(|word| !word.starts_with('-'))?;
    CHANGES
        .contains(verb)
        .then(|| format!("vagrant {}", words.join(" ")))
}

/// `dir` without links, as far as it exists.
fn real(dir: &Path) -> PathBuf {
    fs::canonicalize(dir).unwrap_or_else(|_| match (dir.parent(), dir.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => dir.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vagrants_are_told_by_their_words() {
        let told = |words: &[&str]| {
            let cmdline: String = words.iter().flat_map(|word| [*word, "\0"]).collect();
            change(cmdline.as_bytes())
        };
        assert_eq!(
            told(&["ruby", "/usr/bin/vagrant", "up", "--provision", "one"]).as_deref(),
            Some("vagrant up --provision one")
        );
        assert_eq!(
            told(&["/opt/vagrant/bin/vagrant", "--debug", "destroy"]).as_deref(),
            Some("vagrant --debug destroy")
        );
        for others in [
            &["ruby", "/usr/bin/vagrant", "ssh", "up"][..],
            &["ruby", "/usr/bin/vagrant"],
            &["docker", "run", "vagrant", "up"],
            &["vi", "Vagrantfile"],
            &[],
        ] {
            assert_eq!(told(others), None, "{others:?}");
        }
    }
}
