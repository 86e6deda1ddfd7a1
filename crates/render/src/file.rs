//! Files to be written, on machines and on the host.

use std::borrow::Cow;
use std::fmt;

/// Who owns a file on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Owner {
    /// root, group root.
    Root,
}

/// One file on a machine.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestFile {
    /// Absolute path on the machine.
    pub path: Cow<'static, str>,
    /// Permission bits.
    pub mode: u32,
    /// Who owns it.
    pub owner: Owner,
    /// The whole content.
    pub content: Cow<'static, str>,
    /// True if only root may read it, and nobody else may see it: keys, tokens.
    pub secret: bool,
    /// The file below `templates/` that it was made from; `None` for key material.
    pub template: Option<&'static str>,
}

impl fmt::Debug for GuestFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("GuestFile");
        debug
            .field("path", &self.path)
            .field("mode", &format_args!("{:#o}", self.mode))
            .field("owner", &self.owner)
            .field("template", &self.template);
        match self.secret {
            true => debug.field("content", &"<secret>"),
            false => debug.field("content", &self.content),
        };
        debug.finish()
    }
}

/// One file on the computer that runs Vagrant.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostFile {
    /// Path relative to the server's folder, `.lab/<lab>/<server>/`.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// The whole content; archives are not text.
    pub content: Vec<u8>,
}

impl fmt::Debug for HostFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFile")
            .field("path", &self.path)
            .field("mode", &format_args!("{:#o}", self.mode))
            .field("length", &self.content.len())
            .finish()
    }
}
