//! The members of one list and what each action does to them: the truth table of the list API.
//!
//! Actions arrive from the API and from the admin side alike; both go through here.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::{
    listing::{Found, Listing, Query},
    member::{self, Extra, Hash, Member, Status, Tag},
};

/// Why an action was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither hash, contact id nor address of a member.
    #[error("no such member")]
    Unknown,
    /// The address is another member's.
    #[error("the address is already a list member")]
    Exists,
    /// The address was deleted for ever; only the person can come back.
    #[error("the address was permanently deleted and cannot be added again")]
    Forgotten,
    /// Only a member that is neither bounced, pending nor archived can be archived.
    #[error("a bounced, pending or archived member cannot be archived")]
    NotArchivable,
    /// The member is not archived.
    #[error("the member is not archived")]
    NotArchived,
    /// An archived member takes no partial update.
    #[error("the member is archived")]
    Archived,
    /// The list is full: it has had 4,294,967,295 members.
    #[error("the list takes no more members")]
    Full,
}

/// What to change; None and empty = leave as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edit {
    pub(crate) email: Option<String>,
    pub(crate) status: Option<Status>,
    pub(crate) html: Option<bool>,
    pub(crate) vip: Option<bool>,
    pub(crate) language: Option<String>,
    pub(crate) merge_fields: Map<String, Value>,
    pub(crate) interests: Vec<(String, bool)>,
}

pub(crate) struct Roll {
    list_id: String,
    /// The `web_id` of the first member; they count up from it.
    first_web_id: u64,
    /// By place; None = deleted for ever. The place of a row never changes, so it orders like `web_id`.
    members: Vec<Option<Member>>,
    by_hash: HashMap<Hash, u32>,
    by_contact: HashMap<Hash, u32>,
    forgotten: HashSet<Hash>,
    listing: Listing,
    /// Seconds until a change is shown in the listing.
    lag: i64,
    next_tag: u32,
}

impl Roll {
    pub(crate) fn new(list_id: &str, first_web_id: u64) -> Self {
        Self {
            list_id: list_id.to_owned(),
            first_web_id,
            members: Vec::new(),
            by_hash: HashMap::new(),
            by_contact: HashMap::new(),
            forgotten: HashSet::new(),
            listing: Listing::default(),
            lag: 0,
            next_tag: 1,
        }
    }

    pub(crate) fn web_id(&self, slot: u32) -> u64 {
        self.first_web_id + u64::from(slot)
    }

    pub(crate) fn set_lag(&mut self, seconds: i64) {
        self.lag = seconds;
    }

    /// The place of a member named by hash, contact id or address.
    pub(crate) fn slot(&self, address: &str) -> Option<u32> {
        if address.contains('@') {
            return self.by_hash.get(&member::email_hash(address)).copied();
        }
        let hash = member::parse_hex(address)?;
        self.by_hash.get(&hash).or_else(|| self.by_contact.get(&hash)).copied()
    }

    pub(crate) fn member(&self, slot: u32) -> Option<&Member> {
        self.members.get(usize::try_from(slot).ok()?)?.as_ref()
    }

