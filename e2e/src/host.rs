//! What a lab may change on the computer it runs on, and must put back.

use std::collections::BTreeMap;
use std::path::Path;

use caravan_process::Program;

/// Where the kernel's settings are.
const SETTINGS: &str = "/proc/sys";

/// What counts, measures or makes up a new value for each reader, below [`SETTINGS`]: the beginnings of paths.
const NO_SETTINGS: [&str; 13] = [
    "dev/cdrom/info",
    "fs/aio-nr",
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/quota/",
    "kernel/ns_last_pid",
    // The kernel lowers it by itself when it is busy.
    "kernel/perf_event_max_sample_rate",
    "kernel/pty/nr",
    "kernel/random/",
    "net/netfilter/nf_conntrack_count",
    // Reading it does work.
    "vm/stat_refresh",
];

/// Devices have settings that come and go with them.
const PER_DEVICE: [&str; 4] = [
    "net/ipv4/conf/",
    "net/ipv4/neigh/",
    "net/ipv6/conf/",
    "net/ipv6/neigh/",
];

/// What a node raises while any lab has machines, and is put back with the last.
const RAISED: &str = "fs/inotify/max_user_instances";

/// The same number, as the kernel tells it of the first user namespace.
const RAISED_TOO: &str = "user/max_inotify_instances";

/// All settings of this computer's kernel that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Reads them.
    ///
    /// # Panics
    ///
    /// When so few can be read that comparing them would prove nothing.
    pub fn now() -> Self {
        let mut found = BTreeMap::new();
        read_settings(Path::new(SETTINGS), &mut found);
        assert!(
            found.len() > 200,
            "only {} settings can be read",
            found.len()
        );
        for one in ["kernel/panic", "vm/overcommit_memory", RAISED] {
            assert!(found.contains_key(one), "{one} cannot be read");
        }
        Self(found)
    }

    /// Those that are not as `before`, each with what it was and what it is. Modules that were loaded since bring more of
    /// them, which were nothing before.
    pub fn changed_since(&self, before: &Self) -> Vec<String> {
        let differs = |(name, was): (&String, &String)| {
            let is = self.0.get(name)?;
            (is != was).then(|| format!("{name}: was `{was}`, is `{is}`"))
        };
        before.0.iter().filter_map(differs).collect()
    }

    /// Holds that a lab that is up has raised the one limit that it says it does, and changed nothing else.
    ///
    /// # Panics
    ///
    /// When it has changed anything else.
    pub fn assert_only_watchers_raised_since(&self, before: &Self) {
        let mut changed = self.changed_since(before);
        changed.retain(|line| !line.starts_with(RAISED) && !line.starts_with(RAISED_TOO));
        assert!(changed.is_empty(), "the lab changed its host: {changed:#?}");
    }

    /// Holds that everything is as it was.
    ///
    /// # Panics
    ///
    /// When anything differs.
    pub fn assert_as_before(&self, before: &Self) {
        let changed = self.changed_since(before);
        assert!(
            changed.is_empty(),
            "the lab left its host changed: {changed:#?}"
        );
    }
}

fn read_settings(folder: &Path, found: &mut BTreeMap<String, String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = path
            .strip_prefix(SETTINGS)
            .expect("it lies below")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            let with_slash = format!("{name}/");
            if !PER_DEVICE.contains(&with_slash.as_str()) {
                read_settings(&path, found);
            }
        } else if !NO_SETTINGS.iter().any(|it| name.starts_with(it))
            && let Ok(value) = std::fs::read_to_string(&path)
        {
            found.insert(name, value.trim().to_owned());
        }
    }
}

/// What stands on this computer that a lab could have left behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Host {
    stands: BTreeMap<&'static str, String>,
    settings: Settings,
}

/// Chains that libvirt makes with its first network and keeps, empty, and the jumps into them.
fn is_libvirts_frame(rule: &str) -> bool {
    rule.starts_with("-N LIBVIRT_")
        || (rule.contains(" -j LIBVIRT_") && !rule.starts_with("-A LIBVIRT_"))
}

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
        let of_libvirt: [(&str, &str, &[&str]); 3] = [
            ("domains", "virsh", &["list", "--all", "--name"]),
            (
                "libvirt's networks",
                "virsh",
                &["net-list", "--all", "--name"],
            ),
            ("disks", "virsh", &["vol-list", "default"]),
        ];
        // It may be installed and not run, and be started meanwhile.
        let libvirt = |args: &[&str]| {
            Program::find("virsh")
                .and_then(|virsh| {
                    let system = ["--connect", "qemu:///system"];
                    virsh.call(system).args(args).run()
                })
                .ok()
        };
        let has_libvirt = libvirt(&["version"]).is_some();
        // The pool is made with the first disk, and stays.
        let has_pool = libvirt(&["pool-list", "--all", "--name"])
            .is_some_and(|pools| pools.stdout.lines().any(|name| name.trim() == "default"));
        let of_libvirt = of_libvirt
            .into_iter()
            .filter(|(name, ..)| has_libvirt && (has_pool || *name != "disks"));
        let asked = asked.into_iter().chain(of_libvirt);
        let mut found = BTreeMap::new();
        for (name, program, args) in asked {
            let output = Program::find_also_in(program, &["/usr/sbin", "/sbin"])
                .and_then(|program| {
                    program
                        .call(args)
                        .env("LIBVIRT_DEFAULT_URI", "qemu:///system")
                        .run()
                })
                .unwrap_or_else(|error| panic!("{error}"));
            let mut lines: Vec<&str> = output.stdout.lines().map(str::trim).collect();
            // The engine lists in no fixed order, and its own bridge goes up and down with its containers.
            lines.sort_unstable();
            lines.retain(|line| !line.contains("docker0") && !is_libvirts_frame(line));
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
        Self {
            stands: found,
            settings: Settings::now(),
        }
    }

    /// The kernel's settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Compares with what stood before.
    ///
    /// # Panics
    ///
    /// When anything differs: that was left behind, or taken away.
    pub fn assert_as_before(&self, before: &Self) {
        self.settings.assert_as_before(&before.settings);
        let nothing = String::new();
        for (name, found) in &self.stands {
            assert_eq!(
                found,
                before.stands.get(name).unwrap_or(&nothing),
                "{name}: what stands now (left) and what stood before the lab (right)"
            );
        }
    }
}
