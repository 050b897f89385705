//! The shapes of Mailchimp's JSON, as far as they are read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// `GET /lists/{id}/members`.
#[derive(Debug, Deserialize)]
pub(super) struct Members<'b> {
    #[serde(borrow)]
    pub(super) members: Vec<&'b RawValue>,
    pub(super) total_items: u64,
}

/// What is needed of a member besides what the definition maps. Mailchimp writes texts; whatever
/// else stands there is read as no text.
#[derive(Debug, Deserialize)]
pub(super) struct Member<'b> {
    #[serde(borrow)]
    contact_id: Option<&'b RawValue>,
    #[serde(borrow)]
    status: Option<&'b RawValue>,
    #[serde(borrow)]
    last_changed: Option<&'b RawValue>,
}

impl<'b> Member<'b> {
    /// The contact's id: survives a change of the e-mail address. `None` if it is empty.
    pub(super) fn contact_id(&self) -> Option<Cow<'b, str>> {
        Some(text(self.contact_id)).filter(|id| !id.is_empty())
    }

    pub(super) fn status(&self) -> Cow<'b, str> {
        text(self.status)
    }

    /// The change time in seconds; 0, older than any, for a member without one.
    pub(super) fn last_changed(&self) -> i64 {
        text(self.last_changed).parse().map_or(0, |time: jiff::Timestamp| time.as_second())
    }
}

fn text(value: Option<&RawValue>) -> Cow<'_, str> {
    value
        .and_then(|value| serde_json::from_str::<Text<'_>>(value.get()).ok())
        .map_or(Cow::Borrowed(""), |text| text.0)
}

/// Borrows where the JSON text has no escapes.
#[derive(Deserialize)]
struct Text<'b>(#[serde(borrow)] Cow<'b, str>);

/// `GET /lists/{id}`, and an item of `GET /lists`.
#[derive(Debug, Deserialize)]
pub(crate) struct List {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
}

/// `GET /lists`.
#[derive(Debug, Deserialize)]
pub(crate) struct Lists {
    pub(crate) lists: Vec<List>,
    pub(super) total_items: u64,
}

/// An error in Mailchimp's own words (`application/problem+json`). An answer without one comes
/// from something in between.
#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    pub(super) title: String,
}
