//! What the listing of members shows, and in which order: indexes by every sort key, for all that is
//! visible and for each status, and the rows that become visible late.

use std::collections::{HashMap, VecDeque};

use crate::{
    member::{Member, Status},
    order::Order,
};

/// The key by which a listing is ordered; ties are broken by `web_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sort {
    /// The order of insertion: what a listing without `sort_field` has.
    #[default]
    WebId,
    LastChanged,
    TimestampOpt,
    TimestampSignup,
}

/// Seconds after `after` (exclusive) up to `until` (inclusive).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    pub(crate) after: Option<i64>,
    pub(crate) until: Option<i64>,
}

impl Window {
    pub(crate) fn is_open(self) -> bool {
        self.after.is_none() && self.until.is_none()
    }

    pub(crate) fn holds(self, seconds: i64) -> bool {
        self.after.is_none_or(|after| seconds > after)
            && self.until.is_none_or(|until| seconds <= until)
    }
}

pub(crate) type Condition = Box<dyn Fn(&Member) -> bool + Send + Sync>;

/// A question to the listing.
#[derive(Default)]
pub(crate) struct Query {
    /// None = all but the archived.
    pub(crate) status: Option<Status>,
    pub(crate) changed: Window,
    pub(crate) opted_in: Window,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) sort: Sort,
    pub(crate) descending: bool,
    pub(crate) offset: usize,
    pub(crate) count: usize,
}

/// One page: places of the rows, and how many rows the filters leave in all.
pub(crate) struct Found {
    pub(crate) slots: Vec<u32>,
    pub(crate) total: usize,
}

/// What of a member is indexed.
#[derive(Clone, Copy, PartialEq)]
struct Keys {
    status: Status,
    changed: u64,
    opted_in: u64,
    signed_up: u64,
}

impl Keys {
    fn of(slot: u32, member: &Member) -> Self {
        Self {
            status: member.status,
            changed: key(member.last_changed, slot),
            opted_in: key(member.opted_in_at, slot),
            signed_up: key(member.signed_up_at, slot),
        }
    }
}

/// Seconds above, place below: sorts by time, then by `web_id`, in eight bytes.
fn key(seconds: i64, slot: u32) -> u64 {
    (u64::from(clamped(seconds)) << 32) | u64::from(slot)
}

fn clamped(seconds: i64) -> u32 {
    u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)
}

fn slot_of(key: u64) -> u32 {
    u32::try_from(key & u64::from(u32::MAX)).expect("the lower half of a u64 is a u32")
}

/// The members of one status, or all visible ones, in every order that can be asked for.
#[derive(Default)]
struct Shelf {
    by_web_id: Order,
    by_changed: Order,
    by_opted_in: Order,
    by_signed_up: Order,
}

impl Shelf {
    fn insert(&mut self, slot: u32, keys: &Keys) {
        self.by_web_id.insert(u64::from(slot));
        self.by_changed.insert(keys.changed);
        self.by_opted_in.insert(keys.opted_in);
        self.by_signed_up.insert(keys.signed_up);
    }

    fn remove(&mut self, slot: u32, keys: &Keys) {
        self.by_web_id.remove(u64::from(slot));
        self.by_changed.remove(keys.changed);
        self.by_opted_in.remove(keys.opted_in);
        self.by_signed_up.remove(keys.signed_up);
    }

    fn extend(&mut self, rows: &[(u32, Keys)]) {
        self.by_web_id.extend(rows.iter().map(|(slot, _)| u64::from(*slot)));
        self.by_changed.extend(rows.iter().map(|(_, keys)| keys.changed));
        self.by_opted_in.extend(rows.iter().map(|(_, keys)| keys.opted_in));
        self.by_signed_up.extend(rows.iter().map(|(_, keys)| keys.signed_up));
    }

    fn order(&self, sort: Sort) -> &Order {
        match sort {
            Sort::WebId => &self.by_web_id,
            Sort::LastChanged => &self.by_changed,
            Sort::TimestampOpt => &self.by_opted_in,
            Sort::TimestampSignup => &self.by_signed_up,
        }
    }
}

/// A version of a row that the listing does not show yet.
struct Late {
    visible_at: i64,
    slot: u32,
    version: Option<Member>,
}

/// What the listing shows of a row that has late versions.
struct Shadow {
    shown: Option<Member>,
    late_count: usize,
}

