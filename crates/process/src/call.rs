//! One start of a program.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::PipeReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duct::Expression;

use crate::{Error, Program, interrupt, shell};

/// One start of a [`Program`]: arguments, folder, environment, input and time limit.
///
/// Folder and environment are those of the computer that the program runs on. Its `Display` is the command line, quoted so
/// that it can be pasted into a shell of this computer.
/// Secrets go through [`Call::stdin`], never through arguments or the environment, which other users can read.
#[derive(Clone)]
#[must_use = "a call does nothing until it is run"]
pub struct Call {
    program: Program,
    args: Vec<OsString>,
    dir: Option<PathBuf>,
    env: Vec<(OsString, Option<OsString>)>,
    stdin: Input,
    stdout: Option<PathBuf>,
    timeout: Option<Duration>,
}

/// Starts a program in a folder.
const IN_FOLDER: &str = r#"cd -- "$1" && shift && exec "$@""#;

/// What a program reads on its standard input.
#[derive(Clone)]
enum Input {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// What a captured call printed, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output, with invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error, with invalid UTF-8 replaced.
    pub stderr: String,
    /// The exit status; `None` when a signal ended the program.
    pub status: Option<i32>,
}

/// What a captured call printed, byte by byte, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryOutput {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error, with invalid UTF-8 replaced.
    pub stderr: String,
    /// The exit status; `None` when a signal ended the program.
    pub status: Option<i32>,
}

impl From<BinaryOutput> for Output {
    fn from(output: BinaryOutput) -> Self {
        Self {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: output.stderr,
            status: output.status,
        }
    }
}

impl Output {
    /// Whether the program exited with status 0.
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }
}

