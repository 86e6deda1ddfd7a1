//! The computers that servers of a lab are on, as far as they are not this one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use caravan_lab::{Lab, Server};
use caravan_process::{
    CONNECT_SECONDS, Computer, Pace, Program, SshAccess, SshComputer, UnknownHost,
};

use crate::{LabDir, SilentComputer};

/// How long a computer may take to tell where its user's folder is.
const QUESTION: Duration = Duration::from_secs(60);

/// For how long a computer that was not reached counts as such: who asks it several things one after the other waits once.
const SILENT: Duration = Duration::from_secs(30);

/// Where labs lie on another computer, below its user's folder.
const LABS_THERE: &str = ".local/share/caravan";

/// Where images for labs lie on another computer, below its user's folder; the Vagrantfile looks there too.
const IMAGES_THERE: &str = ".cache/caravan/images";

/// ssh's own port.
const SSH_PORT: u16 = 22;

/// The computers of a lab's servers.
#[derive(Debug, Clone, Default)]
pub struct LabComputers {
    lab: String,
    by_host: BTreeMap<String, Computer>,
    /// The servers on each, by name.
    servers: BTreeMap<String, Vec<String>>,
    /// The lab's state.
    state: PathBuf,
}

/// What this process was told by computers that it asked where their user's folder is, by the state of the lab whose they are
/// and by host: a verb makes itself several [`LabComputers`], and each computer is asked once.
static ASKED_HOMES: Mutex<BTreeMap<(PathBuf, String), AskedHome>> = Mutex::new(BTreeMap::new());

/// Where the user's folder of a computer is, as far as the computer told.
#[derive(Debug, Clone)]
enum AskedHome {
    At(PathBuf),
    /// It was not reached, at that time, and what ssh said.
    Silent(Instant, String),
}

impl LabComputers {
    /// Those of a lab with the state `dir`. None of them is asked for anything.
    pub fn of(lab: &Lab, dir: &LabDir) -> Self {
        let hosts = lab
            .servers()
            .iter()
            .filter_map(|server| server.host.clone());
        let by_host: BTreeMap<String, Computer> = hosts
            .map(|host| {
                let computer = Computer::Ssh(server_computer(&host, dir));
                (host, computer)
            })
            .collect();
        let mut servers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for server in lab.servers() {
            if let Some(host) = &server.host {
                servers
                    .entry(host.clone())
                    .or_default()
                    .push(server.name.clone());
            }
        }
        Self {
            lab: lab.name().to_owned(),
            by_host,
            servers,
            state: dir.root().to_owned(),
        }
    }

    /// The computers, as the lab file names them, each with the lab's servers on it.
    pub fn servers(&self) -> impl Iterator<Item = (&str, &[String])> {
        (self.servers.iter()).map(|(host, servers)| (host.as_str(), servers.as_slice()))
    }

