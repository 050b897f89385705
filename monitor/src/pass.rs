//! One pass of a monitor: look around, judge, write down, tell.
//!
//! What is told is written down before it is sent, and what came of it is written with the next
//! pass. A monitor that dies in between leaves it to the others, or to itself after a restart.

use jiff::{SignedDuration, Timestamp};

use crate::{
    identity::{Identity, PassError},
    keep::Keep,
    measure, mutes,
    rules::{Mute, Seen, Settings, Watch},
    see::Eyes,
    sinks::{Delivery, Outcome, Sinks, visible},
};

/// Receivers that forget are told again what stands open after so long.
const REFRESH_EVERY: SignedDuration = SignedDuration::from_secs(55);

/// What came of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    Complete,
    /// Temporal does not answer.
    Blind,
    /// Temporal answers, and another monitor was faster: what was concluded here is forgotten.
    Overtaken,
}

/// A monitor at work.
pub(crate) struct Monitor {
    identity: Identity,
    eyes: Eyes,
    keep: Keep,
    watch: Watch,
    sinks: Sinks,
    settings: Settings,
    /// What came of what was sent, until it is written down.
    unwritten: Vec<Delivery>,
    refreshed_at: Option<Timestamp>,
}

impl Monitor {
    pub(crate) fn new(identity: Identity, eyes: Eyes, sinks: Sinks, settings: Settings) -> Self {
        Self {
            identity,
            keep: Keep::new(eyes.store()),
            eyes,
            watch: Watch::new(settings.clone()),
            sinks,
            settings,
            unwritten: Vec::new(),
            refreshed_at: None,
        }
    }

    /// Makes one pass.
    ///
    /// # Errors
    /// The store does not answer, or is gone: nothing is concluded and nothing is told.
    pub(crate) async fn pass(&mut self) -> Result<Passed, PassError> {
        self.identity.confirm().await?;
        let mut version = self.keep.newest().await?;
        let memory = &version.kept.memory;
        let sight = self.eyes.look_around(&self.watch, memory, Timestamp::now()).await?;
        let mutes = self.mutes().await;
        // What was seen may have been what is left of it.
        self.identity.confirm().await?;
        let now = Timestamp::now();
        let came = if sight.is_some() { Passed::Complete } else { Passed::Blind };
        let seen = match sight {
            Some(sight) => Seen {
                now,
                temporal: true,
                workers: sight.workers,
                looks: sight.looks,
                mutes: &mutes,
                activity: sight.activity,
            },
            None => Seen {
                now,
                temporal: false,
                workers: None,
                looks: Vec::new(),
                mutes: &mutes,
                activity: None,
            },
        };
        let kept = &mut version.kept;
        let passed = self.watch.pass(&mut kept.memory, seen);
        self.eyes.leave(passed.later);
        self.sinks.note(&mut kept.outbox, &self.unwritten, now);
        for notice in &passed.notices {
            tracing::info!(key = notice.key, "{}", visible(&notice.to_string(), usize::MAX));
            // From here on the outbox remembers it.
            kept.memory.sent(&notice.key);
        }
        let resend_after = self.settings.resend_after;
        let handouts = self.sinks.hand_out(&mut kept.outbox, passed.notices, now, resend_after);
        if !self.keep.add(&version).await? {
            return Ok(if came == Passed::Complete { Passed::Overtaken } else { came });
        }
        self.eyes.kept();
        let kept = version.kept;
        measure::open(kept.memory.open().count());
        self.unwritten = self.sinks.deliver(handouts, now).await;
        if self.refreshed_at.is_none_or(|at| now.duration_since(at) >= REFRESH_EVERY) {
            let standing = kept.memory.standing(&mutes, now);
            self.unwritten.extend(self.sinks.refresh(&kept.outbox, standing, now).await);
            self.refreshed_at = Some(now);
        }
        for delivery in &self.unwritten {
            measure::delivered(&delivery.sink, delivery.outcome == Outcome::Sent);
        }
        Ok(came)
    }

    /// Writes down what came of what was sent last, so that nobody sends it again.
    ///
    /// # Errors
    /// The store's, or it is gone.
    pub(crate) async fn close(mut self) -> Result<(), PassError> {
        let unwritten = std::mem::take(&mut self.unwritten);
        if unwritten.is_empty() {
            return Ok(());
        }
        self.identity.confirm().await?;
        loop {
            let mut version = self.keep.newest().await?;
            self.sinks.note(&mut version.kept.outbox, &unwritten, Timestamp::now());
            if self.keep.add(&version).await? {
                return Ok(());
            }
        }
    }

    /// The mutes in force. Those that cannot be read keep nobody from being told.
    async fn mutes(&self) -> Vec<Mute> {
        let store = self.eyes.store();
        match mutes::current(store, Timestamp::now()).await {
            Ok(mutes) => {
                for unreadable in &mutes.unreadable {
                    tracing::warn!(hint = unreadable.hint(), "{unreadable}");
                }
                mutes.current.into_iter().map(|(_, mute)| mute).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "mutes cannot be read, and count for nothing");
                Vec::new()
            }
        }
    }
}
