//! Programs that answer a line with a line.

use std::io::{PipeWriter, Write as _, pipe};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::{Call, Error, Following};

/// A program that runs in the background and is given lines, one at a time; it ends when this is dropped.
pub struct Conversation {
    questions: PipeWriter,
    answers: Receiver<(Instant, String)>,
    /// Ends the program.
    _following: Following,
}

/// A line that a program answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The line, without its end; of either output.
    pub line: String,
    /// Just before the question was given.
    pub asked: Instant,
    /// Just after the answer was there.
    pub heard: Instant,
}

impl Call {
    /// Starts the program with a standard input that [`Conversation::ask`] writes to.
    ///
    /// # Errors
    ///
    /// [`Error::NotStarted`].
    pub fn converse(self) -> Result<Conversation, Error> {
        let (reader, questions) = pipe().map_err(|source| Error::not_started(&self, source))?;
        let (send, answers) = channel();
        let following = self.follow_expression(self.expression_reading(reader), move |line| {
            // Who is not heard any more need not be told.
            drop(send.send((Instant::now(), line.to_owned())));
        })?;
        Ok(Conversation {
            questions,
            answers,
            _following: following,
        })
    }
}

impl Conversation {
    /// Gives the program a line, and returns the next one that it prints; `None` where none comes within `limit`.
    pub fn ask(&mut self, line: &str, limit: Duration) -> Option<Reply> {
        let asked = Instant::now();
        // A program that has ended may have left last words.
        drop(writeln!(self.questions, "{line}").and_then(|()| self.questions.flush()));
        let (heard, line) = self.answers.recv_timeout(limit).ok()?;
        Some(Reply { line, asked, heard })
    }
}
