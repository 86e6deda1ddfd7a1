//! Programs that go on when the connection to their computer is lost, or when whoever started them has ended.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::{Call, Computer, Error, interrupt};

/// How long a short question about a run may take.
const QUESTION: Duration = Duration::from_secs(60);

/// How often is looked whether the user wants to stop.
const POLL: Duration = Duration::from_millis(100);

/// How long a connection that was lost is tried to be made again.
const LOST: Duration = Duration::from_secs(30);

/// How long is waited between two such attempts.
const AGAIN: Duration = Duration::from_secs(2);

/// How long a program may take to end in its own way after an interrupt.
const GRACE: Duration = Duration::from_secs(60);

/// How long it may take when the user has asked again.
const URGENT_GRACE: Duration = Duration::from_secs(3);

/// What the line begins with that says how the program has ended.
const ENDED: &str = "ended ";

/// The line that says that the connection is there.
const HERE: &str = "here";

/// Whether the run in the folder `$run` still goes on. A process id alone says little: after a while another program has it,
/// so the time of its start is kept with it, as the kernel or `ps` tells it.
const IS_ALIVE: &str = r#"run=$1
start_of() {
    if [ -r "/proc/$1/stat" ]; then
        sed -n 's/.*) [^ZX] //p' "/proc/$1/stat" | cut -d ' ' -f 19
    else
        ps -o lstart= -p "$1" 2>/dev/null | tr -s ' ' _
    fi
}
alive() {
    [ ! -e "$run/status" ] && [ -s "$run/process" ] || return 1
    read -r pid since <"$run/process"
    [ -n "$since" ] && [ "$(start_of "$pid")" = "$since" ]
}
"#;

/// Starts the program that follows the run's folder, unless one goes on there; says which one does.
const START: &str = r#"umask 077
shift
mkdir -p -- "$run" || exit
if alive; then echo busy; exit 0; fi
rm -f -- "$run/status" "$run/process"
: >"$run/output" || exit
printf '%s\n' "$*" >"$run/command" || exit
session=$(command -v setsid) || session=
nohup $session sh -c '
    run=$1; shift
    "$@" >"$run/output" 2>&1 </dev/null
    echo $? >"$run/status.part"
    mv -f -- "$run/status.part" "$run/status"
' run "$run" "$@" >/dev/null 2>&1 </dev/null &
pid=$!
printf '%s %s\n' "$pid" "$(start_of "$pid")" >"$run/process"
echo started
"#;

/// Prints each whole line of the output from the line `$2` on, with its number, until the program has ended, and then how.
const FOLLOW: &str = r#"next=$2
echo here
while :; do
    ended=
    if [ -e "$run/status" ]; then ended=$(cat -- "$run/status"); elif ! alive; then
        # It may have ended between the two questions.
        ended=killed
        [ -e "$run/status" ] && ended=$(cat -- "$run/status")
    fi
    lines=$(wc -l <"$run/output")
    [ -n "$ended" ] && lines=999999999
    if [ "$lines" -ge "$next" ]; then
        awk -v first="$next" -v last="$lines" 'NR >= first && NR <= last { print "line " NR " " $0 }' "$run/output"
        next=$((lines + 1))
    fi
    if [ -n "$ended" ]; then echo "ended $ended"; exit 0; fi
    sleep 0.2
done
"#;

/// Hands an interrupt, or what `$2` says, to all that the run has started.
const SIGNAL: &str = r#"alive || exit 0
kill "-$2" "-$pid" 2>/dev/null || kill "-$2" "$pid"
"#;

/// A run of a program on another computer that outlives its connection.
///
/// All that is known of it lies in one folder there: `command`, `process`, `output`, and in the end `status`. Whoever comes
/// later, from whatever computer, follows it from there.
#[derive(Debug, Clone)]
pub struct DetachedRun {
    computer: Computer,
    folder: String,
}

/// How a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// By itself, with this status.
    Status(i32),
    /// By a signal, or with its computer.
    Killed,
}

