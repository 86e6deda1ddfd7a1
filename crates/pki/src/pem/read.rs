//! Finding the blocks of a text as OpenSSL does, and what it would pass over without a word.
//!
//! OpenSSL ignores everything around blocks, and so a block whose armour is damaged.
//! Here that is an error: a certificate that is dropped in silence is missed on the day it is needed.

use zeroize::Zeroizing;

use super::fault::Fault;
use super::label::{Kind, Label};
use super::{Block, decode};
use crate::Error;
use crate::form::Shape;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const TAIL: &[u8] = b"-----";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A block under way: from which line on, under which label, and what is in it.
struct Open<'a> {
    line: usize,
    text: &'a [u8],
    label: Label,
    body: Body,
}

/// What is between BEGIN and END.
struct Body {
    base64: Zeroizing<Vec<u8>>,
    state: State,
    encrypted: bool,
    headers: bool,
    gap: bool,
}

#[derive(PartialEq)]
enum State {
    Start,
    Headers,
    Base64,
    Gap,
}

impl Body {
    fn new(capacity: usize) -> Self {
        Self {
            // For all that may follow: growing would leave copies of a secret behind.
            base64: Zeroizing::new(Vec::with_capacity(capacity)),
            state: State::Start,
            encrypted: false,
            headers: false,
            gap: false,
        }
    }

    /// Takes one line, as OpenSSL does: headers (RFC 1421) if the first has a colon, one empty line, base64.
    fn push(&mut self, line: &[u8]) {
        let empty = line.is_empty();
        match self.state {
            State::Start if line.contains(&b':') => {
                self.state = State::Headers;
                self.header(line);
            }
            State::Headers if !empty => self.header(line),
            State::Start | State::Headers if empty => self.state = State::Gap,
            _ if empty => self.gap = true,
            _ => {
                self.state = State::Base64;
                self.base64.extend_from_slice(line);
            }
        }
    }

    fn header(&mut self, line: &[u8]) {
        self.headers = true;
        self.encrypted |= line.starts_with(b"Proc-Type:") && find(line, b"ENCRYPTED").is_some();
    }
}

/// Of the blocks of `bytes`, those of a wanted kind; of the others, not even the base64 is looked at.
pub(super) fn blocks(bytes: &[u8], wanted: impl Fn(Kind) -> bool) -> Result<Vec<Block>, Error> {
    let mut fault = wide(bytes);
    let mut seen = Vec::new();
    let mut open: Option<Open<'_>> = None;
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for (index, line) in lines.iter().enumerate() {
        let number = index + 1;
        let line = end_trimmed(line);
        let Some(block) = &mut open else {
            let unmarked = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            if let Some(text) = boundary(unmarked, BEGIN) {
                open = Some(Open {
                    line: number,
                    text,
                    label: Label::of(text),
                    body: Body::new(rest_of_block(&lines[number..])),
                });
            } else if fault.is_none() {
                let before = index.checked_sub(1).map(|index| end_trimmed(lines[index]));
                let after = lines[number..].iter().map(|line| end_trimmed(line));
                fault = near_begin(unmarked, after)
                    .or_else(|| der(bytes, lines[index]))
                    .or_else(|| stray_end(unmarked, before))
                    .filter(|(kind, _)| wanted(*kind))
                    .map(|(_, fault)| fault);
            }
            continue;
        };
        let (label, begun) = (block.label, block.line);
        let at = |problem: &str| in_block(label, begun, problem);
        if boundary(line, BEGIN).is_some() {
            return Err(at("has no end"));
        }
        if let Some(text) = boundary(line, END) {
            if text != block.text {
                return Err(at(&format!("ends as another ({})", Label::of(text))));
            }
            if wanted(label.kind) {
                seen.push(finish(label, &block.body, at)?);
            }
            open = None;
        } else if find(line, b"END ").is_some() && find(line, TAIL).is_some() {
            if find(line, b"BEGIN ").is_some() {
                return Err(Fault::Joined.into());
            }
            return Err(at("has an indentation or other text on its `END` line"));
        } else {
            block.body.push(line);
        }
    }
    if let Some(block) = open {
        return Err(in_block(block.label, block.line, "has no end"));
    }
    match fault {
        Some(fault) => Err(fault.into()),
        None => Ok(seen),
    }
}

fn in_block(label: Label, line: usize, problem: &str) -> Error {
    let text = format!("the block of line {line} ({label}) {problem}");
    Error::malformed("PEM", text)
}

fn finish(label: Label, body: &Body, at: impl Fn(&str) -> Error) -> Result<Block, Error> {
    if body.encrypted {
        return Ok(Block {
            label,
            der: Zeroizing::default(),
            encrypted: true,
        });
    }
    if body.headers {
        // OpenSSL: "not proc type".
        return Err(at("has header lines, which OpenSSL refuses: remove them"));
    }
    if body.gap {
        return Err(at("has an empty line in its base64"));
    }
    Ok(Block {
        label,
        der: decode(&body.base64).ok_or_else(|| at("is not base64"))?,
        encrypted: false,
    })
}