#[derive(Default)]
pub(crate) struct Listing {
    visible: Shelf,
    /// One per status, in the order of [`Status::ALL`].
    statuses: [Shelf; 6],
    late: VecDeque<Late>,
    shadows: HashMap<u32, Shadow>,
}

impl Listing {
    /// Takes note that the row at `slot` went from `old` to `new`, to be seen at `visible_at`;
    /// None = at once, unless an older change is still to be seen.
    pub(crate) fn note(
        &mut self,
        slot: u32,
        old: Option<Member>,
        new: Option<&Member>,
        visible_at: Option<i64>,
    ) {
        let newest_late = self.late.back().map(|late| late.visible_at);
        let Some(visible_at) = visible_at.max(newest_late) else {
            self.reindex(slot, old.as_ref(), new);
            return;
        };
        let shadow = self.shadows.entry(slot).or_insert(Shadow { shown: old, late_count: 0 });
        shadow.late_count += 1;
        self.late.push_back(Late { visible_at, slot, version: new.cloned() });
    }

    /// Takes in many new rows at once, seen at once.
    pub(crate) fn extend<'a>(&mut self, rows: impl Iterator<Item = (u32, &'a Member)>) {
        let rows: Vec<_> = rows.map(|(slot, member)| (slot, Keys::of(slot, member))).collect();
        for (shelf, status) in self.statuses.iter_mut().zip(Status::ALL) {
            let of_status: Vec<_> =
                rows.iter().filter(|(_, k)| k.status == status).copied().collect();
            shelf.extend(&of_status);
        }
        let visible: Vec<_> =
            rows.into_iter().filter(|(_, keys)| keys.status != Status::Archived).collect();
        self.visible.extend(&visible);
    }

    /// Whether a row has become due that the listing does not show yet.
    pub(crate) fn is_behind(&self, now: i64) -> bool {
        self.late.front().is_some_and(|late| late.visible_at <= now)
    }

    /// Shows what has become due.
    pub(crate) fn catch_up(&mut self, now: i64) {
        while self.is_behind(now) {
            let Some(Late { slot, version, .. }) = self.late.pop_front() else { return };
            let Some(mut shadow) = self.shadows.remove(&slot) else { continue };
            self.reindex(slot, shadow.shown.as_ref(), version.as_ref());
            shadow.late_count -= 1;
            if shadow.late_count > 0 {
                shadow.shown = version;
                self.shadows.insert(slot, shadow);
            }
        }
    }

    /// What the listing shows at `slot`, given what is there in truth.
    pub(crate) fn shown<'a>(
        &'a self,
        slot: u32,
        truth: &'a [Option<Member>],
    ) -> Option<&'a Member> {
        if !self.shadows.is_empty()
            && let Some(shadow) = self.shadows.get(&slot)
        {
            return shadow.shown.as_ref();
        }
        truth.get(usize::try_from(slot).ok()?)?.as_ref()
    }

    pub(crate) fn count(&self, status: Option<Status>) -> usize {
        self.shelf(status).by_web_id.len()
    }

    /// The place of the k-th visible row in the order of insertion.
    pub(crate) fn visible_slot(&self, place: usize, status: Option<Status>) -> Option<u32> {
        self.shelf(status).by_web_id.places(place..place + 1).next().map(slot_of)
    }

    pub(crate) fn find(&self, query: &Query, truth: &[Option<Member>]) -> Found {
        let shelf = self.shelf(query.status);
        let changed = &shelf.by_changed;
        let bound = |seconds: i64| changed.rank(key(seconds, 0).saturating_add(1 << 32));
        let from = query.changed.after.map_or(0, bound);
        let to = query.changed.until.map_or(changed.len(), bound).max(from);
        let every_row_counts = query.conditions.is_empty() && query.opted_in.is_open();

        if every_row_counts && (query.sort == Sort::LastChanged || to - from == changed.len()) {
            let order = shelf.order(query.sort);
            let (from, to) =
                if query.sort == Sort::LastChanged { (from, to) } else { (0, order.len()) };
            let first = query.offset.min(to - from);
            let last = query.offset.saturating_add(query.count).min(to - from);
            let slots = if query.descending {
                order.places(to - last..to - first).rev().map(slot_of).collect()
            } else {
                order.places(from + first..from + last).map(slot_of).collect()
            };
            return Found { slots, total: to - from };
        }

        // A wide window in another order: walking that order until the page is full costs less than
        // collecting the whole window, because most rows are in it.
        let wanted = query.offset.saturating_add(query.count);
        if every_row_counts && wanted.saturating_mul(changed.len()) / (to - from).max(1) < to - from
        {
            let order = shelf.order(query.sort);
            let in_window = |slot: &u32| {
                self.shown(*slot, truth).is_some_and(|m| query.changed.holds(m.last_changed))
            };
            let all = order.places(0..order.len());
            let slots = if query.descending {
                let rows = all.rev().map(slot_of).filter(in_window);
                rows.skip(query.offset).take(query.count).collect()
            } else {
                let rows = all.map(slot_of).filter(in_window);
                rows.skip(query.offset).take(query.count).collect()
            };
            return Found { slots, total: to - from };
        }

        let mut rows: Vec<u64> = changed
            .places(from..to)
            .map(slot_of)
            .filter_map(|slot| {
                let member = self.shown(slot, truth)?;
                let fits = query.opted_in.holds(member.opted_in_at)
                    && query.conditions.iter().all(|condition| condition(member));
                let seconds = match query.sort {
                    Sort::WebId => 0,
                    Sort::LastChanged => member.last_changed,
                    Sort::TimestampOpt => member.opted_in_at,
                    Sort::TimestampSignup => member.signed_up_at,
                };
                fits.then(|| key(seconds, slot))
            })
            .collect();
        rows.sort_unstable();
        if query.descending {
            rows.reverse();
        }
        let total = rows.len();
        let slots = rows.into_iter().skip(query.offset).take(query.count).map(slot_of).collect();
        Found { slots, total }
    }

    fn shelf(&self, status: Option<Status>) -> &Shelf {
        status
            .and_then(|status| {
                self.statuses.iter().zip(Status::ALL).find(|(_, s)| *s == status).map(|(s, _)| s)
            })
            .unwrap_or(&self.visible)
    }

    fn reindex(&mut self, slot: u32, old: Option<&Member>, new: Option<&Member>) {
        let old = old.map(|member| Keys::of(slot, member));
        let new = new.map(|member| Keys::of(slot, member));
        if old == new {
            return;
        }
        for (shelf, status) in self.statuses.iter_mut().zip(Status::ALL) {
            move_in(shelf, slot, old, new, |keys| keys.status == status);
        }
        move_in(&mut self.visible, slot, old, new, |keys| keys.status != Status::Archived);
    }
}

