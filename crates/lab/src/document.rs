//! Reads tables of a TOML document key by key, noting what is unknown, missing or of the wrong kind.
//!
//! Serde stops at its first error; this goes on, because a file is mended quicker when all its faults are known.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::fault::FaultSink;
use crate::place::{At, TableSpans, ValueSpans};
use crate::rule::Rule;
use crate::suggest::{alternatives, nearest};

/// One key of a table.
pub(crate) struct Key {
    /// The key as it is written.
    pub(crate) name: &'static str,
    /// What kind of value it has.
    pub(crate) form: Form,
    /// What its value can be.
    pub(crate) expected: &'static str,
    /// A line to add where the key must be there and is not; `None` for optional keys.
    pub(crate) required: Option<&'static str>,
}

/// A kind of value.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// Text, which stands in quotes.
    Text,
    /// One of a few words, in quotes.
    Word(fn() -> Vec<String>),
    /// `true` or `false`.
    Boolean,
    /// A whole number of this range.
    Number(u32, u32),
    /// A list of texts.
    Texts,
    /// A table with these keys.
    Table(&'static [Key]),
    /// A table of tables with these keys, by names of the user's own.
    Tables(&'static [Key]),
    /// A table of tables with these keys, by some of these names.
    NamedTables(fn() -> Vec<String>, &'static [Key]),
    /// A list of tables with these keys.
    TableList(&'static [Key]),
    /// A table of `true` and `false`, by names of the user's own.
    Switches,
    /// A table of texts, by names of the user's own.
    TextTable,
    /// A table of anything, by names of the user's own.
    FreeTable,
}

impl Form {
    /// Whether the value stands in quotes.
    fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Word(_))
    }
}

/// A named table in a table.
pub(crate) struct Entry<'t, 's> {
    pub(crate) name: At<String>,
    /// Where the table starts.
    pub(crate) header: Range<usize>,
    /// `None` if the value is no table, which is noted already.
    pub(crate) table: Option<&'t DeTable<'s>>,
}

/// A table whose keys are being read.
pub(crate) struct Fields<'t, 's> {
    pub(crate) table: &'t DeTable<'s>,
    source: &'s str,
    /// What the table is called in messages.
    place: &'static str,
    /// Where the table starts.
    pub(crate) header: Range<usize>,
    keys: &'static [Key],
    /// Keys that are there under a misspelled name, which is noted already.
    misspelled: Vec<String>,
}

impl<'t, 's> Fields<'t, 's> {
    /// Starts reading a table, and notes all keys that it should not have.
    pub(crate) fn open(
        table: &'t DeTable<'s>,
        source: &'s str,
        place: &'static str,
        header: Range<usize>,
        keys: &'static [Key],
        sink: &mut FaultSink,
    ) -> Self {
        let mut misspelled = Vec::new();
        for (key, _) in table.iter() {
            let name = key.get_ref().as_ref();
            let names = || keys.iter().map(|key| key.name);
            if !names().any(|known| known == name) {
                let absent = names().filter(|known| !table.contains_key(*known));
                let suggestion = nearest(name, absent);
                let message = format!("unknown key `{name}` in {place}");
                sink.refuse(Rule::UnknownKey, &key.span(), message)
                    .label(format!("expected {}", alternatives(names())))
                    .suggest(suggestion.as_deref());
                misspelled.extend(suggestion);
            }
        }
        Fields {
            table,
            source,
            place,
            header,
            keys,
            misspelled,
        }
    }

    /// Returns where the values of the table's keys are, whatever they are.
    pub(crate) fn spans(&self, start: Range<usize>) -> TableSpans {
        let values = self.keys.iter().filter_map(|key| {
            let value = self.table.get(key.name)?;
            let items = match value.get_ref() {
                DeValue::Array(items) => items.iter().map(Spanned::span).collect(),
                _ => Vec::new(),
            };
            let whole = value.span();
            Some((key.name, ValueSpans { whole, items }))
        });
        TableSpans {
            start,
            values: values.collect(),
        }
    }

    /// Returns a key's description and value; notes its absence where it must be there.
    fn get(
        &self,
        name: &str,
        sink: &mut FaultSink,
    ) -> Option<(&'static Key, &'t Spanned<DeValue<'s>>)> {
        let key = self.keys.iter().find(|key| key.name == name)?;
        let value = self.table.get(name);
        if let (None, Some(example)) = (value, key.required)
            && !self.misspelled.iter().any(|meant| meant == key.name)
        {
            self.refuse_missing(key.name, example, sink);
        }
        Some((key, value?))
    }

    /// Returns true if the key is there, readable or not, perhaps misspelled.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name) || self.misspelled.iter().any(|meant| meant == name)
    }

    /// Refuses a table without a key that it must have; `example` is a line that would do.
    pub(crate) fn refuse_missing(&self, key: &str, example: &str, sink: &mut FaultSink) {
        let message = format!("{} has no `{key}`", self.place);
        sink.refuse(Rule::MissingKey, &self.header, message)
            .help(format!("add `{example}`"))
            .of_whole_file();
    }

    /// Reads a string.
    pub(crate) fn string(&self, name: &str, sink: &mut FaultSink) -> Option<At<String>> {
        let (key, value) = self.get(name, sink)?;
        match value.get_ref() {
            DeValue::String(text) => Some(At {
                value: text.clone().into_owned(),
                span: value.span(),
            }),
            _ => self.refuse(key, value, sink),
        }
    }

    /// Reads a string that means a value, such as an address.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        sink: &mut FaultSink,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<At<T>> {
        let text = self.string(name, sink)?;
        let key = self.keys.iter().find(|key| key.name == name)?;
        parse_text(&text, key, sink, parse)
    }

    /// Reads a list of strings that each mean a value; `None` unless all do.
    pub(crate) fn list<T>(
        &self,
        name: &str,
        sink: &mut FaultSink,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<At<T>>> {
        let (key, value) = self.get(name, sink)?;
        let DeValue::Array(items) = value.get_ref() else {
            return self.refuse(key, value, sink);
        };
        let items: Vec<_> = items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::String(text) => {
                    let text = At {
                        value: text.clone().into_owned(),
                        span: item.span(),
                    };
                    parse_text(&text, key, sink, &parse)
                }
                _ => self.refuse(key, item, sink),
            })
            .collect();
        items.into_iter().collect()
    }

    /// Reads one of a few words.
    pub(crate) fn word<T: Copy>(
        &self,
        name: &'static str,
        words: &[(&'static str, T)],
        sink: &mut FaultSink,
    ) -> Option<At<T>> {
        let At { value: text, span } = self.string(name, sink)?;
        let known = || words.iter().map(|(word, _)| *word);
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Some(At {
                value: *value,
                span,
            }),
            None => {
                sink.refuse(Rule::UnknownWord, &span, format!("`{name}` is `{text}`"))
                    .label(format!("expected {}", alternatives(known())))
                    .suggest(nearest(&text, known()).as_deref());
                None
            }
        }
    }

    /// Reads a whole number.
    pub(crate) fn number(
        &self,
        name: &str,
        least: u32,
        most: u32,
        sink: &mut FaultSink,
    ) -> Option<At<u32>> {
        let (key, value) = self.get(name, sink)?;
        let span = value.span();
        let DeValue::Integer(number) = value.get_ref() else {
            return self.refuse(key, value, sink);
        };
        let read = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let fits = read
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (least..=most).contains(number));
        if fits.is_none() {
            let message = format!("`{}` is {number}", key.name);
            sink.refuse(Rule::NumberOutOfRange, &span, message)
                .label(format!("expected {least} to {most}"));
        }
        Some(At { value: fits?, span })
    }

    /// Reads `true` or `false`.
    pub(crate) fn boolean(&self, name: &str, sink: &mut FaultSink) -> Option<bool> {
        let (key, value) = self.get(name, sink)?;
        match value.get_ref() {
            DeValue::Boolean(yes) => Some(*yes),
            _ => self.refuse(key, value, sink),
        }
    }

    /// Reads a table; returns where it starts, and the table.
    pub(crate) fn table(
        &self,
        name: &str,
        sink: &mut FaultSink,
    ) -> Option<(Range<usize>, &'t DeTable<'s>)> {
        let (key, value) = self.get(name, sink)?;
        match value.get_ref() {
            DeValue::Table(table) => Some((value.span(), table)),
            _ => self.refuse(key, value, sink),
        }
    }

    /// Reads a table with these keys, which messages call `place`.
    pub(crate) fn opened(
        &self,
        name: &str,
        place: &'static str,
        keys: &'static [Key],
        sink: &mut FaultSink,
    ) -> Option<Fields<'t, 's>> {
        let (header, table) = self.table(name, sink)?;
        Some(Fields::open(table, self.source, place, header, keys, sink))
    }

    /// Reads a table of tables, in the order of their keys.
    pub(crate) fn tables(&self, name: &str, sink: &mut FaultSink) -> Option<Vec<Entry<'t, 's>>> {
        let (key, value) = self.get(name, sink)?;
        let DeValue::Table(table) = value.get_ref() else {
            return self.refuse(key, value, sink);
        };
        let read = table.iter().map(|(inner_key, inner)| {
            let name = At {
                value: inner_key.get_ref().to_string(),
                span: inner_key.span(),
            };
            let table = match inner.get_ref() {
                DeValue::Table(table) => Some(table),
                _ => self.refuse(key, inner, sink),
            };
            Entry {
                name,
                header: inner.span(),
                table,
            }
        });
        Some(read.collect())
    }

    /// Reads a table of `true` and `false`, each with the place of its name; what is neither is noted and left out.
    pub(crate) fn switches(&self, name: &str, sink: &mut FaultSink) -> Vec<(At<String>, bool)> {
        let read = |value: &DeValue<'s>| match value {
            DeValue::Boolean(yes) => Some(*yes),
            _ => None,
        };
        self.entries(name, "`true` or `false`", sink, read)
    }

    /// Reads a table of texts, each with the place of its name; what is none is noted and left out.
    pub(crate) fn texts(&self, name: &str, sink: &mut FaultSink) -> Vec<(At<String>, String)> {
        let read = |value: &DeValue<'s>| match value {
            DeValue::String(text) => Some(text.clone().into_owned()),
            _ => None,
        };
        self.entries(name, "a string", sink, read)
    }

    fn entries<T>(
        &self,
        name: &str,
        expected: &str,
        sink: &mut FaultSink,
        read: impl Fn(&DeValue<'s>) -> Option<T>,
    ) -> Vec<(At<String>, T)> {
        let Some((_, table)) = self.table(name, sink) else {
            return Vec::new();
        };
        let mut entries = Vec::new();
        for (entry, value) in table.iter() {
            let name = entry.get_ref();
            match read(value.get_ref()) {
                Some(value) => entries.push((
                    At {
                        value: name.to_string(),
                        span: entry.span(),
                    },
                    value,
                )),
                None => {
                    let written = self.source.get(value.span()).unwrap_or_default();
                    let message = format!("`{name}` is {}", kind(value.get_ref()));
                    let fault = sink.refuse(Rule::WrongType, &value.span(), message);
                    fault.label(format!("expected {expected}"));
                    match value.get_ref() {
                        DeValue::String(text) if is_bare(text) => {
                            fault.help(format!("write `{name} = {text}`"));
                        }
                        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)
                            if expected == "a string" =>
                        {
                            fault.help(format!("write `{name} = \"{written}\"`"));
                        }
                        _ => {}
                    }
                }
            }
        }
        entries
    }

    /// Reads a list of tables; each comes with the place of its start. `None` unless all are tables.
    pub(crate) fn table_list(
        &self,
        name: &str,
        sink: &mut FaultSink,
    ) -> Option<Vec<(Range<usize>, &'t DeTable<'s>)>> {
        let (key, value) = self.get(name, sink)?;
        let DeValue::Array(items) = value.get_ref() else {
            return self.refuse(key, value, sink);
        };
        let items: Vec<_> = items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::Table(table) => Some((item.span(), table)),
                _ => self.refuse(key, item, sink),
            })
            .collect();
        items.into_iter().collect()
    }

    /// Notes a value of the wrong kind.
    fn refuse<T>(
        &self,
        key: &Key,
        value: &Spanned<DeValue<'s>>,
        sink: &mut FaultSink,
    ) -> Option<T> {
        let written = self.source.get(value.span()).unwrap_or_default();
        let (name, is_text) = (key.name, key.form.is_text());
        let suggestion = match value.get_ref() {
            // Only what stands on one line without quotes of its own can be quoted as it is.
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
                if is_text =>
            {
                Some(format!("{name} = \"{written}\""))
            }
            DeValue::String(text) if !is_text && is_bare(text) => Some(format!("{name} = {text}")),
            DeValue::Table(_) if name == "machines" => Some("[[machines]]".to_owned()),
            DeValue::Array(_) if name == "servers" => Some("[servers.NAME]".to_owned()),
            _ => None,
        };
        let message = format!("`{name}` is {}", kind(value.get_ref()));
        let fault = sink
            .refuse(Rule::WrongType, &value.span(), message)
            .label(format!("expected {}", key.expected));
        if let Some(line) = suggestion {
            fault.help(format!("write `{line}`"));
        }
        None
    }
}

fn parse_text<T>(
    text: &At<String>,
    key: &Key,
    sink: &mut FaultSink,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<At<T>> {
    let value = parse(&text.value);
    if value.is_none() {
        let message = format!("`{}` is `{}`", key.name, text.value);
        sink.refuse(Rule::InvalidValue, &text.span, message)
            .label(format!("expected {}", key.expected));
    }
    Some(At {
        value: value?,
        span: text.span.clone(),
    })
}

/// Returns true for text that is a number or a boolean without its quotes.
fn is_bare(text: &str) -> bool {
    let digits = !text.is_empty() && text.len() < 10 && text.bytes().all(|b| b.is_ascii_digit());
    digits || matches!(text, "true" | "false")
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
