//! How is a program started, and where? The one door through which any is.
//!
//! A [`Program`] is found once, by name on the search path or by an explicit path; a [`Call`] is one start of it.
//! Whatever ends badly is an [`Error`] that holds the pasteable command line, the folder, the exit status and the tail
//! of what the program said, so that no caller has to remember to report them.
//!
//! Ways to run a call, by what becomes of its output:
//!
//! | method | output | for |
//! |---|---|---|
//! | [`Call::run`], [`Call::output`], [`Call::binary_output`] | captured | short questions: `docker ps`, `go version` |
//! | [`Call::logged`] | a log file, and each line to a callback | long work whose grandchildren may outlive it: `vagrant up` |
//! | [`Call::follow`] | each line to a callback, in the background | endless output: a journal over ssh |
//! | [`Call::read`] | read byte by byte | a long output: an image of the engine's |
//! | [`Call::converse`] | a line for each line that it is given | many short questions over one login |
//! | [`Call::feed`] | captured | a long input: a file, an archive that is being made |
//! | [`Call::attended`] | the terminal, interrupts handed on | long work of another program of ours |
//! | [`Call::interactive`] | the terminal | a shell for the user |
//!
//! A [`DetachedRun`] goes on when the connection to its computer is lost.
//!
//! A [`Computer`] is where programs run and files lie: this one, or one that ssh reaches ([`SshComputer`]). What is done on it
//! is written once, whichever it is.

mod attended;
mod call;
mod computer;
mod converse;
mod detached;
mod error;
mod feed;
mod follow;
pub mod interrupt;
mod logged;
mod pace;
mod program;
mod read;
pub mod shell;
mod shown;
mod ssh;
mod transfer;

pub use call::{BinaryOutput, Call, Output};
pub use computer::Computer;
pub use converse::{Conversation, Reply};
pub use detached::{DetachedRun, RunEnd};
pub use error::{Error, Failure};
pub use feed::FeedError;
pub use follow::Following;
pub use pace::Pace;
pub use program::Program;
pub use read::{OutputReader, failure_of};
pub use shown::show_calls;
pub use ssh::{
    CONNECT_SECONDS, SshAccess, SshComputer, SshForward, UnknownHost, forget_host_key, host_keys,
};
pub use transfer::{FileToSend, SentFile};
