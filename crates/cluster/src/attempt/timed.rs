//! A connection whose use ends at one moment, however often it is waited for: a limit for each wait alone makes a request
//! take several times as long where a server answers slowly, piece by piece.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use super::Socket;

/// A connection that may be used until a moment.
pub(super) struct Timed<S> {
    socket: S,
    until: Instant,
}

impl<S: Socket> Timed<S> {
    pub(super) fn new(socket: S, until: Instant) -> Self {
        Self { socket, until }
    }

    /// Limits the next wait to what is left.
    fn limit_next(&mut self) -> io::Result<()> {
        match self.until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(ErrorKind::TimedOut.into()),
            left => self.socket.limit(left),
        }
    }
}

impl<S: Socket> Read for Timed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.limit_next()?;
        self.socket.read(buffer)
    }
}

impl<S: Socket> Write for Timed<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.limit_next()?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl<S: Socket> Socket for Timed<S> {
    /// Its moment is the limit of all.
    fn limit(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }
}
