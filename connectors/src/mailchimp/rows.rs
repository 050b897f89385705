//! From the body of a response to the rows of a page.

use std::{borrow::Cow, ops::Range, sync::Arc};

use serde_json::value::RawValue;
use tidemark_engine::mapping::{Mapped, Mapper, PathsSeen};
use tidemark_model::{
    definition::{Definition, MailchimpDefinition},
    row::{InvalidReason, Row, RowState},
};

use super::{
    members,
    wire::{Key, Member, Members},
};

/// A member that is archived, as a look-up shows it.
const ARCHIVED: &str = "archived";

/// What is needed of a member besides what the definition maps, in the order of [`Member`].
const MEMBER_PATHS: [&str; 4] = ["contact_id", "id", "status", "last_changed"];

/// What stands there.
pub(super) type Picked<'b> = [Option<&'b str>; MEMBER_PATHS.len()];

/// What the definition makes of a member.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(super) mapper: Mapper,
    mailchimp: Arc<MailchimpDefinition>,
    /// The parts of a member that are asked for.
    member_fields: Arc<[String]>,
}

impl Mapping {
    pub(crate) fn new(definition: &Definition, mailchimp: &MailchimpDefinition) -> Self {
        let record = definition.record();
        let mut member_fields: Vec<String> = MEMBER_PATHS.map(str::to_owned).into();
        let paths =
            std::iter::once(record.id_path()).chain(record.fields().iter().map(|(_, path)| path));
        // The outermost key only: how deep a trimmed answer can be asked for is not documented.
        member_fields.extend(paths.filter_map(|path| path.segments().next().map(str::to_owned)));
        member_fields.sort_unstable();
        member_fields.dedup();
        Self {
            mapper: Mapper::picking(definition, &MEMBER_PATHS),
            mailchimp: Arc::new(mailchimp.clone()),
            member_fields: member_fields.into(),
        }
    }

    /// The `fields` of a listing.
    pub(super) fn listing_fields(&self) -> String {
        let members = self.member_fields.iter().map(|field| format!("members.{field}"));
        std::iter::once("total_items".to_owned()).chain(members).collect::<Vec<_>>().join(",")
    }

    /// The `fields` of a single member.
    pub(super) fn member_fields(&self) -> String {
        self.member_fields.join(",")
    }

    /// Reads a listing's response.
    pub(super) fn page(&self, body: &[u8]) -> Result<MappedPage, Malformed> {
        let text = Text::of(body);
        if text.replaced.is_empty()
            && let Some(page) = members::read(self, &text.text)
        {
            return Ok(page);
        }
        let members: Members<'_> = serde_json::from_str(&text.text)?;
        let mut seen = self.mapper.paths_seen();
        let mut rows = Vec::with_capacity(members.members.len());
        let mut stand_ins = Vec::new();
        for member in members.members {
            let read = self.row(member, &text, &mut seen)?;
            if read.stands_in {
                stand_ins.push(rows.len());
            }
            rows.push(read.row);
        }
        Ok(MappedPage { total: members.total_items, rows, stand_ins, seen })
    }

    /// Reads a look-up's response.
    pub(super) fn member(&self, body: &[u8]) -> Result<MappedMember, Malformed> {
        let text = Text::of(body);
        let member: &RawValue = serde_json::from_str(&text.text)?;
        let read = self.row(member, &text, &mut self.mapper.paths_seen())?;
        let ReadMember { row, status, stands_in } = read;
        let archived = status == ARCHIVED;
        Ok(MappedMember { archived, status: status.into_owned(), row, stands_in })
    }

    fn row<'b>(
        &self,
        member: &'b RawValue,
        text: &Text<'b>,
        seen: &mut PathsSeen,
    ) -> Result<ReadMember<'b>, Malformed> {
        let mut picked = Picked::default();
        // A filter is no typo: the paths of a member that is left out count as seen all the same.
        let mapped = self.mapper.pick(member.get(), seen, &mut picked);
        self.row_of(mapped, picked, text.is_replaced_in(member.get()))
    }

    /// The row of a member that was mapped.
    pub(super) fn row_of<'b>(
        &self,
        mapped: Mapped,
        picked: Picked<'b>,
        replaced: bool,
    ) -> Result<ReadMember<'b>, Malformed> {
        let head = Member::of(picked);
        let Key { name, stands_in } = head.key().ok_or(Malformed::NoKey)?;
        let key = name.into_owned();
        let modified = head.last_changed();
        let status = head.status();
        let row = if replaced {
            Row::invalid(key, modified, InvalidReason::NotUtf8)
        } else if status.is_empty() && self.mailchimp.statuses().is_some() {
            // Nobody can say whether it is to be left out, and its record may be there.
            let status = "status".to_owned();
            let reason = InvalidReason::Empty { field: status.clone(), path: status };
            Row::invalid(key, modified, reason)
        } else if self.mailchimp.sends(&status) {
            mapped.into_row(key, modified)
        } else {
            Row::without_record(key, modified, RowState::Filtered)
        };
        Ok(ReadMember { row, status, stands_in })
    }
}