    /// Those of the computers with one of `servers` that do not answer. All are asked at once.
    pub fn silent(&self, servers: &BTreeSet<&str>) -> Vec<SilentComputer> {
        let meant: Vec<&str> = (self.servers())
            .filter(|(_, on_it)| on_it.iter().any(|it| servers.contains(it.as_str())))
            .map(|(host, _)| host)
            .collect();
        let asked = thread::scope(|scope| {
            let threads: Vec<_> = (meant.iter())
                .map(|host| scope.spawn(|| self.home(host)))
                .collect();
            let ended = threads.into_iter().map(|thread| {
                (thread.join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            ended.collect::<Vec<_>>()
        });
        let silent = meant.iter().zip(asked).filter_map(|(host, answer)| {
            let error = answer.err()?;
            Some(SilentComputer {
                host: (*host).to_owned(),
                servers: self.servers[*host].clone(),
                error,
            })
        });
        silent.collect()
    }

    /// Whether all servers are on this computer.
    pub fn are_here(&self) -> bool {
        self.by_host.is_empty()
    }

    /// The computer called `host` in the lab file; this one where there is no host.
    pub fn computer(&self, host: Option<&str>) -> Computer {
        host.and_then(|host| self.by_host.get(host))
            .cloned()
            .unwrap_or(Computer::Here)
    }

    /// The ways to the machines of each server that is on another computer, by the server's name.
    pub fn ways(&self, lab: &Lab) -> BTreeMap<String, SshComputer> {
        let far = |server: &Server| match self.computer(server.host.as_deref()) {
            Computer::Ssh(there) => Some((server.name.clone(), there)),
            Computer::Here => None,
        };
        lab.servers().iter().filter_map(far).collect()
    }

    /// The folder of the lab on the computer called `host`: absolute, whether or not it is there. Asked once.
    ///
    /// # Errors
    ///
    /// Those of [`Computer::run`].
    pub fn folder(&self, host: &str) -> Result<PathBuf, caravan_process::Error> {
        Ok(self.home(host)?.join(LABS_THERE).join(&self.lab))
    }

    /// The folder in which images lie there.
    ///
    /// # Errors
    ///
    /// As [`LabComputers::folder`].
    pub fn images(&self, host: &str) -> Result<PathBuf, caravan_process::Error> {
        Ok(self.home(host)?.join(IMAGES_THERE))
    }

    fn home(&self, host: &str) -> Result<PathBuf, caravan_process::Error> {
        let key = (self.state.clone(), host.to_owned());
        let note = |asked: AskedHome| {
            if let Ok(mut homes) = ASKED_HOMES.lock() {
                homes.insert(key.clone(), asked);
            }
        };
        let homes = ASKED_HOMES.lock();
        let asked = homes.ok().and_then(|homes| homes.get(&key).cloned());
        match asked {
            Some(AskedHome::At(home)) => return Ok(home),
            Some(AskedHome::Silent(at, said)) if at.elapsed() < SILENT => {
                return Err(caravan_process::Error::NotReached {
                    host: host.to_owned(),
                    said,
                });
            }
            _ => {}
        }
        let computer = self.computer(Some(host));
        // A session begins in the user's folder, whatever `HOME` says.
        let answer = computer.run(&["pwd", "-P"], "", QUESTION);
        if let Err(caravan_process::Error::NotReached { said, .. }) = &answer {
            note(AskedHome::Silent(Instant::now(), said.clone()));
        }
        let output = answer?;
        let home = PathBuf::from(output.stdout.trim_end_matches('\n'));
        if !output.success() || !home.is_absolute() {
            return Err(caravan_process::Error::Get {
                computer: computer.to_string(),
                path: "~".to_owned(),
                said: output.stderr.trim().to_owned(),
            });
        }
        note(AskedHome::At(home.clone()));
        Ok(home)
    }
}

/// The computer of a server, which its user reaches with settings and keys of their own.
fn server_computer(host: &str, dir: &LabDir) -> SshComputer {
    let ssh = Program::find("ssh").unwrap_or_else(|_| Program::at("ssh"));
    SshComputer::new(
        ssh,
        host,
        SshAccess {
            identity: None,
            known_hosts: dir.known_hosts(),
            unknown_host: UnknownHost::Refuse,
            through: None,
            // It is there, and may be busy making machines.
            connect_seconds: 3 * CONNECT_SECONDS,
            // A link that comes back carries nothing for some seconds, and the kernel gives up an address that has not answered
            // for three.
            connect_attempts: 4,
            pace: Pace::USUAL,
            shared: shared_folder(),
        },
    )
}

/// The folder of shared connections' sockets: a short path, because a socket's may have some hundred characters; none where it
/// is not this user's alone.
fn shared_folder() -> Option<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let folder = match std::env::var_os("XDG_RUNTIME_DIR").filter(|it| !it.is_empty()) {
        Some(folder) => PathBuf::from(folder).join("caravan"),
        None => PathBuf::from(format!("/tmp/caravan-{user}")),
    };
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return None,
        _ => {}
    }
    let found = fs::symlink_metadata(&folder).ok()?;
    let is_ours = found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0;
    (is_ours && folder.as_os_str().len() < 50).then_some(folder)
}

/// The lab as it is seen from this computer: a server whose `host` is this computer and its user has none.
///
/// Several administrators share one lab file, and each of them is on one of its servers, or on none.
pub(crate) fn seen_from_here(lab: Lab) -> Lab {
    if lab.servers().iter().all(|server| server.host.is_none()) {
        return lab;
    }
    lab.with_servers_here(|host| SshTarget::of(host).is_this_computer())
}

/// Where ssh would connect to, and as whom.
#[derive(Debug, PartialEq, Eq)]
struct SshTarget {
    user: String,
    host: String,
    port: u16,
}

impl SshTarget {
    /// What ssh makes of a destination, with the user's settings; nothing of it is connected to.
    fn of(destination: &str) -> Self {
        let said = Program::find("ssh")
            .and_then(|ssh| {
                let call = ssh.call(["-G", destination]);
                call.timeout(QUESTION).run()
            })
            .map(|output| output.stdout)
            .unwrap_or_default();
        Self::read(&said)
    }

    /// Reads what `ssh -G` prints.
    fn read(said: &str) -> Self {
        let value = |key: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_default().trim().to_owned()
        };
        Self {
            user: value("user "),
            host: value("hostname "),
            port: value("port ").parse().unwrap_or(0),
        }
    }

    /// Whether that is this computer and its user: an address that can be listened on here. Behind another port there may be
    /// anything, such as a virtual machine.
    fn is_this_computer(&self) -> bool {
        let me = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
        let is_me = me.map_or(self.user == "root", |me| me == self.user);
        self.port == SSH_PORT && is_me && is_own_address(&self.host)
    }
}

/// Whether a name or address is one of this computer's.
fn is_own_address(host: &str) -> bool {
    let addresses: Vec<IpAddr> = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => (host, 0)
            .to_socket_addrs()
            .map(|found| found.map(|it| it.ip()).collect())
            .unwrap_or_default(),
    };
    let is_own =
        |address: &IpAddr| address.is_loopback() || TcpListener::bind((*address, 0)).is_ok();
    !addresses.is_empty() && addresses.iter().all(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_would_do_is_read() {
        let said = "host server2\nuser me\nhostname 127.0.0.1\nport 22\naddressfamily any\n";
        assert_eq!(
            SshTarget::read(said),
            SshTarget {
                user: "me".to_owned(),
                host: "127.0.0.1".to_owned(),
                port: 22
            }
        );
        assert!(!SshTarget::read("").is_this_computer());
    }

    #[test]
    fn an_address_of_this_computer_can_be_listened_on() {
        assert!(is_own_address("127.0.0.1"));
        // Documentation addresses are nobody's.
        assert!(!is_own_address("192.0.2.7"));
    }
}
