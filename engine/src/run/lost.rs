//! Runs that somebody else knows of and the log does not hold any more.
//!
//! A store that is brought back from an old backup is whole, so nothing in its log shows that it went
//! back in time. What its lost runs sent and the source dropped since would stay at the destination
//! for ever, and every run would be green. The schedule knows of the commits, and of the runs that
//! failed while they sent; what a run leaves beside the log when it begins to send knows of those of
//! which only the entry is lost.

use tidemark_model::{
    entry::{Prepared, RunNumber},
    exception::Verdict,
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    step::Known,
};

use super::{Engine, acknowledgement::senders, decision};
use crate::{
    log::Log,
    store::{Folder, StoreError},
};

impl Engine {
    /// Checks that the log reaches at least up to what is known elsewhere, unless an operator has
    /// ordered that every record be sent again: then what is lost is accepted.
    ///
    /// # Errors
    /// `Corrupt` if the log ends below it, or the store's.
    pub async fn confirm_log(
        &self,
        connection: &ConnectionId,
        known: Known,
    ) -> Result<(), Failure> {
        if known == Known::default() {
            return Ok(());
        }
        let folder = self.folder(connection);
        let log = Log::open(&folder).await?;
        let Some(lack) = log.lacks(known) else { return Ok(()) };
        let done = log.newest_commit().map_or(0, |newest| newest.manifest.decided);
        let open = decision::decisions(&folder, done).await?;
        if open.iter().any(|decision| decision.verdict == Verdict::SendAgain) {
            return Ok(());
        }
        let message = format!("the store went back in time: the log of {connection} {lack}");
        Err(lost(connection, message))
    }
}

/// Checks that the log holds every run above its newest commit that began to send.
///
/// # Errors
/// `Corrupt` if it does not, or the store's.
pub(super) async fn check_senders(
    connection: &ConnectionId,
    folder: &Folder,
    log: &Log,
) -> Result<(), Failure> {
    let unfinished = log.unfinished().iter().map(|entry| entry.number);
    for number in unfinished.chain([log.next_number()]) {
        if let Some(run_id) = stranger(folder, log, number).await? {
            return Err(unknown(connection, number, &run_id));
        }
    }
    Ok(())
}

/// The same for the number of a run that is about to be committed, unless it carries out that every
/// record be sent again.
///
/// # Errors
/// As [`check_senders`].
pub(super) async fn check_entry(
    connection: &ConnectionId,
    folder: &Folder,
    log: &Log,
    entry: &Prepared,
) -> Result<(), Failure> {
    let Some(run_id) = stranger(folder, log, entry.number).await? else { return Ok(()) };
    let done = log.newest_commit().map_or(0, |newest| newest.manifest.decided);
    let carried_out = decision::decisions(folder, done).await?.into_iter();
    let mut carried_out = carried_out.filter(|one| one.number <= entry.next.decided);
    if carried_out.any(|decision| decision.verdict == Verdict::SendAgain) {
        return Ok(());
    }
    Err(unknown(connection, entry.number, &run_id))
}

/// A run that began to send under a number and is not the one that the log holds there. The log is
/// looked at after the senders: another run may have taken the number since it was opened, and an
/// entry is there before its run sends.
async fn stranger(
    folder: &Folder,
    log: &Log,
    number: RunNumber,
) -> Result<Option<String>, StoreError> {
    let senders = senders(folder, number).await?;
    if senders.is_empty() {
        return Ok(None);
    }
    let entry = log.prepared(number).await?;
    let known = entry.as_ref().map(|entry| entry.owner.run_id.as_str());
    Ok(senders.into_iter().find(|sender| known != Some(sender)))
}

fn unknown(connection: &ConnectionId, number: RunNumber, run_id: &str) -> Failure {
    let message = format!(
        "the store lost an entry or went back in time: the workflow run {run_id} began to send as \
         run {number} of {connection}, and the log does not know it"
    );
    lost(connection, message)
}

fn lost(connection: &ConnectionId, message: String) -> Failure {
    Failure::new(FailureKind::Corrupt, Side::Platform, message).hint(format!(
        "put the store's newer objects back. If they are lost: `tidemark start {connection} --resend` \
         sends every record again; what only the lost runs added and the source dropped since \
         stays at the destination, where `tidemark verify {connection}` finds it if it can be read"
    ))
}
