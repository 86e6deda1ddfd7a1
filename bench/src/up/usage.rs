//! What machines use of this computer, read from the control groups that the engine puts them in.
//!
//! Read as files: a program started to ask would be measured with them. The engine's group is found by the container's
//! id, because its place depends on the engine's driver (`docker/<id>`, `system.slice/docker-<id>.scope`, below a user's
//! slice without root), and so do the names of its files on the version of control groups:
//! <https://docs.kernel.org/admin-guide/cgroup-v2.html>,
//! <https://docs.kernel.org/admin-guide/cgroup-v1/cpuacct.html>.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Where the kernel shows control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// How deep a container's group is looked for: a user's own engine has them five folders down.
const DEPTH: usize = 6;

/// The unit of CPU time in `/proc`, which is the same on all computers that Linux runs on today: proc(5), `USER_HZ`.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time, in seconds; each is none where this computer does not tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Cpu {
    /// Used by all machines together.
    pub(super) machines: Option<f64>,
    /// Used by this program, and by those it started and waited for: Vagrant, ssh, the engine's client.
    pub(super) tools: Option<f64>,
    /// Used by everything on this computer.
    pub(super) computer: Option<f64>,
}

impl Cpu {
    /// What was used until now; `machines` are names and container ids.
    pub(super) fn now(machines: &[(String, String)]) -> Self {
        let of_machines: Option<Vec<f64>> = machines
            .iter()
            .map(|(_, id)| cpu_seconds_in(Path::new(ROOT), id))
            .collect();
        let read = |path: &str| fs::read_to_string(path).ok();
        Self {
            machines: of_machines
                .filter(|all| !all.is_empty())
                .map(|all| all.iter().sum()),
            tools: read("/proc/self/stat").and_then(|text| process_seconds(&text)),
            computer: read("/proc/stat").and_then(|text| computer_seconds(&text)),
        }
    }

    /// What was used since `before`, when there were no machines.
    pub(super) fn since(&self, before: &Self) -> Self {
        let less = |now: Option<f64>, then: Option<f64>| Some(now? - then?);
        Self {
            machines: self.machines,
            tools: less(self.tools, before.tools),
            computer: less(self.computer, before.computer),
        }
    }
}

/// The memory of a container, in bytes, without cached files that were not read twice: what `docker stats` shows.
pub(super) fn memory_bytes(id: &str) -> Option<u64> {
    memory_bytes_in(Path::new(ROOT), id)
}

fn cpu_seconds_in(root: &Path, id: &str) -> Option<f64> {
    if is_unified(root) {
        let text = fs::read_to_string(group(root, id)?.join("cpu.stat")).ok()?;
        return Some(field(&text, "usage_usec")? as f64 / 1e6);
    }
    let text = fs::read_to_string(group(&root.join("cpuacct"), id)?.join("cpuacct.usage")).ok()?;
    Some(text.trim().parse::<u64>().ok()? as f64 / 1e9)
}

fn memory_bytes_in(root: &Path, id: &str) -> Option<u64> {
    let (group, total, cached) = if is_unified(root) {
        (group(root, id)?, "memory.current", "inactive_file")
    } else {
        let group = group(&root.join("memory"), id)?;
        (group, "memory.usage_in_bytes", "total_inactive_file")
    };
    let read = |name: &str| fs::read_to_string(group.join(name)).ok();
    let total: u64 = read(total)?.trim().parse().ok()?;
    let cached = field(&read("memory.stat")?, cached)?;
    Some(total.saturating_sub(cached))
}

/// Whether all controllers are in one tree (version 2).
fn is_unified(root: &Path) -> bool {
    root.join("cgroup.controllers").is_file()
}

/// The folder of a container's group: the one nearest to `root` whose name has the id.
fn group(root: &Path, id: &str) -> Option<PathBuf> {
    let mut level = vec![root.to_owned()];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for folder in level {
            let folders = fs::read_dir(folder).into_iter().flatten().flatten();
            for entry in folders.filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir())) {
                if entry.file_name().to_string_lossy().contains(id) {
                    return Some(entry.path());
                }
                next.push(entry.path());
            }
        }
        level = next;
    }
    None
}

/// The number in the line of `name`.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(found, _)| *found == name)
        .and_then(|(_, number)| number.trim().parse().ok())
}

