//! Long work whose output goes to a file.
//!
//! A pipe would be held open by grandchildren that outlive the program (a hypervisor that `vagrant up` starts), and
//! reading it to its end would hang: <https://github.com/hashicorp/vagrant/issues/193>.
//! A file has no such end; the program's own exit is what counts, and the log stays for the user.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Call, Error, interrupt};

/// How often new output is looked for.
const POLL: Duration = Duration::from_millis(40);

/// How long a program may take to end by itself after an interrupt before it is killed.
const GRACE: Duration = Duration::from_secs(60);

/// How long it may take when the user has asked again.
const URGENT_GRACE: Duration = Duration::from_secs(3);

impl Call {
    /// Runs the program to its end, with both outputs appended to `log` and each new line given to `on_line`.
    ///
    /// On an interrupt ([`interrupt::raised`]) the program has up to a minute to end in its own way, and on another one
    /// some seconds.
    ///
    /// # Errors
    ///
    /// [`Error::NotStarted`], [`Error::Log`], [`Error::Failed`] for any exit status but 0, with the log's last lines,
    /// and [`Error::Interrupted`].
    pub fn logged(self, log: &Path, on_line: &mut dyn FnMut(&str)) -> Result<(), Error> {
        let log_error = |source| Error::Log {
            command: self.to_string(),
            log: log.to_owned(),
            source,
        };
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(log_error)?;
        let mut tail = Tail {
            file: File::open(log).map_err(log_error)?,
            partial: Vec::new(),
            said: String::new(),
        };
        tail.file.seek(SeekFrom::End(0)).map_err(log_error)?;

        let handle = self
            .expression()
            .stderr_to_stdout()
            .stdout_file(file)
            .unchecked()
            .start()
            .map_err(|source| Error::not_started(&self, source))?;

        let mut interrupted_at = None;
        let mut urgent_at = None;
        let status = loop {
            // Asked before the output is read, so that what was printed just before the end is not missed.
            let ended = handle
                .wait_timeout(POLL)
                .map_err(|source| Error::not_started(&self, source))?
                .map(|output| output.status);
            tail.read(on_line).map_err(log_error)?;
            if let Some(status) = ended {
                break status;
            }
            if interrupt::raised() {
                let since = *interrupted_at.get_or_insert_with(|| {
                    interrupt::hand_on(&handle.pids());
                    Instant::now()
                });
                let urgent = interrupt::urgent()
                    && urgent_at.get_or_insert_with(Instant::now).elapsed() > URGENT_GRACE;
                if urgent || since.elapsed() > GRACE {
                    drop(handle.kill());
                    return Err(Error::Interrupted {
                        command: self.to_string(),
                    });
                }
            }
        };
        tail.finish(on_line);
        if interrupted_at.is_some() || interrupt::raised() {
            return Err(Error::Interrupted {
                command: self.to_string(),
            });
        }
        if status.success() {
            return Ok(());
        }
        Err(Error::failed(
            &self,
            status.code(),
            &tail.said,
            Some(log.to_owned()),
        ))
    }
}

/// Reads the lines that are added to a file.
struct Tail {
    file: File,
    partial: Vec<u8>,
    said: String,
}

impl Tail {
    fn read(&mut self, on_line: &mut dyn FnMut(&str)) -> std::io::Result<()> {
        self.file.read_to_end(&mut self.partial)?;
        while let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            self.say(&line[..end], on_line);
        }
        Ok(())
    }

    fn finish(&mut self, on_line: &mut dyn FnMut(&str)) {
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.say(&line, on_line);
        }
    }

    fn say(&mut self, line: &[u8], on_line: &mut dyn FnMut(&str)) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        self.said.push_str(line);
        self.said.push('\n');
        on_line(line);
    }
}
