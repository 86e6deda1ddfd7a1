//! Where programs run and files lie: this computer, or one that ssh reaches.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::{
    BinaryOutput, Call, Conversation, Error, FeedError, Following, Output, Program, SshComputer,
};

/// Writes its input beside `$1` and gives it that name once all `$3` bytes are there, with the mode `$2`: a connection that
/// ends early looks like the end of the input.
const PUT: &str = r#"set -e
umask 077
part=$1.part
trap 'rm -f -- "$part"' EXIT
cat >"$part"
size=$(wc -c <"$part")
if [ "$size" -ne "$3" ]; then echo "$((size)) of $3 bytes arrived" >&2; exit 1; fi
chmod -- "$2" "$part"
mv -f -- "$part" "$1"
"#;

/// How long it may take to look for a program.
const FIND: Duration = Duration::from_secs(30);

/// A computer on which programs are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Computer {
    /// This one.
    Here,
    /// One that ssh reaches.
    Ssh(SshComputer),
}

impl Computer {
    /// Finds the program called `name` on the search path there.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotFoundThere`], [`Error::NotReached`], [`Error::HostKey`], [`Error::TimedOut`].
    pub fn program(&self, name: &str) -> Result<Program, Error> {
        let Self::Ssh(there) = self else {
            return Program::find(name);
        };
        let find = ["sh", "-c", "command -v -- \"$1\"", "find", name];
        let output = self.run(&find, "", FIND)?;
        match output.status {
            Some(0) => Ok(Program::on(there, name)),
            _ => Err(Error::NotFoundThere {
                program: name.to_owned(),
                host: there.destination().to_owned(),
            }),
        }
    }

    /// Whether it is this computer.
    pub fn is_here(&self) -> bool {
        *self == Self::Here
    }

    /// Runs a program there to its end, without a terminal, and returns what it printed, whatever its exit status.
    ///
    /// The first of `words` is the program, found on the search path there; the others are its arguments, each as it is. What
    /// others must not see goes into `input`. It is ended after `limit`, at least here.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotStarted`], [`Error::TimedOut`], [`Error::NotReached`], [`Error::HostKey`].
    pub fn run(
        &self,
        words: &[&str],
        input: impl Into<Vec<u8>>,
        limit: Duration,
    ) -> Result<Output, Error> {
        let call = self.call(words)?.stdin(input).timeout(limit);
        self.binary(call).map(Output::from)
    }