fn move_in(
    shelf: &mut Shelf,
    slot: u32,
    old: Option<Keys>,
    new: Option<Keys>,
    belongs: impl Fn(&Keys) -> bool,
) {
    if let Some(keys) = old.filter(&belongs) {
        shelf.remove(slot, &keys);
    }
    if let Some(keys) = new.filter(&belongs) {
        shelf.insert(slot, &keys);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chance::Chance,
        mutation::{Mutation, RandomKind},
        roll::Roll,
        seed::{Seed, Sowing, StatusMix},
    };

    const NOW: i64 = 1_000_000;

    fn roll(seed: u64) -> Roll {
        let statuses =
            StatusMix { archived: 2, unsubscribed: 1, subscribed: 5, ..StatusMix::default() };
        let seed = Seed { count: 2_000, seed, span: 800, ties: 300, statuses, ..Seed::default() };
        let mut sowing = Sowing::new(&seed, NOW);
        let mut roll = Roll::new("list", 1);
        roll.fill(seed.count, |slot, contact_id| sowing.member(slot, contact_id)).unwrap();
        roll
    }

    /// Plays some change; one that the list refuses changes nothing.
    fn change(roll: &mut Roll, number: u64, now: i64, chance: &mut Chance) {
        let kinds = [
            RandomKind::Add,
            RandomKind::Change,
            RandomKind::Archive,
            RandomKind::Unarchive,
            RandomKind::DeleteForEver,
            RandomKind::ChangeEmail,
            RandomKind::Touch,
        ];
        let kind = kinds[usize::try_from(chance.below(7)).unwrap()];
        let slot = u32::try_from(chance.below(2_000)).unwrap();
        let Some(member) = roll.member(slot).map(|m| crate::member::hex(&m.contact_id)) else {
            return;
        };
        let mutation: Mutation = kind.mutation(member, number, chance);
        let _refused_or_not = mutation.play(roll, now);
    }

    fn random_query(chance: &mut Chance) -> Query {
        let mut pick = |bound: u64| chance.below(bound);
        let mut some = |base: i64| {
            let seconds = base - i64::try_from(pick(900)).unwrap();
            (pick(2) == 0).then_some(seconds)
        };
        let changed = Window { after: some(NOW), until: some(NOW + 100) };
        let opted_in = Window { after: None, until: some(NOW + 800).filter(|at| *at < NOW) };
        let sorts = [Sort::WebId, Sort::LastChanged, Sort::TimestampOpt, Sort::TimestampSignup];
        let statuses =
            [None, Some(Status::Archived), Some(Status::Subscribed), Some(Status::Cleaned)];
        let place = |n: u64| usize::try_from(n).unwrap();
        Query {
            status: statuses[place(pick(4))],
            changed,
            opted_in,
            conditions: Vec::new(),
            sort: sorts[place(pick(4))],
            descending: pick(2) == 0,
            offset: place([0, pick(50), pick(3_000)][place(pick(3))]),
            count: place([1, pick(20), 1_000][place(pick(3))]),
        }
    }

    /// The same question answered by looking at every row.
    fn by_hand(shown: &[(u32, Member)], query: &Query) -> (Vec<u32>, usize) {
        let mut rows: Vec<&(u32, Member)> = shown
            .iter()
            .filter(|(_, member)| match query.status {
                None => member.status != Status::Archived,
                Some(status) => member.status == status,
            })
            .filter(|(_, member)| query.changed.holds(member.last_changed))
            .filter(|(_, member)| query.opted_in.holds(member.opted_in_at))
            .collect();
        rows.sort_by_key(|(slot, member)| match query.sort {
            Sort::WebId => (0, *slot),
            Sort::LastChanged => (member.last_changed, *slot),
            Sort::TimestampOpt => (member.opted_in_at, *slot),
            Sort::TimestampSignup => (member.signed_up_at, *slot),
        });
        if query.descending {
            rows.reverse();
        }
        let total = rows.len();
        (rows.iter().skip(query.offset).take(query.count).map(|row| row.0).collect(), total)
    }

    fn all(roll: &Roll) -> Vec<(u32, Member)> {
        let count = u32::try_from(roll.ever_count()).unwrap();
        (0..count).filter_map(|slot| Some((slot, roll.member(slot)?.clone()))).collect()
    }

    fn compare(roll: &Roll, shown: &[(u32, Member)], chance: &mut Chance, seed: u64) {
        for _ in 0..60 {
            let query = random_query(chance);
            let found = roll.find(&query);
            let (slots, total) = by_hand(shown, &query);
            let asked = (query.status, query.changed, query.sort, query.descending, query.offset);
            assert_eq!(found.total, total, "seed {seed}: {asked:?}");
            assert_eq!(found.slots, slots, "seed {seed}: {asked:?}");
        }
    }

    #[test]
    fn every_question_is_answered_as_by_looking_at_every_row() {
        for seed in 1..=8 {
            let (mut roll, mut chance) = (roll(seed), Chance::new(seed));
            for number in 0..400 {
                change(&mut roll, number, NOW + i64::try_from(number / 8).unwrap(), &mut chance);
            }
            compare(&roll, &all(&roll), &mut chance, seed);
        }
    }

    #[test]
    fn a_lagging_listing_answers_as_the_list_was_then() {
        for seed in 1..=8 {
            let (mut roll, mut chance) = (roll(seed), Chance::new(seed));
            roll.set_lag(20);
            let mut was = Vec::new();
            for second in 0..60 {
                let now = NOW + second;
                for number in 0..5 {
                    change(
                        &mut roll,
                        u64::try_from(second * 5 + number).unwrap(),
                        now,
                        &mut chance,
                    );
                }
                was.push(all(&roll));
            }
            // At second 59 the listing shows the list as it was after second 39.
            roll.catch_up(NOW + 59);
            compare(&roll, &was[39], &mut chance, seed);
            roll.catch_up(NOW + 79);
            compare(&roll, &was[59], &mut chance, seed);
        }
    }
}
