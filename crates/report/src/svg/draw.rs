//! Elements in a line each.

use svg::node::element::Element;
use svg::node::{Node, Text, Value};

/// An element with attributes.
pub(super) fn element<const N: usize>(name: &str, attributes: [(&str, Value); N]) -> Element {
    let mut element = Element::new(name);
    for (name, value) in attributes {
        element.assign(name, value);
    }
    element
}

/// An element that takes others.
pub(super) trait With: Node + Sized {
    /// With one more element in it.
    #[must_use]
    fn with(mut self, child: impl Into<Box<dyn Node>>) -> Self {
        self.append(child);
        self
    }
}

impl With for Element {}

/// A number as it is written: with one decimal at most.
pub(super) fn number(value: f64) -> Value {
    let rounded = (value * 10.0).round() / 10.0;
    Value::from(rounded)
}

/// Text of a class, whose baseline begins, is centred or ends there.
pub(super) fn text(class: &str, (x, y): (f64, f64), content: &str) -> Element {
    let attributes = [
        ("class", Value::from(class)),
        ("x", number(x)),
        ("y", number(y)),
    ];
    element("text", attributes).with(Text::new(content))
}

/// A rectangle with round corners.
pub(super) fn rect(
    class: &str,
    (x, y): (f64, f64),
    (width, height): (f64, f64),
    r: f64,
) -> Element {
    element(
        "rect",
        [
            ("class", Value::from(class)),
            ("x", number(x)),
            ("y", number(y)),
            ("width", number(width)),
            ("height", number(height)),
            ("rx", number(r)),
        ],
    )
}

/// A path.
pub(super) fn path(class: &str, data: &str) -> Element {
    element(
        "path",
        [("class", Value::from(class)), ("d", Value::from(data))],
    )
}

/// A group of a class.
pub(super) fn group(class: &str) -> Element {
    element("g", [("class", Value::from(class))])
}

/// What is shown where the pointer rests, and read out.
pub(super) fn title(content: &str) -> Element {
    Element::new("title").with(Text::new(content))
}

/// `name` in at most `most` characters of a font whose characters are equally wide.
pub(super) fn cut(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    let kept: String = name.chars().take(most.saturating_sub(1)).collect();
    kept + "…"
}