impl DetachedRun {
    /// The run that has the folder `folder` on `computer`, whether or not there is one.
    pub fn at(computer: Computer, folder: impl Into<String>) -> Self {
        Self {
            computer,
            folder: folder.into(),
        }
    }

    /// Starts the program of `call`, in its folder and with its environment.
    ///
    /// # Errors
    ///
    /// [`Error::StillRuns`] where one that was started before goes on, and those of [`Computer::run`].
    pub fn start(&self, call: &Call) -> Result<(), Error> {
        let words = call.words_there();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = self.script(START, &words)?;
        match output.trim() {
            "started" => Ok(()),
            "busy" => Err(Error::StillRuns {
                command: self.command()?,
                computer: self.computer.to_string(),
            }),
            said => Err(Error::Put {
                computer: self.computer.to_string(),
                path: self.folder.clone(),
                said: said.to_owned(),
            }),
        }
    }

    /// Whether a program that was started goes on.
    ///
    /// # Errors
    ///
    /// Those of [`Computer::run`].
    pub fn goes_on(&self) -> Result<bool, Error> {
        Ok(self.script("alive && echo yes\nexit 0\n", &[])?.trim() == "yes")
    }

    /// What was started.
    ///
    /// # Errors
    ///
    /// Those of [`Computer::run`].
    pub fn command(&self) -> Result<String, Error> {
        let said = self.script("cat -- \"$run/command\" 2>/dev/null\nexit 0\n", &[])?;
        Ok(said.trim().to_owned())
    }

