//! A record as people are shown it: its shape, or its content if they ask for that.

use serde_json::{Map, Value};
use tidemark_model::check::masked;

/// The fields of a record (a JSON object of texts) in their order. What is not asked for is not
/// shown: it may be personal data.
pub(crate) fn fields(record: &str, values: bool) -> Vec<(String, String)> {
    let record: Map<String, Value> = serde_json::from_str(record).unwrap_or_default();
    let shown = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        if values { text.to_owned() } else { masked(text) }
    };
    record.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
}

/// One field a line.
pub(crate) fn lines(fields: &[(String, String)]) -> String {
    let lines: Vec<String> = fields.iter().map(|(name, text)| format!("{name} = {text}")).collect();
    lines.join("\n")
}
