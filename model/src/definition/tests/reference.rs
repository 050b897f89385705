//! The reference page and the schema say what the parser knows, and nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::super::consequence::{Concerns, Field, fields};
use super::super::schema::{keys, schema};
use super::super::section::Key;
use super::{EVERYTHING, SHORT, one};

/// Set to write the schema anew.
const WRITE: &str = "TIDEMARK_WRITE_SCHEMA";

fn docs(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file)
}

#[test]
fn the_schema_in_docs_is_the_parsers() {
    let path = docs("definition.schema.json");
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stands == text, "{} differs; write it anew with {WRITE}=1", path.display());
}

/// A row of the page's tables of keys.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    values: String,
    default: String,
    edit: String,
}

/// The rows whose first cell is a key in backticks, by the key's path. A heading says below which
/// table of the definition they are.
fn page() -> BTreeMap<String, Row> {
    let text = std::fs::read_to_string(docs("definitions.md")).unwrap();
    let mut prefix = String::new();
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let table = heading.trim_matches(['`', '[', ']']);
            prefix = match table.strip_prefix("connection") {
                Some(below) => below.trim_start_matches('.').to_owned(),
                None => "(no table)".to_owned(),
            };
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [key, values, default, edit, _] = cells.as_slice() else { continue };
        let Some(key) = key.strip_prefix('`').and_then(|key| key.strip_suffix('`')) else {
            continue;
        };
        let path = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        let row = Row {
            values: (*values).to_owned(),
            default: (*default).to_owned(),
            edit: (*edit).to_owned(),
        };
        assert!(rows.insert(path.clone(), row).is_none(), "{path} stands there twice");
    }
    rows
}

/// What the parser and the consequences of edits say of a key.
fn row(key: &Key, short: &[Field], every: &[Field]) -> Row {
    let of = |fields: &[Field]| {
        let below =
            |name: &str| key.path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        let named = |field: &&Field| key.path == field.name || below(&field.name);
        fields.iter().find(named).map(|field| (field.value.clone(), field.concerns))
    };
    let default = match (key.path.as_str(), of(short)) {
        ("id", _) => "required".to_owned(),
        _ if key.required => "required".to_owned(),
        ("every" | "cron" | "timezone", _) => "one of both".to_owned(),
        ("max_lag", _) => "3 × the interval".to_owned(),
        ("record.id_prefix", _) => "the connection's name and `:`".to_owned(),
        ("record.*", _) => "–".to_owned(),
        ("policy.required", _) => "none".to_owned(),
        (_, Some((value, _))) => value,
        (_, None) => "–".to_owned(),
    };
    let edit = match of(short).or_else(|| of(every)).map(|(_, concerns)| concerns) {
        None if key.path == "id" => "another connection",
        None | Some(Concerns::Fields) => "source, destination",
        Some(Concerns::Operation | Concerns::Deletions) => "none",
        Some(Concerns::Rows | Concerns::Mapping) => "source",
        Some(Concerns::Address | Concerns::Records) => "destination",
        Some(Concerns::Ids) if key.path == "record.id" => "source, destination",
        Some(Concerns::Ids) => "destination",
    };
    Row { values: key.shape.words(), default, edit: edit.to_owned() }
}

#[test]
fn the_reference_page_names_every_key_and_no_other() {
    let (short, every) = (fields(&one(SHORT)), fields(&one(EVERYTHING)));
    let expected: BTreeMap<String, Row> =
        keys().iter().map(|key| (key.path.clone(), row(key, &short, &every))).collect();
    let mut page = page();
    let mut wrong = Vec::new();
    for (path, row) in &expected {
        let Row { values, default, edit } = row;
        match page.remove(path) {
            Some(stands) if stands == *row => {}
            Some(stands) => wrong.push(format!("{path}: {stands:?} should be {row:?}")),
            None => wrong.push(format!("missing: | `{path}` | {values} | {default} | {edit} |")),
        }
    }
    wrong.extend(page.into_keys().map(|path| format!("{path} is unknown to the parser")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The hashes themselves, since the page names them: a changed value changes those that it says.
#[test]
fn the_page_names_the_hashes_that_change() {
    let base = one(SHORT);
    let edits = [
        ("every", "every = \"1h\"", "every = \"2h\""),
        ("source.list_id", "\"a1b2c3\"", "\"ffffff\""),
        ("destination.url", "internal/record", "internal/other"),
        ("destination.delete.tombstone", "\"deleted\" }", "\"gone\" }"),
        ("record.*", "email = \"email_address\"", "mail = \"email_address\""),
        ("policy.deletions", "\"propagate\"", "\"keep\""),
    ];
    let page = page();
    for (path, piece, replacement) in edits {
        let edited = one(&super::short_with(piece, replacement));
        let mut changed = Vec::new();
        if edited.source_hash() != base.source_hash() {
            changed.push("source");
        }
        if edited.destination_hash() != base.destination_hash() {
            changed.push("destination");
        }
        let changed = if changed.is_empty() { "none".to_owned() } else { changed.join(", ") };
        assert_eq!(page[path].edit, changed, "{path}");
    }
}

#[test]
fn the_schema_knows_the_keys_of_a_definition_with_all_of_them() {
    let document: Value = toml::from_str(EVERYTHING).unwrap();
    let schema = schema();
    let connection = &schema["$defs"]["connection"]["properties"];
    for (key, value) in document["connection"][0].as_object().unwrap() {
        assert!(!connection[key].is_null(), "{key}");
        for inner in value.as_object().into_iter().flat_map(|table| table.keys()) {
            let section = &schema["$defs"][key];
            let known = !section["properties"][inner].is_null()
                || section["additionalProperties"].is_object();
            assert!(known, "{key}.{inner}");
        }
    }
}