/// User and system time of a process and of its children that have ended, of `/proc/<pid>/stat`.
fn process_seconds(stat: &str) -> Option<f64> {
    // The name in parentheses may have blanks and parentheses itself; after it come fields 3 and on, of which these are
    // 14 to 17.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<u64> = fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    (ticks.len() == 4).then(|| ticks.iter().sum::<u64>() as f64 / TICKS_PER_SECOND)
}

/// The time that any CPU was busy, of `/proc/stat`: all of its first line but idling and waiting for disks.
fn computer_seconds(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    // user, nice, system, idle, iowait, irq, softirq
    let busy = [0, 1, 2, 5, 6].map(|place| ticks.get(place).copied().unwrap_or(0));
    Some(busy.iter().sum::<u64>() as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1fe6af6d1181d4cbc9c5e99519ff8c0dad0d7a13c352637c03c8766d0a53894b";
    const OTHER: &str = "2fe6af6d1181d4cbc9c5e99519ff8c0dad0d7a13c352637c03c8766d0a53894b";

    fn tree(files: &[(String, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("inside")).expect("made");
            fs::write(path, text).expect("written");
        }
        root
    }

    #[test]
    fn one_tree_has_all_controllers() {
        for place in [
            format!("docker/{ID}"),
            format!("system.slice/docker-{ID}.scope"),
            format!("user.slice/user-1.slice/user@1.service/user.slice/docker-{ID}.scope"),
        ] {
            let root = tree(&[
                ("cgroup.controllers".to_owned(), "cpu memory\n"),
                (format!("{place}/init.scope/cpu.stat"), "usage_usec 1\n"),
                (
                    format!("{place}/cpu.stat"),
                    "usage_usec 2500000\nuser_usec 2000000\n",
                ),
                (format!("{place}/memory.current"), "1000\n"),
                (
                    format!("{place}/memory.stat"),
                    "anon 700\ninactive_file 250\nactive_file 50\n",
                ),
            ]);
            assert_eq!(cpu_seconds_in(root.path(), ID), Some(2.5), "{place}");
            assert_eq!(memory_bytes_in(root.path(), ID), Some(750), "{place}");
            assert_eq!(cpu_seconds_in(root.path(), OTHER), None);
            assert_eq!(memory_bytes_in(root.path(), OTHER), None);
        }
    }

    #[test]
    fn each_controller_has_its_tree() {
        let root = tree(&[
            (format!("cpuacct/docker/{ID}/cpuacct.usage"), "1500000000\n"),
            (format!("memory/docker/{ID}/memory.usage_in_bytes"), "900\n"),
            (
                format!("memory/docker/{ID}/memory.stat"),
                "inactive_file 1\ntotal_inactive_file 300\n",
            ),
        ]);
        assert_eq!(cpu_seconds_in(root.path(), ID), Some(1.5));
        assert_eq!(memory_bytes_in(root.path(), ID), Some(600));
        assert_eq!(cpu_seconds_in(root.path(), OTHER), None);
    }

    #[test]
    fn a_group_that_makes_no_sense_is_no_figure() {
        let root = tree(&[
            (format!("cpuacct/docker/{ID}/cpuacct.usage"), "many\n"),
            (format!("memory/docker/{ID}/memory.usage_in_bytes"), "900\n"),
            (format!("memory/docker/{ID}/memory.stat"), "rss 3\n"),
        ]);
        assert_eq!(cpu_seconds_in(root.path(), ID), None);
        assert_eq!(memory_bytes_in(root.path(), ID), None);
    }

    #[test]
    fn processes_are_read_past_their_names() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 200 0 0 150 50 300 100 20 0 1 0 9";
        assert_eq!(process_seconds(stat), Some(6.0));
        assert_eq!(process_seconds("7 (x) S 1 7"), None);
        assert_eq!(process_seconds(""), None);
    }

    #[test]
    fn idling_is_not_counted() {
        let stat = "cpu  100 200 300 99999 88888 10 20 0 0 0\ncpu0 1 1 1 1 1 1 1 0 0 0\n";
        assert_eq!(computer_seconds(stat), Some(6.3));
        assert_eq!(computer_seconds("cpu0 1 1 1 1\n"), None);
    }

    #[test]
    fn only_what_came_after_counts() {
        let cpu = |machines, tools, computer| Cpu {
            machines,
            tools,
            computer,
        };
        let since = cpu(Some(4.0), Some(3.0), None).since(&cpu(None, Some(1.0), Some(1.0)));
        assert_eq!(since, cpu(Some(4.0), Some(2.0), None));
    }
}
