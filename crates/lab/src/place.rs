//! Places of a lab file: bytes, lines and columns.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// A value and the bytes where the file says it.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// A place of a lab file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Place {
    /// The bytes of the source, from character to character.
    pub span: Range<usize>,
    /// The line of the start of `span`, from 1.
    pub line: usize,
    /// The column of the start of `span`, in characters, from 1.
    pub column: usize,
}

/// Where a lab file says what: the place of each of its values.
#[derive(Clone, Debug)]
pub struct Places {
    pub(crate) lab: TablePlaces,
    pub(crate) servers: HashMap<String, TablePlaces>,
    pub(crate) machines: HashMap<String, TablePlaces>,
    /// The name and the value of each key of `[cluster]` and of the tables of programs, by its path.
    pub(crate) settings: BTreeMap<String, [Place; 2]>,
}

impl Places {
    /// Returns the places of the lab's own keys.
    pub fn lab(&self) -> &TablePlaces {
        &self.lab
    }

    /// Returns the places of the keys of the server called `name`.
    pub fn server(&self, name: &str) -> Option<&TablePlaces> {
        self.servers.get(name)
    }

    /// Returns where a setting of the cluster is named, by its path: `cluster.feature_gates.NAME`, `api_server.args.v`,
    /// `kubelet.config.logging.verbosity`. A table on the way there has a place too.
    pub fn setting(&self, path: &str) -> Option<&Place> {
        self.settings.get(path).map(|[name, _]| name)
    }

    /// Returns where the value of a setting of the cluster is, or of an add-on, by its path: `cluster.storage`.
    pub fn setting_value(&self, path: &str) -> Option<&Place> {
        self.settings.get(path).map(|[_, value]| value)
    }

    /// Returns the places of the keys of the machine called `name`.
    pub fn machine(&self, name: &str) -> Option<&TablePlaces> {
        self.machines.get(name)
    }
}

/// Where a table of a lab file says what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePlaces {
    start: Place,
    values: BTreeMap<&'static str, ValuePlaces>,
}

/// Where a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ValuePlaces {
    whole: Place,
    items: Vec<Place>,
}

impl TablePlaces {
    pub(crate) fn new(spans: TableSpans, lines: &Lines<'_>) -> Self {
        let values = spans.values.into_iter().map(|(key, value)| {
            let items = value.items.into_iter().map(|span| lines.place(span));
            let places = ValuePlaces {
                whole: lines.place(value.whole),
                items: items.collect(),
            };
            (key, places)
        });
        TablePlaces {
            start: lines.place(spans.start),
            values: values.collect(),
        }
    }

    /// Returns where the table begins: `[[machines]]`, a server's name, or the start of the file.
    pub fn start(&self) -> &Place {
        &self.start
    }

    /// Returns where the value of `key` is; `None` where the file does not say it.
    pub fn value(&self, key: &str) -> Option<&Place> {
        self.values.get(key).map(|value| &value.whole)
    }

    /// Returns where the items of the list `key` are, in the order of the file; none where it is no list or not there.
    pub fn items(&self, key: &str) -> &[Place] {
        self.values.get(key).map_or(&[], |value| &value.items)
    }
}

/// The bytes of a table and of its values.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableSpans {
    pub(crate) start: Range<usize>,
    pub(crate) values: Vec<(&'static str, ValueSpans)>,
}

/// The bytes of a value, and of its items where it is a list.
#[derive(Clone, Debug)]
pub(crate) struct ValueSpans {
    pub(crate) whole: Range<usize>,
    pub(crate) items: Vec<Range<usize>>,
}

/// Finds lines and columns of places without reading the source again for each.
pub(crate) struct Lines<'s> {
    source: &'s str,
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        let after_breaks = source.match_indices('\n').map(|(place, _)| place + 1);
        Lines {
            source,
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// Returns the line of a byte, from 1.
    pub(crate) fn line(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte)
    }

    /// Returns the place of a span, which is cut to characters of the source.
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let cut = |mut byte: usize| {
            byte = byte.min(self.source.len());
            while !self.source.is_char_boundary(byte) {
                byte -= 1;
            }
            byte
        };
        let start = cut(span.start);
        let end = cut(span.end).max(start);
        let line = self.line(start);
        Place {
            span: start..end,
            line,
            column: self.source[self.starts[line - 1]..start].chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_stay_inside() {
        let lines = Lines::new("ab\r\né = 1\n");
        let check = |span: Range<usize>, cut: Range<usize>, line: usize, column: usize| {
            let place = lines.place(span);
            assert_eq!((place.span, place.line, place.column), (cut, line, column));
        };
        check(0..1, 0..1, 1, 1);
        check(4..6, 4..6, 2, 1);
        check(7..8, 7..8, 2, 3);
        // Inside a character.
        check(5..6, 4..6, 2, 1);
        // Past the end.
        check(11..99, 11..11, 3, 1);
    }
}
