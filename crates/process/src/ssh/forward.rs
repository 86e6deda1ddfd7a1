//! Ways to what only another computer itself reaches.

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
        let failed = |source| Error::Forward {
            host: self.destination.clone(),
            target: target.to_owned(),
            source,
        };
        // A socket file in a folder of our own: a port could be taken by, or used by, others of this computer.
        let folder = tempfile::Builder::new()
            .prefix("caravan-")
            .tempdir()
            .map_err(failed)?;
        let socket = folder.path().join("s");
        let said = Arc::new(Mutex::new(String::new()));
        let call = self
            .quiet(["-o", "ExitOnForwardFailure=yes", "-N", "-L"])
            .arg(format!("{}:{target}", socket.display()))
            .arg(&self.destination);
        let following = call.follow({
            let said = Arc::clone(&said);
            move |line| {
                if let Ok(mut said) = said.lock() {
                    said.push_str(line);
                    said.push('\n');
                }
            }
        })?;
        let (began, limit) = (Instant::now(), self.access.pace.of(LIMIT));
        while !socket.exists() {
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
            socket,
            _following: following,
            _folder: folder,
        })
    }
}

/// A way to an address and port behind another computer, open until this is dropped.
pub struct SshForward {
    socket: PathBuf,
    // Dropped in this order: the program that holds the socket, then the folder that holds it.
    _following: Following,
    _folder: TempDir,
}

impl SshForward {
    /// Connects. That nobody listens at the other end shows only when the first bytes are read.
    ///
    /// # Errors
    ///
    /// That of the operating system.
    pub fn connect(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(&self.socket)
    }
}
