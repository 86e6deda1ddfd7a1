//! Where a lab file says what.

use std::ops::Range;

use caravan_lab::{Place, Places, TablePlaces};
use serde::Serialize;

/// A key of the lab file, and the place of its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LabKey {
    /// The line of the value, from 1.
    pub line: usize,
    /// The table it is in, such as "machine `masterone`"; empty for the lab's own keys.
    pub table: String,
    /// Its key; empty for the table itself.
    pub key: String,
    /// The bytes of the value.
    #[serde(skip)]
    pub span: Range<usize>,
}

impl LabKey {
    /// A key of the lab itself; `None` where the file does not say it.
    pub(super) fn of_lab(places: &Places, key: &str) -> Option<LabKey> {
        Some(LabKey::new(String::new(), key, places.lab().value(key)?))
    }

    /// A key of the table called `table`, `[cluster]` or a program's; `None` where the file does not say it.
    pub(super) fn of_setting(places: &Places, table: &str, key: &str) -> Option<LabKey> {
        let place = places.setting_value(&format!("{table}.{key}"))?;
        Some(LabKey::new(format!("table `{table}`"), key, place))
    }

    /// A key of a machine; with an empty key, the machine's table.
    pub(super) fn of_machine(places: &Places, name: &str, key: &str) -> Option<LabKey> {
        LabKey::of_table("machine", name, places.machine(name)?, key)
    }

    /// A key of a server; with an empty key, the server's table.
    pub(super) fn of_server(places: &Places, name: &str, key: &str) -> Option<LabKey> {
        LabKey::of_table("server", name, places.server(name)?, key)
    }

    fn of_table(kind: &str, name: &str, table: &TablePlaces, key: &str) -> Option<LabKey> {
        let place = match key {
            "" => table.start(),
            key => table.value(key)?,
        };
        Some(LabKey::new(format!("{kind} `{name}`"), key, place))
    }

    fn new(table: String, key: &str, place: &Place) -> LabKey {
        LabKey {
            line: place.line,
            table,
            key: key.to_owned(),
            span: place.span.clone(),
        }
    }
}
