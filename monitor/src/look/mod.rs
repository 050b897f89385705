//! What is known of a connection: its commit log, its schedule, and its open run.
//!
//! The commit log decides who is late. Temporal is asked for pauses and for the cause.

mod damage;
mod failed;
mod history;
mod refusal;
mod run;
mod terms;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use temporalio_client::tonic::Code;
use tidemark_engine::{
    definitions::{self, StoredDefinition},
    store::{Folder, Store, StoreError},
};
use tidemark_model::{definition::Definition, entry::Committed, ids::ConnectionId};
use tidemark_schedules::{
    Description, Listed, Pause, Projection, ProjectionSettings, RunRef, ScheduleClient,
    ScheduleError,
};

use self::damage::Logged;
pub use self::damage::unreadable;
use self::history::History;
use crate::rules::{Commit, Facts, Look, OpenRun, Paused, ScheduleState};

/// Why a look could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Temporal(#[from] ScheduleError),
}

/// A look that was taken.
pub(crate) struct Taken {
    pub(crate) look: Look,
    /// Why the definition or the commit log is not known, if the store refused it: that may be the
    /// store's trouble, and not the connection's.
    pub(crate) refusal: Option<StoreError>,
}

/// Looks at connections. Cheap to clone.
#[derive(Clone)]
pub struct Looker {
    store: Store,
    schedules: ScheduleClient,
    settings: ProjectionSettings,
}

impl Looker {
    /// `settings` are those with which definitions are projected everywhere: a schedule that was
    /// made with others counts as edited.
    #[must_use]
    pub fn new(store: Store, schedules: ScheduleClient, settings: ProjectionSettings) -> Self {
        Self { store, schedules, settings }
    }

    /// The store that is read.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The schedules that are read.
    #[must_use]
    pub fn schedules(&self) -> &ScheduleClient {
        &self.schedules
    }

    /// Looks at one connection: at most two requests to Temporal, and a few to the store. What is
    /// damaged in the store, or refused by it, is part of what is seen.
    ///
    /// # Errors
    /// The store or Temporal does not answer, or Temporal refuses to say anything of this one.
    pub async fn look(&self, connection: &ConnectionId, now: Timestamp) -> Result<Look, LookError> {
        Ok(self.take(connection, now).await?.look)
    }

    /// As [`look`](Self::look), for whoever has to know what the store refused.
    pub(crate) async fn take(
        &self,
        connection: &ConnectionId,
        now: Timestamp,
    ) -> Result<Taken, LookError> {
        let folder = self.store.connection(connection);
        let mut orphaned = false;
        let mut refusal = None;
        let facts = match defined(&folder).await {
            Ok(Some((stored, definition))) => {
                let (facts, logged) = self.facts(connection, &stored, &definition, now).await?;
                refusal = logged.refusal();
                Some(facts)
            }
            Ok(None) => {
                orphaned = self.describe(connection).await?.is_some();
                None
            }
            Err(error) if unreadable(&error) => {
                let described = self.describe(connection).await?;
                let paused = described.as_ref().and_then(paused);
                let (facts, refused) = damage::undefined(&folder, error, paused, now).await?;
                refusal = refused;
                Some(facts)
            }
            Err(error) => return Err(error.into()),
        };
        let look = Look { connection: connection.clone(), facts, orphaned };
        Ok(Taken { look, refusal })
    }

    /// The facts, with what the commit log says.
    async fn facts(
        &self,
        connection: &ConnectionId,
        stored: &StoredDefinition,
        definition: &Definition,
        now: Timestamp,
    ) -> Result<(Facts, Logged), LookError> {
        // Temporal first: a commit that comes meanwhile makes the connection no later than it is.
        let described = self.describe(connection).await?;
        let run = match described.as_ref().and_then(|described| described.running.last()) {
            Some(run) => self.open_run(run, now).await?,
            None => None,
        };
        let folder = self.store.connection(connection);
        let logged = Logged::read(&folder, now).await?;
        let committed_at = logged.commit.as_ref().map(|commit| commit.committed_at);
        let ended = match (&logged.damage, &described) {
            (Some(damage), _) => Some(damage.ended.clone()),
            (None, Some(described)) => {
                failed::newest(&folder, &described.recent, committed_at, now).await?
            }
            (None, None) => None,
        };
        let history = History::read(&folder, stored, definition, &logged).await?;
        let commit = logged.commit.as_ref().map(|commit| history.newest(commit));
        let facts = Facts {
            terms: logged.judged_by(terms::of(stored, definition, logged.commit.as_ref(), history)),
            schedule: match &described {
                Some(described) => {
                    let projection = Projection::new(definition, stored.version, &self.settings);
                    schedule(described, &projection)
                }
                None => ScheduleState::Missing,
            },
            commit,
            ended,
            // It cannot end well, whatever it is at.
            run: run.filter(|_| logged.damage.is_none()),
        };
        Ok((facts, logged))
    }

