//! Changes to a list that a test, a demo or a person plays from outside the API.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    chance::Chance,
    member::{Member, Status, hex},
    roll::{Edit, Refusal, Roll},
    seed,
};

/// One change. `member` is a contact id, an e-mail address or its hash.
///
/// What each does to `last_changed`, `id` and the listings is what the API itself would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of a member")]
pub enum Mutation {
    /// A new member, or an archived one that comes back.
    Add {
        email: String,
        #[serde(default)]
        first_name: String,
        #[serde(default)]
        last_name: String,
        #[serde(default)]
        status: Status,
    },
    /// Merge fields and status; identical values change nothing.
    Change {
        member: String,
        #[serde(default)]
        merge_fields: Map<String, Value>,
        #[serde(default)]
        status: Option<Status>,
    },
    /// `DELETE`.
    Archive { member: String },
    /// Back from the archive, at the old place.
    Unarchive { member: String },
    /// `actions/delete-permanent`.
    DeleteForEver { member: String },
    /// Another address: `id` changes, `contact_id` and `web_id` stay.
    ChangeEmail { member: String, email: String },
    /// A tag is added: `last_changed` moves, no mapped field does.
    Touch { member: String },
    /// Any JSON at a merge field, past every check.
    SetRaw { member: String, field: String, value: Value },
    /// `"merge_fields": null`.
    NullMergeFields { member: String },
    /// `"email_address": ""`; `id` stays.
    RemoveEmail { member: String },
    /// No `"contact_id"`, though the member keeps it as a name in paths.
    RemoveContactId { member: String },
    /// The `"contact_id"` is shown again.
    RestoreContactId { member: String },
}

impl Mutation {
    /// Changes one merge field.
    pub fn set(member: &str, field: &str, value: &str) -> Self {
        Self::Change {
            member: member.to_owned(),
            merge_fields: Map::from_iter([(field.to_owned(), Value::from(value))]),
            status: None,
        }
    }

    /// A new subscriber.
    pub fn add(email: &str, first_name: &str, last_name: &str) -> Self {
        Self::Add {
            email: email.to_owned(),
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            status: Status::Subscribed,
        }
    }

    pub(crate) fn play(&self, roll: &mut Roll, now: i64) -> Result<u32, Refusal> {
        let slot = |roll: &Roll, member: &str| roll.slot(member).ok_or(Refusal::Unknown);
        match self {
            Self::Add { email, first_name, last_name, status } => {
                let edit = Edit {
                    status: Some(*status),
                    merge_fields: Map::from_iter([
                        ("FNAME".to_owned(), Value::from(first_name.as_str())),
                        ("LNAME".to_owned(), Value::from(last_name.as_str())),
                    ]),
                    ..Edit::default()
                };
                roll.add(email, &edit, now)
            }
            Self::Change { member, merge_fields, status } => {
                let slot = slot(roll, member)?;
                let merge_fields = merge_fields.clone();
                let edit = Edit { merge_fields, status: *status, ..Edit::default() };
                roll.change(slot, &edit, now).map(|()| slot)
            }
            Self::Archive { member } => {
                let slot = slot(roll, member)?;
                roll.archive(slot, now).map(|()| slot)
            }
            Self::Unarchive { member } => {
                let slot = slot(roll, member)?;
                roll.revive(slot, &Edit::default(), now).map(|()| slot)
            }
            Self::DeleteForEver { member } => {
                let slot = slot(roll, member)?;
                roll.forget(slot, now).map(|()| slot)
            }
            Self::ChangeEmail { member, email } => {
                let slot = slot(roll, member)?;
                let edit = Edit { email: Some(email.clone()), ..Edit::default() };
                roll.change(slot, &edit, now).map(|()| slot)
            }
            Self::Touch { member } => {
                let slot = slot(roll, member)?;
                let tags = [(format!("touched {now}"), true)];
                roll.tag(slot, &tags, now).map(|()| slot)
            }
            Self::SetRaw { member, field, value } => {
                let slot = slot(roll, member)?;
                let altered = roll.alter(slot, now, |member| {
                    member.set_merge_field(field, value.clone());
                    member.last_changed = now;
                });
                altered.map(|()| slot)
            }
            Self::NullMergeFields { member } => {
                let slot = slot(roll, member)?;
                let altered = roll.alter(slot, now, |member| {
                    member.extra().no_merge_fields = true;
                    member.last_changed = now;
                });
                altered.map(|()| slot)
            }
            Self::RemoveEmail { member } => {
                let slot = slot(roll, member)?;
                let altered = roll.alter(slot, now, |member| {
                    member.email = "".into();
                    member.last_changed = now;
                });
                altered.map(|()| slot)
            }
            Self::RemoveContactId { member } => show_contact_id(roll, member, false, now),
            Self::RestoreContactId { member } => show_contact_id(roll, member, true, now),
        }
    }
}

fn show_contact_id(roll: &mut Roll, name: &str, shown: bool, now: i64) -> Result<u32, Refusal> {
    let slot = roll.slot(name).ok_or(Refusal::Unknown)?;
    let altered = roll.alter(slot, now, |member| {
        member.extra().no_contact_id = !shown;
        member.last_changed = now;
    });
    altered.map(|()| slot)
}

/// A kind of change that can be played on members drawn by a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "named like the mutations")]
pub enum RandomKind {
    Add,
    Change,
    Archive,
    Unarchive,
    DeleteForEver,
    ChangeEmail,
    Touch,
}

impl RandomKind {
    /// The status of the members to draw from; None = the visible ones.
    fn drawn_from(self) -> Option<Status> {
        match self {
            Self::Unarchive => Some(Status::Archived),
            // Only these can be archived, whatever the mix of the list.
            Self::Archive => Some(Status::Subscribed),
            _ => None,
        }
    }

    /// Contact ids of members that this kind of change fits; for new members their ids are made up.
    pub(crate) fn draw(self, roll: &Roll, count: usize, chance: &mut Chance) -> Vec<String> {
        if self == Self::Add {
            return vec![String::new(); count];
        }
        let status = self.drawn_from();
        let total = roll.count(status);
        let mut places = BTreeSet::new();
        let bound = u64::try_from(total).unwrap_or(u64::MAX);
        while places.len() < count.min(total) {
            places.insert(usize::try_from(chance.below(bound)).unwrap_or(0));
        }
        let fits = |member: &Member| match status {
            Some(status) => member.status == status,
            None => member.status != Status::Archived,
        };
        let members =
            places.into_iter().filter_map(|place| roll.member(roll.shown_slot(place, status)?));
        members.filter(|member| fits(member)).map(|member| hex(&member.contact_id)).collect()
    }

    pub(crate) fn mutation(self, member: String, number: u64, chance: &mut Chance) -> Mutation {
        match self {
            Self::Add => Mutation::add(
                &new_email(number, chance),
                seed::first_name(chance),
                seed::last_name(chance),
            ),
            Self::Change => {
                // The number keeps the new value apart from whatever was there before.
                let name = format!("{} {:04x}", seed::first_name(chance), chance.below(1 << 16));
                Mutation::set(&member, "FNAME", &name)
            }
            Self::Archive => Mutation::Archive { member },
            Self::Unarchive => Mutation::Unarchive { member },
            Self::DeleteForEver => Mutation::DeleteForEver { member },
            Self::ChangeEmail => Mutation::ChangeEmail { member, email: new_email(number, chance) },
            Self::Touch => Mutation::Touch { member },
        }
    }
}

fn new_email(number: u64, chance: &mut Chance) -> String {
    format!("new.{number}.{:016x}@example.net", chance.next())
}
