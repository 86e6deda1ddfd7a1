//! Lists of host keys.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// The keys of `host` in the list at `known_hosts`, as its lines, sorted; none where either is not there.
///
/// # Errors
///
/// When the list cannot be read.
pub fn host_keys(known_hosts: &Path, host: &str) -> io::Result<Vec<String>> {
    let text = match std::fs::read_to_string(known_hosts) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let is_its = |line: &&str| line.split_ascii_whitespace().next() == Some(host);
    let mut keys: Vec<String> = text.lines().filter(is_its).map(str::to_owned).collect();
    keys.sort_unstable();
    Ok(keys)
}

/// Takes the keys of `host` out of the list at `known_hosts`, as after it was made anew. Neither need be there.
///
/// # Errors
///
/// When the list cannot be read or written.
pub fn forget_host_key(known_hosts: &Path, host: &str) -> io::Result<()> {
    let text = match std::fs::read_to_string(known_hosts) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let kept: String = text
        .lines()
        .filter(|line| line.split_ascii_whitespace().next() != Some(host))
        .flat_map(|line| [line, "\n"])
        .collect();
    if kept == text {
        return Ok(());
    }
    let folder = known_hosts.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(kept.as_bytes())?;
    file.persist(known_hosts).map_err(|error| error.error)?;
    Ok(())
}

/// The name by which a list has the keys of `destination`: with its port, where that is not ssh's own.
pub(crate) fn listed_host(destination: &str) -> String {
    let Some(url) = destination.strip_prefix("ssh://") else {
        let host = destination.rsplit('@').next().unwrap_or(destination);
        return host.to_owned();
    };
    let host = url.rsplit('@').next().unwrap_or(url).trim_end_matches('/');
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest.split_once(']').unwrap_or((rest, ""));
            (name, after.strip_prefix(':'))
        }
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    match port {
        None | Some("22") => name.to_owned(),
        Some(port) => format!("[{name}]:{port}"),
    }
}
