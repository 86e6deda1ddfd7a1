//! Computers on which nothing is installed, in namespaces of their own.
//!
//! What the tool finds there is what it installed itself: no program, engine, package list or setting of the computer that
//! the test runs on is in sight. Only what takes long to make or to fetch is shared: the cache of bundles and base
//! systems, and the package archives.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

use caravan_bundle::apt;
use caravan_process::{Call, Following, Program};

use crate::relay::{Relay, servers};
use crate::{Ended, Tool};

/// Where fresh computers are made; gone when it is dropped.
pub struct Site {
    folder: PathBuf,
    xtask: PathBuf,
    checkout: PathBuf,
    cache: PathBuf,
}

/// A bare system that computers are copied from.
pub struct Bare {
    root: PathBuf,
    archives: PathBuf,
}

/// A computer that runs; it ends, with all that runs on it, when this is dropped.
pub struct Fresh {
    root: PathBuf,
    pid: u32,
    /// Held for their ends.
    _relay: Relay,
    process: Option<Following>,
}

/// This computer's settings for packages.
const APT: &str = "/etc/apt";

/// The authorities that this computer trusts.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Files that nobody reads here, and a disk that need not survive a power cut.
const DPKG: &str = "path-exclude=/usr/share/man/*\npath-exclude=/usr/share/info/*\npath-exclude=/usr/share/locale/*\n\
                    path-exclude=/usr/share/doc/*\npath-include=/usr/share/doc/*/copyright\nforce-unsafe-io\n";

/// Keeps what the engine makes of cgroups apart from what another engine makes, since both are of one computer.
const ENGINE: &str = "{\"cgroup-parent\": \"/caravan-fresh\"}\n";

