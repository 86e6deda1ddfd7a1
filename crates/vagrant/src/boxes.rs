//! Boxes that Vagrant has added, whoever asked it to.

use std::path::Path;
use std::time::Duration;

use caravan_process::Call;

use crate::{Error, Vagrant};

/// How long Vagrant may take: it loads its plugins first, and a box has hundreds of megabytes.
const ANSWER: Duration = Duration::from_secs(120);

/// A box that Vagrant has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddedBox {
    /// Its name.
    pub name: String,
    /// The provider that it is for: `libvirt`, `virtualbox`.
    pub provider: String,
}

impl Vagrant {
    /// The boxes that Vagrant has whose names begin with `prefix`, once per provider.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when it does not say.
    pub fn boxes(&self, prefix: &str) -> Result<Vec<AddedBox>, Error> {
        let output = self
            .elsewhere(&["box", "list", "--machine-readable"])
            .run()?;
        let mut found = read(&output.stdout);
        found.retain(|added| added.name.starts_with(prefix));
        Ok(found)
    }

    /// Removes a box; returns whether it did. One that machines of any project were made from stays.
    ///
    /// # Errors
    ///
    /// As [`Vagrant::boxes`].
    pub fn remove_box(&self, added: &AddedBox) -> Result<bool, Error> {
        // It asks where a box is in use, and nobody answers.
        let words = ["box", "remove", &added.name, "--provider", &added.provider];
        let output = self
            .elsewhere(&[&words[..], &["--all"]].concat())
            .output()?;
        Ok(output.success())
    }

    /// A call that reads no project's Vagrantfile.
    fn elsewhere(&self, args: &[&str]) -> Call {
        self.call_in(Path::new("/"), args).timeout(ANSWER)
    }
}

/// Lines of `TIME,TARGET,KEY,VALUE`: each box begins with its name.
fn read(said: &str) -> Vec<AddedBox> {
    let mut found = Vec::new();
    let mut name = None;
    for line in said.lines() {
        let mut fields = line.splitn(4, ',').skip(2);
        match (fields.next(), fields.next()) {
            (Some("box-name"), Some(value)) => name = Some(value),
            (Some("box-provider"), Some(provider)) => {
                found.extend(name.map(|name| AddedBox {
                    name: name.to_owned(),
                    provider: provider.to_owned(),
                }));
            }
            _ => {}
        }
    }
    found.sort();
    // One of several versions.
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_read_with_their_providers() {
        let said = "1700000000,,ui,info,caravan-machine-0a (libvirt%!(VAGRANT_COMMA) 1.0.0)\n\
                    1700000000,,box-name,caravan-machine-0a\n1700000000,,box-provider,libvirt\n\
                    1700000000,,box-version,1.0.0\n1700000000,,box-name,bento/debian-12\n\
                    1700000000,,box-provider,virtualbox\n1700000000,,box-version,202401.31.0\n\
                    1700000000,,box-name,bento/debian-12\n1700000000,,box-provider,virtualbox\n\
                    1700000000,,box-version,202502.21.0\n";
        let of = |name: &str, provider: &str| AddedBox {
            name: name.to_owned(),
            provider: provider.to_owned(),
        };
        assert_eq!(
            read(said),
            [
                of("bento/debian-12", "virtualbox"),
                of("caravan-machine-0a", "libvirt"),
            ]
        );
        let none = "1700000000,,ui,error,There are no installed boxes! Use `vagrant box add` to add some.\n";
        assert_eq!(read(none), []);
    }
}
