//! The lab file as a JSON schema, for editors: made from the keys by which files are read.

use serde_json::{Map, Value, json};

use crate::document::{Form, Key};
use crate::draft::LAB_KEYS;

/// Returns the JSON schema (draft 2020-12) of lab files.
///
/// It knows keys, kinds of values, words and ranges of numbers; what must fit together is what [`crate::Lab::parse`] knows.
pub fn schema() -> Value {
    let mut schema = table(LAB_KEYS);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Caravan lab file");
    schema["description"] = json!("docs/lab-file.md tells of each key");
    schema
}

fn table(keys: &[Key]) -> Value {
    let properties: Map<String, Value> = (keys.iter())
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required = keys.iter().filter(|key| key.required.is_some());
    let required: Vec<&str> = required.map(|key| key.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut property = match key.form {
        Form::Text => json!({"type": "string"}),
        Form::Word(words) => json!({"type": "string", "enum": words()}),
        Form::Boolean => json!({"type": "boolean"}),
        Form::Number(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Form::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Form::Table(keys) => table(keys),
        Form::Tables(keys) => {
            json!({"type": "object", "additionalProperties": table(keys), "minProperties": 1})
        }
        Form::NamedTables(names, keys) => {
            let tables: Map<String, Value> = (names().into_iter())
                .map(|name| (name, table(keys)))
                .collect();
            json!({"type": "object", "properties": tables, "additionalProperties": false})
        }
        Form::Switches => json!({"type": "object", "additionalProperties": {"type": "boolean"}}),
        Form::TextTable => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Form::FreeTable => json!({"type": "object"}),
        Form::TableList(keys) => json!({"type": "array", "items": table(keys), "minItems": 1}),
    };
    property["description"] = json!(key.expected);
    property
}
