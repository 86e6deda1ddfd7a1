//! YAML and JSON as kubectl reads them: by sigs.k8s.io/yaml, that is by the rules of YAML 1.1 for what is no text.
//!
//! Nodes are kept once, and an alias is another way to its node: a file that names itself a billion times costs nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Tag, options};

/// The first document of a file.
pub(crate) struct Document<'a> {
    nodes: Vec<Node<'a>>,
    /// Whether there is content after it.
    pub(crate) has_more: bool,
}

/// A value of a document, for as long as it lives.
#[derive(Clone, Copy)]
pub(crate) struct Value<'d, 'a> {
    document: &'d Document<'a>,
    node: usize,
}

/// What is said of a value that is no text.
pub(crate) type NotText = &'static str;

enum Node<'a> {
    Text(Cow<'a, str>),
    Null,
    /// A scalar that kubectl takes for something else than text.
    Other(NotText),
    List(Vec<usize>),
    /// Keys and values, in turn.
    Mapping(Vec<usize>),
}

/// How many mappings a look-up follows merge keys into.
const MERGES: usize = 100;

impl<'a> Document<'a> {
    /// Reads `text`.
    ///
    /// # Errors
    ///
    /// The line and what is wrong there, which quotes nothing of the text: it may hold a key.
    pub(crate) fn read(text: &'a str) -> Result<Self, (usize, &'static str)> {
        let mut document = Self {
            nodes: Vec::new(),
            has_more: false,
        };
        let mut anchors = BTreeMap::new();
        let mut open: Vec<usize> = Vec::new();
        let mut documents = 0;
        for event in Parser::new_from_str_with_options(text, like_libyaml()) {
            let (event, span) = match event {
                Ok(found) => found,
                // kubectl reads no further than the first document.
                Err(_) if documents > 1 => {
                    document.has_more = true;
                    break;
                }
                Err(error) => return Err((error.marker().line(), "it is not YAML")),
            };
            let (node, anchor) = match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    continue;
                }
                Event::Scalar(value, style, anchor, tag) => {
                    (scalar(value, style, tag.as_deref()), anchor)
                }
                Event::SequenceStart(_, anchor, _) => (Node::List(Vec::new()), anchor),
                Event::MappingStart(_, anchor, _) => (Node::Mapping(Vec::new()), anchor),
                Event::Alias(anchor) => {
                    let target = anchors.get(&anchor).copied().unwrap_or_default();
                    if open.contains(&target) {
                        return Err((span.start.line(), "an alias is inside what it stands for"));
                    }
                    document.add_to(open.last(), target);
                    continue;
                }
                _ => continue,
            };
            if documents > 1 {
                // An empty document is what `---` at the end of a file makes.
                document.has_more |= !matches!(node, Node::Null);
                continue;
            }
            let place = document.nodes.len();
            let is_collection = matches!(node, Node::List(_) | Node::Mapping(_));
            document.nodes.push(node);
            document.add_to(open.last(), place);
            if anchor > 0 {
                anchors.insert(anchor, place);
            }
            if is_collection {
                open.push(place);
            }
        }
        if document.nodes.is_empty() {
            document.nodes.push(Node::Null);
        }
        Ok(document)
    }

    fn add_to(&mut self, parent: Option<&usize>, child: usize) {
        if let Some(Node::List(children) | Node::Mapping(children)) =
            parent.and_then(|&parent| self.nodes.get_mut(parent))
        {
            children.push(child);
        }
    }

    /// The whole of it.
    pub(crate) fn root(&self) -> Value<'_, 'a> {
        self.value(0)
    }

    fn value(&self, node: usize) -> Value<'_, 'a> {
        Value {
            document: self,
            node,
        }
    }
}

impl<'d, 'a> Value<'d, 'a> {
    /// Whether it is a mapping.
    pub(crate) fn is_mapping(self) -> bool {
        matches!(self.node(), Node::Mapping(_))
    }

    /// Whether it is nothing.
    pub(crate) fn is_null(self) -> bool {
        matches!(self.node(), Node::Null)
    }

