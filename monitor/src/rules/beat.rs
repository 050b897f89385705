//! Signs of life at the steps that workers are at, as looks at their runs show them.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::{SignedDuration, Timestamp};
use tidemark_model::ids::ConnectionId;

use super::watch::Look;

/// What was seen so long ago says nothing of the workers of now.
const KEPT: SignedDuration = SignedDuration::from_mins(5);

/// So many are looked at again to hear of their workers; some of them may have come to their end.
const LISTENED: usize = 10;

/// The steps at work, as one watch saw them last.
#[derive(Debug, Default)]
pub(super) struct Beats {
    last: BTreeMap<ConnectionId, Beat>,
}

#[derive(Clone, Copy, Debug)]
struct Beat {
    /// When the worker was heard of, by Temporal's clock.
    heard_at: Timestamp,
    /// When that was seen, by the clock of the watch.
    seen_at: Timestamp,
}

impl Beats {
    /// Notes what a pass saw. When a worker was heard of at the earliest, if one was since another
    /// look: after that one, whatever Temporal's clock says.
    pub(super) fn note(&mut self, looks: &[Look], now: Timestamp) -> Option<Timestamp> {
        self.last.retain(|_, beat| now.duration_since(beat.seen_at) < KEPT);
        let mut newest: Option<Timestamp> = None;
        for Look { connection, facts, .. } in looks {
            let run = facts.as_ref().and_then(|facts| facts.run.as_ref());
            let Some(heard_at) = run.and_then(|run| run.heard_at) else {
                self.last.remove(connection);
                continue;
            };
            let before = self.last.insert(connection.clone(), Beat { heard_at, seen_at: now });
            let before = before.filter(|before| before.heard_at < heard_at);
            newest = newest.max(before.map(|before| before.seen_at));
        }
        newest
    }

    /// Those at work that were heard of last.
    pub(super) fn newest(&self) -> Vec<&ConnectionId> {
        let mut beats: Vec<(&ConnectionId, &Beat)> = self.last.iter().collect();
        beats.sort_by_key(|(_, beat)| Reverse(beat.heard_at));
        beats.into_iter().take(LISTENED).map(|(connection, _)| connection).collect()
    }
}
