//! Puts entries into a text and takes them out again, so that the second undoes the first to the byte.
//!
//! What stood where our entries are is kept beside them, for the text alone must say what it was before: a list that is
//! written as `null` or `[]` becomes a comment behind its key, and what is all ours says so in a comment. JSON has no
//! comments; there, white space behind the bracket says it.

use std::ops::Range;

use super::outline::{CURRENT, Kind, Node, Outline, Slot, Style};
use super::{Entry, LISTS, Refusal};

/// Behind a key that was not there.
const ADDED: &str = " # added by caravan";

/// Behind the bracket of a list in flow style that was `null`, and of one that was not there.
const WAS_NULL: &str = " ";
const WAS_ABSENT: &str = "  ";

/// `text` with `entries` at the ends of their lists, and `current` as the current context where there is none.
pub(super) fn insert(
    text: &str,
    entries: &[Entry],
    current: Option<&str>,
) -> Result<String, Refusal> {
    let outline = Outline::read(text)?;
    let mut edits = Edits::of(text, &outline);
    // What ends a list comes before what is added behind it, should both be at the end of the text.
    let is_there = |list: &&str| outline.slot(list).is_some();
    let there = LISTS.into_iter().filter(is_there);
    let absent = LISTS.into_iter().filter(|list| !is_there(list));
    let add = |edits: &mut Edits<'_>, list| {
        let of_list: Vec<&Entry> = entries.iter().filter(|entry| entry.list == list).collect();
        match of_list.is_empty() {
            true => Ok(()),
            false => edits.add(list, &of_list),
        }
    };
    for list in there {
        add(&mut edits, list)?;
    }
    let has_slot = outline.slot(CURRENT).is_some();
    if let Some(current) = current.filter(|_| has_slot) {
        edits.set_current(current);
    }
    for list in absent {
        add(&mut edits, list)?;
    }
    if let Some(current) = current.filter(|_| !has_slot) {
        edits.set_current(current);
    }
    Ok(edits.applied())
}

/// `text` without the entries whose name `is_ours`.
pub(super) fn remove(text: &str, is_ours: &dyn Fn(&str) -> bool) -> Result<String, Refusal> {
    let outline = Outline::read(text)?;
    let mut edits = Edits::of(text, &outline);
    for slot in &outline.slots {
        if let Some(list) = LISTS.into_iter().find(|list| *list == slot.key) {
            edits.take_out(slot, list, is_ours)?;
        }
    }
    if outline.current().is_some_and(is_ours)
        && let Some(slot) = outline.slot(CURRENT)
    {
        edits.unset_current(slot)?;
    }
    edits.remove_slots();
    Ok(edits.applied())
}

/// Changes to one text.
struct Edits<'a> {
    text: &'a str,
    outline: &'a Outline,
    /// How the text ends its lines.
    eol: &'static str,
    /// What stands in a range is replaced by a text; in the order in which texts for one place follow one another.
    changes: Vec<(Range<usize>, String)>,
    /// Whole lines that go.
    lines: Vec<Range<usize>>,
    /// Slots of a mapping in flow style that go.
    slots: Vec<bool>,
}

impl<'a> Edits<'a> {
    fn of(text: &'a str, outline: &'a Outline) -> Self {
        let eol = match text.find(['\n', '\r']) {
            Some(at) if text[at..].starts_with("\r\n") => "\r\n",
            Some(at) if text[at..].starts_with('\r') => "\r",
            _ => "\n",
        };
        Self {
            text,
            outline,
            eol,
            changes: Vec::new(),
            lines: Vec::new(),
            slots: vec![false; outline.slots.len()],
        }
    }

    fn replace(&mut self, range: Range<usize>, by: impl Into<String>) {
        self.changes.push((range, by.into()));
    }

    /// Writes whole lines at `at`, which begins a line or ends the text.
    fn write_lines(&mut self, at: usize, lines: &[String]) {
        let begins = at == 0 || self.text[..at].ends_with(['\n', '\r']);
        let written: String = if begins {
            lines
                .iter()
                .map(|line| format!("{line}{}", self.eol))
                .collect()
        } else {
            // A text without a last line end stays one.
            lines
                .iter()
                .map(|line| format!("{}{line}", self.eol))
                .collect()
        };
        self.replace(at..at, written);
    }

