//! A listing's response read in one go: each member is mapped where it stands, without looking for
//! its end first.
//!
//! Whatever is odd in a response ends this way: then its members are read one by one, so that what
//! is odd about one of them concerns no other.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use tidemark_engine::mapping::PathsSeen;
use tidemark_model::row::Row;

use super::rows::{MappedPage, Mapping, Picked};

/// A response's members and total; `None` if anything in it is odd, or a mapped path occurs in none
/// of them.
pub(super) fn read(mapping: &Mapping, text: &str) -> Option<MappedPage> {
    let mut reading = Reading {
        mapping,
        seen: mapping.mapper.paths_seen(),
        rows: Vec::new(),
        stand_ins: Vec::new(),
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let total = deserializer.deserialize_map(Response(&mut reading)).ok()?;
    deserializer.end().ok()?;
    let Reading { seen, rows, stand_ins, .. } = reading;
    seen.is_complete().then_some(MappedPage { total, rows, stand_ins, seen })
}

/// What was read so far.
struct Reading<'m> {
    mapping: &'m Mapping,
    seen: PathsSeen,
    rows: Vec<Row>,
    /// See [`MappedPage::stand_ins`].
    stand_ins: Vec<usize>,
}

/// The response; its total.
struct Response<'r, 'm>(&'r mut Reading<'m>);

/// The keys of a response that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Members,
    TotalItems,
    #[serde(other)]
    Other,
}

impl<'t> Visitor<'t> for Response<'_, '_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a listing")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut entries: A) -> Result<u64, A::Error> {
        let (mut members, mut total) = (None, None);
        while let Some(key) = entries.next_key()? {
            match key {
                Key::Members if members.is_none() => {
                    members = Some(entries.next_value_seed(Members(&mut *self.0))?);
                }
                Key::TotalItems if total.is_none() => total = Some(entries.next_value()?),
                Key::Members | Key::TotalItems => return Err(A::Error::custom("a key twice")),
                Key::Other => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        members.and(total).ok_or_else(|| A::Error::custom("a key is missing"))
    }
}

/// The list of members.
struct Members<'r, 'm>(&'r mut Reading<'m>);

impl<'t> DeserializeSeed<'t> for Members<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'t> Visitor<'t> for Members<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of members")
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_element_seed(Member(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

/// One of them.
struct Member<'r, 'm>(&'r mut Reading<'m>);

impl<'t> DeserializeSeed<'t> for Member<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        let Reading { mapping, seen, rows, stand_ins } = self.0;
        let mut picked = Picked::default();
        let mapped = mapping.mapper.pick_on_the_way(deserializer, seen, &mut picked)?;
        let read = mapping.row_of(mapped, picked, false).map_err(D::Error::custom)?;
        if read.stands_in {
            stand_ins.push(rows.len());
        }
        rows.push(read.row);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tidemark_model::{
        definition::{Definition, SourceDefinition, SourceText, parse},
        row::RowState,
    };

    use super::*;

    const DEFINITION: &str = r#"
[[connection]]
id = "a/b"
every = "1h"
[connection.source]
kind = "mailchimp"
api_key = "env:KEY"
list_id = "l"
base_url = "http://127.0.0.1:1"
statuses = ["subscribed"]
[connection.destination]
kind = "record-api"
url = "http://127.0.0.1:1/record"
api_key = "env:KEY"
[connection.record]
id = "contact_id"
email = "email_address"
name = "merge_fields.FNAME"
[connection.policy]
deletions = "keep"
"#;

    fn mapping() -> Mapping {
        let file = SourceText { name: "d.toml".to_owned(), text: DEFINITION.to_owned() };
        let definition: Definition = parse(&[file], &[]).unwrap().remove(0);
        let SourceDefinition::Mailchimp(mailchimp) = definition.source();
        Mapping::new(&definition, mailchimp)
    }

    fn member(id: &str, status: &str, name: &str) -> String {
        format!(
            r#"{{"contact_id":"{id}","status":"{status}","last_changed":"2026-01-02T03:04:05+00:00","email_address":"{id}@example.org","merge_fields":{{"FNAME":{name}}}}}"#
        )
    }

    fn body(members: &[String]) -> String {
        format!(r#"{{"members":[{}],"x":[1e999],"total_items":7}}"#, members.join(","))
    }

    #[test]
    fn reads_what_reading_one_by_one_reads() {
        let mapping = mapping();
        let plain = [member("a", "subscribed", r#""Ada""#), member("b", "pending", r#""É\n""#)];
        let page = read(&mapping, &body(&plain)).unwrap();
        let slowly: Vec<Row> =
            plain.iter().map(|member| mapping.member(member.as_bytes()).unwrap().row).collect();
        assert_eq!((page.total, page.rows), (7, slowly));
    }

    #[test]
    fn a_member_without_a_status_is_broken_and_not_left_out() {
        let mapping = mapping();
        let state = |member: &str| mapping.member(member.as_bytes()).unwrap().row.state;
        assert_eq!(state(&member("a", "pending", "null")), RowState::Filtered);
        for status in ["", "null", "[]"] {
            let odd = member("a", "pending", "null").replace(r#""pending""#, status);
            let odd = odd.replace(r#""status":,"#, "");
            assert_eq!(state(&odd), RowState::Invalid, "{odd}");
        }
    }

    #[test]
    fn leaves_what_is_odd_to_reading_one_by_one() {
        let mapping = mapping();
        let good = member("a", "subscribed", r#""Ada""#);
        for odd in [
            r#"{"contact_id":"","merge_fields":{"FNAME":1}}"#,
            r#"{"contact_id":"c","email_address":"e","merge_fields":1e999}"#,
            "7",
            "[]",
        ] {
            let text = body(&[good.clone(), odd.to_owned()]);
            assert!(read(&mapping, &text).is_none(), "{odd}");
        }
        for body in [
            "{}".to_owned(),
            r#"{"members":[],"total_items":0}"#.to_owned(),
            format!(r#"{{"members":[{good}]}}"#),
            format!(r#"{{"members":[{good}],"total_items":-1}}"#),
            format!(r#"{{"members":[{good}],"members":[{good}],"total_items":1}}"#),
            format!(r#"{{"members":[{good}],"total_items":1}}x"#),
            format!(r#"{{"members":[{good}],"total_items":1"#),
        ] {
            assert!(read(&mapping, &body).is_none(), "{body}");
        }
    }

    #[test]
    fn a_member_without_a_mapped_path_is_no_obstacle_where_another_has_it() {
        let mapping = mapping();
        let short = r#"{"contact_id":"c","status":"subscribed","email_address":"e"}"#.to_owned();
        let text = |members: &[String]| mapping.page(body(members).as_bytes()).unwrap();
        let both = [member("a", "subscribed", "null"), short.clone()];
        assert_eq!(read(&mapping, &body(&both)).unwrap().rows, text(&both).rows);
        // Nobody has the path: what they have instead is collected the other way.
        assert!(read(&mapping, &body(std::slice::from_ref(&short))).is_none());
        assert_eq!(text(&[short]).seen.unmatched(), ["merge_fields.FNAME"]);
    }
}