/// A member, mapped.
#[derive(Debug)]
pub(super) struct ReadMember<'b> {
    pub(super) row: Row,
    pub(super) status: Cow<'b, str>,
    /// Whether its key only [stands in](Key::stands_in).
    pub(super) stands_in: bool,
}

/// A listing's response, mapped.
#[derive(Debug)]
pub(super) struct MappedPage {
    /// How many rows the question has in all.
    pub(super) total: u64,
    /// In the response's order.
    pub(super) rows: Vec<Row>,
    /// Which of them came without their own key, so that another name [stands in](Key::stands_in).
    pub(super) stand_ins: Vec<usize>,
    pub(super) seen: PathsSeen,
}

/// A look-up's response, mapped.
#[derive(Debug)]
pub(super) struct MappedMember {
    pub(super) row: Row,
    pub(super) archived: bool,
    pub(super) status: String,
    pub(super) stands_in: bool,
}

/// The body of a successful answer is not what the API writes.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    /// The texts of JSON errors may quote what they stumbled over.
    #[error(
        "it is not the JSON that the API writes, or it is cut off (line {line}, column {column})"
    )]
    Json { line: usize, column: usize },
    #[error("it holds a member with neither a `contact_id` nor an `id`")]
    NoKey,
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self::Json { line: error.line(), column: error.column() }
    }
}

/// A body as text, with the places where bytes were not UTF-8: such a byte makes one member
/// invalid, not the page.
struct Text<'b> {
    text: Cow<'b, str>,
    /// Where U+FFFD was put in, in ascending order.
    replaced: Vec<Range<usize>>,
}

impl<'b> Text<'b> {
    fn of(body: &'b [u8]) -> Self {
        if let Ok(text) = str::from_utf8(body) {
            return Self { text: text.into(), replaced: Vec::new() };
        }
        let mut text = String::with_capacity(body.len());
        let mut replaced = Vec::new();
        for chunk in body.utf8_chunks() {
            text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                let from = text.len();
                text.push(char::REPLACEMENT_CHARACTER);
                replaced.push(from..text.len());
            }
        }
        Self { text: text.into(), replaced }
    }

    /// Whether something was replaced inside `part`, a slice of this text.
    fn is_replaced_in(&self, part: &str) -> bool {
        let from = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        let next = self.replaced.partition_point(|place| place.end <= from);
        self.replaced.get(next).is_some_and(|place| place.start < from + part.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_are_found_in_the_part_that_holds_them() {
        let body = b"[\"a\",\"\xff\",\"\xef\xbf\xbd\"]";
        let text = Text::of(body);
        let parts: Vec<&RawValue> = serde_json::from_str(&text.text).unwrap();
        let found: Vec<bool> = parts.iter().map(|part| text.is_replaced_in(part.get())).collect();
        assert_eq!(found, [false, true, false]);
    }

    #[test]
    fn an_odd_member_is_read_as_one_without_texts() {
        let member = Member::of([Some(r#""c1""#), Some("[]"), Some("null"), Some("{}")]);
        let own = Key { name: "c1".into(), stands_in: false };
        assert_eq!(member.key(), Some(own));
        assert_eq!((&*member.status(), member.last_changed()), ("", 0));
    }

    #[test]
    fn a_member_goes_by_its_contact_id_and_without_one_by_its_id() {
        let key = |contact_id, id| Member::of([contact_id, id, None, None]).key();
        let named = |name: &'static str, stands_in| Some(Key { name: name.into(), stands_in });
        let (contact_id, id) = (Some(r#""c1""#), Some(r#""5eb6""#));
        assert_eq!(key(contact_id, id), named("c1", false));
        for none in [None, Some(r#""""#), Some("null"), Some("7")] {
            assert_eq!(key(none, id), named("5eb6", true), "{none:?}");
            assert_eq!(key(none, none), None, "{none:?}");
        }
    }
}