    fn add(&mut self, list: &'static str, entries: &[&Entry]) -> Result<(), Refusal> {
        let root = self.outline.style.unwrap_or(Style::Block);
        let Some(slot) = self.outline.slot(list) else {
            match root {
                Style::Block => {
                    let depth = self.depth();
                    let pad = " ".repeat(depth);
                    let mut lines = vec![format!("{pad}{list}:{ADDED}")];
                    lines.extend(in_block(entries, depth));
                    self.write_lines(self.outline.end, &lines);
                }
                Style::Flow => {
                    let list = format!("\"{list}\": [{WAS_ABSENT}{}]", in_flow(entries, ", "));
                    self.write_slot(&list);
                }
            }
            return Ok(());
        };
        if slot.value.anchored {
            return Err(Refusal::Shape { list });
        }
        let value = slot.value.at.clone();
        match (&slot.value.kind, root) {
            (Kind::Null, Style::Flow) if !value.is_empty() => {
                let list = format!("[{WAS_NULL}{}]", in_flow(entries, ", "));
                self.replace(value, list);
            }
            (Kind::Null, Style::Block) => self.comment_out(slot, list, entries)?,
            (Kind::List(Style::Flow, items), _) => match items.last() {
                Some(last) => {
                    let between = format!(",{}", self.gap_before(last));
                    let all = in_flow(entries, &between);
                    self.replace(last.at.end..last.at.end, format!("{between}{all}"));
                }
                None if root == Style::Block && self.same_line(slot) => {
                    self.comment_out(slot, list, entries)?;
                }
                None => {
                    let inside = value.start + 1;
                    self.replace(inside..inside, in_flow(entries, ", "));
                }
            },
            (Kind::List(Style::Block, items), _) => {
                let (Some(first), Some(last)) = (items.first(), items.last()) else {
                    return Err(Refusal::Shape { list });
                };
                let dash = self.dash(first, slot.key_at.end);
                let depth = dash.ok_or(Refusal::Shape { list })?.len();
                self.write_lines(self.line_after(last.at.end), &in_block(entries, depth));
            }
            _ => return Err(Refusal::Shape { list }),
        }
        Ok(())
    }

    /// Makes a comment of the value behind a key, and writes entries below it.
    fn comment_out(
        &mut self,
        slot: &Slot,
        list: &'static str,
        entries: &[&Entry],
    ) -> Result<(), Refusal> {
        let colon = self.colon(slot).filter(|_| self.same_line(slot));
        let colon = colon.ok_or(Refusal::Shape { list })?;
        self.replace(colon..colon, " #");
        self.write_lines(self.line_after(colon), &in_block(entries, self.depth()));
        Ok(())
    }

    fn take_out(
        &mut self,
        slot: &Slot,
        list: &'static str,
        is_ours: &dyn Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        let Kind::List(style, items) = &slot.value.kind else {
            return Ok(());
        };
        let ours: Vec<bool> = items
            .iter()
            .map(|item| item.name().is_some_and(is_ours))
            .collect();
        if !ours.contains(&true) {
            return Ok(());
        }
        let none_stays = !ours.contains(&false);
        match style {
            Style::Flow => {
                if none_stays && self.outline.style == Some(Style::Flow) {
                    let inside = &self.text[slot.value.at.start + 1..items[0].at.start];
                    match inside {
                        WAS_NULL => {
                            self.replace(slot.value.at.clone(), "null");
                            return Ok(());
                        }
                        WAS_ABSENT => {
                            self.drop_slot(slot);
                            return Ok(());
                        }
                        _ => {}
                    }
                }
                let at: Vec<Range<usize>> = items.iter().map(|item| item.at.clone()).collect();
                for range in runs(&at, &ours) {
                    self.replace(range, "");
                }
            }
            Style::Block => {
                for (item, _) in items.iter().zip(&ours).filter(|(_, ours)| **ours) {
                    let dash = self.dash(item, slot.key_at.end);
                    let start = dash.ok_or(Refusal::Shape { list })?.start;
                    self.lines.push(start..self.line_after(item.at.end));
                }
                if none_stays {
                    self.empty(slot, list)?;
                }
            }
        }
        Ok(())
    }

    /// Writes behind the key of a list in block style, all entries of which go, what was there without them.
    fn empty(&mut self, slot: &Slot, list: &'static str) -> Result<(), Refusal> {
        let colon = self.colon(slot).ok_or(Refusal::Shape { list })?;
        let behind = self.rest_of_line(colon);
        if behind == ADDED {
            self.lines.push(self.line_of(slot.key_at.start));
            return Ok(());
        }
        if let Some(was) = behind.strip_prefix(" #") {
            let was = was.trim();
            let value = was.split_once(" #").map_or(was, |(value, _)| value).trim();
            let is_bracket = value.starts_with('[') && value.ends_with(']');
            let is_empty_list = is_bracket && value[1..value.len() - 1].trim().is_empty();
            let is_null = ["", "~", "null", "Null", "NULL"].contains(&value);
            if is_null || is_empty_list || was.starts_with('#') {
                self.replace(colon..colon + 2, "");
                return Ok(());
            }
        }
        self.replace(colon..colon, " []");
        Ok(())
    }

