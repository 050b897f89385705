//! Connections whose runs work over another store than this one.
//!
//! Whoever names a wrong store finds no definition there and no log, so everything looks new. The
//! schedule knows better: it names the newest commit of its runs.

use tidemark_engine::log::Log;
use tidemark_model::entry::RunNumber;
use tidemark_model::failure::{Failure, FailureKind, Side};
use tidemark_model::ids::ConnectionId;

use crate::error::Error;
use crate::session::Session;

/// Why a connection is not made over this store: its schedule is there and knows of a commit that
/// the log does not hold. The store in which that commit is would lose its schedule to this one.
///
/// # Errors
/// Temporal does not answer.
pub(super) async fn refusal(
    session: &Session,
    id: &ConnectionId,
    log: &Log,
) -> Result<Option<Failure>, Error> {
    let known = session.temporal().await?.schedules.known_commit(id).await?;
    let newest = log.newest_commit().map(|commit| commit.number);
    Ok(known.filter(|known| log.ends_below(*known)).map(|known| taken(id, known, newest)))
}

fn taken(id: &ConnectionId, known: RunNumber, newest: Option<RunNumber>) -> Failure {
    let found = newest.map_or_else(
        || "this store holds none of them".to_owned(),
        |newest| format!("the log in this store ends with commit {newest}"),
    );
    let message = format!(
        "a schedule of {id} knows its commits up to {known}, and {found}: it is the wrong store, or \
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
    fn what_the_store_holds_instead_is_told() {
        let id = "acme/news".parse().unwrap();
        let none = taken(&id, RunNumber::new(7), None).message;
        assert!(none.contains("commits up to 7, and this store holds none"), "{none}");
        let fewer = taken(&id, RunNumber::new(7), Some(RunNumber::new(5))).message;
        assert!(fewer.contains("ends with commit 5: it is the wrong store"), "{fewer}");
    }
}
