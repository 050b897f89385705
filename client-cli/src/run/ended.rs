//! What the store keeps of a run that did not commit.

use tidemark_engine::run::ended_run;
use tidemark_model::ids::ConnectionId;
use tidemark_model::step::EndedRun;
use tidemark_schedules::RunRef;

use crate::error::Error;
use crate::session::Session;

/// How a run ended that did not commit; `None` if it left no record.
///
/// # Errors
/// The store's.
pub(crate) async fn ended(
    session: &Session,
    connection: &ConnectionId,
    run: &RunRef,
) -> Result<Option<EndedRun>, Error> {
    let folder = session.store().await?.connection(connection);
    Ok(ended_run(&folder, &run.run_id).await?)
}
