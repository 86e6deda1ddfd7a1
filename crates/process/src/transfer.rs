//! Large files for other computers: what has arrived is not sent again, and nobody takes half a file for a whole one.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use crate::computer::last_words;
use crate::{Computer, Error, FeedError, interrupt};

/// How long a short question about a file may take. The check of a large one is part of it.
const QUESTION: Duration = Duration::from_secs(600);

/// How long a computer may take no byte of a file: what writes to a slow disk may pause.
const STALL: Duration = Duration::from_secs(600);

/// How often a connection that is lost is made again.
const ATTEMPTS: usize = 5;

/// How long is waited before that.
const AGAIN: Duration = Duration::from_secs(2);

/// Space that a computer needs besides, in bytes: a full disk harms more than a file that is missing.
const SPARE: u64 = 64 << 20;

/// Says how many bytes of `$1` are there: of the whole file, of the part that arrived, and what is free in its folder.
const ASK: &str = r#"file=$1
umask 077
mkdir -p -- "${file%/*}" || exit
size() { if [ -f "$1" ]; then wc -c <"$1" | tr -d ' '; else echo 0; fi }
echo "$(size "$file") $(size "$file.part") $(df -Pk "${file%/*}" | awk 'NR == 2 { print $4 }')"
"#;

/// Adds the input to the part that is there.
const ADD: &str = r#"umask 077
cat >>"$1.part" || exit 74
"#;

/// Gives the part the file's name, if it is what was sent.
const FINISH: &str = r#"file=$1 mode=$2 sum=$3
check=sha256sum
command -v $check >/dev/null || check='shasum -a 256'
found=$($check <"$file.part" | cut -d ' ' -f 1) || exit
if [ "$found" != "$sum" ]; then rm -f -- "$file.part"; echo "its SHA-256 is $found there" >&2; exit 1; fi
chmod -- "$mode" "$file.part" && mv -f -- "$file.part" "$file"
"#;

/// A file to be sent.
#[derive(Debug, Clone, Copy)]
pub struct FileToSend<'a> {
    /// Where it is on this computer.
    pub from: &'a Path,
    /// Where it is to be on the other one: an absolute path. Its folder is made, for its owner alone.
    pub to: &'a str,
    /// Its permission bits there, such as `0o600`.
    pub mode: u32,
    /// The SHA-256 of its content, 64 hex digits.
    pub sha256: &'a str,
}

/// What sending a file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentFile {
    /// How many bytes crossed the connection: none where the file was there.
    pub bytes: u64,
}

impl Computer {
    /// Sends a file, as much of it as is not there. `on_bytes` is told how many bytes are there, again and again.
    ///
    /// A file of that name and size that is there is taken for the same: names say what is in them. A connection that is lost
    /// is made again some times; what had arrived stays for the next call. A disk that is full leaves nothing half.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`] before anything is sent, [`Error::Put`] with what it says there, [`Error::Get`] where the file cannot
    /// be read here, [`Error::Interrupted`], and those of [`Computer::run`].
    pub fn send(
        &self,
        file: &FileToSend<'_>,
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<SentFile, Error> {
        let unreadable = |source: std::io::Error| Error::Get {
            computer: Self::Here.to_string(),
            path: file.from.display().to_string(),
            said: source.to_string(),
        };
        let size = std::fs::metadata(file.from).map_err(unreadable)?.len();
        let mut sent = 0;
        let mut attempt = 1;
        loop {
            let there = self.bytes_there(file, size)?;
            on_bytes(there.whole.max(there.part));
            if there.whole == size {
                return Ok(SentFile { bytes: sent });
            }
            let mut source = File::open(file.from).map_err(unreadable)?;
            source
                .seek(SeekFrom::Start(there.part))
                .map_err(unreadable)?;
            match self.add(file, &mut source, there.part, on_bytes, &mut sent) {
                Ok(()) => break,
                Err(Error::NotReached { .. }) if attempt < ATTEMPTS && !interrupt::raised() => {
                    attempt += 1;
                    std::thread::sleep(AGAIN);
                }
                Err(error) => return Err(error),
            }
        }
        let mode = format!("{:o}", file.mode);
        self.script(FINISH, file, &[&mode, file.sha256])?;
        Ok(SentFile { bytes: sent })
    }

    /// What is there of a file of `size` bytes, and whether the rest has room.
    fn bytes_there(&self, file: &FileToSend<'_>, size: u64) -> Result<BytesThere, Error> {
        let said = self.script(ASK, file, &[])?;
        let mut numbers = said.split_whitespace().map(str::parse::<u64>);
        let mut next = || numbers.next().and_then(Result::ok);
        let (Some(whole), Some(part), free) = (next(), next(), next()) else {
            return Err(self.not_put(file, &said));
        };
        if whole == size {
            return Ok(BytesThere { whole, part });
        }
        // More than there is of the file: what arrived was another one's.
        let part = if part > size { 0 } else { part };
        if part == 0 {
            self.script("rm -f -- \"$1.part\"\n", file, &[])?;
        }
        let (needed, free) = (size - part + SPARE, free.map(|blocks| blocks * 1024));
        match free {
            Some(free) if free < needed => Err(Error::NoSpace {
                computer: self.to_string(),
                path: file.to.to_owned(),
                needed,
                free,
            }),
            _ => Ok(BytesThere { whole: 0, part }),
        }
    }

    /// Adds what is left of `source` to the part that is there, which has `at` bytes.
    fn add(
        &self,
        file: &FileToSend<'_>,
        source: &mut File,
        at: u64,
        on_bytes: &mut dyn FnMut(u64),
        sent: &mut u64,
    ) -> Result<(), Error> {
        let call = self.call(&["sh", "-c", ADD, "add", file.to])?;
        let before = *sent;
        let fed = call.feed(source, STALL, &mut |taken| {
            *sent = before + taken;
            on_bytes(at + taken);
        });
        let output = fed.map_err(|error| match error {
            FeedError::Source(source) => Error::Get {
                computer: Self::Here.to_string(),
                path: file.from.display().to_string(),
                said: source.to_string(),
            },
            FeedError::Program(Error::Interrupted { .. }) => Error::Interrupted {
                command: format!("sending `{}` to {self}", file.from.display()),
            },
            FeedError::Program(error) => error,
        })?;
        let said = &output.stderr;
        match (self, output.status) {
            (_, Some(0)) => Ok(()),
            (Self::Ssh(there), Some(255)) => Err(there.not_reached(said)),
            _ => {
                self.script("rm -f -- \"$1.part\"\n", file, &[])?;
                Err(self.not_put(file, said))
            }
        }
    }

    fn script(&self, script: &str, file: &FileToSend<'_>, more: &[&str]) -> Result<String, Error> {
        let words = [&["sh", "-c", script, "send", file.to][..], more].concat();
        let output = self.run(&words, "", QUESTION)?;
        match output.status {
            Some(0) => Ok(output.stdout),
            _ => Err(self.not_put(file, &output.stderr)),
        }
    }

    fn not_put(&self, file: &FileToSend<'_>, said: &str) -> Error {
        Error::Put {
            computer: self.to_string(),
            path: file.to.to_owned(),
            said: last_words(said),
        }
    }
}

/// How many bytes of a file are on another computer.
struct BytesThere {
    whole: u64,
    part: u64,
}
