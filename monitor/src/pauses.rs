//! Pauses that the monitors of an installation have seen, for whoever judges without one.
//!
//! They are only read, in the shape in which the [rules](crate::rules) keep them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tidemark_engine::store::{Store, StoreError};
use tidemark_model::ids::ConnectionId;

use crate::{
    keep::Keep,
    rules::{Facts, ScheduleState, Settings},
};

/// A memory that no monitor has written for so long says nothing of now.
const COUNTS_FOR: SignedDuration = SignedDuration::from_mins(10);

/// The part of a version that is read here.
#[derive(Deserialize)]
struct Kept {
    memory: Memory,
}

#[derive(Deserialize)]
struct Memory {
    #[serde(default)]
    pauses: BTreeMap<ConnectionId, SeenPause>,
    signs: Signs,
}

/// The last pass.
#[derive(Deserialize)]
struct Signs {
    awake_at: Option<Timestamp>,
}

/// A pause that was seen.
#[derive(Clone, Copy, Debug, Deserialize)]
struct SeenPause {
    /// When it was last seen paused.
    last_at: Timestamp,
    /// When it was first seen running again.
    #[serde(default)]
    resumed_at: Option<Timestamp>,
}

/// The pauses in the newest memory of the monitors.
#[derive(Debug, Default)]
pub struct SeenPauses {
    seen: BTreeMap<ConnectionId, SeenPause>,
    written_at: Option<Timestamp>,
}

impl SeenPauses {
    /// Reads them. There are none where no monitor ever was.
    ///
    /// # Errors
    /// The memory is damaged or of a newer version, or the store's.
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        let Some((_, Kept { memory })) = Keep::new(store).read().await? else {
            return Ok(Self::default());
        };
        Ok(Self { seen: memory.pauses, written_at: memory.signs.awake_at })
    }

    /// When the memory was written, if that is too long ago for it to count.
    #[must_use]
    pub fn outdated(&self, now: Timestamp) -> Option<Timestamp> {
        self.written_at.filter(|at| now.duration_since(*at) > COUNTS_FOR)
    }

    /// Whether there is one of a connection, whether it counts or not.
    #[must_use]
    pub fn include(&self, connection: &ConnectionId) -> bool {
        self.seen.contains_key(connection)
    }

    /// Completes what is known of a connection that is not paused by when it was resumed, as the
    /// monitor does at its next look. `asked`: whether Temporal says that it is not paused; one that
    /// was not seen running again since may still be paused otherwise.
    pub fn complete(
        &self,
        connection: &ConnectionId,
        facts: &mut Facts,
        asked: bool,
        now: Timestamp,
        settings: &Settings,
    ) {
        if self.outdated(now).is_some() {
            return;
        }
        let Some(seen) = self.seen.get(connection) else { return };
        let ScheduleState::Present { paused: None, resumed_at, created_at, .. } =
            &mut facts.schedule
        else {
            return;
        };
        // Its note tells of the resume, or it is another schedule. These are of two clocks.
        let known_at = (*resumed_at).max(*created_at);
        let last_at = seen.last_at.saturating_sub(settings.skew).unwrap_or(Timestamp::MIN);
        if known_at.is_some_and(|known_at| known_at >= last_at) {
            return;
        }
        *resumed_at = seen.resumed_at.or(asked.then_some(now)).or(*resumed_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keep::Version,
        rules::{Due, Look, Paused, Seen, Terms, Watch},
    };

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn id() -> ConnectionId {
        "acme/news".parse().unwrap()
    }

    /// A connection that was applied at first, and whose schedule's note tells nothing.
    fn facts(paused: bool) -> Facts {
        Facts {
            terms: Terms {
                max_lag: SignedDuration::from_mins(90),
                interval: SignedDuration::from_mins(60),
                created_at: at(0),
                applied_at: at(0),
                edits: Vec::new(),
                reread_at: None,
                source: "mailchimp us1".into(),
                destination: "record-api one.test".into(),
            },
            schedule: ScheduleState::Present {
                paused: paused.then_some(Paused { since: None }),
                resumed_at: None,
                created_at: Some(at(0)),
                started_at: None,
                as_defined: true,
            },
            commit: None,
            ended: None,
            run: None,
        }
    }

    /// A monitor's passes, each at an instant and with what it sees, in a store.
    async fn watched(passes: &[(i64, bool)]) -> Store {
        let store = Store::in_memory();
        let keep = Keep::new(&store);
        let mut watch = Watch::new(Settings::default());
        for (minutes, paused) in passes {
            let mut version: Version = keep.newest().await.unwrap();
            let look = Look { connection: id(), facts: Some(facts(*paused)), orphaned: false };
            let seen = Seen {
                now: at(*minutes),
                temporal: true,
                workers: None,
                looks: vec![look],
                mutes: &[],
                activity: None,
            };
            watch.pass(&mut version.kept.memory, seen);
            assert!(keep.add(&version).await.unwrap());
        }
        store
    }

    /// What lag counts from, with what was seen.
    async fn base(store: &Store, paused: bool, asked: bool, now: i64) -> Timestamp {
        let settings = Settings::default();
        let mut facts = facts(paused);
        let pauses = SeenPauses::read(store).await.unwrap();
        pauses.complete(&id(), &mut facts, asked, at(now), &settings);
        Due::of(&facts, &[], &settings).base
    }

    #[tokio::test]
    async fn lag_counts_from_the_resume_that_a_monitor_saw() {
        let store = watched(&[(500, true), (503, true), (506, false), (509, false)]).await;
        for asked in [true, false] {
            assert_eq!(base(&store, false, asked, 510).await, at(506));
        }
        assert_eq!(base(&store, false, true, 520).await, at(0), "the monitor is gone");
        let pauses = SeenPauses::read(&store).await.unwrap();
        assert!(pauses.include(&id()));
        assert_eq!(pauses.outdated(at(520)), Some(at(509)));
        assert_eq!(pauses.outdated(at(519)), None);
    }

    #[tokio::test]
    async fn a_pause_is_over_only_for_whoever_sees_it_running() {
        let store = watched(&[(500, true), (503, true)]).await;
        assert_eq!(base(&store, false, true, 504).await, at(504));
        assert_eq!(base(&store, false, false, 504).await, at(0), "nobody knows");
        assert_eq!(base(&store, true, true, 504).await, at(0), "it is paused");
    }

    #[tokio::test]
    async fn without_a_monitor_there_are_none() {
        let pauses = SeenPauses::read(&Store::in_memory()).await.unwrap();
        assert!(!pauses.include(&id()));
        assert_eq!(pauses.outdated(at(0)), None);
    }
}
