//! Where the parts of a kubeconfig stand in its text, and what they say.

use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, StructureStyle, Tag, options};

use super::{LISTS, Refusal};

/// The key of the context that `kubectl` uses by itself.
pub(super) const CURRENT: &str = "current-context";

/// One piece of what YAML says, without how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Scalar {
        value: String,
        /// Without quotes, and of a form that may be no text.
        typed: bool,
        tag: Option<String>,
    },
    List(Option<String>),
    Mapping(Option<String>),
    End,
    Alias(usize),
}

/// How a list or mapping is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// By indentation.
    Block,
    /// By brackets, as JSON is.
    Flow,
}

/// What a value is, as far as it matters here.
#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Scalar,
    List(Style, Vec<Node>),
    Mapping,
    Alias,
}

/// A value.
#[derive(Debug)]
pub(super) struct Node {
    /// Its bytes: of one in block style, from its first word to its last.
    pub(super) at: Range<usize>,
    pub(super) kind: Kind,
    pub(super) tokens: Vec<Token>,
    /// Whether an alias elsewhere may stand for it.
    pub(super) anchored: bool,
}

/// A key of the file's mapping, with its value.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: String,
    pub(super) key_at: Range<usize>,
    pub(super) value: Node,
}

/// The mapping that a kubeconfig is.
#[derive(Debug)]
pub(super) struct Outline {
    /// `None` for a file that says nothing.
    pub(super) style: Option<Style>,
    /// The bytes of a mapping in flow style, brackets included.
    pub(super) at: Range<usize>,
    pub(super) slots: Vec<Slot>,
    /// Where more of the document can be written.
    pub(super) end: usize,
}

impl Outline {
    /// Reads `text`.
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let events = Events::read(text)?;
        let outline = events.outline()?;
        outline.hold_to_kubectl()?;
        Ok(outline)
    }

    pub(super) fn slot(&self, key: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.key == key)
    }

    /// The entries of a list; none where it is absent or null, which is one to kubectl.
    pub(super) fn entries(&self, list: &str) -> &[Node] {
        match self.slot(list).map(|slot| &slot.value.kind) {
            Some(Kind::List(_, items)) => items,
            _ => &[],
        }
    }

    /// The current context, where there is one.
    pub(super) fn current(&self) -> Option<&str> {
        text_of(&self.slot(CURRENT)?.value.tokens).filter(|name| !name.is_empty())
    }

    fn hold_to_kubectl(&self) -> Result<(), Refusal> {
        for (number, slot) in self.slots.iter().enumerate() {
            let is_read = LISTS.contains(&&*slot.key) || slot.key == CURRENT;
            if is_read
                && self.slots[..number]
                    .iter()
                    .any(|other| other.key == slot.key)
            {
                return Err(Refusal::Twice {
                    key: slot.key.clone(),
                });
            }
            if slot.key == "<<" {
                return Err(Refusal::MergeKey);
            }
        }
        for (key, expected) in [("kind", "Config"), ("apiVersion", "v1")] {
            let Some(slot) = self.slot(key) else { continue };
            let said = text_of(&slot.value.tokens);
            if !matches!(slot.value.kind, Kind::Null) && said != Some(expected) && said != Some("")
            {
                return Err(Refusal::NotAKubeconfig);
            }
        }
        for list in LISTS {
            if let Some(slot) = self.slot(list)
                && !matches!(slot.value.kind, Kind::Null | Kind::List(..))
            {
                return Err(Refusal::NotAList { list });
            }
        }
        Ok(())
    }
}

impl Node {
    /// The name of a named entry.
    pub(super) fn name(&self) -> Option<&str> {
        text_of(get(&self.tokens, "name")?)
    }
}

/// The text that `tokens` are, if they are that.
pub(super) fn text_of(tokens: &[Token]) -> Option<&str> {
    match tokens {
        [
            Token::Scalar {
                value,
                typed: false,
                ..
            },
        ] => Some(value),
        _ => None,
    }
}

/// What the mapping `tokens` has under `key`: of several, the last.
pub(super) fn get<'a>(tokens: &'a [Token], key: &str) -> Option<&'a [Token]> {
    if !matches!(tokens.first(), Some(Token::Mapping(_))) {
        return None;
    }
    let mut found = None;
    let mut at = 1;
    while at + 1 < tokens.len() {
        let value = at + length(&tokens[at..]);
        let after = value + length(&tokens[value..]);
        if text_of(&tokens[at..value]) == Some(key) {
            found = Some(&tokens[value..after]);
        }
        at = after;
    }
    found
}

/// How many tokens the first value has.
pub(super) fn length(tokens: &[Token]) -> usize {
    let mut open = 0_usize;
    for (number, token) in tokens.iter().enumerate() {
        match token {
            Token::List(_) | Token::Mapping(_) => open += 1,
            Token::End => open = open.saturating_sub(1),
            Token::Scalar { .. } | Token::Alias(_) => {}
        }
        if open == 0 {
            return number + 1;
        }
    }
    tokens.len()
}

