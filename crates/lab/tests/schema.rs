//! The schema that editors use says of a file what the parser says, as far as a schema can.
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use caravan_lab::{Lab, Rule, schema};
use expect_test::expect_file;
use serde_json::Value;

/// The rules that a schema can hold.
const OF_SCHEMA: [Rule; 6] = [
    Rule::MissingKey,
    Rule::NumberOutOfRange,
    Rule::UnknownKey,
    Rule::UnknownKubernetes,
    Rule::UnknownWord,
    Rule::WrongType,
];

/// Whether `value` is as `schema` says, by the words that ours uses; any other word is a failure of the test.
fn holds(schema: &Value, value: &Value) -> bool {
    let words = schema.as_object().expect("an object");
    words.iter().all(|(word, says)| match word.as_str() {
        "$schema" | "title" | "description" => true,
        "type" => match says.as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            other => panic!("{other:?}"),
        },
        "enum" => says.as_array().expect("a list").contains(value),
        "minimum" => value.as_i64() >= says.as_i64(),
        "maximum" => value.as_i64() <= says.as_i64(),
        "minItems" => value.as_array().is_none_or(|it| !it.is_empty()),
        "minProperties" => value.as_object().is_none_or(|it| !it.is_empty()),
        "items" => value
            .as_array()
            .is_none_or(|it| it.iter().all(|it| holds(says, it))),
        "required" => value.as_object().is_none_or(|it| {
            let mut names = says.as_array().expect("a list").iter();
            names.all(|name| it.contains_key(name.as_str().expect("text")))
        }),
        "properties" => value.as_object().is_none_or(|it| {
            let properties = says.as_object().expect("an object");
            properties
                .iter()
                .all(|(name, says)| it.get(name).is_none_or(|it| holds(says, it)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|it| {
            let known = schema["properties"].as_object();
            let mut others = it
                .iter()
                .filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)));
            others.all(|(_, it)| match says {
                Value::Bool(may) => *may,
                says => holds(says, it),
            })
        }),
        other => panic!("the test does not know `{other}`"),
    })
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let files = entries.map(|entry| entry.path());
    files
        .filter(|path| path.extension().is_some_and(|it| it == "toml"))
        .collect()
}

#[test]
fn it_is_the_one_that_editors_are_given() {
    let mut text = serde_json::to_string_pretty(&schema()).expect("plain data");
    text.push('\n');
    expect_file!["../../../labs/lab.schema.json"].assert_eq(&text);
}

#[test]
fn it_refuses_what_the_parser_refuses() {
    let schema = schema();
    let (mut refused, mut accepted) = (BTreeSet::new(), 0);
    for path in [files("tests/bad"), files("../../labs")].concat() {
        let source = fs::read_to_string(&path).expect("read");
        // What is no TOML is nothing to a schema.
        let Ok(value) = toml::from_str::<toml::Value>(&source) else {
            continue;
        };
        let value = serde_json::to_value(value).expect("TOML is JSON");
        let rules: BTreeSet<Rule> = match Lab::parse("lab", &source) {
            Ok(_) => BTreeSet::new(),
            Err(faults) => faults.into_iter().map(|fault| fault.rule).collect(),
        };
        let expected: Vec<&Rule> = rules
            .iter()
            .filter(|rule| OF_SCHEMA.contains(rule))
            .collect();
        assert_eq!(
            holds(&schema, &value),
            expected.is_empty(),
            "{}: {rules:?}",
            path.display()
        );
        refused.extend(expected.into_iter().copied());
        accepted += usize::from(rules.is_empty());
    }
    assert_eq!(refused.len(), OF_SCHEMA.len(), "{refused:?}");
    assert!(accepted >= 4);
}
