//! What the list was at every instant: the history against which the destination is held.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use tidemark_simulator::{Status, World};

/// A visible member.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) email: String,
    pub(crate) status: Status,
    pub(crate) first: Value,
    pub(crate) last: Value,
    /// The list shows it without its contact id, and it goes by another name.
    pub(crate) keyless: bool,
}

/// How the list shows a member, by whatever name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Not,
    /// With its contact id.
    Keyed,
    Keyless,
}

/// What a contact was from an instant on; `None`: not visible.
pub(crate) type State = (u64, Option<Arc<Member>>);

/// Instants are milliseconds since the seed began.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    contacts: BTreeMap<String, Vec<State>>,
    /// By contact id, shown or not.
    members: BTreeMap<String, Vec<(u64, Shown)>>,
    /// How many were visible from an instant on.
    counts: Vec<(u64, u64)>,
}

impl Truth {
    /// Takes note of the list as it is now.
    pub(crate) fn observe(&mut self, at: u64, world: &World, list: &str) {
        let mut count = 0;
        let mut shown = BTreeMap::new();
        let mut members = BTreeMap::new();
        let seen = world.each_member(list, |view| {
            count += 1;
            let keyless = view.hides_contact_id();
            let member = Member {
                email: view.email().to_owned(),
                status: view.status(),
                first: view.merge_field("FNAME"),
                last: view.merge_field("LNAME"),
                keyless,
            };
            shown.insert(if keyless { view.id() } else { view.contact_id() }, member);
            members.insert(view.contact_id(), if keyless { Shown::Keyless } else { Shown::Keyed });
        });
        seen.expect("the list is there");
        for (contact, states) in &mut self.members {
            let now = members.remove(contact).unwrap_or(Shown::Not);
            if states.last().is_none_or(|(_, was)| *was != now) {
                states.push((at, now));
            }
        }
        for (contact, shown) in members {
            self.members.insert(contact, vec![(0, Shown::Not), (at, shown)]);
        }
        for (contact, states) in &mut self.contacts {
            let was = states.last().and_then(|(_, member)| member.as_deref());
            let now = shown.remove(contact);
            if was != now.as_ref() {
                states.push((at, now.map(Arc::new)));
            }
        }
        for (contact, member) in shown {
            self.contacts.insert(contact, vec![(0, None), (at, Some(Arc::new(member)))]);
        }
        if self.counts.last().map(|(_, last)| *last) != Some(count) {
            self.counts.push((at, count));
        }
    }

    /// Every contact that ever was visible, with its history.
    pub(crate) fn contacts(&self) -> impl Iterator<Item = (&String, &[State])> {
        self.contacts.iter().map(|(contact, states)| (contact, states.as_slice()))
    }

    /// Every member that ever was shown, by contact id, and how.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&String, &[(u64, Shown)])> {
        self.members.iter().map(|(contact, shown)| (contact, shown.as_slice()))
    }

    /// The contacts that are visible now, with what they are.
    pub(crate) fn visible(&self) -> impl Iterator<Item = (&String, &Arc<Member>)> {
        self.contacts.iter().filter_map(|(contact, states)| {
            states.last().and_then(|(_, member)| Some((contact, member.as_ref()?)))
        })
    }

    /// Those that were visible once and are not now.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = (&String, &[State])> {
        self.contacts().filter(|(_, states)| states.last().is_some_and(|last| last.1.is_none()))
    }

    /// The counts of visible members that there were between two instants.
    pub(crate) fn counts(&self, from: u64, to: u64) -> Vec<u64> {
        during(&self.counts, from, to).map(|(_, count)| *count).collect()
    }
}

/// What held between two instants: what began in between, and what held before the first. Several
/// changes of one instant follow one another.
pub(crate) fn during<T>(
    states: &[(u64, T)],
    from: u64,
    to: u64,
) -> impl Iterator<Item = &(u64, T)> {
    let first = states.partition_point(|(at, _)| *at < from).saturating_sub(1);
    states.iter().skip(first).take_while(move |(at, _)| *at <= to)
}