/// The events of the one document of a file.
struct Events<'a> {
    all: Vec<(Event<'a>, Range<usize>)>,
    at: usize,
    end: usize,
}

impl<'a> Events<'a> {
    fn read(text: &'a str) -> Result<Self, Refusal> {
        let options = options! {
            // As libyaml, which kubectl has.
            block_scalar_eof_without_line_feed: true,
        };
        let mut all = Vec::new();
        let mut documents = 0;
        let mut end = text.len();
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| Refusal::NotYaml {
                line: error.marker().line(),
                message: match error.kind() {
                    // The character may be one of a key.
                    ErrorKind::UnexpectedCharacter { .. } => "unexpected character".to_owned(),
                    kind => kind.to_string(),
                },
            })?;
            let range = span.byte_range().unwrap_or(text.len()..text.len());
            match &event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        end = end.min(range.start);
                    }
                }
                Event::DocumentEnd => {
                    if !range.is_empty() && text[range.clone()].starts_with("...") {
                        end = end.min(range.start);
                    }
                }
                Event::StreamStart | Event::StreamEnd => {}
                // An empty document is what `---` at the end of a file makes.
                Event::Scalar(..) if documents > 1 && range.is_empty() => {}
                _ if documents > 1 => return Err(Refusal::SeveralDocuments),
                _ => all.push((event, range)),
            }
        }
        Ok(Self { all, at: 0, end })
    }

    fn outline(mut self) -> Result<Outline, Refusal> {
        let mut outline = Outline {
            style: None,
            at: self.end..self.end,
            slots: Vec::new(),
            end: self.end,
        };
        match self.all.first() {
            None => return Ok(outline),
            Some((Event::Scalar(..), range)) if range.is_empty() => return Ok(outline),
            Some((Event::MappingStart(style, 0, _), range)) => {
                outline.style = Some(style_of(*style));
                outline.at.start = range.start;
                self.at = 1;
            }
            Some(_) => return Err(Refusal::NotAKubeconfig),
        }
        while let Some((event, range)) = self.all.get(self.at) {
            if matches!(event, Event::MappingEnd) {
                outline.at.end = range.end;
                break;
            }
            let key = self.node();
            let value = self.node();
            outline.slots.push(Slot {
                key: text_of(&key.tokens).unwrap_or_default().to_owned(),
                key_at: key.at,
                value,
            });
        }
        Ok(outline)
    }

    /// The value that begins with the next event.
    fn node(&mut self) -> Node {
        let mut node = Node {
            at: self.end..self.end,
            kind: Kind::Null,
            tokens: Vec::new(),
            anchored: false,
        };
        let Some((event, range)) = self.all.get(self.at).cloned() else {
            return node;
        };
        node.at = range.clone();
        node.anchored = event.anchor_id().is_some_and(|anchor| anchor > 0);
        node.tokens.push(token(&event));
        self.at += 1;
        let style = match &event {
            Event::Scalar(value, style, _, tag) => {
                let is_null = *style == ScalarStyle::Plain && tag.is_none() && is_null(value);
                node.kind = if is_null { Kind::Null } else { Kind::Scalar };
                return node;
            }
            Event::SequenceStart(style, ..) => style_of(*style),
            Event::MappingStart(style, ..) => style_of(*style),
            _ => {
                node.kind = Kind::Alias;
                return node;
            }
        };
        let mut children = Vec::new();
        while let Some((event, range)) = self.all.get(self.at) {
            if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
                // In block style, the end is where something else begins.
                if style == Style::Flow {
                    node.at.end = range.end;
                }
                self.at += 1;
                break;
            }
            let child = self.node();
            node.at.end = child.at.end;
            node.tokens.extend_from_slice(&child.tokens);
            children.push(child);
        }
        node.tokens.push(Token::End);
        node.kind = match event {
            Event::SequenceStart(..) => Kind::List(style, children),
            _ => Kind::Mapping,
        };
        node
    }
}

fn style_of(style: StructureStyle) -> Style {
    match style {
        StructureStyle::Block => Style::Block,
        StructureStyle::Flow => Style::Flow,
    }
}

fn token(event: &Event<'_>) -> Token {
    let shown = |tag: &Option<std::borrow::Cow<'_, Tag>>| tag.as_ref().map(|tag| tag.original());
    match event {
        Event::Scalar(value, style, _, tag) => Token::Scalar {
            value: value.to_string(),
            typed: *style == ScalarStyle::Plain && tag.is_none() && may_be_typed(value),
            tag: shown(tag),
        },
        Event::SequenceStart(_, _, tag) => Token::List(shown(tag)),
        Event::MappingStart(_, _, tag) => Token::Mapping(shown(tag)),
        Event::Alias(anchor) => Token::Alias(*anchor),
        _ => Token::End,
    }
}

fn is_null(plain: &str) -> bool {
    ["", "~", "null", "Null", "NULL"].contains(&plain)
}

/// Whether YAML may take a scalar without quotes for something else than text.
fn may_be_typed(plain: &str) -> bool {
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n"];
    is_null(plain)
        || plain.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
        || words.contains(&&*plain.to_ascii_lowercase())
}
