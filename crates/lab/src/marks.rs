//! Labels and taints that a lab file gives its nodes.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::document::Fields;
use crate::fault::FaultSink;
use crate::place::At;
use crate::rule::Rule;
use crate::suggest::{alternatives, nearest};

/// What a taint can do to pods.
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The longest name of a label or a taint, without its prefix, and the longest value.
const LONGEST: usize = 63;

/// A taint of a node. `Display`, and what it is written as in JSON: `dedicated=db:NoSchedule`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Taint {
    /// What a pod has to tolerate: `dedicated`.
    pub key: String,
    /// Its value: `db`; may be empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, effect } = self;
        match value.as_str() {
            "" => write!(f, "{key}:{effect}"),
            value => write!(f, "{key}={value}:{effect}"),
        }
    }
}

impl Serialize for Taint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Taint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((what, effect)) = text.rsplit_once(':') else {
            return Err("it has no effect after a colon".to_owned());
        };
        let (key, value) = what.split_once('=').unwrap_or((what, ""));
        if !EFFECTS.contains(&effect) {
            let known = alternatives(EFFECTS);
            return Err(match nearest(effect, EFFECTS) {
                Some(meant) => {
                    format!("there is no effect `{effect}`, only {known}; did you mean `{meant}`?")
                }
                None => format!("there is no effect `{effect}`, only {known}"),
            });
        }
        hold_key(key)?;
        hold_value(value)?;
        Ok(Self {
            key: key.to_owned(),
            value: value.to_owned(),
            effect: effect.to_owned(),
        })
    }
}

/// Holds that Kubernetes takes `key` for a label's or a taint's: `[prefix/]name`.
pub(crate) fn hold_key(key: &str) -> Result<(), String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix {
        let is_label = |label: &str| {
            let end = |byte: Option<&u8>| {
                byte.is_some_and(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
            };
            let bytes = label.as_bytes();
            bytes.iter().all(|it| end(Some(it)) || *it == b'-')
                && end(bytes.first())
                && end(bytes.last())
        };
        if prefix.len() > 253 || !prefix.split('.').all(is_label) {
            return Err(format!(
                "`{prefix}` before the slash is no DNS name in lower case"
            ));
        }
    }
    if name.is_empty() {
        return Err("it has no name".to_owned());
    }
    hold_value(name)
}

/// Holds that Kubernetes takes `value` for a label's: at most 63 letters, digits, `-`, `_` and `.`, the first and the last of
/// them a letter or a digit; or nothing.
pub(crate) fn hold_value(value: &str) -> Result<(), String> {
    if value.len() > LONGEST {
        return Err(format!(
            "`{value}` has {} characters, and may have {LONGEST}",
            value.len()
        ));
    }
    let is_end = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    let is_word = bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte));
    match is_word && is_end(bytes.first()) && is_end(bytes.last()) {
        true => Ok(()),
        false => Err(format!(
            "`{value}` is not made of letters, digits, `-`, `_` and `.` between letters or digits"
        )),
    }
}

/// Reads the labels of a machine.
pub(crate) fn labels(fields: &Fields<'_, '_>, sink: &mut FaultSink) -> Vec<(At<String>, String)> {
    let labels = fields.texts("labels", sink);
    for (key, value) in &labels {
        if let Err(why) = hold_key(&key.value).and_then(|()| hold_value(value)) {
            let message = format!("Kubernetes refuses the label `{}`: {why}", key.value);
            sink.refuse(Rule::InvalidLabel, &key.span, message);
        }
    }
    labels
}

/// Reads the taints of a machine.
pub(crate) fn taints(fields: &Fields<'_, '_>, sink: &mut FaultSink) -> Vec<At<Taint>> {
    let texts = fields.list("taints", sink, |text| Some(text.to_owned()));
    let mut taints: Vec<At<Taint>> = Vec::new();
    for At { value: text, span } in texts.unwrap_or_default() {
        match text.parse::<Taint>() {
            Err(why) => {
                let message = format!("`{text}` is no taint: {why}");
                sink.refuse(Rule::InvalidTaint, &span, message)
                    .label("expected such as `dedicated=db:NoSchedule`");
            }
            Ok(taint) => {
                let same = |it: &&At<Taint>| {
                    (&it.value.key, &it.value.effect) == (&taint.key, &taint.effect)
                };
                if let Some(first) = taints.iter().find(same) {
                    let message = format!("`{text}` has the key and the effect of another taint");
                    sink.refuse(Rule::InvalidTaint, &span, message)
                        .related(&first.span, "the other one");
                }
                taints.push(At { value: taint, span });
            }
        }
    }
    taints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_are_read_as_they_are_shown() {
        for text in [
            "dedicated=db:NoSchedule",
            "gpu:NoExecute",
            "example.com/a.b_c-d=:PreferNoSchedule",
        ] {
            let taint: Taint = text.parse().expect(text);
            assert_eq!(taint.to_string(), text.replace("=:", ":"));
        }
        for (text, why) in [
            ("dedicated", "no effect after a colon"),
            ("dedicated=db:NoScedule", "did you mean `NoSchedule`?"),
            (":NoSchedule", "no name"),
            ("a b:NoSchedule", "letters"),
            ("Example.com/a:NoSchedule", "no DNS name"),
        ] {
            let error = text.parse::<Taint>().expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn keys_and_values_are_those_of_kubernetes() {
        let long = "x".repeat(63);
        for good in ["a", "node-role.kubernetes.io/worker", "x.y/Z_1", &long] {
            assert_eq!(hold_key(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "a/",
            "/a",
            "-a",
            "a-",
            "a/b/c",
            "ä",
            &format!("{long}x"),
        ] {
            assert!(hold_key(bad).is_err(), "{bad}");
        }
        assert_eq!(hold_value(""), Ok(()));
        assert!(hold_value(".").is_err());
    }
}
