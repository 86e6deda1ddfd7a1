//! Vagrant on another computer: it goes on when the connection is lost.

use caravan_process::{Call, Computer, DetachedRun, Error, Failure, RunEnd};

use super::Group;

/// The folder of a project in which a command that runs there has its output and its end.
const RUN: &str = ".caravan-run";

impl Group {
    /// The command that runs, or ran last, on the other computer.
    pub fn detached_run(&self, computer: &Computer) -> DetachedRun {
        let folder = self.dir.join(RUN).display().to_string();
        DetachedRun::at(computer.clone(), folder)
    }

    /// Starts a command there, and hands on what it says until it ends.
    pub(super) fn detached(
        &self,
        computer: &Computer,
        call: &Call,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        let run = self.detached_run(computer);
        run.start(call)?;
        let failed = |status| {
            Err(Error::Failed(Box::new(Failure {
                command: call.to_string(),
                dir: None,
                status,
                tail: Vec::new(),
                log: None,
            })))
        };
        match run.follow(on_line)? {
            RunEnd::Status(0) => Ok(()),
            RunEnd::Status(status) => failed(Some(status)),
            RunEnd::Killed => failed(None),
        }
    }
}
