//! Long work that the user watches: the program has the terminal, and an interrupt is handed on to it.

use std::time::Duration;

use duct::Handle;

use crate::{Call, Error, Output, interrupt};

/// How often is looked whether the user has asked to stop.
const POLL: Duration = Duration::from_millis(40);

impl Call {
    /// Runs the program on the user's terminal and returns its exit status (`None`: ended by a signal). It ends in its own
    /// way after an interrupt.
    ///
    /// # Errors
    ///
    /// [`Error::NotStarted`].
    pub fn attended(self) -> Result<Option<i32>, Error> {
        let handle = self.on_terminal().unchecked().start();
        let handle = handle.map_err(|source| Error::not_started(&self, source))?;
        Ok(self.wait(&handle)?.status)
    }

    /// The same, but what the program prints to standard output is returned.
    ///
    /// # Errors
    ///
    /// [`Error::NotStarted`].
    pub fn attended_output(self) -> Result<Output, Error> {
        let handle = self.on_terminal().stdout_capture().unchecked().start();
        let handle = handle.map_err(|source| Error::not_started(&self, source))?;
        self.wait(&handle)
    }

    fn wait(&self, handle: &Handle) -> Result<Output, Error> {
        let mut is_handed_on = false;
        loop {
            let ended = handle
                .wait_timeout(POLL)
                .map_err(|source| Error::not_started(self, source))?;
            if let Some(output) = ended {
                return Ok(Output {
                    stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                    stderr: String::new(),
                    status: output.status.code(),
                });
            }
            if interrupt::raised() && !is_handed_on {
                interrupt::hand_on(&handle.pids());
                is_handed_on = true;
            }
        }
    }
}
