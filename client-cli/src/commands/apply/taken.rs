//! Connections whose runs work over another store than this one.
//!
//! Whoever names a wrong store finds no definition there and no log, so everything looks new. The
//! schedule knows better: it names the newest of its runs.

use tidemark_engine::log::Log;
use tidemark_model::failure::{Failure, FailureKind, Side};
use tidemark_model::ids::ConnectionId;

use crate::error::Error;
use crate::session::Session;

/// Why a connection is not made over this store: its schedule is there and knows of a run that the
/// log does not hold. The store in which that run is would lose its schedule to this one.
///
/// # Errors
/// Temporal does not answer.
pub(super) async fn refusal(
    session: &Session,
    id: &ConnectionId,
    log: &Log,
) -> Result<Option<Failure>, Error> {
    let known = session.temporal().await?.schedules.known(id).await?;
    Ok(log.lacks(known).map(|lack| taken(id, &lack)))
}

fn taken(id: &ConnectionId, lack: &str) -> Failure {
    let message = format!(
        "a schedule of {id} knows more than this store, whose log {lack}: it is the wrong store, or \
         one that went back in time"
    );
    Failure::new(FailureKind::Corrupt, Side::Platform, message).hint(format!(
        "look at TIDEMARK_STORE: with the right store, applying goes on, and `tidemark remove {id}` \
         sets the id free. If that store is lost: `temporal schedule delete --schedule-id {id}`, and \
         apply again; the first run sends every record"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_lacks_is_told_with_the_way_out() {
        let id = "acme/news".parse().unwrap();
        let failure = taken(&id, "ends with commit 5, and commit 7 was made");
        let told = "whose log ends with commit 5, and commit 7 was made: it is the wrong store";
        assert!(failure.message.contains(told), "{}", failure.message);
        let hint = failure.hint.unwrap();
        assert!(hint.contains("`temporal schedule delete --schedule-id acme/news`"), "{hint}");
    }
}