    /// Its text, if it is that; what it is instead, if it is something.
    pub(crate) fn text(self) -> Result<Option<&'d str>, NotText> {
        match self.node() {
            Node::Text(text) => Ok(Some(text)),
            Node::Null => Ok(None),
            Node::Other(what) => Err(what),
            Node::List(_) => Err("a list"),
            Node::Mapping(_) => Err("a mapping"),
        }
    }

    /// Its entries, if it is a list.
    pub(crate) fn list(self) -> Option<impl Iterator<Item = Value<'d, 'a>>> {
        match self.node() {
            Node::List(children) => Some(
                children
                    .iter()
                    .map(move |&child| self.document.value(child)),
            ),
            _ => None,
        }
    }

    /// What a mapping has under `key`: of several, the last, as kubectl takes it; merge keys (`<<`) included.
    pub(crate) fn get(self, key: &str) -> Option<Value<'d, 'a>> {
        self.find(key, &mut { MERGES })
    }

    fn find(self, key: &str, merges: &mut usize) -> Option<Value<'d, 'a>> {
        let Node::Mapping(children) = self.node() else {
            return None;
        };
        children.rchunks_exact(2).find_map(|pair| {
            let [name, value] = [pair[0], pair[1]].map(|node| self.document.value(node));
            match name.node() {
                Node::Text(text) if text == key => Some(value),
                Node::Text(text) if text == "<<" => {
                    *merges = merges.checked_sub(1)?;
                    match value.list() {
                        Some(mut all) => all.find_map(|one| one.find(key, merges)),
                        None => value.find(key, merges),
                    }
                }
                _ => None,
            }
        })
    }

    fn node(self) -> &'d Node<'a> {
        &self.document.nodes[self.node]
    }
}

/// Where libyaml, which kubectl has, and YAML 1.2 differ.
fn like_libyaml() -> Options {
    options! {
        bom_inside_document_as_content: true,
        block_scalar_eof_without_line_feed: true,
    }
}

fn scalar<'a>(value: Cow<'a, str>, style: ScalarStyle, tag: Option<&Tag>) -> Node<'a> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema_tag("str") => Node::Text(value),
        Some(tag) if tag.original() == "!" => Node::Text(value),
        Some(_) => Node::Other("of a kind of its own (it has a tag)"),
        None if style == ScalarStyle::Plain => plain(value),
        None => Node::Text(value),
    }
}

/// A scalar without quotes, by the rules of go-yaml v2.
fn plain(value: Cow<'_, str>) -> Node<'_> {
    match &*value {
        "" | "~" | "null" | "Null" | "NULL" => Node::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" | "n"
        | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Node::Other("a truth value")
        }
        number if is_number(number) => Node::Other("a number"),
        _ => Node::Text(value),
    }
}