impl Site {
    /// A site beside what `tool` was built into.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn new(tool: &Tool) -> Self {
        let folder = tool
            .program()
            .parent()
            .expect("a folder")
            .join("fresh-computers");
        remove(&folder);
        fs::create_dir_all(&folder).expect("made");
        // Layers of containers are overlays, which cannot lie upon another one.
        let kind = said(
            program("stat")
                .call(["--file-system", "--format=%T"])
                .arg(&folder),
        );
        assert_ne!(
            kind.trim(),
            "overlayfs",
            "{} lies on an overlay: set CARGO_TARGET_DIR to a folder of a real file system",
            folder.display()
        );
        let home = std::env::home_dir().expect("a home");
        let cache = std::env::var_os("CARAVAN_CACHE")
            .map_or_else(|| home.join(".cache/caravan"), PathBuf::from);
        fs::create_dir_all(&cache).expect("made");
        Self {
            folder,
            xtask: tool.program().to_owned(),
            checkout: tool.root().to_owned(),
            cache,
        }
    }

    /// A file of this site's own, for what one computer gives to another.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the bare system of a Debian release, as this computer gets its own packages.
    ///
    /// # Panics
    ///
    /// When `mmdebstrap` fails.
    pub fn bare(&self, suite: apt::Suite) -> Bare {
        self.system(suite, suite.name(), &[])
    }

    /// Makes a system of a Debian release that has these packages besides, under a name of its own.
    ///
    /// # Panics
    ///
    /// When `mmdebstrap` fails.
    pub fn system(&self, suite: apt::Suite, name: &str, packages: &[&str]) -> Bare {
        println!("\na system of {}: {packages:?}", suite.name());
        let root = self.path(name);
        let archives = self.path(&format!("{name}-archives"));
        fs::create_dir_all(archives.join("partial")).expect("made");
        let settings = self.path("fetch.conf");
        fs::write(&settings, apt::fetch_settings()).expect("written");
        let dpkg = self.path("dpkg.conf");
        fs::write(&dpkg, DPKG).expect("written");
        let mut call = program("mmdebstrap")
            .call(["--variant=minbase", "--quiet"])
            .arg(format!("--keyring={}", apt::KEYRING))
            .arg(format!("--aptopt={}", settings.display()))
            .arg(format!("--dpkgopt={}", dpkg.display()));
        if !packages.is_empty() {
            call = call.arg(format!("--include={}", packages.join(",")));
        }
        call = call.arg(suite.name()).arg(&root);
        if let Some(sources) = apt::host_sources(Path::new(APT), suite) {
            let file = self.path("sources");
            fs::write(&file, sources).expect("written");
            call = call.arg(file);
        }
        said(call);
        Bare { root, archives }
    }

    /// Copies a bare system and starts a computer with it.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(&self, bare: &Bare, name: &str) -> Fresh {
        self.start_with(bare, name, &self.cache)
    }

    /// The same, with a cache of its own, which is empty: of a computer that has never made anything.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start_without_cache(&self, bare: &Bare, name: &str) -> Fresh {
        let cache = self.path(&format!("{name}-cache"));
        fs::create_dir_all(&cache).expect("made");
        self.start_with(bare, name, &cache)
    }

    fn start_with(&self, bare: &Bare, name: &str, cache: &Path) -> Fresh {
        let root = self.path(name);
        said(program("cp").call(["--archive"]).arg(&bare.root).arg(&root));
        let here = root.join("root/caravan");
        for folder in ["root/caravan", "root/.cache/caravan", "etc/docker"] {
            fs::create_dir_all(root.join(folder)).expect("made");
        }
        fs::write(root.join("etc/docker/daemon.json"), ENGINE).expect("written");
        // An administrator's part of a network with authorities of its own: what this computer trusts, that one trusts too,
        // once it has the package that reads it.
        let trusted =
            std::env::var_os("SSL_CERT_FILE").map_or_else(|| TRUSTED.into(), PathBuf::from);
        if trusted.is_file() {
            let to = root.join("usr/local/share/ca-certificates");
            fs::create_dir_all(&to).expect("made");
            fs::copy(trusted, to.join("host.crt")).expect("copied");
        }
        // What the tool reads of the checkout; the rest is compiled into it.
        for part in ["labs", "Vagrantfile.hbs"] {
            said(
                program("cp")
                    .call(["--recursive"])
                    .arg(self.checkout.join(part))
                    .arg(&here),
            );
        }

        let (sender, lines) = channel();
        let process = program("unshare")
            .call(["--mount", "--pid", "--net", "--uts", "--ipc", "--fork"])
            .arg("--kill-child")
            .arg(self.checkout.join("e2e/fresh/process-1"))
            .args([&root, &self.xtask, cache, &bare.archives])
            .follow(move |line| drop(sender.send(line.to_owned())))
            .unwrap_or_else(|error| panic!("{error}"));
        let mut told = Vec::new();
        while told.last().is_none_or(|line| line != "ready") {
            match lines.recv_timeout(Duration::from_secs(60)) {
                Ok(line) => told.push(line),
                Err(_) => panic!("the computer does not start: {told:?}"),
            }
        }
        let unshare = process.pids()[0];
        let children = format!("/proc/{unshare}/task/{unshare}/children");
        let pid = fs::read_to_string(children)
            .expect("read")
            .trim()
            .parse()
            .expect("one child");

        let wanted = [
            apt::host_sources(Path::new(APT), apt::Suite::Bookworm).unwrap_or_default(),
            "http://deb.debian.org http://security.debian.org".to_owned(),
            apt::fetch_settings(),
            "https://proxy.golang.org https://sum.golang.org".to_owned(),
        ]
        .into_iter()
        .chain(PASSED_ON.iter().filter_map(|name| std::env::var(name).ok()))
        .collect::<Vec<_>>()
        .join("\n");
        let (relay, hosts) =
            Relay::start(Path::new(&format!("/proc/{pid}/ns/net")), &servers(&wanted));
        fs::write(
            root.join("etc/hosts"),
            format!("127.0.0.1 localhost fresh\n{hosts}"),
        )
        .expect("written");
        // Nobody answers there, at once.
        fs::write(root.join("etc/resolv.conf"), "nameserver 127.0.0.1\n").expect("written");
        Fresh {
            root,
            pid,
            _relay: relay,
            process: Some(process),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        remove(&self.folder);
        // Empty since the last process ended.
        for folder in groups() {
            drop(
                program("find")
                    .call([&folder])
                    .args(["-depth", "-type", "d", "-delete"])
                    .output(),
            );
        }
    }
}

