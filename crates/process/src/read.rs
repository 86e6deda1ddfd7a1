//! Programs whose output is read while they run, byte by byte.

use std::io::{self, Read};

use duct::ReaderHandle;

use crate::error::Failure;
use crate::{Call, Error};

/// The standard output of a program that runs in the background; the program ends when this is dropped.
///
/// What is read ends well only where the program does: one that ended with another status than 0 is an error in the place of
/// the end, with its last words.
pub struct OutputReader {
    handle: ReaderHandle,
    call: Call,
}

impl Call {
    /// Starts the program, whose output is then read.
    ///
    /// # Errors
    ///
    /// [`Error::NotStarted`].
    pub fn read(self) -> Result<OutputReader, Error> {
        let handle = self
            .expression()
            .stderr_capture()
            .unchecked()
            .reader()
            .map_err(|source| Error::not_started(&self, source))?;
        Ok(OutputReader { handle, call: self })
    }
}

impl Read for OutputReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.handle.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        // At the end of the output the program was waited for.
        match self.handle.try_wait()? {
            Some(output) if output.status.success() => Ok(0),
            Some(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let error = Error::failed(&self.call, output.status.code(), &said, None);
                Err(io::Error::other(error))
            }
            None => Err(io::Error::other("its output ended before it did")),
        }
    }
}

impl Drop for OutputReader {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.handle.kill());
    }
}

/// The failure of a program in an error of a reader of its output, if it is one.
pub fn failure_of(error: &io::Error) -> Option<&Failure> {
    let mut cause = error
        .get_ref()
        .map(|it| it as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        if let Some(Error::Failed(failure)) = error.downcast_ref() {
            return Some(failure);
        }
        cause = error.source();
    }
    None
}
