//! Runs that failed since the newest commit.

use jiff::Timestamp;
use tidemark_engine::{
    run::ended_run,
    store::{Folder, StoreError},
};
use tidemark_model::failure::Failure;
use tidemark_schedules::Description;

use crate::rules::Ended;

/// The newest run that failed, if nothing was committed since, and since when all of them fail as
/// far as the schedule remembers its runs.
pub(super) async fn newest(
    folder: &Folder,
    described: &Description,
    committed_at: Option<Timestamp>,
) -> Result<Option<Ended>, StoreError> {
    let mut newest: Option<Ended> = None;
    for started in described.recent.iter().rev() {
        let Some(record) = ended_run(folder, &started.run.run_id).await? else { continue };
        if Some(record.ended_at) <= committed_at {
            break;
        }
        // A skipped or cancelled run is no failure, and no success either.
        let Some(failure) = &record.failure else { continue };
        match &mut newest {
            None => newest = Some(of(failure, record.ended_at)),
            Some(newest) => newest.failing_since = record.ended_at,
        }
    }
    Ok(newest)
}

/// A failure of which only one instant is known.
pub(super) fn of(failure: &Failure, at: Timestamp) -> Ended {
    Ended {
        at,
        failing_since: at,
        side: failure.side,
        class: failure.class(),
        kind: failure.kind,
        message: failure.message.as_str().into(),
    }
}