fn is_number(text: &str) -> bool {
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return false;
    }
    let text = text.replace('_', "");
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(&text);
    if [".inf", ".Inf", ".INF"].contains(&unsigned) || [".nan", ".NaN", ".NAN"].contains(&&*text) {
        return true;
    }
    let lower = unsigned.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            return !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        }
    }
    // A float's form is an integer's with more: digits, perhaps a point, perhaps an exponent.
    let (mantissa, exponent) = match lower.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (&*lower, None),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    has_digits
        && all_digits(whole)
        && all_digits(fraction)
        && exponent.is_none_or(|exponent| {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !digits.is_empty() && all_digits(digits)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let document = Document::read(text).unwrap();
        match document.root().get("a").map(Value::text) {
            Some(Ok(Some(text))) => format!("text {text}"),
            Some(Ok(None)) => "null".to_owned(),
            Some(Err(what)) => what.to_owned(),
            None => "absent".to_owned(),
        }
    }

    #[test]
    fn scalars_are_what_kubectl_takes_them_for() {
        for (text, expected) in [
            ("a: b", "text b"),
            ("a: 'b'", "text b"),
            ("a: \"\\x62\\/\"", "text b/"),
            ("'a': b # why", "text b"),
            ("{\"a\":\"b\"}", "text b"),
            ("{\t\"a\":\t\"b\"\n}", "text b"),
            ("a: |\n  b\n  c\n", "text b\nc\n"),
            ("a: |-\n  b", "text b"),
            ("a: |\n  b", "text b"),
            ("a: >-\n  b\n  c\n", "text b c"),
            ("\u{feff}a: b\r\n", "text b"),
            ("---\na: b\n...\n", "text b"),
            ("%YAML 1.1\n---\na: b\n", "text b"),
            // Of two, the last.
            ("a: b\na: c\n", "text c"),
            ("x: &x b\na: *x\n", "text b"),
            ("x: &x {a: b}\n<<: *x\n", "text b"),
            ("x: &x {a: b}\ny: &y {a: c}\n<<: [*y, *x]\n", "text c"),
            ("x: &x {a: b}\na: c\n<<: *x\n", "text b"),
            ("x: &x {a: b}\n<<: *x\na: c\n", "text c"),
            ("A: b", "absent"),
            ("a:", "null"),
            ("a: ~", "null"),
            ("a: null", "null"),
            ("a: 'null'", "text null"),
            ("a: no", "a truth value"),
            ("a: On", "a truth value"),
            ("a: y", "a truth value"),
            ("a: nO", "text nO"),
            ("a: 1e3", "a number"),
            ("a: 1_000", "a number"),
            ("a: 0x1f", "a number"),
            ("a: 0o17", "a number"),
            ("a: -.5", "a number"),
            ("a: +.Inf", "a number"),
            ("a: .nan", "a number"),
            ("a: 1e", "text 1e"),
            ("a: 0x", "text 0x"),
            ("a: 10.0.0.1", "text 10.0.0.1"),
            ("a: .", "text ."),
            ("a: 2001-01-01", "text 2001-01-01"),
            ("a: !!str 1", "text 1"),
            ("a: ! 1", "text 1"),
            ("a: !!int '1'", "of a kind of its own (it has a tag)"),
            ("a: [b]", "a list"),
            ("a: {b: c}", "a mapping"),
            ("", "absent"),
            ("- a", "absent"),
        ] {
            assert_eq!(said(text), expected, "{text:?}");
        }
    }

    #[test]
    fn other_documents_are_noticed() {
        for (text, expected) in [
            ("a: b", false),
            ("a: b\n---\n", false),
            ("a: b\n...\n---\n# nothing\n", false),
            ("a: b\n---\na: c\n", true),
            ("a: b\n---\n[", true),
        ] {
            assert_eq!(Document::read(text).unwrap().has_more, expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_yaml_is_refused_with_its_line() {
        for (text, line, problem) in [
            ("a: b\nc: [", 2, "it is not YAML"),
            ("a: 'b", 1, "it is not YAML"),
            ("a: b\n\tc: d\n", 1, "it is not YAML"),
            ("a: *x\n", 1, "it is not YAML"),
            (
                "a: &x\n  b: *x\n",
                2,
                "an alias is inside what it stands for",
            ),
        ] {
            let error = Document::read(text).err().unwrap();
            assert_eq!(error.1, problem, "{text:?}");
            assert!(error.0 >= line, "{text:?}: line {}", error.0);
        }
    }

    #[test]
    fn aliases_of_aliases_cost_nothing() {
        let mut text = "x0: &x0 [b, b, b, b, b, b, b, b, b, b]\n".to_owned();
        for level in 1..200 {
            let inner = format!("*x{}, ", level - 1).repeat(10);
            text += &format!("x{level}: &x{level} [{inner}]\n");
        }
        text += "a: b\n";
        assert_eq!(said(&text), "text b");
        let deep = format!("a: {}", "[".repeat(100_000));
        assert!(Document::read(&deep).is_err());
        let mut merges = "x0: &x0 {z: b}\n".to_owned();
        for level in 1..40 {
            let inner = format!("*x{}, ", level - 1).repeat(10);
            merges += &format!("x{level}: &x{level}\n  <<: [{inner}]\n");
        }
        merges += "<<: *x39\n";
        // What is nowhere is not looked for a billion times.
        assert_eq!(said(&merges), "absent");
    }
}