/// The folders of [`ENGINE`]'s cgroups.
fn groups() -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let controllers = fs::read_dir(top)
        .map(|entries| {
            entries
                .flatten()
                .map(|entry| entry.path())
                .collect::<Vec<_>>()
        })
        .unwrap_or_default();
    controllers
        .into_iter()
        .chain([top.to_owned()])
        .map(|folder| folder.join("caravan-fresh"))
        .filter(|folder| folder.is_dir())
        .collect()
}

/// Settings of the environment that a computer gets too: how Go fetches, and how the tool makes software.
const PASSED_ON: [&str; 11] = [
    "CARAVAN_SOURCE",
    "CARAVAN_BASE",
    "CARAVAN_AIRGAP",
    "GOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "GOINSECURE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
];

impl Fresh {
    /// Runs the tool on this computer, and shows what it printed.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn run(&self, args: &[&str]) -> Ended {
        println!("\n{}$ cargo xtask {}", self.name(), args.join(" "));
        let output = self
            .call(&[&["/root/caravan/xtask"][..], args].concat())
            .output()
            .unwrap_or_else(|error| panic!("{error}"));
        println!("{}{}", output.stderr, output.stdout);
        println!("(status {:?})", output.status);
        Ended {
            status: output.status,
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }

    /// Runs a verb that must succeed.
    ///
    /// # Panics
    ///
    /// When it does not exit with status 0.
    pub fn ok(&self, args: &[&str]) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.status, Some(0), "`cargo xtask {}`", args.join(" "));
        ended
    }

    /// Runs another program of this computer; returns its standard output.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn shell(&self, script: &str) -> String {
        println!("\n{}# {script}", self.name());
        said(self.call(&["/bin/sh", "-euc", script]))
    }

    /// Whether a program of this computer succeeds.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn asks(&self, script: &str) -> bool {
        let output = self.call(&["/bin/sh", "-euc", script]).output();
        output.unwrap_or_else(|error| panic!("{error}")).success()
    }

    /// Starts a program of this computer that goes on until the computer ends.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(&self, words: &[&str]) {
        println!("\n{}# {} &", self.name(), words.join(" "));
        let script = "\"$@\" </dev/null >>/var/log/started 2>&1 &";
        said(self.call(&[&["/bin/sh", "-c", script, "start"], words].concat()));
    }

    /// Its process 1, as the test sees it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A file of this computer, as the test sees it.
    pub fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn name(&self) -> String {
        self.root
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    fn call(&self, words: &[&str]) -> Call {
        let mut call = program("nsenter")
            .call(["--target", &self.pid.to_string()])
            .args([
                "--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd",
            ])
            .args([
                "/usr/bin/env",
                "--ignore-environment",
                "--chdir=/root/caravan",
            ])
            .args(["HOME=/root", "LC_ALL=C.UTF-8"])
            .arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        for name in PASSED_ON {
            if let Ok(value) = std::env::var(name) {
                call = call.arg(format!("{name}={value}"));
            }
        }
        call.args(words)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // Takes the namespaces' process 1 with it, and that all others.
        drop(self.process.take());
        let process = format!("/proc/{}", self.pid);
        for _ in 0..100 {
            if !Path::new(&process).exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        remove(&self.root);
    }
}

fn remove(folder: &Path) {
    if folder.exists() {
        // With --one-file-system: nothing is mounted here as far as this namespace knows, and nothing that were may go.
        drop(
            program("rm")
                .call(["--recursive", "--force", "--one-file-system"])
                .arg(folder)
                .output(),
        );
    }
}

/// A program of this computer.
pub(crate) fn program(name: &str) -> Program {
    Program::find_also_in(name, &["/usr/sbin", "/sbin"]).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs it, shows what it printed, and returns its standard output.
pub(crate) fn said(call: Call) -> String {
    let output = call.run().unwrap_or_else(|error| panic!("{error}"));
    println!("{}{}", output.stderr, output.stdout);
    output.stdout
}