    /// Hands each line of both outputs to `on_line`, from the first on, until the program has ended.
    ///
    /// A connection that is lost is made again for half a minute; no line is missed and none comes twice. On an interrupt
    /// ([`interrupt::raised`]) the program is interrupted too, and has up to a minute to end in its own way.
    ///
    /// # Errors
    ///
    /// [`Error::GoesOnThere`] when the connection stays away, [`Error::Interrupted`], those of [`Computer::follow`].
    pub fn follow(&self, on_line: &mut dyn FnMut(&str)) -> Result<RunEnd, Error> {
        let mut reader = LineReader::default();
        let mut lost_at: Option<Instant> = None;
        let mut interruption = Interruption::default();
        loop {
            let (send, lines) = channel();
            let next = reader.next.to_string();
            let script = format!("{IS_ALIVE}{FOLLOW}");
            let words = ["sh", "-c", &script, "follow", &self.folder, &next];
            let following = self.computer.follow(&words, move |line| {
                drop(send.send(line.to_owned()));
            })?;
            loop {
                match lines.recv_timeout(POLL) {
                    // What ssh itself says of a connection that it cannot make is no sign of one.
                    Ok(line) if line == HERE => lost_at = None,
                    Ok(line) => {
                        if let Some(end) = reader.hear(&line, on_line) {
                            return match interruption.begun() {
                                true => Err(self.interrupted()),
                                false => Ok(end),
                            };
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                if interruption.step(|signal| self.signal(signal)) {
                    return Err(self.interrupted());
                }
            }
            drop(following);
            // The last line may have been cut off, and is asked for again.
            let said = reader.lose();
            let since = *lost_at.get_or_insert_with(Instant::now);
            if since.elapsed() > LOST || interrupt::raised() {
                return Err(Error::GoesOnThere {
                    command: self.command().unwrap_or_else(|_| "a program".to_owned()),
                    computer: self.computer.to_string(),
                    said,
                });
            }
            std::thread::sleep(AGAIN);
        }
    }

    fn signal(&self, signal: &str) {
        // Who cannot be reached any more goes on, which is what is told then.
        drop(self.script(SIGNAL, &[signal]));
    }

    fn interrupted(&self) -> Error {
        Error::Interrupted {
            command: self.command().unwrap_or_else(|_| "a program".to_owned()),
        }
    }

    /// Runs a script there with the run's folder as its first word.
    fn script(&self, script: &str, more: &[&str]) -> Result<String, Error> {
        let script = format!("{IS_ALIVE}{script}");
        let words = [&["sh", "-c", &script, "detached", &self.folder][..], more].concat();
        let output = self.computer.run(&words, "", QUESTION)?;
        match output.status {
            Some(0) => Ok(output.stdout),
            _ => Ok(format!("{}{}", output.stdout, output.stderr)),
        }
    }
}

/// Puts numbered lines together, whatever connections they come through.
struct LineReader {
    /// The number of the line that comes next.
    next: u64,
    /// The last one, which may have been cut off until another one comes.
    held: Option<String>,
    /// What was said besides, by ssh.
    said: Vec<String>,
}

impl Default for LineReader {
    fn default() -> Self {
        Self {
            next: 1,
            held: None,
            said: Vec::new(),
        }
    }
}

impl LineReader {
    /// Takes a line as the script prints it; returns how the program has ended when it says so.
    fn hear(&mut self, line: &str, on_line: &mut dyn FnMut(&str)) -> Option<RunEnd> {
        if let Some(end) = line.strip_prefix(ENDED) {
            self.release(on_line);
            return Some(end.trim().parse().map_or(RunEnd::Killed, RunEnd::Status));
        }
        let numbered = line.strip_prefix("line ").map(|rest| rest.split_once(' '));
        match numbered {
            Some(Some((number, text))) if number.parse() == Ok(self.next) => {
                self.release(on_line);
                self.held = Some(text.to_owned());
                self.next += 1;
            }
            // The script's own lines are numbered without a gap; what is not is ssh's.
            _ => self.said.push(line.to_owned()),
        }
        None
    }

    fn release(&mut self, on_line: &mut dyn FnMut(&str)) {
        if let Some(line) = self.held.take() {
            on_line(&line);
        }
    }

    /// The connection has ended; returns what ssh said about it.
    fn lose(&mut self) -> String {
        if self.held.take().is_some() {
            self.next -= 1;
        }
        std::mem::take(&mut self.said).join("; ")
    }
}

/// What is done about an interrupt, step by step.
#[derive(Default)]
struct Interruption {
    since: Option<Instant>,
    urgent_since: Option<Instant>,
    killed: bool,
}

impl Interruption {
    fn begun(&self) -> bool {
        self.since.is_some()
    }

    /// Returns whether nothing is waited for any more.
    fn step(&mut self, signal: impl Fn(&str)) -> bool {
        if !interrupt::raised() {
            return false;
        }
        let since = *self.since.get_or_insert_with(|| {
            signal("INT");
            Instant::now()
        });
        let urgent = interrupt::urgent()
            && self.urgent_since.get_or_insert_with(Instant::now).elapsed() > URGENT_GRACE;
        if !urgent && since.elapsed() <= GRACE {
            return false;
        }
        if !self.killed {
            self.killed = true;
            signal("KILL");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(reader: &mut LineReader, lines: &[&str]) -> (Vec<String>, Option<RunEnd>) {
        let mut heard = Vec::new();
        let mut end = None;
        for line in lines {
            end = end.or(reader.hear(line, &mut |line| heard.push(line.to_owned())));
        }
        (heard, end)
    }

    #[test]
    fn no_line_is_missed_and_none_comes_twice() {
        let mut reader = LineReader::default();
        let lines = [
            "line 1 one",
            "line 2 ",
            "line 3 thr",
            "client_loop: send disconnect",
        ];
        assert_eq!(heard(&mut reader, &lines).0, ["one", ""]);
        assert_eq!(reader.lose(), "client_loop: send disconnect");
        assert_eq!(reader.next, 3, "the third may have been cut off");
        let lines = ["line 3 three", "line 4 ended 9", "ended 0"];
        let (heard, end) = heard(&mut reader, &lines);
        assert_eq!(heard, ["three", "ended 9"]);
        assert_eq!(end, Some(RunEnd::Status(0)));
    }

    #[test]
    fn an_end_without_a_status_is_that_of_a_killed_program() {
        let mut reader = LineReader::default();
        assert_eq!(
            heard(&mut reader, &["ended killed"]).1,
            Some(RunEnd::Killed)
        );
    }
}
