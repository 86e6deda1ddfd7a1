//! Frees texts of a lab's keys: of those that its store holds, and of whatever looks like one.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, LabDir};

/// What stands for a secret.
const SECRET: &str = "[secret]";

/// Shorter words are too common to be secrets, in bytes.
const SHORTEST: usize = 12;

/// What stands before a secret on its line, in lower case.
const BEFORE: [&str; 7] = [
    "client-key-data:",
    "token:",
    "auth_pass",
    "password:",
    "authorization:",
    "certificate-key:",
    "secret:",
];

/// Frees texts of keys.
pub(super) struct Redactor {
    /// The longest first: one may be a part of another.
    secrets: Vec<String>,
}

impl Redactor {
    /// Knows the keys of a lab's store.
    ///
    /// # Errors
    ///
    /// [`Error::Read`].
    pub(super) fn of(dir: &LabDir) -> Result<Self, Error> {
        let mut secrets = Vec::new();
        for folder in [dir.pki(), dir.ssh()] {
            collect(&folder, &mut secrets)?;
        }
        // An empty file is in every text.
        secrets.retain(|it| it.len() >= SHORTEST);
        secrets.sort_by_key(|it: &String| std::cmp::Reverse(it.len()));
        secrets.dedup();
        Ok(Self { secrets })
    }

    /// `text` without them.
    pub(super) fn redacted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), SECRET);
            }
        }
        let mut kept = String::with_capacity(text.len());
        let mut in_key = false;
        for line in text.lines() {
            let is_begin = line.contains("-----BEGIN") && line.contains("PRIVATE KEY-----");
            in_key |= is_begin;
            if in_key {
                in_key = !line.contains("-----END");
                if is_begin {
                    kept.push_str(SECRET);
                    kept.push('\n');
                }
                continue;
            }
            let lower = line.to_ascii_lowercase();
            let marked = BEFORE
                .iter()
                .filter_map(|word| Some(lower.find(word)? + word.len()))
                .min();
            match marked {
                // What follows may be empty, or the name of a file.
                Some(at) if line[at..].trim().len() >= SHORTEST && !line[at..].contains('/') => {
                    kept.push_str(&line[..at]);
                    kept.push(' ');
                    kept.push_str(SECRET);
                }
                _ => kept.push_str(line),
            }
            kept.push('\n');
        }
        kept
    }
}

/// Adds what the files of a folder hold that is secret.
fn collect(folder: &Path, secrets: &mut Vec<String>) -> Result<(), Error> {
    let unreadable = |source| Error::Read {
        path: folder.to_owned(),
        source,
    };
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            collect(&path, secrets)?;
            continue;
        }
        let content = fs::read(&path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        let text = String::from_utf8_lossy(&content);
        let is_key = text.contains("PRIVATE KEY");
        let is_public = text.contains("-----BEGIN")
            || path.extension().is_some_and(|it| it == "pub")
            || path
                .file_name()
                .is_some_and(|it| it == "known_hosts" || it == "lock");
        if !is_key && is_public {
            continue;
        }
        // As kubeconfigs have keys.
        secrets.push(STANDARD.encode(&content));
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| line.len() >= SHORTEST && !line.starts_with("-----"));
        secrets.extend(lines.map(str::to_owned));
    }
    Ok(())
}