    /// Runs a program there with what `source` has as its standard input, as [`Call::feed`].
    ///
    /// # Errors
    ///
    /// As [`Call::feed`], and [`Error::NotFound`], [`Error::NotReached`], [`Error::HostKey`].
    pub fn feed(
        &self,
        words: &[&str],
        source: &mut dyn Read,
        stall: Duration,
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<Output, FeedError> {
        let call = self.call(words).map_err(FeedError::Program)?;
        let output = call.feed(source, stall, on_bytes)?;
        match self {
            Self::Ssh(computer) if output.status == Some(255) => {
                Err(FeedError::Program(computer.not_reached(&output.stderr)))
            }
            _ => Ok(output),
        }
    }

    /// Starts a program there and hands each line of both its outputs to `on_line`, until it ends or the result is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] and [`Error::NotStarted`]; that a computer was not reached shows in the lines alone.
    pub fn follow(
        &self,
        words: &[&str],
        on_line: impl FnMut(&str) + Send + 'static,
    ) -> Result<Following, Error> {
        self.call(words)?.follow(on_line)
    }

    /// Starts a program there that answers each line that it is given with a line.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] and [`Error::NotStarted`]; that a computer was not reached shows in its lines alone.
    pub fn converse(&self, words: &[&str]) -> Result<Conversation, Error> {
        self.call(words)?.converse()
    }

    /// Writes `content` to the file `path` there, with the permission bits `mode`, such as `0o600`. It is there whole or not
    /// at all, and never readable by others meanwhile. Its folder must exist.
    ///
    /// # Errors
    ///
    /// [`Error::Put`], and those of [`Computer::run`].
    pub fn put(
        &self,
        path: &str,
        mode: u32,
        content: impl Into<Vec<u8>>,
        limit: Duration,
    ) -> Result<(), Error> {
        let content = content.into();
        let size = content.len() as u64;
        self.write(&[], path, mode, size, limit, |call| call.stdin(content))
    }

    /// Copies the file `from` of this computer to the file `path` there, as [`Computer::put`]; it is not read into memory.
    ///
    /// # Errors
    ///
    /// As [`Computer::put`], and [`Error::Get`] when `from` cannot be read.
    pub fn put_file(
        &self,
        from: &Path,
        path: &str,
        mode: u32,
        limit: Duration,
    ) -> Result<(), Error> {
        self.put_file_by(&[], from, path, mode, limit)
    }

    /// The same by a program that `by` starts, such as `sudo -n`: where others must not write.
    ///
    /// # Errors
    ///
    /// As [`Computer::put_file`].
    pub fn put_file_by(
        &self,
        by: &[&str],
        from: &Path,
        path: &str,
        mode: u32,
        limit: Duration,
    ) -> Result<(), Error> {
        let metadata = std::fs::metadata(from).map_err(|source| Error::Get {
            computer: Self::Here.to_string(),
            path: from.display().to_string(),
            said: source.to_string(),
        })?;
        self.write(by, path, mode, metadata.len(), limit, |call| {
            call.stdin_file(from)
        })
    }

    /// Copies the file `path` there to the file `to` of this computer, in the place of what is there, by a program that `by`
    /// starts, such as `sudo -n`; it is not read into memory. A connection that ends early looks like the end of the file:
    /// who copies must know what is in it.
    ///
    /// # Errors
    ///
    /// [`Error::Get`], and those of [`Computer::run`].
    pub fn get_file_by(
        &self,
        by: &[&str],
        path: &str,
        to: &Path,
        limit: Duration,
    ) -> Result<(), Error> {
        let words = [by, &["cat", "--", path]].concat();
        let call = self.call(&words)?.stdout_file(to).timeout(limit);
        let output = self.binary(call)?;
        if output.status == Some(0) {
            return Ok(());
        }
        Err(Error::Get {
            computer: self.to_string(),
            path: path.to_owned(),
            said: last_words(&output.stderr),
        })
    }

    /// The content of the file `path` there, byte by byte.
    ///
    /// # Errors
    ///
    /// [`Error::Get`], and those of [`Computer::run`].
    pub fn get(&self, path: &str, limit: Duration) -> Result<Vec<u8>, Error> {
        let call = self.call(&["cat", "--", path])?.timeout(limit);
        let output = self.binary(call)?;
        if output.status == Some(0) {
            return Ok(output.stdout);
        }
        Err(Error::Get {
            computer: self.to_string(),
            path: path.to_owned(),
            said: last_words(&output.stderr),
        })
    }

    fn write(
        &self,
        by: &[&str],
        path: &str,
        mode: u32,
        size: u64,
        limit: Duration,
        give: impl FnOnce(Call) -> Call,
    ) -> Result<(), Error> {
        let (mode, size) = (format!("{mode:o}"), size.to_string());
        let words = [by, &["sh", "-c", PUT, "put", path, &mode, &size]].concat();
        let call = self.call(&words)?;
        let output = self.binary(give(call).timeout(limit))?;
        if output.status == Some(0) {
            return Ok(());
        }
        Err(Error::Put {
            computer: self.to_string(),
            path: path.to_owned(),
            said: last_words(&output.stderr),
        })
    }

    pub(crate) fn call(&self, words: &[&str]) -> Result<Call, Error> {
        match self {
            Self::Ssh(computer) => Ok(computer.call(words)),
            Self::Here => {
                let (program, args) = words.split_first().unwrap_or((&"", &[]));
                Ok(Program::find(program)?.call(args))
            }
        }
    }

    fn binary(&self, call: Call) -> Result<BinaryOutput, Error> {
        match self {
            Self::Ssh(computer) => computer.reached(|| call.captured()),
            Self::Here => call.binary_output(),
        }
    }
}

impl fmt::Display for Computer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("this computer"),
            Self::Ssh(computer) => write!(f, "`{}`", computer.destination()),
        }
    }
}

pub(crate) fn last_words(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    lines.join("; ")
}
