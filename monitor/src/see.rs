//! What a pass sees: who may be in trouble, and how those are.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    time::Duration,
};

use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use tidemark_engine::store::{Store, StoreError};
use tidemark_model::ids::ConnectionId;
use tidemark_schedules::{Listed, ProjectionSettings, ScheduleClient, ScheduleFilter};
use tidemark_workflows::health::Health;
use tokio::{
    sync::Mutex,
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use crate::{
    absence,
    listen::Ear,
    look::{LookError, Looker},
    measure,
    round::{LISTED_EVERY, Round},
    rules::{Activity, Look, Memory, Watch},
    temporal::Way,
    turn::Turn,
    witness,
};

/// Connections that are looked at at once.
const SIMULTANEOUS: usize = 8;

/// The most that one pass looks at; the others have their turn in the next.
const MOST: usize = 1_000;

/// Those that something is open about are looked at again after so long.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(55);

/// What was seen of Temporal.
pub(crate) struct Sight {
    /// When a worker last asked for work, by Temporal's clock.
    pub(crate) workers: Option<Timestamp>,
    pub(crate) looks: Vec<Look>,
    /// If the watch was away.
    pub(crate) activity: Option<Activity>,
}

/// Sees for one monitor.
pub(crate) struct Eyes {
    way: Way,
    settings: ProjectionSettings,
    round: Round,
    ear: Ear,
    /// When all schedules were last listed for it: some may have no definition.
    listed_at: Instant,
    /// A tick for each look: without hurry, a scheduler answers each by a task of its own.
    pace: Mutex<Interval>,
    /// When those that something is open about, and those that visibility proposes, were looked at.
    looked: BTreeMap<ConnectionId, Timestamp>,
    /// Those that visibility proposes and that need no look before an instant.
    later: BTreeMap<ConnectionId, Timestamp>,
}

impl Eyes {
    /// Looks at most so often in a second, on the average.
    pub(crate) fn new(way: Way, settings: ProjectionSettings, looks_per_second: usize) -> Self {
        let between = Duration::from_secs(1) / u32::try_from(looks_per_second).unwrap_or(u32::MAX);
        let mut pace = interval(between);
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        Self {
            way,
            settings,
            round: Round::over(),
            ear: Ear::default(),
            // Not with the first pass, which has everybody to look at.
            listed_at: Instant::now(),
            pace: Mutex::new(pace),
            looked: BTreeMap::new(),
            later: BTreeMap::new(),
        }
    }

    /// Leaves connections alone until an instant, though visibility proposes them as late.
    pub(crate) fn leave(&mut self, later: Vec<(ConnectionId, Timestamp)>) {
        self.later.extend(later);
    }

    /// What came of the last looks is kept; without this, those of the audit are taken again.
    pub(crate) fn kept(&mut self) {
        self.round.kept();
    }

    pub(crate) fn store(&self) -> &Store {
        self.way.store()
    }

    /// Looks around; `None` if Temporal does not answer everything that it is asked.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn look_around(
        &mut self,
        watch: &Watch,
        memory: &Memory,
        now: Timestamp,
    ) -> Result<Option<Sight>, StoreError> {
        let audited = self.round.share(self.way.store()).await?;
        let seen = self.try_look_around(watch, memory, audited, now).await;
        if seen.is_err() {
            self.round.give_back();
        }
        match seen {
            Ok(sight) => Ok(Some(sight)),
            Err(Blind::Store(error)) => Err(error),
            Err(Blind::Temporal(error)) => {
                tracing::warn!(error = format!("{error:#}"), "temporal does not answer");
                Ok(None)
            }
        }
    }

    async fn try_look_around(
        &mut self,
        watch: &Watch,
        memory: &Memory,
        audited: Vec<ConnectionId>,
        now: Timestamp,
    ) -> Result<Sight, Blind> {
        let schedules = self.way.schedules().await.map_err(Blind::temporal)?.clone();
        let suspects = schedules.suspects(now).await.map_err(Blind::temporal)?;
        let workers =
            schedules.polled_at(&self.settings.task_queue).await.map_err(Blind::temporal)?;
        self.list(&schedules).await?;
        let listened = self.ear.listen(watch, &schedules, now).await.map_err(Blind::temporal)?;
        let looker = Looker::new(self.way.store().clone(), schedules, self.settings.clone());
        measure::suspects(suspects.len());
        let open: BTreeSet<&ConnectionId> = memory.open().collect();
        self.later.retain(|_, at| *at > now);
        let waits = |listed: &Listed| {
            let late = !matches!(listed.attributes.health, Some(Health::Held | Health::Rejecting));
            late && self.later.contains_key(&listed.connection)
        };
        let suspects: Vec<ConnectionId> = suspects
            .into_iter()
            .filter(|listed| !waits(listed) && !open.contains(&listed.connection))
            .map(|listed| listed.connection)
            .collect();
        let proposed: BTreeSet<&ConnectionId> = suspects.iter().collect();
        self.looked
            .retain(|connection, _| open.contains(connection) || proposed.contains(connection));
        let again = open.iter().copied().filter(|open| self.due(open, now));
        let others = suspects.iter().chain(again);
        let first = watch.doubted().chain(&listened);
        let Turn { whom, left } = Turn::of(first, audited, others, &self.looked, MOST);
        let looks = self.look_at(&looker, &whom).await?;
        self.looked.extend(whom.into_iter().map(|connection| (connection, now)));
        let activity = match watch.away_since(memory, now) {
            Some(since) => absence::activity(&looker, since).await?,
            None => None,
        };
        self.round.put_back(left);
        Ok(Sight { workers, looks, activity })
    }

    /// Schedules that no definition is known of join the round, now and then.
    async fn list(&mut self, schedules: &ScheduleClient) -> Result<(), Blind> {
        if self.listed_at.elapsed() < LISTED_EVERY {
            return Ok(());
        }
        let listed = schedules.list(&ScheduleFilter::default()).await.map_err(Blind::temporal)?;
        self.round.join(listed.into_iter().map(|listed| listed.connection).collect());
        self.listed_at = Instant::now();
        Ok(())
    }

    fn due(&self, connection: &ConnectionId, now: Timestamp) -> bool {
        self.looked.get(connection).is_none_or(|at| now.duration_since(*at) >= AGAIN_AFTER)
    }

    /// Those that Temporal says nothing of, though it answers, are left out: whatever stands of them
    /// stands. What the store refuses to say of all of them may be its own trouble.
    async fn look_at(
        &self,
        looker: &Looker,
        whom: &[ConnectionId],
    ) -> Result<Vec<Look>, LookError> {
        let mut looks = stream::iter(whom)
            .map(async |connection| {
                self.pace.lock().await.tick().await;
                (connection, looker.take(connection, Timestamp::now()).await)
            })
            .buffer_unordered(SIMULTANEOUS);
        let mut seen = Vec::with_capacity(whom.len());
        let mut refusals: Vec<StoreError> = Vec::new();
        while let Some((connection, taken)) = looks.next().await {
            match taken {
                Ok(taken) => {
                    seen.push(taken.look);
                    refusals.extend(taken.refusal);
                }
                Err(LookError::Temporal(error)) if !error.unreachable() => {
                    tracing::warn!(
                        %connection,
                        error = &error as &dyn Error,
                        "temporal answers, and says nothing of a connection"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        measure::looked(seen.len());
        if !seen.is_empty() && refusals.len() == seen.len() {
            witness::hear(looker.store(), whom, refusals, self.round.known()).await?;
        }
        Ok(seen)
    }
}

/// Why nothing was seen.
enum Blind {
    Store(StoreError),
    /// Temporal does not answer, or not this: nothing is concluded from what it does not say.
    Temporal(anyhow::Error),
}

impl Blind {
    fn temporal(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Temporal(anyhow::Error::new(error))
    }
}

impl From<LookError> for Blind {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Store(error) => Self::Store(error),
            LookError::Temporal(error) => Self::temporal(error),
        }
    }
}
