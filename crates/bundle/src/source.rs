//! Where software comes from: published files or Go modules, and the servers that are asked for them.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::progress::{BundleEvent, Progress};

pub use ureq::Proxy;

/// Where software comes from. The versions are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SoftwareSource {
    /// Published files if their servers can be reached, else Go modules.
    Auto,
    /// Published files, by pin and sha256.
    Download,
    /// Go modules, by version and go.sum.
    Go,
}

impl SoftwareSource {
    /// The sources whose results will do for this one.
    pub(crate) fn choices(self) -> &'static [SoftwareSource] {
        match self {
            SoftwareSource::Auto => &[SoftwareSource::Download, SoftwareSource::Go],
            SoftwareSource::Download => &[SoftwareSource::Download],
            SoftwareSource::Go => &[SoftwareSource::Go],
        }
    }
}

/// How published files are reached. The default asks the servers that publish them, without a proxy.
#[derive(Debug, Clone, Default)]
pub struct DownloadSettings {
    /// Asked instead of all servers of files: `https://HOST/PATH` is looked for at `MIRROR/HOST/PATH`.
    pub mirror: Option<String>,
    /// A registry (`http://host:port`) that has the images of all others under their repositories' names.
    pub registry: Option<String>,
    /// What all connections go through.
    pub proxy: Option<Proxy>,
}

/// The source that [`SoftwareSource::Auto`] stands for, once the published files were asked for: Go modules where their servers
/// cannot be reached, which is told with what `tell` makes of the reason.
pub(crate) fn published_or_go(
    reached: Result<(), Error>,
    progress: &dyn Progress,
    tell: impl FnOnce(&str) -> String,
) -> Result<SoftwareSource, Error> {
    match reached {
        Ok(()) => Ok(SoftwareSource::Download),
        Err(error) if error.is_unreachable() => {
            let text = tell(&error.in_one_line());
            progress.event(&BundleEvent::Note { text: &text });
            Ok(SoftwareSource::Go)
        }
        Err(error) => Err(error),
    }
}