    fn set_current(&mut self, name: &str) {
        match (
            self.outline.style.unwrap_or(Style::Block),
            self.outline.slot(CURRENT),
        ) {
            (Style::Block, None) => {
                let pad = " ".repeat(self.depth());
                let line = format!("{pad}{CURRENT}: {name}{ADDED}");
                self.write_lines(self.outline.end, &[line]);
            }
            (Style::Flow, None) => self.write_slot(&format!("\"{CURRENT}\": \"{name}\"")),
            (Style::Block, Some(slot)) => {
                // Elsewhere than behind its key, nothing is chosen for the user.
                if let Some(colon) = self.colon(slot).filter(|_| self.same_line(slot)) {
                    self.replace(colon..colon, format!(" {name} #"));
                }
            }
            // It could not be put back as it was.
            (Style::Flow, Some(_)) => {}
        }
    }

    fn unset_current(&mut self, slot: &Slot) -> Result<(), Refusal> {
        if self.outline.style == Some(Style::Flow) {
            self.drop_slot(slot);
            return Ok(());
        }
        let value = &self.text[slot.value.at.clone()];
        let behind = self
            .colon(slot)
            .map(|colon| (colon, self.rest_of_line(colon)));
        let ours = format!(" {value}");
        match behind.and_then(|(colon, rest)| Some((colon, rest.strip_prefix(&*ours)?))) {
            Some((_, ADDED)) => self.lines.push(self.line_of(slot.key_at.start)),
            Some((colon, rest)) if rest.starts_with(" #") => {
                self.replace(colon..colon + ours.len() + " #".len(), "");
            }
            _ => self.replace(slot.value.at.clone(), "\"\""),
        }
        Ok(())
    }

    /// Adds a key with its value to a mapping in flow style.
    fn write_slot(&mut self, slot: &str) {
        match self.outline.slots.last() {
            Some(last) => {
                let at = last.value.at.end.max(last.key_at.end);
                let gap = self.gap_before_key(last);
                self.replace(at..at, format!(",{gap}{slot}"));
            }
            None => {
                let inside = self.outline.at.start + 1;
                // Of several, all but the first follow another.
                let follows = self.changes.iter().any(|(range, _)| range.start == inside);
                let comma = if follows { ", " } else { "" };
                self.replace(inside..inside, format!("{comma}{slot}"));
            }
        }
    }

    fn drop_slot(&mut self, gone: &Slot) {
        for (slot, is_gone) in self.outline.slots.iter().zip(&mut self.slots) {
            *is_gone |= slot.key_at == gone.key_at;
        }
    }

    fn remove_slots(&mut self) {
        let slots = self.outline.slots.iter();
        let at: Vec<Range<usize>> = slots
            .map(|slot| slot.key_at.start..slot.value.at.end)
            .collect();
        for range in runs(&at, &self.slots.clone()) {
            self.replace(range, "");
        }
    }

    /// What stands before a value in flow style, if it begins a line: that line's beginning; else a space.
    fn gap_before(&self, item: &Node) -> String {
        self.gap(item.at.start)
    }

    fn gap_before_key(&self, slot: &Slot) -> String {
        self.gap(slot.key_at.start)
    }

    fn gap(&self, at: usize) -> String {
        let start = self.line_of(at).start;
        let before = &self.text[start..at];
        let begins = start > 0 && before.chars().all(|c| c == ' ' || c == '\t');
        if begins {
            format!("{}{before}", self.eol)
        } else {
            " ".to_owned()
        }
    }

    /// The bytes before the dash of an entry in block style: from the line's start to the dash.
    fn dash(&self, item: &Node, after: usize) -> Option<Range<usize>> {
        let mut line = self.line_of(item.at.start);
        loop {
            let written = &self.text[line.clone()];
            let depth = written.len() - written.trim_start_matches(' ').len();
            let begins = &written[depth..];
            if begins.starts_with('-') && line.start + depth < item.at.start.max(1) {
                return Some(line.start..line.start + depth);
            }
            // Above it there may be its mark alone, with comments between.
            if line.start <= after {
                return None;
            }
            line = self.line_of(line.start - 1);
        }
    }

