//! How the work tells where it stands, without printing.

use std::time::Instant;

/// Hears what happens while a bundle or an image is made. Called from several threads.
pub trait Progress: Sync {
    /// Takes note of `event`.
    fn event(&self, event: &BundleEvent<'_>);
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum BundleEvent<'a> {
    /// A step begins. `text` says what it does: `build etcd 3.6.14`.
    Started {
        /// What it does; also its name in [`BundleEvent::Ended`].
        text: &'a str,
    },
    /// A step ended well.
    Ended {
        /// The text it began with.
        text: &'a str,
        /// How long it took.
        seconds: f64,
    },
    /// Part of a file came, of which `done` of `total` bytes are there now.
    Bytes {
        /// The file's short name.
        item: &'a str,
        /// How much is there, in bytes.
        done: u64,
        /// How much it will be, in bytes, where the server says.
        total: Option<u64>,
    },
    /// A program that does a step printed a line.
    Line {
        /// The line, without its end.
        text: &'a str,
    },
    /// Something that the user should know: why another way is taken, what is waited for.
    Note {
        /// A sentence.
        text: &'a str,
    },
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: &BundleEvent<'_>) {}
}

/// Does `work` as one step named `text`; a step that fails has no end, its error says how.
pub(crate) fn step<T, E>(
    progress: &dyn Progress,
    text: &str,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let since = Instant::now();
    progress.event(&BundleEvent::Started { text });
    let done = work()?;
    progress.event(&BundleEvent::Ended {
        text,
        seconds: since.elapsed().as_secs_f64(),
    });
    Ok(done)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Keeps the notes.
    #[derive(Default)]
    pub(crate) struct Notes(pub(crate) Mutex<Vec<String>>);

    impl Progress for Notes {
        fn event(&self, event: &BundleEvent<'_>) {
            if let BundleEvent::Note { text } = event {
                self.0.lock().unwrap().push((*text).to_owned());
            }
        }
    }
}
