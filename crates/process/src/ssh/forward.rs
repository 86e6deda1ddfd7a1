//! Ways to what only another computer itself reaches.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::SshComputer;
use crate::{Error, Following};

/// How long it may take, at the usual pace, until the way is open: the connection, and a login, which on a busy computer takes ten seconds and
/// more.
const LIMIT: Duration = Duration::from_secs(45);

impl SshComputer {
    /// Opens a way to `target` (`address:port`) as that computer itself reaches it.
    ///
    /// What goes through it is sealed end to end by its users: a TLS key of this computer stays here.
    ///
    /// # Errors
    ///
    /// [`Error::Forward`], [`Error::NotReached`], [`Error::HostKey`], and [`Error::NotStarted`] when there is no ssh.
    pub fn forward(&self, target: &str) -> Result<SshForward, Error> {
        self.forward_all(&[target])
    }

    /// As [`SshComputer::forward`], to several targets by one connection.
    ///
    /// # Errors
    ///
    /// As [`SshComputer::forward`].
    pub fn forward_all(&self, targets: &[&str]) -> Result<SshForward, Error> {
        let failed = |source| Error::Forward {
            host: self.destination.clone(),
            target: targets.join(", "),
            source,
        };
        // Socket files in a folder of our own: a port could be taken by, or used by, others of this computer.
        let folder = tempfile::Builder::new()
            .prefix("caravan-")
            .tempdir()
            .map_err(failed)?;
        let said = Arc::new(Mutex::new(String::new()));
        // A shared connection would keep what is opened here after it is dropped. Of an option that is given twice ssh takes
        // the first, so it is not given before, and the user's settings come last.
        let mut alone = self.clone();
        alone.access.shared = None;
        let apart = ["-o", "ControlPath=none"];
        let mut call = alone
            .quiet(apart)
            .args(["-o", "ExitOnForwardFailure=yes", "-N"]);
        let mut sockets = BTreeMap::new();
        for (place, target) in targets.iter().enumerate() {
            let socket = folder.path().join(place.to_string());
            call = call.arg("-L").arg(format!("{}:{target}", socket.display()));
            sockets.insert((*target).to_owned(), socket);
        }
        let following = call.arg(&self.destination).follow({
            let said = Arc::clone(&said);
            move |line| {
                if let Ok(mut said) = said.lock() {
                    said.push_str(line);
                    said.push('\n');
                }
            }
        })?;
        let (began, limit) = (Instant::now(), self.access.pace.of(LIMIT));
        while !sockets.values().all(|socket| socket.exists()) {
            let late = began.elapsed() > limit;
            if following.ended() || late {
                let mut said = said.lock().map(|said| said.clone()).unwrap_or_default();
                if late && said.trim().is_empty() {
                    said = format!("no login within {} s", limit.as_secs());
                }
                return Err(self.not_reached(&said));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(SshForward {
            sockets,
            following,
            _folder: folder,
        })
    }
}

/// Ways to addresses and ports behind another computer, open until this is dropped.
pub struct SshForward {
    sockets: BTreeMap<String, PathBuf>,
    // Dropped in this order: the program that holds the sockets, then the folder that holds them.
    following: Following,
    _folder: TempDir,
}

impl SshForward {
    /// Whether the connection that carries it is there, as far as is known.
    pub fn is_open(&self) -> bool {
        !self.following.ended()
    }

    /// Connects to the first target. That nobody listens at the other end shows only when the first bytes are read.
    ///
    /// # Errors
    ///
    /// That of the operating system.
    pub fn connect(&self) -> std::io::Result<UnixStream> {
        let first = self.sockets.keys().next().map(String::as_str);
        self.connect_to(first.unwrap_or_default())
    }

    /// Connects to `target`, which must be one of those that it was opened for.
    ///
    /// # Errors
    ///
    /// That of the operating system, and `NotFound` for another one.
    pub fn connect_to(&self, target: &str) -> std::io::Result<UnixStream> {
        let socket = self.sockets.get(target).ok_or(ErrorKind::NotFound)?;
        UnixStream::connect(socket)
    }
}
