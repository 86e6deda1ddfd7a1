//! What a machine says about itself, asked by one script over one ssh: a second connection costs more than all of it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use caravan_lab::Machine;

use crate::{Access, Error, access};

/// What begins a section of the script's output.
const MARK: &str = "@@ ";

/// The packets of a counter, from what `nft list counter` prints of it.
pub(crate) fn packets(text: &str, counter: &str) -> Option<u64> {
    let mut words = text.split_ascii_whitespace();
    words.find(|word| *word == counter)?;
    words.find(|word| *word == "packets")?;
    words.next()?.parse().ok()
}

/// A machine's answers, by section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    sections: BTreeMap<String, Vec<String>>,
}

impl Facts {
    /// Reads the output of a script whose sections begin with lines `@@ name`.
    pub fn parse(output: &str) -> Self {
        let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut current = String::new();
        for line in output.lines() {
            match line.strip_prefix(MARK) {
                Some(name) => {
                    current = name.trim().to_owned();
                    sections.entry(current.clone()).or_default();
                }
                None if !line.trim().is_empty() => sections
                    .entry(current.clone())
                    .or_default()
                    .push(line.trim_end().to_owned()),
                None => {}
            }
        }
        Self { sections }
    }

    /// The lines of a section; `None` when the machine did not get that far, which is not the same as no lines.
    pub fn get(&self, section: &str) -> Option<&[String]> {
        self.sections.get(section).map(Vec::as_slice)
    }

    /// The names of the sections, sorted.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        let names = self.sections.keys().map(String::as_str);
        names.filter(|name| !name.is_empty())
    }

    /// All of a section as one text.
    pub fn text(&self, section: &str) -> String {
        self.get(section).unwrap_or_default().join("\n")
    }

    /// The packets of a counter, from what `nft list counter` printed into `section`.
    pub fn packets(&self, section: &str, counter: &str) -> Option<u64> {
        packets(&self.text(section), counter)
    }

    /// Whether the machine has `address` on one of its interfaces, by the section `addresses`.
    pub fn has_address(&self, address: Ipv4Addr) -> bool {
        self.get("addresses")
            .unwrap_or_default()
            .iter()
            .any(|line| {
                // 2: eth0    inet 192.168.29.81/24 brd 192.168.29.255 scope global eth0
                line.split_ascii_whitespace()
                    .skip_while(|word| *word != "inet")
                    .nth(1)
                    .and_then(|net| net.split('/').next()?.parse::<Ipv4Addr>().ok())
                    == Some(address)
            })
    }
}

/// Runs `script` on a machine as root and reads its sections; it may take up to `limit` at the usual pace.
///
/// # Errors
///
/// [`Error::Machine`] when it cannot be entered, [`Error::Script`] when the script fails.
pub fn ask(
    access: &Access,
    machine: &Machine,
    script: &str,
    limit: Duration,
) -> Result<Facts, Error> {
    let output = access::remote(&access.ssh, machine).script(script, limit)?;
    if !output.success() {
        return Err(Error::script(machine, &output));
    }
    Ok(Facts::parse(&output.stdout))
}

/// Whether a machine has `address`, now; it may take up to `limit` at the usual pace to say so.
///
/// # Errors
///
/// As [`ask`].
pub fn has_address(
    access: &Access,
    machine: &Machine,
    address: Ipv4Addr,
    limit: Duration,
) -> Result<bool, Error> {
    let script = "echo '@@ addresses'; ip -4 -oneline address show";
    ask(access, machine, script, limit).map(|facts| facts.has_address(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections() {
        let facts = Facts::parse(
            "@@ addresses\n1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 192.168.29.81/24 brd 192.168.29.255 scope global eth0\n@@ empty\n\n@@ last\nx  \n",
        );
        assert!(facts.has_address(Ipv4Addr::new(192, 168, 29, 81)));
        assert!(!facts.has_address(Ipv4Addr::new(192, 168, 29, 255)));
        assert!(!facts.has_address(Ipv4Addr::new(192, 168, 29, 8)));
        assert_eq!(facts.get("empty"), Some(&[][..]));
        assert_eq!(facts.get("missing"), None);
        assert_eq!(facts.text("last"), "x");
        let names: Vec<&str> = facts.sections().collect();
        assert_eq!(names, ["addresses", "empty", "last"]);
        assert!(!Facts::default().has_address(Ipv4Addr::LOCALHOST));
    }
}
