//! Computers that do not answer.

/// A computer of a lab's servers that does not answer.
#[derive(Debug)]
pub struct SilentComputer {
    /// As the lab file names it.
    pub host: String,
    /// The lab's servers on it.
    pub servers: Vec<String>,
    /// Why.
    pub error: caravan_process::Error,
}

/// Whether an error says that a computer does not answer, or not us.
pub(super) fn is_silence(error: &caravan_process::Error) -> bool {
    use caravan_process::Error as E;
    matches!(
        error,
        E::NotReached { .. } | E::HostKey { .. } | E::TimedOut { .. } | E::NotStarted { .. }
    )
}
