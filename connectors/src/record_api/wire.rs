//! The bodies that are sent, and the refusals that are read from an answer.

use std::collections::HashMap;

use serde_json::{Map, Value};
use tidemark_engine::port::{HeldRecord, Rejection, Write};
use tidemark_model::definition::SourcePath;

use super::words::words;

/// The records as the API reads them: the mapped fields, and what says that they are alive.
pub(super) fn writes(writes: &[Write], tombstone: Option<&str>) -> String {
    let alive = tombstone.map_or_else(|| "}".to_owned(), |field| last_field(field, false));
    array(writes.iter().map(|write| (&*write.record, &*alive)))
}

/// Records that say of themselves that they are deleted, every mapped field empty.
pub(super) fn tombstones(removals: &[Write], tombstone: &str, fields: &[String]) -> String {
    let deleted = last_field(tombstone, true);
    let records: Vec<String> = removals
        .iter()
        .map(|removal| {
            let mut record = Map::from_iter([("id".to_owned(), Value::from(removal.id.as_str()))]);
            record.extend(fields.iter().map(|field| (field.clone(), Value::from(""))));
            Value::from(record).to_string()
        })
        .collect();
    array(records.iter().map(|record| (&**record, &*deleted)))
}

/// An array of records, objects with an id at least, each with another end than its brace.
fn array<'r>(records: impl Iterator<Item = (&'r str, &'r str)> + Clone) -> String {
    let bytes = records.clone().map(|(record, end)| record.len() + end.len() + 1).sum::<usize>();
    let mut body = String::with_capacity(bytes + 2);
    body.push('[');
    for (place, (record, end)) in records.enumerate() {
        if place > 0 {
            body.push(',');
        }
        body.push_str(record.strip_suffix('}').unwrap_or(record));
        body.push_str(end);
    }
    body.push(']');
    body
}

/// The end of an object that has a field before this one.
fn last_field(field: &str, value: bool) -> String {
    format!(",{}:{value}}}", Value::from(field))
}

/// The body of an answer of success names refused records in a way that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnreadableAnswer {
    #[error("it is JSON that breaks off")]
    CutOff,
    #[error("it is a page for people, not an answer of an API")]
    Page,
    #[error("what stands at `rejected_path` is not a list of refused records with their ids")]
    NotAList,
    #[error("it names refused records that were not sent")]
    Foreign,
}

/// Records that are read back stand in an answer that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnusableRecords {
    #[error("it breaks off, or is a page for people")]
    CutOff,
    #[error("it is not a JSON array of records with a text `id`")]
    NotRecords,
    #[error("it holds an id that does not begin with the prefix asked for")]
    Foreign,
    #[error("its ids are not in ascending order behind the one asked for")]
    Unordered,
}

/// The records of an answer. One that says that it is deleted stands in the order as well, or a
/// page of them would look like the end.
pub(super) fn records(
    body: &[u8],
    prefix: &str,
    after: &str,
    tombstone: Option<&str>,
) -> Result<Vec<HeldRecord>, UnusableRecords> {
    let found: Vec<Map<String, Value>> = serde_json::from_slice(body).map_err(|error| {
        let page = body.trim_ascii_start().first() == Some(&b'<');
        if error.is_eof() || page { UnusableRecords::CutOff } else { UnusableRecords::NotRecords }
    })?;
    let mut before = after.to_owned();
    let mut records = Vec::with_capacity(found.len());
    for mut record in found {
        let Some(Value::String(id)) = record.remove("id") else {
            return Err(UnusableRecords::NotRecords);
        };
        if !id.starts_with(prefix) {
            return Err(UnusableRecords::Foreign);
        }
        if id <= before {
            return Err(UnusableRecords::Unordered);
        }
        let deleted = tombstone.is_some_and(|field| record.get(field) == Some(&Value::Bool(true)));
        before.clone_from(&id);
        records.push((id, (!deleted).then_some(record)));
    }
    Ok(records)
}

