//! The host keys of a lab's machines.

use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::path::Path;

use super::Ssh;
use crate::Error;

impl Ssh {
    /// Forgets the host key of `address`, as after its machine was destroyed. It need not have one.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn forget(&self, address: Ipv4Addr) -> Result<(), Error> {
        let failed = |source| Error::File {
            path: self.known_hosts.clone(),
            source,
        };
        let text = match std::fs::read_to_string(&self.known_hosts) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let kept = without(&text, address);
        if kept == text {
            return Ok(());
        }
        let folder = self.known_hosts.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        file.write_all(kept.as_bytes()).map_err(failed)?;
        file.persist(&self.known_hosts)
            .map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// The lines of a `known_hosts` file that are not about `address`.
pub(super) fn without(text: &str, address: Ipv4Addr) -> String {
    let address = address.to_string();
    text.lines()
        .filter(|line| line.split_ascii_whitespace().next() != Some(&address))
        .flat_map(|line| [line, "\n"])
        .collect()
}
