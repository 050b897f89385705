//! Pauses as looks have seen them. The note of a schedule says since when it is paused, or when it
//! was resumed, only if `tidemark` did it: Temporal keeps neither instant of anybody else.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::ids::ConnectionId;

use super::due::caught_up;
use super::facts::{Facts, ScheduleState};
use super::outage::later;
use super::settings::Settings;

/// The pauses that were seen and still matter, by connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeenPauses(BTreeMap<ConnectionId, SeenPause>);

/// A pause that was seen, by the clocks of the watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SeenPause {
    /// When it was first and last seen paused.
    first_at: Timestamp,
    last_at: Timestamp,
    /// When it was first seen running again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resumed_at: Option<Timestamp>,
}

impl SeenPause {
    fn begun(now: Timestamp) -> Self {
        Self { first_at: now, last_at: now, resumed_at: None }
    }
}

impl SeenPauses {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes what a look says of a pause, and completes it by what earlier looks have seen: since
    /// when it is paused, or when it was resumed.
    pub(super) fn complete(
        &mut self,
        connection: &ConnectionId,
        facts: &mut Facts,
        now: Timestamp,
        settings: &Settings,
    ) {
        let ScheduleState::Present { paused, resumed_at, created_at, .. } = &mut facts.schedule
        else {
            // One that takes its place runs from the begin.
            self.forget(connection);
            return;
        };
        if let Some(paused) = paused {
            let seen = self.0.entry(connection.clone()).or_insert_with(|| SeenPause::begun(now));
            if seen.resumed_at.is_some() {
                *seen = SeenPause::begun(now);
            }
            seen.last_at = seen.last_at.max(now);
            paused.since.get_or_insert(seen.first_at);
            return;
        }
        let Some(seen) = self.0.get_mut(connection) else { return };
        // Its note tells of the resume, or it is another schedule. These are of two clocks.
        let known_at = (*resumed_at).max(*created_at);
        if known_at.is_some_and(|known_at| later(known_at, settings.skew) >= seen.last_at) {
            self.forget(connection);
            return;
        }
        // It may have been resumed earlier, and nobody can know: nobody is called late too early.
        let seen_at = *seen.resumed_at.get_or_insert(now);
        *resumed_at = Some(seen_at);
        if is_over(facts, seen_at, now, settings) {
            self.forget(connection);
        }
    }

    pub(super) fn forget(&mut self, connection: &ConnectionId) {
        self.0.remove(connection);
    }

    /// Forgets those of which nothing was seen since an instant.
    pub(super) fn forget_before(&mut self, oldest: Timestamp) {
        self.0.retain(|_, seen| seen.resumed_at.unwrap_or(seen.last_at) > oldest);
    }
}

/// Whether a resume gives no time any more.
fn is_over(facts: &Facts, resumed_at: Timestamp, now: Timestamp, settings: &Settings) -> bool {
    // A first run after it that took longer than the lag that is allowed is made up for by the next.
    let answered =
        facts.commit.is_some_and(|commit| commit.complete_as_of > later(resumed_at, settings.skew));
    let had_time = later(resumed_at, settings.first_sync_within) <= now;
    caught_up(facts, resumed_at, settings) || (answered && had_time)
}
