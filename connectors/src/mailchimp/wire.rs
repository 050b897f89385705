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

/// What is needed of a member besides what the definition maps, each as it stands in the JSON text.
/// Mailchimp writes texts; whatever else stands there is read as no text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'b> {
    contact_id: Option<&'b str>,
    id: Option<&'b str>,
    status: Option<&'b str>,
    last_changed: Option<&'b str>,
}

impl<'b> Member<'b> {
    pub(super) fn of([contact_id, id, status, last_changed]: [Option<&'b str>; 4]) -> Self {
        Self { contact_id, id, status, last_changed }
    }

    /// The contact's id, which survives a change of the e-mail address; for a member without one
    /// the address's hash stands in. Members are asked for by either. `None` if both are empty.
    pub(super) fn key(&self) -> Option<Key<'b>> {
        let name = |value| Some(text(value)).filter(|name| !name.is_empty());
        let own = name(self.contact_id).map(|name| Key { name, stands_in: false });
        own.or_else(|| name(self.id).map(|name| Key { name, stands_in: true }))
    }

    pub(super) fn status(&self) -> Cow<'b, str> {
        text(self.status)
    }

    /// The change time in seconds; 0, older than any, for a member without one.
    pub(super) fn last_changed(&self) -> i64 {
        text(self.last_changed).parse().map_or(0, |time: jiff::Timestamp| time.as_second())
    }
}

/// By what a member is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key<'b> {
    pub(super) name: Cow<'b, str>,
    /// It is not the contact's id, since the member came without one.
    pub(super) stands_in: bool,
}

fn text(value: Option<&str>) -> Cow<'_, str> {
    value
        .and_then(|value| serde_json::from_str::<Text<'_>>(value).ok())
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