impl Call {
    pub(crate) fn new(program: Program, args: Vec<OsString>) -> Self {
        Self {
            program,
            args,
            dir: None,
            // Messages are parsed and shown beside ours: one language, whatever the user's.
            env: vec![("LC_ALL".into(), Some("C.UTF-8".into()))],
            stdin: Input::Bytes(Vec::new()),
            stdout: None,
            timeout: None,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Runs in `dir` instead of the current folder.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes an environment variable away.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), None));
        self
    }

    /// Gives the program `bytes` as its standard input; without this, the input is empty.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Input::Bytes(bytes.into());
        self
    }

    /// Gives the program the content of the file `path` as its standard input, which is not read into memory.
    pub fn stdin_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.stdin = Input::File(path.into());
        self
    }

    /// Writes what the program prints to the file `path`, in the place of what is there, and not into memory: what a captured
    /// call returns as its standard output is empty then.
    pub fn stdout_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.stdout = Some(path.into());
        self
    }

    /// Ends the program after `limit` and reports [`Error::TimedOut`]. Holds for what captures the output.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// The program to be started.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The folder to run in, if not the current one.
    pub fn folder(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// Runs the program to its end and returns what it printed.
    ///
    /// # Errors
    ///
    /// Those of [`Call::binary_output`], and [`Error::Failed`] for any exit status but 0, or [`Error::Interrupted`] where the
    /// user has asked to stop.
    pub fn run(self) -> Result<Output, Error> {
        let output = self.clone().output()?;
        if output.success() {
            return Ok(output);
        }
        if interrupt::raised() {
            return Err(Error::Interrupted {
                command: self.to_string(),
            });
        }
        // Some programs explain themselves on standard output.
        let said = if output.stderr.trim().is_empty() {
            &output.stdout
        } else {
            &output.stderr
        };
        Err(Error::failed(&self, output.status, said, None))
    }

    /// Runs the program to its end and returns what it printed, whatever its exit status.
    ///
    /// # Errors
    ///
    /// As [`Call::binary_output`].
    pub fn output(self) -> Result<Output, Error> {
        self.binary_output().map(Output::from)
    }

    /// Runs the program to its end and returns what it printed, byte by byte, whatever its exit status.
    ///
    /// # Errors
    ///
    /// [`Error::NotStarted`] and [`Error::TimedOut`]; of a program of another computer also [`Error::NotReached`],
    /// [`Error::HostKey`] and [`Error::NotFoundThere`].
    pub fn binary_output(self) -> Result<BinaryOutput, Error> {
        let Some(computer) = self.program.computer() else {
            return self.captured();
        };
        let output = computer.reached(|| self.captured())?;
        if output.status == Some(127) {
            return Err(Error::NotFoundThere {
                program: self.program.name().to_owned(),
                host: computer.destination().to_owned(),
            });
        }
        Ok(output)
    }

    /// What the program printed, or the ssh that starts it.
    pub(crate) fn captured(&self) -> Result<BinaryOutput, Error> {
        let expression = match &self.stdout {
            None => self.expression().stdout_capture(),
            Some(path) => self.expression().stdout_path(path),
        };
        let handle = expression
            .stderr_capture()
            .unchecked()
            .start()
            .map_err(|source| Error::not_started(self, source))?;
        let ended = match self.timeout {
            None => Some(
                handle
                    .wait()
                    .map_err(|source| Error::not_started(self, source))?,
            ),
            Some(limit) => handle
                .wait_timeout(limit)
                .map_err(|source| Error::not_started(self, source))?,
        };
        match ended {
            Some(output) => Ok(BinaryOutput {
                stdout: output.stdout.clone(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
                status: output.status.code(),
            }),
            None => {
                // The process is gone or going; its grandchildren may hold the pipes, so they are not waited for.
                drop(handle.kill());
                Err(Error::TimedOut {
                    command: self.to_string(),
                    seconds: self.timeout.map_or(0, |limit| limit.as_secs()),
                })
            }
        }
    }

    /// Runs the program on the user's terminal and returns its exit status (`None`: ended by a signal).
    ///
    /// # Errors
    ///
    /// [`Error::NotStarted`].
    pub fn interactive(self) -> Result<Option<i32>, Error> {
        let output = self
            .on_terminal()
            .unchecked()
            .run()
            .map_err(|source| Error::not_started(&self, source))?;
        Ok(output.status.code())
    }

    /// The call as duct sees it, with input and outputs inherited.
    pub(crate) fn on_terminal(&self) -> Expression {
        self.tell();
        self.bare()
    }

    /// The call as duct sees it, with the input given and the outputs inherited.
    pub(crate) fn expression(&self) -> Expression {
        self.tell();
        let expression = self.bare();
        match &self.stdin {
            Input::Bytes(bytes) => expression.stdin_bytes(bytes.clone()),
            Input::File(path) => expression.stdin_path(path),
        }
    }

    /// The same, with what comes out of `pipe` as its standard input.
    pub(crate) fn expression_reading(&self, pipe: PipeReader) -> Expression {
        self.tell();
        self.bare().stdin_file(pipe)
    }

    /// The call as duct sees it: of the program, or of the ssh that starts it.
    fn bare(&self) -> Expression {
        match self.program.computer() {
            None => self.settle(duct::cmd(self.program.path(), &self.args)),
            Some(computer) => computer.call(self.words_there()).bare(),
        }
    }

    /// The words that start the program on its own computer, in its folder and with its environment.
    pub(crate) fn words_there(&self) -> Vec<String> {
        let text = |word: &OsStr| word.to_string_lossy().into_owned();
        let mut words: Vec<String> = Vec::new();
        if let Some(dir) = &self.dir {
            words.extend(["sh", "-c", IN_FOLDER, "in-folder"].map(str::to_owned));
            words.push(text(dir.as_os_str()));
        }
        words.push("env".to_owned());
        for (name, _) in self.env.iter().filter(|(_, value)| value.is_none()) {
            words.extend(["-u".to_owned(), text(name)]);
        }
        for (name, value) in &self.env {
            words.extend(
                value
                    .as_ref()
                    .map(|value| format!("{}={}", text(name), text(value))),
            );
        }
        words.push(self.program.name().to_owned());
        words.extend(self.args.iter().map(|arg| text(arg)));
        words
    }

    fn settle(&self, mut expression: Expression) -> Expression {
        // duct applies the outermost setting last, and a later setting here must win: hence the reverse order.
        for (name, value) in self.env.iter().rev() {
            expression = match value {
                Some(value) => expression.env(name, value),
                None => expression.env_remove(name),
            };
        }
        match &self.dir {
            Some(dir) => expression.dir(dir),
            None => expression,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = shell::word(self.program.name());
        for arg in &self.args {
            line.push(' ');
            line.push_str(&shell::word(&arg.to_string_lossy()));
        }
        match (self.program.computer(), &self.dir) {
            (None, _) => f.write_str(&line),
            // What is typed there is one word here.
            (Some(there), None) => write!(f, "ssh {} {}", there.destination(), shell::word(&line)),
            (Some(there), Some(dir)) => {
                let line = format!("cd {} && {line}", shell::path(dir));
                write!(f, "ssh {} {}", there.destination(), shell::word(&line))
            }
        }
    }
}

impl fmt::Debug for Call {
    /// Shows the command line and the folder; the input may be secret and is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("command", &self.to_string())
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}