/// The records of a batch that an answer of success refuses all the same.
pub(super) fn rejections(
    body: &[u8],
    path: &SourcePath,
    batch: &[Write],
) -> Result<Vec<Rejection>, UnreadableAnswer> {
    let answer: Value = match body.trim_ascii() {
        [] => return Ok(Vec::new()),
        [b'<', ..] => return Err(UnreadableAnswer::Page),
        text @ [b'{' | b'[', ..] => {
            serde_json::from_slice(text).map_err(|_| UnreadableAnswer::CutOff)?
        }
        // A word such as `OK` refuses nothing.
        _ => return Ok(Vec::new()),
    };
    let refused = match path.find(&answer) {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(Vec::new()),
        Some(Value::Array(refused)) => refused,
        Some(_) => return Err(UnreadableAnswer::NotAList),
    };
    let sent: HashMap<&str, &Write> =
        batch.iter().map(|write| (write.id.as_str(), write)).collect();
    let mut rejections: HashMap<&str, Rejection> = HashMap::new();
    for refused in refused {
        let id = match refused {
            Value::String(id) => id,
            Value::Object(refused) => {
                refused.get("id").and_then(Value::as_str).ok_or(UnreadableAnswer::NotAList)?
            }
            _ => return Err(UnreadableAnswer::NotAList),
        };
        let write = sent.get(id).ok_or(UnreadableAnswer::Foreign)?;
        let reason = words(refused, std::slice::from_ref(*write))
            .unwrap_or_else(|| "refused without a reason".to_owned());
        rejections.entry(&write.id).or_insert_with(|| Rejection { id: write.id.clone(), reason });
    }
    Ok(rejections.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(id: &str, record: &str) -> Write {
        Write { key: id.to_owned(), id: id.to_owned(), record: record.to_owned() }
    }

    fn path() -> SourcePath {
        "errors".parse().unwrap()
    }

    fn batch() -> Vec<Write> {
        vec![
            write("n:1", r#"{"id":"n:1","email":"ada@example.com","firstname":"Ada"}"#),
            write("n:2", r#"{"id":"n:2","email":"","firstname":"é\""}"#),
        ]
    }

    #[test]
    fn writes_say_that_they_are_alive_where_deletions_are_tombstones() {
        assert_eq!(
            writes(&batch(), Some("deleted")),
            r#"[{"id":"n:1","email":"ada@example.com","firstname":"Ada","deleted":false},{"id":"n:2","email":"","firstname":"é\"","deleted":false}]"#
        );
        assert_eq!(writes(&batch()[1..], None), r#"[{"id":"n:2","email":"","firstname":"é\""}]"#);
    }

    #[test]
    fn records_that_are_read_back_must_be_whole_ours_and_in_order() {
        let read = |body: &str| records(body.as_bytes(), "n:", "n:1", Some("deleted"));
        let found = read(r#"[{"id":"n:2","a":"x"},{"id":"n:3","deleted":true}]"#).unwrap();
        let two = Map::from_iter([("a".to_owned(), Value::from("x"))]);
        assert_eq!(found, [("n:2".to_owned(), Some(two)), ("n:3".to_owned(), None)]);
        assert_eq!(read("[]"), Ok(Vec::new()));
        for (body, error) in [
            (r#"[{"id":"n:2""#, UnusableRecords::CutOff),
            ("", UnusableRecords::CutOff),
            ("<html>", UnusableRecords::CutOff),
            ("{}", UnusableRecords::NotRecords),
            (r#"[{"id":2}]"#, UnusableRecords::NotRecords),
            (r#"[{"id":"m:2"}]"#, UnusableRecords::Foreign),
            (r#"[{"id":"n:1"}]"#, UnusableRecords::Unordered),
            (r#"[{"id":"n:3"},{"id":"n:2"}]"#, UnusableRecords::Unordered),
        ] {
            assert_eq!(read(body), Err(error), "{body}");
        }
    }

    #[test]
    fn tombstones_empty_every_mapped_field() {
        let fields = ["email".to_owned(), "firstname".to_owned()];
        assert_eq!(
            tombstones(&[write("n:1", "")], "deleted", &fields),
            r#"[{"id":"n:1","email":"","firstname":"","deleted":true}]"#
        );
    }

    #[test]
    fn refused_records_are_read_without_their_values() {
        let body = br#"{"errors":[{"id":"n:1","message":"ada@example.com of Ada is taken"}]}"#;
        let rejections = rejections(body, &path(), &batch()).unwrap();
        let expected = Rejection { id: "n:1".to_owned(), reason: "… of … is taken".to_owned() };
        assert_eq!(rejections, [expected]);
    }

    #[test]
    fn an_answer_that_refuses_nothing_is_read_as_such() {
        for body in ["", " \n", "OK", "{}", "[]", r#"{"errors":[]}"#, r#"{"errors":null}"#] {
            assert_eq!(rejections(body.as_bytes(), &path(), &batch()), Ok(Vec::new()), "{body}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_never_taken_for_success() {
        for (body, error) in [
            (r#"{"errors":[{"id""#, UnreadableAnswer::CutOff),
            ("<html>", UnreadableAnswer::Page),
            (r#"{"errors":3}"#, UnreadableAnswer::NotAList),
            (r#"{"errors":[{"key":"n:1"}]}"#, UnreadableAnswer::NotAList),
            (r#"{"errors":["n:3"]}"#, UnreadableAnswer::Foreign),
        ] {
            assert_eq!(rejections(body.as_bytes(), &path(), &batch()), Err(error), "{body}");
        }
    }
}
