//! What a lab may change on the computer it runs on, and must put back.

use std::collections::BTreeMap;
use std::path::Path;

use caravan_process::Program;

/// What stands on this computer that a lab could have left behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Host(BTreeMap<&'static str, String>);

impl Host {
    /// Looks.
    ///
    /// # Panics
    ///
    /// When one of the programs that tell is missing.
    pub fn now(root: &Path) -> Self {
        let asked: [(&str, &str, &[&str]); 8] = [
            ("machines that Vagrant lists", "vagrant", &["global-status"]),
            (
                "containers",
                "docker",
                &["ps", "--all", "--format", "{{.Names}}"],
            ),
            (
                "networks",
                "docker",
                &["network", "ls", "--format", "{{.Name}}"],
            ),
            (
                "volumes",
                "docker",
                &["volume", "ls", "--format", "{{.Name}}"],
            ),
            ("routes", "ip", &["route", "show", "table", "all"]),
            ("links", "ip", &["-brief", "link", "show", "type", "bridge"]),
            ("nat rules", "iptables", &["-t", "nat", "-S"]),
            ("filter rules", "iptables", &["-t", "filter", "-S"]),
        ];
        let mut found = BTreeMap::new();
        for (name, program, args) in asked {
            let output = Program::find_also_in(program, &["/usr/sbin", "/sbin"])
                .and_then(|program| program.call(args).run())
                .unwrap_or_else(|error| panic!("{error}"));
            let mut lines: Vec<&str> = output.stdout.lines().map(str::trim).collect();
            // The engine lists in no fixed order, and its own bridge goes up and down with its containers.
            lines.sort_unstable();
            lines.retain(|line| !line.contains("docker0"));
            found.insert(name, lines.join("\n"));
        }
        let labs = std::fs::read_dir(root.join(".lab"))
            .map(|entries| {
                let mut names: Vec<String> = entries
                    .flatten()
                    .filter(|entry| entry.path().is_dir())
                    .map(|entry| entry.file_name().to_string_lossy().into_owned())
                    .collect();
                names.sort();
                names.join("\n")
            })
            .unwrap_or_default();
        found.insert("lab state", labs);
        Self(found)
    }

    /// Compares with what stood before.
    ///
    /// # Panics
    ///
    /// When anything differs: that was left behind, or taken away.
    pub fn assert_as_before(&self, before: &Self) {
        for (name, found) in &self.0 {
            assert_eq!(
                found, &before.0[name],
                "{name}: what stands now (left) and what stood before the lab (right)"
            );
        }
    }
}