    /// All members as they are in truth, archived ones too, in the order of insertion.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().flatten()
    }

    pub(crate) fn is_behind(&self, now: i64) -> bool {
        self.listing.is_behind(now)
    }

    pub(crate) fn catch_up(&mut self, now: i64) {
        self.listing.catch_up(now);
    }

    pub(crate) fn count(&self, status: Option<Status>) -> usize {
        self.listing.count(status)
    }

    /// Everybody who ever was in the list.
    pub(crate) fn ever_count(&self) -> usize {
        self.members.len()
    }

    /// The place of the k-th row shown with this status (None = the visible ones).
    pub(crate) fn shown_slot(&self, place: usize, status: Option<Status>) -> Option<u32> {
        self.listing.visible_slot(place, status)
    }

    pub(crate) fn find(&self, query: &Query) -> Found {
        self.listing.find(query, &self.members)
    }

    pub(crate) fn shown(&self, slot: u32) -> Option<&Member> {
        self.listing.shown(slot, &self.members)
    }

    /// Adds many members at once, shown at once; `make` gets place and contact id of each.
    pub(crate) fn fill(
        &mut self,
        count: u32,
        mut make: impl FnMut(u32, Hash) -> Member,
    ) -> Result<(), Refusal> {
        let first = self.next_slot()?;
        let end = first.checked_add(count).ok_or(Refusal::Full)?;
        let size = usize::try_from(count).map_err(|_| Refusal::Full)?;
        self.members.reserve(size);
        self.by_hash.reserve(size);
        self.by_contact.reserve(size);
        for slot in first..end {
            let contact_id = member::contact_id(&self.list_id, self.web_id(slot));
            let member = make(slot, contact_id);
            self.by_hash.insert(member.hash, slot);
            self.by_contact.insert(contact_id, slot);
            self.members.push(Some(member));
        }
        let new = self.members.iter().skip(usize::try_from(first).map_err(|_| Refusal::Full)?);
        self.listing
            .extend((first..end).zip(new).filter_map(|(slot, m)| Some((slot, m.as_ref()?))));
        Ok(())
    }

    /// `POST`: a new member, or an archived one that comes back with a new opt-in.
    pub(crate) fn add(&mut self, email: &str, edit: &Edit, now: i64) -> Result<u32, Refusal> {
        if let Some(slot) = self.slot(email) {
            if self.known(slot)?.status != Status::Archived {
                return Err(Refusal::Exists);
            }
            self.revive(slot, edit, now)?;
            self.alter(slot, now, |member| member.opted_in_at = now)?;
            return Ok(slot);
        }
        let hash = member::email_hash(email);
        if self.forgotten.contains(&hash) {
            return Err(Refusal::Forgotten);
        }
        let slot = self.next_slot()?;
        let contact_id = member::contact_id(&self.list_id, self.web_id(slot));
        let mut member = Member::new(email, contact_id, edit.status.unwrap_or_default(), now);
        apply(&mut member, edit, now);
        self.by_hash.insert(hash, slot);
        self.by_contact.insert(contact_id, slot);
        self.members.push(None);
        self.put(slot, Some(member), now);
        Ok(slot)
    }

    /// `PUT` and `PATCH` on a member that is not archived. Identical values leave `last_changed`.
    pub(crate) fn change(&mut self, slot: u32, edit: &Edit, now: i64) -> Result<(), Refusal> {
        let old = self.known(slot)?;
        if old.status == Status::Archived {
            return Err(Refusal::Archived);
        }
        let mut new = old.clone();
        apply(&mut new, edit, now);
        if let Some(email) = &edit.email
            && **email != *new.email
        {
            self.move_to(slot, &mut new, email, now)?;
        }
        if new != *self.known(slot)? {
            new.last_changed = now;
            self.put(slot, Some(new), now);
        }
        Ok(())
    }

    /// `PUT` or `POST` on an archived member: back in the list, at its old place.
    pub(crate) fn revive(&mut self, slot: u32, edit: &Edit, now: i64) -> Result<(), Refusal> {
        if self.known(slot)?.status != Status::Archived {
            return Err(Refusal::NotArchived);
        }
        let status = edit.status.unwrap_or_default();
        self.alter(slot, now, |member| {
            member.status = status;
            member.last_changed = now;
        })?;
        self.change(slot, edit, now)
    }

    /// `DELETE`.
    pub(crate) fn archive(&mut self, slot: u32, now: i64) -> Result<(), Refusal> {
        match self.known(slot)?.status {
            Status::Archived | Status::Pending | Status::Cleaned => Err(Refusal::NotArchivable),
            Status::Subscribed | Status::Unsubscribed | Status::Transactional => {
                self.alter(slot, now, |member| {
                    member.status = Status::Archived;
                    member.last_changed = now;
                })
            }
        }
    }

    /// `actions/delete-permanent`: no trace in any listing.
    pub(crate) fn forget(&mut self, slot: u32, now: i64) -> Result<(), Refusal> {
        let hash = self.known(slot)?.hash;
        self.forgotten.insert(hash);
        self.erase(slot, now)
    }

    /// `POST …/tags`; an empty list changes nothing.
    pub(crate) fn tag(
        &mut self,
        slot: u32,
        tags: &[(String, bool)],
        now: i64,
    ) -> Result<(), Refusal> {
        if tags.is_empty() {
            return self.known(slot).map(|_| ());
        }
        let first_id = self.next_tag;
        self.next_tag = first_id.wrapping_add(u32::try_from(tags.len()).unwrap_or(u32::MAX));
        self.alter(slot, now, |member| {
            let held = &mut member.extra().tags;
            for (id, (name, active)) in (first_id..).zip(tags) {
                if !*active {
                    held.retain(|tag| tag.name != *name);
                } else if !held.iter().any(|tag| tag.name == *name) {
                    held.push(Tag { id, name: name.clone(), added_at: now });
                }
            }
            member.last_changed = now;
        })
    }

    /// Changes a member in a way that no part of the API offers.
    pub(crate) fn alter(
        &mut self,
        slot: u32,
        now: i64,
        alteration: impl FnOnce(&mut Member),
    ) -> Result<(), Refusal> {
        let mut member = self.known(slot)?.clone();
        alteration(&mut member);
        self.put(slot, Some(member), now);
        Ok(())
    }

    /// Takes another address. An archived member that has it gives it up and is gone: two rows of a
    /// list cannot have the same id.
    fn move_to(
        &mut self,
        slot: u32,
        member: &mut Member,
        email: &str,
        now: i64,
    ) -> Result<(), Refusal> {
        let hash = member::email_hash(email);
        if let Some(other) = self.by_hash.get(&hash).copied().filter(|other| *other != slot) {
            if self.known(other)?.status != Status::Archived {
                return Err(Refusal::Exists);
            }
            self.erase(other, now)?;
        }
        self.by_hash.remove(&member.hash);
        self.by_hash.insert(hash, slot);
        member.email = email.into();
        member.hash = hash;
        Ok(())
    }

    fn erase(&mut self, slot: u32, now: i64) -> Result<(), Refusal> {
        let member = self.known(slot)?;
        let (hash, contact_id) = (member.hash, member.contact_id);
        self.by_hash.remove(&hash);
        self.by_contact.remove(&contact_id);
        self.put(slot, None, now);
        Ok(())
    }

    fn put(&mut self, slot: u32, new: Option<Member>, now: i64) {
        self.listing.catch_up(now);
        let visible_at = (self.lag > 0).then(|| now.saturating_add(self.lag));
        let place = usize::try_from(slot).ok().and_then(|slot| self.members.get_mut(slot));
        let Some(place) = place else { return };
        let old = std::mem::replace(place, new);
        self.listing.note(slot, old, place.as_ref(), visible_at);
    }

    fn known(&self, slot: u32) -> Result<&Member, Refusal> {
        self.member(slot).ok_or(Refusal::Unknown)
    }

    fn next_slot(&self) -> Result<u32, Refusal> {
        u32::try_from(self.members.len()).map_err(|_| Refusal::Full)
    }
}

fn apply(member: &mut Member, edit: &Edit, now: i64) {
    if let Some(status) = edit.status.filter(|status| *status != member.status) {
        member.status = status;
        if status == Status::Unsubscribed {
            member.extra().unsubscribed_at = Some(now);
        }
    }
    if let Some(html) = edit.html {
        member.html = html;
    }
    if let Some(vip) = edit.vip {
        member.vip = vip;
    }
    if let Some(language) = &edit.language {
        member.extra().language.clone_from(language);
    }
    for (tag, value) in &edit.merge_fields {
        if member.merge_field(tag) != *value {
            member.set_merge_field(tag, value.clone());
        }
    }
    for (id, on) in &edit.interests {
        let held = &mut member.extra().interests;
        held.retain(|held| held != id);
        if *on {
            held.push(id.clone());
            held.sort_unstable();
        }
    }
    // An edit that leaves nothing behind must compare equal to no edit at all.
    if member.extra.as_deref().is_some_and(|extra| *extra == Extra::default()) {
        member.extra = None;
    }
}