/// Room for the lines up to the next that may be an END.
fn rest_of_block(lines: &[&[u8]]) -> usize {
    let lines = lines.iter().take_while(|line| !line.starts_with(b"-----"));
    lines.map(|line| line.len()).sum()
}

/// The label of a BEGIN line.
pub(super) fn begun(line: &[u8]) -> Option<Label> {
    let line = end_trimmed(line);
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    boundary(line, BEGIN).map(Label::of)
}

fn boundary<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    let label = line.strip_prefix(start)?.strip_suffix(TAIL)?;
    // Two boundaries on one line are none.
    find(label, TAIL).is_none().then_some(label)
}

/// Without what OpenSSL takes for white space at the end of a line: all but ASCII that can be seen.
fn end_trimmed(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(u8::is_ascii_graphic);
    &line[..end.map_or(0, |last| last + 1)]
}

/// The text in another width, where a BEGIN is in it.
fn wide(bytes: &[u8]) -> Option<Fault> {
    let spread = |width: usize, at: usize| -> Vec<u8> {
        let all = b"BEGIN ".iter().flat_map(|letter| {
            let mut unit = vec![0; width];
            unit[at] = *letter;
            unit
        });
        all.collect()
    };
    let holds = |width, at| find(bytes, &spread(width, at)).is_some();
    if holds(4, 0) || holds(4, 3) {
        Some(Fault::Utf32)
    } else if holds(2, 0) || holds(2, 1) {
        Some(Fault::Utf16)
    } else {
        None
    }
}

/// A BEGIN that OpenSSL does not see, with a block after it: of what, and why it is none.
fn near_begin<'a>(line: &[u8], after: impl Iterator<Item = &'a [u8]>) -> Option<(Kind, Fault)> {
    let start = find_ignoring_case(line, b"BEGIN ")?;
    let (before, rest) = (&line[..start], &line[start + b"BEGIN ".len()..]);
    let (label, length) = Label::at_start_of(rest)?;
    let exact = label.name().map(str::as_bytes) == rest.get(..length);
    let rest = &rest[length..];
    let is_hyphen = |byte: &u8| *byte == b'-' || !byte.is_ascii();
    let hyphens = rest.iter().take_while(|byte| is_hyphen(byte)).count();
    if hyphens == 0 && !before.last().is_some_and(is_hyphen) {
        return None;
    }
    let kind = label.kind;
    let rest = &rest[hyphens..];
    let text_before = &before[..before.len()
        - before
            .iter()
            .rev()
            .take_while(|byte| is_hyphen(byte))
            .count()];
    // What somebody made a comment is meant to be one.
    let comment = text_before.trim_ascii_start();
    if [&b"#"[..], b";", b"//", b"%", b"--"]
        .iter()
        .any(|mark| comment.starts_with(mark))
    {
        return None;
    }
    if find(rest, b"\\n").is_some() || find(rest, b"\\r").is_some() {
        return Some((kind, Fault::Escaped));
    }
    if rest.contains(&b'\r') {
        return Some((kind, Fault::CarriageReturns));
    }
    if looks_like_base64(rest) {
        return Some((kind, Fault::OneLine));
    }
    let next = after.into_iter().find(|line| !line.is_empty())?;
    if !looks_like_base64(next) && find(next, b"Proc-Type:").is_none() {
        return None;
    }
    let marked = text_before
        .strip_prefix(BYTE_ORDER_MARK)
        .unwrap_or(text_before);
    Some((
        kind,
        if !exact || find(line, b"BEGIN ").is_none() {
            Fault::Case
        } else if !marked.is_empty()
            && marked
                .iter()
                .all(|byte| byte.is_ascii_whitespace() || !byte.is_ascii())
        {
            Fault::Indented
        } else if !marked.is_empty() || !rest.is_empty() {
            Fault::Prefixed
        } else {
            Fault::Hyphens
        },
    ))
}

/// A certificate in DER that starts where `line` does.
fn der(bytes: &[u8], line: &[u8]) -> Option<(Kind, Fault)> {
    // Most lines end this here: what follows would read the rest of the file for each of them.
    if !line.starts_with(b"\x30\x82") {
        return None;
    }
    let start = line.as_ptr() as usize - bytes.as_ptr() as usize;
    let found = Shape::of(&bytes[start..]) == Some(Shape::Certificate);
    found.then_some((Kind::Certificate, Fault::Der))
}

/// An END outside of every block, with base64 before it: its BEGIN is missing or was not seen.
fn stray_end(line: &[u8], before: Option<&[u8]>) -> Option<(Kind, Fault)> {
    let label = Label::of(boundary(line, END)?);
    before
        .is_some_and(looks_like_base64)
        .then_some((label.kind, Fault::StrayEnd))
}

/// Whether the line has a run of base64 as only such a line has.
fn looks_like_base64(line: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    line.split(|byte| !is_base64(byte))
        .any(|run| run.len() >= 16)
        || (line.len() >= 2 && line.ends_with(b"=") && line.iter().all(is_base64))
}

pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn find_ignoring_case(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len())
        .position(|window| window.eq_ignore_ascii_case(part))
}
