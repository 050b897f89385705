//! What cannot be read of a connection: found as its trouble, and never as that of the store.

use jiff::{SignedDuration, Timestamp};
use tidemark_engine::{
    log::Log,
    store::{Folder, StoreError},
};
use tidemark_model::{entry::Committed, failure::Failure};

use super::{failed, refusal};
use crate::rules::{Ended, Facts, Paused, ScheduleState, Terms};

/// Between two ticks of a schedule that nobody knows: none of them is missed.
const NEVER: SignedDuration = SignedDuration::from_hours(100 * 366 * 24);

/// Whether the store answered, and what it holds cannot be used, or is refused. It stays so.
#[must_use]
pub fn unreadable(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Missing { .. } | StoreError::Damaged { .. } | StoreError::NewerFormat { .. }
    ) || refusal::is_refusal(error)
}

/// What could not be read, and why.
pub(super) struct Damage {
    /// As the reason why nothing of it counts.
    pub(super) ended: Ended,
    /// The error, if the store refused it.
    pub(super) refusal: Option<StoreError>,
}

/// What the commit log says.
pub(super) struct Logged {
    pub(super) commit: Option<Committed>,
    /// Why it cannot be read.
    pub(super) damage: Option<Damage>,
}

impl Logged {
    pub(super) async fn read(folder: &Folder, now: Timestamp) -> Result<Self, StoreError> {
        match Log::open(folder).await {
            Ok(log) => Ok(Self { commit: log.newest_commit().cloned(), damage: None }),
            Err(error) if unreadable(&error) => {
                Ok(Self { commit: None, damage: Some(of(error, now)) })
            }
            Err(error) => Err(error),
        }
    }

    /// The terms of a connection with this log: if it cannot be read, nobody knows how far behind the
    /// connection may be, so it has no time.
    pub(super) fn judged_by(&self, terms: Terms) -> Terms {
        if self.damage.is_none() {
            return terms;
        }
        Terms { max_lag: SignedDuration::ZERO, edits: Vec::new(), reread_at: None, ..terms }
    }

    /// The error, if the store refused it.
    pub(super) fn refusal(self) -> Option<StoreError> {
        self.damage?.refusal
    }
}

/// The failure to read an object.
pub(super) fn of(error: StoreError, at: Timestamp) -> Damage {
    match refusal::failure(&error) {
        Some(failure) => Damage { ended: failed::of(&failure, at), refusal: Some(error) },
        None => Damage { ended: failed::of(&Failure::from(error), at), refusal: None },
    }
}

/// What is known of a connection whose definition cannot be read: nobody knows how far behind it
/// may be, and no run of it can begin, so it is behind at once. With the
/// error, if the store refused anything of it.
pub(super) async fn undefined(
    folder: &Folder,
    error: StoreError,
    paused: Option<Paused>,
    now: Timestamp,
) -> Result<(Facts, Option<StoreError>), StoreError> {
    let logged = Logged::read(folder, now).await?;
    let damage = of(error, now);
    // Lag counts from the watermark, and a first sync that nobody knows of has no time.
    let created_at = Timestamp::UNIX_EPOCH;
    let ended = Ended { at: created_at, ..damage.ended };
    let facts = Facts {
        terms: Terms {
            max_lag: SignedDuration::ZERO,
            interval: NEVER,
            created_at,
            applied_at: created_at,
            edits: Vec::new(),
            reread_at: None,
            source: "not known".into(),
            destination: "not known".into(),
        },
        schedule: ScheduleState::Present {
            paused,
            resumed_at: None,
            created_at: None,
            started_at: None,
            // Nobody can say that it is not.
            as_defined: true,
        },
        commit: logged.commit.as_ref().map(super::newest),
        ended: Some(ended),
        run: None,
    };
    Ok((facts, damage.refusal.or_else(|| logged.refusal())))
}
