//! Machines that Vagrant is at work on and says nothing of: the user is told what was said last.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long Vagrant may be silent about a machine before the user is told: the longest step of a good run takes half of it.
const FIRST: Duration = Duration::from_secs(20);

/// How long after that the user is told again.
const AGAIN: Duration = Duration::from_secs(60);

/// What was said last of each machine that is being made.
#[derive(Default)]
pub(super) struct Silences {
    machines: BTreeMap<String, Silence>,
}

struct Silence {
    since: Instant,
    last: String,
    due: Instant,
}

impl Silences {
    /// Vagrant said `text` of `machine`.
    pub(super) fn hear(&mut self, machine: &str, text: &str, now: Instant) {
        let silence = Silence {
            since: now,
            last: text.to_owned(),
            due: now + FIRST,
        };
        self.machines.insert(machine.to_owned(), silence);
    }

    /// Vagrant is done with `machine`.
    pub(super) fn forget(&mut self, machine: &str) {
        self.machines.remove(machine);
    }

    /// Vagrant is done with all machines.
    pub(super) fn clear(&mut self) {
        self.machines.clear();
    }

    /// The machines of which too long nothing was said, each with what is to be told of it; each is told once, and again
    /// after a minute.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(String, String)> {
        let mut told = Vec::new();
        for (name, silence) in &mut self.machines {
            if now < silence.due {
                continue;
            }
            silence.due = now + AGAIN;
            let seconds = now.duration_since(silence.since).as_secs();
            told.push((
                name.clone(),
                format!(
                    "waits for Vagrant for {seconds} s, which said last: {}",
                    silence.last
                ),
            ));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_once_and_again_after_a_minute() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut silences = Silences::default();
        silences.hear("one", "Waiting for machine to boot.", began);
        silences.hear("two", "Creating the container...", began);
        assert_eq!(silences.due(at(19)), []);
        silences.forget("two");
        let told = |seconds: u64| {
            let text = format!(
                "waits for Vagrant for {seconds} s, which said last: Waiting for machine to boot."
            );
            vec![("one".to_owned(), text)]
        };
        assert_eq!(silences.due(at(20)), told(20));
        assert_eq!(silences.due(at(79)), []);
        assert_eq!(silences.due(at(80)), told(80));
        silences.hear("one", "SSH username: vagrant", at(81));
        assert_eq!(silences.due(at(100)), []);
        silences.clear();
        assert_eq!(silences.due(at(500)), []);
    }
}
