//! What a destination says about records, without what it quotes of them: its reasons get into
//! histories, texts and log lines, where no contact data may stand.

use std::{cmp::Reverse, collections::BTreeSet, ops::Range};

use serde_json::{Map, Value};
use tidemark_engine::port::Write;

use crate::quoted::without_addresses;

/// The longest reason that is kept, in characters.
const REASON_LIMIT: usize = 200;

/// So much of what it says is searched for values, in characters: it may send the whole batch back.
const SEARCHED_LIMIT: usize = 4_000;

/// A value of fewer bytes is left in a reason: it names nobody, and taking it out would tear words
/// apart.
const SHORT_VALUE: usize = 3;

/// Where destinations put their reason.
const REASON_KEYS: [&str; 5] = ["reason", "message", "error", "detail", "title"];

/// The reason that an object of the destination gives, without the values of the records that it
/// speaks of, and without e-mail addresses: it may speak of a record that was not sent with the
/// request, or of one whose removal it refuses.
pub(super) fn words(value: &Value, records: &[Write]) -> Option<String> {
    let words = REASON_KEYS.iter().find_map(|key| value.get(key)?.as_str())?;
    let cut = words.chars().nth(SEARCHED_LIMIT).is_some();
    let words = words.chars().take(SEARCHED_LIMIT);
    let words: String = words.map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut values = BTreeSet::new();
    for record in records {
        let fields: Map<String, Value> = serde_json::from_str(&record.record).unwrap_or_default();
        let texts = fields.iter().filter_map(|(_, value)| value.as_str());
        let telling = texts.filter(|value| value.len() >= SHORT_VALUE && *value != record.id);
        values.extend(telling.map(folded));
    }
    let mut words = without_addresses(&without_values(&words, &values));
    if cut && words.chars().nth(REASON_LIMIT).is_none() {
        // Nearly all was taken out, and a value may have been cut in two at the end.
        words.truncate(words.rfind('…').unwrap_or_default());
    }
    let words: String = words.trim().chars().take(REASON_LIMIT).collect();
    (!words.is_empty()).then_some(words)
}

/// A text by which two that differ in capital letters only are the same.
fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// A text without values, which are folded, however it writes them.
fn without_values(text: &str, values: &BTreeSet<String>) -> String {
    // A letter may be longer when it is folded: for each byte, where its character stands.
    let mut places: Vec<Range<usize>> = Vec::with_capacity(text.len());
    let mut searched = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        searched.extend(c.to_lowercase());
        places.resize(searched.len(), at..at + c.len_utf8());
    }
    let mut found: Vec<Range<usize>> = Vec::new();
    for value in values {
        found.extend(searched.match_indices(value.as_str()).filter_map(|(at, value)| {
            let last = at + value.len().checked_sub(1)?;
            Some(places.get(at)?.start..places.get(last)?.end)
        }));
    }
    // One value may be a part of another, or begin within it.
    found.sort_unstable_by_key(|place| (place.start, Reverse(place.end)));
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for place in found {
        if place.start >= from {
            kept.push_str(text.get(from..place.start).unwrap_or_default());
            kept.push('…');
        }
        from = from.max(place.end);
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str, records: &[&str]) -> Option<String> {
        let record = |record: &&str| Write {
            key: "1".to_owned(),
            id: "n:1".to_owned(),
            record: (*record).to_owned(),
        };
        let records: Vec<Write> = records.iter().map(record).collect();
        words(&serde_json::json!({ "message": message }), &records)
    }

    #[test]
    fn values_are_taken_out_however_they_are_written() {
        let ada = r#"{"id":"n:1","email":"ada@example.com","first":"Ada","last":"Ça İpek Ada"}"#;
        for (message, reason) in [
            ("ADA@Example.COM of ada is taken", "… of … is taken"),
            ("ÇA İPEK ADA: n:1 has it", "…: n:1 has it"),
            ("İadaß", "İ…ß"),
            ("nothing of it", "nothing of it"),
        ] {
            assert_eq!(said(message, &[ada]).as_deref(), Some(reason));
        }
    }

    #[test]
    fn addresses_are_taken_out_of_what_is_said_about_records_that_were_not_sent() {
        let reason = said("still used by Bob <bob@example.com>", &[""]);
        assert_eq!(reason.as_deref(), Some("still used by Bob <…>"));
        let part = r#"{"id":"n:1","company":"example.com","first":"Bob"}"#;
        assert_eq!(said("bob.b@example.com is taken", &[part]).as_deref(), Some("… is taken"));
    }

    #[test]
    fn a_batch_that_is_sent_back_is_no_reason_to_show_the_end_of_a_value() {
        let long = "x".repeat(SEARCHED_LIMIT - 10);
        let record = serde_json::json!({ "long": long, "name": "Ada Lovelace" }).to_string();
        let reason = said(&format!("bad {long} Ada Lovelace"), &[&record]);
        assert_eq!(reason.as_deref(), Some("bad"));
    }

    #[test]
    fn a_reason_is_short_and_one_line() {
        assert_eq!(said(" a\nb ", &[]).as_deref(), Some("a b"));
        assert_eq!(said(&"ä".repeat(300), &[]), Some("ä".repeat(REASON_LIMIT)));
        assert_eq!(said(" ", &[]), None);
    }
}
