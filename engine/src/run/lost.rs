//! Commits that the schedule knows of and the log does not hold any more.
//!
//! A store that is brought back from an old backup is whole, so nothing in it shows that it went back
//! in time. What its lost commits added at the destination and the source dropped since would stay
//! there for ever, and every run would be green. Only somebody else can know.

use tidemark_model::{
    entry::RunNumber,
    exception::Verdict,
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
};

use super::{Engine, decision};
use crate::log::Log;

impl Engine {
    /// Checks that the log reaches at least up to a commit that is known elsewhere, unless an
    /// operator has ordered that every record be sent again: then what is lost is accepted.
    ///
    /// # Errors
    /// `Corrupt` if the log ends below it, or the store's.
    pub async fn confirm_commit(
        &self,
        connection: &ConnectionId,
        known: RunNumber,
    ) -> Result<(), Failure> {
        let folder = self.folder(connection);
        let log = Log::open(&folder).await?;
        let newest = log.newest_commit();
        if newest.is_some_and(|newest| newest.number >= known) {
            return Ok(());
        }
        let done = newest.map_or(0, |newest| newest.manifest.decided);
        let open = decision::decisions(&folder, done).await?;
        if open.iter().any(|decision| decision.verdict == Verdict::SendAgain) {
            return Ok(());
        }
        let found = newest.map_or_else(
            || "holds no commit".to_owned(),
            |newest| format!("ends with commit {}", newest.number),
        );
        let message = format!(
            "the store went back in time: the log of {connection} {found}, and commit {known} was made"
        );
        Err(Failure::new(FailureKind::Corrupt, Side::Platform, message).hint(format!(
            "put the store's newer objects back. If they are lost: `tidemark start {connection} --resend` \
             sends every record again; what only the lost commits added and the source dropped since \
             stays at the destination, where `tidemark verify {connection}` finds it if it can be read"
        )))
    }
}
