//! Programs whose output is followed in the background.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::thread::JoinHandle;

use duct::{Expression, ReaderHandle};

use crate::{Call, Error};

/// A program that runs in the background while its lines are handed on; it ends when this is dropped.
pub struct Following {
    reader: Arc<ReaderHandle>,
    thread: Option<JoinHandle<()>>,
}

impl Call {
    /// Starts the program and hands each line of both its outputs to `on_line`, on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`Error::NotStarted`].
    pub fn follow(self, on_line: impl FnMut(&str) + Send + 'static) -> Result<Following, Error> {
        self.follow_expression(self.expression(), on_line)
    }

    /// The same, of what this call became.
    pub(crate) fn follow_expression(
        &self,
        expression: Expression,
        mut on_line: impl FnMut(&str) + Send + 'static,
    ) -> Result<Following, Error> {
        let reader = expression
            .stderr_to_stdout()
            .unchecked()
            .reader()
            .map_err(|source| Error::not_started(self, source))?;
        let reader = Arc::new(reader);
        let thread = std::thread::spawn({
            let reader = Arc::clone(&reader);
            move || {
                let mut lines = BufReader::new(&*reader);
                let mut line = Vec::new();
                // A broken pipe and the end of output are one thing here: nothing more will come.
                while let Ok(1..) = lines.read_until(b'\n', &mut line) {
                    on_line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
                    line.clear();
                }
            }
        });
        Ok(Following {
            reader,
            thread: Some(thread),
        })
    }
}

impl Following {
    /// Whether the program's output has ended.
    pub fn ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// The program's process id, for reports.
    pub fn pids(&self) -> Vec<u32> {
        self.reader.pids()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended by itself; either way the thread then meets the end of output.
        drop(self.reader.kill());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
