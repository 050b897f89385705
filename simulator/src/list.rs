//! A list: its members, its fields, and the numbers about it that are cached like the real ones.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{
    listing::{Query, Sort},
    member::Status,
    roll::Roll,
    user::User,
};

/// Seconds for which the numbers about a list stay as they were.
const STATS_AGE: i64 = 300;

pub(crate) struct List {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: Arc<User>,
    pub(crate) ordinal: u32,
    pub(crate) created_at: i64,
    roll: RwLock<Roll>,
    layout: Mutex<Layout>,
    stats: Mutex<Option<Stats>>,
}

/// What a list defines for its members.
#[derive(Clone)]
pub(crate) struct Layout {
    pub(crate) merge_fields: Vec<String>,
    /// Ids of interests by category.
    pub(crate) interests: BTreeMap<String, Vec<String>>,
    pub(crate) campaign_sent_at: Option<i64>,
}

/// As of `taken_at`.
#[derive(Clone, Copy)]
pub(crate) struct Stats {
    taken_at: i64,
    pub(crate) subscribed_count: usize,
    pub(crate) unsubscribed_count: usize,
    pub(crate) cleaned_count: usize,
    /// Everybody who ever was in the list, archived and deleted ones too.
    pub(crate) contact_count: usize,
    pub(crate) last_subscribed_at: Option<i64>,
    pub(crate) last_unsubscribed_at: Option<i64>,
}

impl List {
    pub(crate) fn new(id: &str, name: &str, owner: Arc<User>, ordinal: u32, now: i64) -> Self {
        let first_web_id = u64::from(ordinal) * 100_000_000 + 1;
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            owner,
            ordinal,
            created_at: now,
            roll: RwLock::new(Roll::new(id, first_web_id)),
            layout: Mutex::new(Layout {
                merge_fields: ["FNAME", "LNAME", "ADDRESS", "PHONE"].map(str::to_owned).into(),
                interests: BTreeMap::new(),
                campaign_sent_at: None,
            }),
            stats: Mutex::default(),
        }
    }

    /// The members, with what has become due shown in the listing.
    pub(crate) fn read(&self, now: i64) -> RwLockReadGuard<'_, Roll> {
        let roll = self.roll.read().unwrap_or_else(PoisonError::into_inner);
        if !roll.is_behind(now) {
            return roll;
        }
        drop(roll);
        self.write().catch_up(now);
        self.roll.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Roll> {
        self.roll.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn layout(&self) -> MutexGuard<'_, Layout> {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers that may be five minutes old.
    pub(crate) fn stats(&self, now: i64) -> Stats {
        let mut cached = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stats) = *cached
            && (stats.taken_at..stats.taken_at + STATS_AGE).contains(&now)
        {
            return stats;
        }
        let stats = self.count(now);
        *cached = Some(stats);
        stats
    }

    fn count(&self, now: i64) -> Stats {
        let roll = self.read(now);
        let newest = |status, sort| {
            let query = Query {
                status: Some(status),
                sort,
                descending: true,
                count: 1,
                ..Query::default()
            };
            roll.find(&query).slots.first().and_then(|slot| roll.shown(*slot)).cloned()
        };
        Stats {
            taken_at: now,
            subscribed_count: roll.count(Some(Status::Subscribed)),
            unsubscribed_count: roll.count(Some(Status::Unsubscribed)),
            cleaned_count: roll.count(Some(Status::Cleaned)),
            contact_count: roll.ever_count(),
            last_subscribed_at: newest(Status::Subscribed, Sort::TimestampOpt)
                .map(|member| member.opted_in_at),
            last_unsubscribed_at: newest(Status::Unsubscribed, Sort::LastChanged)
                .map(|member| member.unsubscribed_at()),
        }
    }
}
