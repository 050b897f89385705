//! The log is the fence between an old sender and a new one.
//!
//! Before each batch the sender looks for its own commit and for the next run's entry. A run that
//! supersedes creates its entry first and then waits as long as a sender that looked just before
//! may go on ([`super::start::SendingTimes::over_at`]).

use std::time::Duration;

use jiff::Timestamp;
use tidemark_model::{
    defect::{self, Defect},
    entry::RunNumber,
    failure::{Failure, FailureKind, Side},
};

use super::start::{LateMark, SendingTimes};
use crate::{
    log::{Log, Mark},
    port::{Batch, Clock},
    store::Folder,
};

/// Looks that may turn out too old before the store counts as too slow.
const LOOKS: u32 = 3;

/// What a sender asks before each batch.
pub(super) struct Fence<'f> {
    pub(super) clock: &'f dyn Clock,
    pub(super) folder: &'f Folder,
    pub(super) log: &'f Log,
    pub(super) number: RunNumber,
    pub(super) look_max_age: Duration,
    pub(super) sending: SendingTimes,
}

/// When the log was looked at, by both clocks: the wall clock may jump, the monotonic one may stand
/// still while the machine sleeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    wall: Timestamp,
    monotonic: Duration,
}

impl Look {
    fn now(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), monotonic: clock.monotonic() }
    }

    /// The greater of both clocks' ages; one that was set back counts in full.
    fn age(self, clock: &dyn Clock) -> Duration {
        let wall = clock.now().duration_since(self.wall).unsigned_abs();
        wall.max(clock.monotonic().saturating_sub(self.monotonic))
    }
}

impl Fence<'_> {
    /// Lets a batch pass whose run is neither over nor superseded.
    ///
    /// # Errors
    /// `Conflict`, or the store's: no answer lets nothing pass.
    pub(super) async fn pass(&self) -> Result<Look, Failure> {
        for _ in 0..LOOKS {
            let look = Look::now(self.clock);
            if defect::on(Defect::SkipFence) {
                return Ok(look);
            }
            if self.log.stands(self.number, Mark::Committed).await? {
                return Err(self.closed("it is committed already"));
            }
            if self.log.stands(self.number.next(), Mark::Prepared).await? {
                return Err(self.closed("a later run has begun"));
            }
            if look.age(self.clock) <= self.look_max_age {
                return Ok(look);
            }
        }
        Err(Failure::new(
            FailureKind::Transient,
            Side::Platform,
            "the store answers too slowly to send on its word",
        )
        .hint("look at the store; the run goes on by itself once it answers"))
    }

    fn closed(&self, why: &str) -> Failure {
        Failure::new(
            FailureKind::Conflict,
            Side::Platform,
            format!("run {} sends nothing any more: {why}", self.number),
        )
        .hint("nothing: what it had sent is sent again by the later run, as it stands then")
    }

    /// After a request: if it may have been at work later than a superseding run expects, says so
    /// in the store, so that the next run sends its records again as they are then.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn close(&self, look: Look, batch: &Batch) -> Result<(), Failure> {
        if look.age(self.clock) <= self.look_max_age + self.sending.longest_request {
            return Ok(());
        }
        LateMark::leave(self.folder, self.number, batch).await?;
        Ok(())
    }
}