    /// Where what is behind the colon of a key begins.
    fn colon(&self, slot: &Slot) -> Option<usize> {
        let behind = &self.text[slot.key_at.end..];
        let white = behind.len() - behind.trim_start_matches(' ').len();
        behind[white..]
            .starts_with(':')
            .then_some(slot.key_at.end + white + 1)
    }

    /// Whether a value is on the line of its key.
    fn same_line(&self, slot: &Slot) -> bool {
        let line = self.line_of(slot.key_at.start);
        slot.value.at.is_empty() || line.contains(&(slot.value.at.end - 1))
    }

    /// How deep the keys of the file are indented.
    fn depth(&self) -> usize {
        self.outline.slots.first().map_or(0, |first| {
            let start = self.line_of(first.key_at.start).start;
            let before = &self.text[start..first.key_at.start];
            before.len() - before.trim_start_matches(' ').len()
        })
    }

    /// The line that holds `at`, with its end.
    fn line_of(&self, at: usize) -> Range<usize> {
        let start = self.text[..at]
            .rfind(['\n', '\r'])
            .map_or(0, |line_end| line_end + 1);
        start..self.end_of_line(at)
    }

    /// The first line start that is not before `at`.
    fn line_after(&self, at: usize) -> usize {
        if at > 0 && self.text[..at].ends_with(['\n', '\r']) {
            return at;
        }
        self.end_of_line(at)
    }

    fn end_of_line(&self, at: usize) -> usize {
        let rest = &self.text[at..];
        match rest.find(['\n', '\r']) {
            Some(end) if rest[end..].starts_with("\r\n") => at + end + 2,
            Some(end) => at + end + 1,
            None => self.text.len(),
        }
    }

    fn rest_of_line(&self, at: usize) -> &'a str {
        self.text[at..self.end_of_line(at)].trim_end_matches(['\n', '\r'])
    }

    /// The text with all changes made.
    fn applied(mut self) -> String {
        self.lines.sort_by_key(|range| range.start);
        let mut whole: Vec<Range<usize>> = Vec::new();
        for line in std::mem::take(&mut self.lines) {
            match whole.last_mut() {
                Some(last) if last.end >= line.start => last.end = last.end.max(line.end),
                _ => whole.push(line),
            }
        }
        for mut range in whole {
            let ends_text = range.end == self.text.len();
            if ends_text && !self.text.ends_with(['\n', '\r']) {
                // The line before becomes the last one, and has no end either.
                let before = &self.text[..range.start];
                let shorter = before
                    .strip_suffix("\r\n")
                    .or_else(|| before.strip_suffix(['\n', '\r']));
                range.start = shorter.map_or(range.start, str::len);
            }
            // What is changed inside lines that go, goes with them.
            self.changes
                .retain(|(changed, _)| changed.start < range.start || changed.end > range.end);
            self.changes.push((range, String::new()));
        }
        self.changes.sort_by_key(|(range, _)| range.start);
        let mut result = String::with_capacity(self.text.len() + 4096);
        let mut at = 0;
        for (range, by) in &self.changes {
            result.push_str(self.text.get(at..range.start).unwrap_or_default());
            result.push_str(by);
            at = at.max(range.end);
        }
        result.push_str(&self.text[at..]);
        result
    }
}

/// The ranges to cut so that, of things separated by something, those that are `gone` go with their separators.
fn runs(at: &[Range<usize>], gone: &[bool]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut number = 0;
    while number < at.len() {
        if !gone[number] {
            number += 1;
            continue;
        }
        let first = number;
        while number < at.len() && gone[number] {
            number += 1;
        }
        ranges.push(match (first.checked_sub(1), at.get(number)) {
            (Some(before), _) => at[before].end..at[number - 1].end,
            (None, Some(after)) => at[first].start..after.start,
            (None, None) => at[first].start..at[number - 1].end,
        });
    }
    ranges
}

fn in_block(entries: &[&Entry], depth: usize) -> Vec<String> {
    let pad = " ".repeat(depth);
    let lines = entries.iter().flat_map(|entry| {
        entry.lines.iter().enumerate().map(|(number, line)| {
            let mark = if number == 0 { "- " } else { "  " };
            format!("{pad}{mark}{line}")
        })
    });
    lines.collect()
}

fn in_flow(entries: &[&Entry], between: &str) -> String {
    let written: Vec<&str> = entries.iter().map(|entry| entry.json.as_str()).collect();
    written.join(between)
}
