//! Where a lab file says what.

use std::ops::Range;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A value in the lab file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// Its line, from 1.
    pub line: usize,
    /// The table it is in, such as "machine `masterone`"; empty for the lab's own keys.
    pub table: String,
    /// Its key; empty for the table itself.
    pub key: String,
    /// The bytes of the value.
    #[serde(skip)]
    pub span: Range<usize>,
}

/// The text of a lab file, to look places up in.
pub(super) struct LabText<'s> {
    source: &'s str,
    root: DeTable<'s>,
}

impl<'s> LabText<'s> {
    /// Reads a lab file; what cannot be read of it is not found later.
    pub(super) fn new(source: &'s str) -> LabText<'s> {
        LabText {
            source,
            root: DeTable::parse_recoverable(source).0.into_inner(),
        }
    }

    /// Returns where a key of the lab itself is.
    pub(super) fn top(&self, key: &str) -> Option<Place> {
        self.value(&self.root, String::new(), key)
    }

    /// Returns where a key of a machine is; with an empty key, where the machine begins.
    pub(super) fn machine(&self, name: &str, key: &str) -> Option<Place> {
        let DeValue::Array(machines) = self.root.get("machines")?.get_ref() else {
            return None;
        };
        let table = format!("machine `{name}`");
        machines.iter().find_map(|machine| {
            let DeValue::Table(fields) = machine.get_ref() else {
                return None;
            };
            match fields.get("name")?.get_ref() {
                DeValue::String(text) if text == name => match key {
                    "" => Some(self.place(table.clone(), key, machine.span())),
                    _ => self.value(fields, table.clone(), key),
                },
                _ => None,
            }
        })
    }

    /// Returns where a key of a server is; with an empty key, where its name is.
    pub(super) fn server(&self, name: &str, key: &str) -> Option<Place> {
        let DeValue::Table(servers) = self.root.get("servers")?.get_ref() else {
            return None;
        };
        let (header, fields) = servers.get_key_value(&Spanned::new(0..0, DeString::from(name)))?;
        let table = format!("server `{name}`");
        match (key, fields.get_ref()) {
            ("", _) => Some(self.place(table, key, header.span())),
            (_, DeValue::Table(fields)) => self.value(fields, table, key),
            _ => None,
        }
    }

    fn value(&self, table: &DeTable<'s>, name: String, key: &str) -> Option<Place> {
        Some(self.place(name, key, table.get(key)?.span()))
    }

    fn place(&self, table: String, key: &str, span: Range<usize>) -> Place {
        let before = self.source.get(..span.start).unwrap_or_default();
        Place {
            line: before.matches('\n').count() + 1,
            table,
            key: key.into(),
            span,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_an_editor() {
        let source = "vip = \"10.0.0.1\"\n\n[servers.s1]\nbridge = \"eno1\"\n\n[[machines]]\nname = \"a\"\nip = \"10.0.0.2\"\n";
        let text = LabText::new(source);
        let at = |place: Option<Place>| {
            let place = place.expect("found");
            (place.line, &source[place.span], place.table)
        };
        assert_eq!(at(text.top("vip")), (1, "\"10.0.0.1\"", String::new()));
        assert_eq!(
            at(text.server("s1", "bridge")),
            (4, "\"eno1\"", "server `s1`".into())
        );
        assert_eq!(at(text.server("s1", "")).0, 3);
        assert_eq!(
            at(text.machine("a", "ip")),
            (8, "\"10.0.0.2\"", "machine `a`".into())
        );
        assert_eq!(at(text.machine("a", "")).0, 6);
        assert_eq!(text.machine("b", "ip"), None);
        assert_eq!(text.top("pod_cidr"), None);
    }
}
