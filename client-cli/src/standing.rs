//! How a connection is doing, for a schedule that is made or changed here: computed from the
//! commit log, never copied from the schedule.

use jiff::Timestamp;
use tidemark_engine::log::Log;
use tidemark_model::definition::Definition;
use tidemark_schedules::{
    Created, Description, Newest, Projection, ScheduleError, Standing, standing,
};
use tidemark_workflows::health::Health;

use crate::error::Error;
use crate::session::Session;

/// The standing of a connection under a definition that is about to hold.
///
/// # Errors
/// The store or Temporal does not answer.
pub(crate) async fn of(session: &Session, definition: &Definition) -> Result<Standing, Error> {
    let folder = session.store().await?.connection(definition.id());
    let log = Log::open(&folder).await?;
    let described = match session.temporal().await?.schedules.describe(definition.id()).await {
        Ok(description) => Some(description),
        Err(ScheduleError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    // Failed runs are not in the log: that the newest one failed is known to the schedule only.
    let failing = described
        .as_ref()
        .is_some_and(|described| described.attributes.health == Some(Health::Failing));
    let health = match log.newest_commit() {
        _ if failing => Health::Failing,
        Some(commit) => Health::of_commit(&commit.receipt),
        None => Health::New,
    };
    let mut standing = standing(
        definition,
        health,
        Newest::of(&log),
        described.as_ref().and_then(|one| one.created_at).unwrap_or_else(Timestamp::now),
        described.as_ref().and_then(Description::resumed_at),
    );
    // A store that went back in time is told by the next run, not covered up here.
    if let Some(described) = described {
        standing.known = standing.known.or_newer(described.known);
    }
    Ok(standing)
}

/// Makes the schedule of a connection what its definition says.
///
/// # Errors
/// The store or Temporal does not answer.
pub(crate) async fn schedule(
    session: &Session,
    definition: &Definition,
    projection: &Projection,
) -> Result<Created, Error> {
    let standing = of(session, definition).await?;
    let schedules = &session.temporal().await?.schedules;
    let created = schedules.create(projection, &standing).await?;
    if created == Created::Exists {
        schedules.update(projection, &standing).await?;
    }
    Ok(created)
}
