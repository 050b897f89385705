//! The JSON schema of a definition file, drawn up from what the parser asks for.
//!
//! The parser is handed nearly empty connections and watched: each key that it asks for, with the
//! form that it reads the value by, becomes a property. So the two cannot disagree.

use serde_json::{Map, Value, json};

use super::SourceText;
use super::draft::Draft;
use super::section::{ANY_KEY, Key, Reported, Reports};
use super::tree::{self, Value as Toml};

/// One of each kind of source, destination, and rule for deletions: all that decides which keys
/// there are.
const KINDS: [&str; 2] = [
    r#"destination = { kind = "record-api", delete = { tombstone = "deleted" }, read = {} }
       policy = { hold_deletions = {} }"#,
    r#"destination = { kind = "record-api", delete = { method = "DELETE" } }"#,
];
const SOURCE: &str = r#"source = { kind = "mailchimp" }"#;

/// Every key that a connection may have, in the order in which the parser asks for them.
pub(super) fn keys() -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for kind in KINDS {
        let text = format!("{SOURCE}\n{kind}\n");
        let document = tree::read(&SourceText { name: String::new(), text });
        let document = document.expect("the examples are TOML");
        let Toml::Table(table) = &document.value else { unreachable!("a document is a table") };
        let reports = Reports::of_keys();
        drop(Draft::read(&document.at, table, Err(Reported), &reports));
        for key in reports.into_keys() {
            if keys.iter().all(|known| known.path != key.path) {
                keys.push(key);
            }
        }
    }
    keys
}

/// The JSON schema of a definition file, for editors and other tools. `docs/definition.schema.json`
/// holds it. It refuses nothing that [`parse`](super::parse()) takes; what has to fit together over
/// several keys, `parse` alone knows.
pub fn schema() -> Value {
    let keys = keys();
    let mut sections = Map::new();
    for section in ["source", "destination", "record", "policy"] {
        sections.insert(section.to_owned(), Section::of(&keys, section).schema());
    }
    sections["destination"]["properties"]["delete"] = delete(&keys);
    sections["destination"]["properties"]["read"] = table(&keys, "destination.read");
    sections["policy"]["properties"]["hold_deletions"] = table(&keys, "policy.hold_deletions");
    let root = Section::of(&keys, "");
    let mut connection = root.schema();
    for section in ["source", "destination", "record", "policy"] {
        connection["properties"][section] = json!({ "$ref": format!("#/$defs/{section}") });
    }
    let mut defaults = connection.clone();
    if let Some(properties) = defaults["properties"].as_object_mut() {
        properties.remove("id");
    }
    connection["required"] = json!(["id"]);
    sections.insert("connection".to_owned(), connection);
    sections.insert("defaults".to_owned(), defaults);
    sections.insert("complete".to_owned(), complete(&keys));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Connections of Tidemark",
        "type": "object",
        "additionalProperties": false,
        "required": ["connection"],
        "properties": {
            "defaults": { "$ref": "#/$defs/defaults" },
            "connection": {
                "type": "array",
                "minItems": 1,
                "items": { "$ref": "#/$defs/connection" },
            },
        },
        // With defaults, what a connection leaves out may stand there.
        "if": { "not": { "required": ["defaults"] } },
        "then": {
            "properties": { "connection": { "items": { "$ref": "#/$defs/complete" } } },
        },
        "$defs": sections,
    })
}

/// The keys of one table.
struct Section<'k> {
    keys: Vec<(&'k str, &'k Key)>,
}

impl<'k> Section<'k> {
    fn of(keys: &'k [Key], section: &str) -> Self {
        let inside = |key: &'k Key| {
            let (table, name) = key.path.rsplit_once('.').unwrap_or(("", &key.path));
            (table == section).then_some((name, key))
        };
        Self { keys: keys.iter().filter_map(inside).collect() }
    }

    fn required(&self) -> Vec<&'k str> {
        self.keys.iter().filter(|(_, key)| key.required).map(|(name, _)| *name).collect()
    }

    fn schema(&self) -> Value {
        let mut properties = Map::new();
        let mut others = json!(false);
        for (name, key) in &self.keys {
            if *name == ANY_KEY {
                others = key.shape.schema();
            } else {
                properties.insert((*name).to_owned(), key.shape.schema());
            }
        }
        json!({ "type": "object", "properties": properties, "additionalProperties": others })
    }
}

/// A table inside a section.
fn table(keys: &[Key], path: &str) -> Value {
    let section = Section::of(keys, path);
    let mut schema = section.schema();
    let required = section.required();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// Either a tombstone or a request.
fn delete(keys: &[Key]) -> Value {
    let all = Section::of(keys, "destination.delete").keys;
    let (tombstone, request): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(name, _)| *name == "tombstone");
    let one = |keys| {
        let section = Section { keys };
        let mut schema = section.schema();
        schema["required"] = json!(section.required());
        schema
    };
    json!({ "oneOf": [one(tombstone), one(request)] })
}

/// What a connection has to have that nothing is merged into.
fn complete(keys: &[Key]) -> Value {
    let sections = ["source", "destination", "record", "policy"];
    let mut properties = Map::new();
    for section in sections {
        let required = Section::of(keys, section).required();
        properties.insert(section.to_owned(), json!({ "required": required }));
    }
    json!({
        "required": sections,
        "properties": properties,
        "oneOf": [
            { "required": ["every"], "not": { "required": ["timezone"] } },
            { "required": ["cron", "timezone"] },
        ],
    })
}
