//! Programs that are given a long input while they run.

use std::io::{self, Read, Write as _, pipe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{Call, Error, Output, interrupt};

/// How many bytes are handed on at once.
const CHUNK: usize = 1 << 18;

/// How often is looked whether the program still takes its input, and whether the user has asked to stop.
const WATCH: Duration = Duration::from_millis(100);

/// Why an input did not get into a program.
#[derive(Debug)]
pub enum FeedError {
    /// The input could not be read.
    Source(io::Error),
    /// The program was not started, took nothing for too long, or the user has asked to stop.
    Program(Error),
}

impl Call {
    /// Runs the program with what `source` has as its standard input, which is not read into memory, and returns what it
    /// printed, whatever its exit status. `on_bytes` is told how many bytes it has taken so far.
    ///
    /// A program that ends before it has read all is none that failed: its status and its words tell why. It is ended where it
    /// takes nothing, or does not end after the last byte, for `stall`.
    ///
    /// # Errors
    ///
    /// [`FeedError::Source`], and [`FeedError::Program`] with [`Error::NotStarted`], [`Error::TimedOut`] or
    /// [`Error::Interrupted`].
    pub fn feed(
        self,
        source: &mut dyn Read,
        stall: Duration,
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<Output, FeedError> {
        let not_started = |source| FeedError::Program(Error::not_started(&self, source));
        let (reader, mut writer) = pipe().map_err(not_started)?;
        let handle = self
            .expression_reading(reader)
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .start()
            .map_err(not_started)?;
        let progress = FeedProgress::new();
        let (read, ended) = std::thread::scope(|scope| {
            // Who waits in a write hears neither the user nor the clock.
            scope.spawn(|| {
                while !progress.ended.load(Ordering::Acquire) {
                    if interrupt::raised() || progress.is_stalled(stall) {
                        drop(handle.kill());
                    }
                    std::thread::sleep(WATCH);
                }
            });
            let read = pump(source, &mut writer, &progress, on_bytes);
            drop(writer);
            if read.is_err() {
                drop(handle.kill());
            }
            let ended = handle.wait().map(|output| Output {
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
                status: output.status.code(),
            });
            progress.ended.store(true, Ordering::Release);
            (read, ended)
        });
        let command = self.to_string();
        if interrupt::raised() {
            return Err(FeedError::Program(Error::Interrupted { command }));
        }
        read.map_err(FeedError::Source)?;
        let output = ended.map_err(not_started)?;
        if output.status.is_none() && progress.is_stalled(stall) {
            let seconds = stall.as_secs();
            return Err(FeedError::Program(Error::TimedOut { command, seconds }));
        }
        Ok(output)
    }
}

/// When a program took the last bytes.
struct FeedProgress {
    began: Instant,
    last_ms: AtomicU64,
    /// Whether it is the source that is waited for.
    waits: AtomicBool,
    ended: AtomicBool,
}

impl FeedProgress {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            last_ms: AtomicU64::new(0),
            waits: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn note(&self) {
        self.last_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    fn is_stalled(&self, stall: Duration) -> bool {
        if self.waits.load(Ordering::Acquire) {
            return false;
        }
        let since = self.elapsed_ms() - self.last_ms.load(Ordering::Relaxed);
        u128::from(since) >= stall.as_millis()
    }
}

/// Copies until either side has had enough; only a source that cannot be read is an error.
fn pump(
    source: &mut dyn Read,
    to: &mut io::PipeWriter,
    progress: &FeedProgress,
    on_bytes: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut taken = 0;
    loop {
        // A source may wait for whoever makes it, which is not the program's fault.
        progress.waits.store(true, Ordering::Release);
        let read = source.read(&mut chunk);
        progress.note();
        progress.waits.store(false, Ordering::Release);
        let count = match read {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        // Who does not take it any more says why when it ends.
        if count == 0 || interrupt::raised() || to.write_all(&chunk[..count]).is_err() {
            return Ok(());
        }
        progress.note();
        taken += count as u64;
        on_bytes(taken);
    }
}