    /// `None` if there is no schedule.
    async fn describe(&self, connection: &ConnectionId) -> Result<Option<Description>, LookError> {
        match self.schedules.describe(connection).await {
            Ok(described) => Ok(Some(described)),
            Err(ScheduleError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// `None` for a run that is over.
    async fn open_run(&self, run: &RunRef, now: Timestamp) -> Result<Option<OpenRun>, LookError> {
        match self.schedules.look_at(run).await {
            Ok(seen) => Ok(run::open(&seen, now)),
            // The schedule has not noticed yet that it is gone.
            Err(ScheduleError::Refused { source, .. }) if source.code() == Code::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A look at the store alone, with what a list says of the schedule: enough to say who is late, not
/// why, and nothing of a schedule that is missing or was edited.
///
/// # Errors
/// The store does not answer.
pub async fn glance(
    store: &Store,
    connection: &ConnectionId,
    listed: Option<&Listed>,
    now: Timestamp,
) -> Result<Look, StoreError> {
    Ok(take_glance(store, connection, listed, now).await?.look)
}

/// As [`glance`], for whoever has to know what the store refused.
pub(crate) async fn take_glance(
    store: &Store,
    connection: &ConnectionId,
    listed: Option<&Listed>,
    now: Timestamp,
) -> Result<Taken, StoreError> {
    let folder = store.connection(connection);
    let paused = listed
        .filter(|listed| listed.paused)
        .map(|listed| Paused { since: earliest(&listed.pauses()) });
    let taken = |facts: Option<Facts>, refusal| {
        let orphaned = facts.is_none() && listed.is_some();
        Taken { look: Look { connection: connection.clone(), facts, orphaned }, refusal }
    };
    let (stored, definition) = match defined(&folder).await {
        Ok(Some(defined)) => defined,
        Ok(None) => return Ok(taken(None, None)),
        Err(error) if unreadable(&error) => {
            let (facts, refusal) = damage::undefined(&folder, error, paused, now).await?;
            return Ok(taken(Some(facts), refusal));
        }
        Err(error) => return Err(error),
    };
    let logged = Logged::read(&folder, now).await?;
    let history = History::read(&folder, &stored, &definition, &logged).await?;
    let commit = logged.commit.as_ref().map(|commit| history.newest(commit));
    let facts = Facts {
        terms: logged.judged_by(terms::of(&stored, &definition, logged.commit.as_ref(), history)),
        schedule: ScheduleState::Present {
            paused,
            resumed_at: None,
            created_at: None,
            started_at: listed.and_then(|listed| listed.recent.last()?.started_at),
            as_defined: true,
        },
        commit,
        ended: logged.damage.as_ref().map(|damage| damage.ended.clone()),
        run: None,
    };
    Ok(taken(Some(facts), logged.refusal()))
}

/// The definition that holds; `None` for a connection that was removed, or never was.
async fn defined(folder: &Folder) -> Result<Option<(StoredDefinition, Definition)>, StoreError> {
    let stored = definitions::newest(folder).await?;
    Ok(stored.and_then(|stored| {
        let definition = stored.definition.clone()?;
        Some((stored, definition))
    }))
}

/// As if nothing were known of when the connection was created.
fn newest(commit: &Committed) -> Commit {
    Commit {
        number: commit.number.get(),
        complete_as_of: commit.manifest.complete_as_of,
        committed_at: commit.committed_at,
        since_created: false,
        held_count: commit.receipt.held_count,
        rejected_count: commit.receipt.rejected_count,
        exception_count: commit.receipt.exception_count,
    }
}

/// Since when the first of the pauses in force is, of those that say it.
fn earliest(pauses: &[Pause]) -> Option<Timestamp> {
    pauses.iter().filter_map(|pause| pause.since).min()
}

/// A pause does not change when a schedule was last updated.
fn paused(described: &Description) -> Option<Paused> {
    described.paused.then(|| Paused { since: earliest(&described.pauses()) })
}

fn schedule(described: &Description, projection: &Projection) -> ScheduleState {
    ScheduleState::Present {
        paused: paused(described),
        resumed_at: described.resumed_at(),
        created_at: described.created_at,
        started_at: described.recent.last().and_then(|run| run.started_at),
        as_defined: described.matches(projection),
    }
}
