//! `remove --records delete`: a last run that removes every record, before the connection goes.

use jiff::Timestamp;
use tidemark_engine::definitions;
use tidemark_engine::log::Log;
use tidemark_model::definition::DestinationDefinition;
use tidemark_model::exception::Verdict;
use tidemark_model::ids::ConnectionId;
use tidemark_model::receipt::Receipt;
use tidemark_schedules::Pause;

use crate::commands::start;
use crate::decisions;
use crate::error::Error;
use crate::run::Ending;
use crate::session::{self, Session};
use crate::ui::progress::Bars;
use crate::ui::text::{counted, joined};
use crate::ui::time::whole_seconds;

/// The tag of the pause that keeps a tick from bringing the records back.
const TAG: &str = "remove";

/// Looks whether the records of connections can be removed at all.
///
/// # Errors
/// A definition without a rule for deletions, or the store's.
pub(super) async fn check(session: &Session, ids: &[ConnectionId]) -> Result<(), Error> {
    let mut without: Vec<&ConnectionId> = Vec::new();
    for id in ids {
        let folder = session.store().await?.connection(id);
        let stored = definitions::newest(&folder).await?;
        if let Some(definition) = stored.and_then(|stored| stored.definition) {
            let DestinationDefinition::RecordApi(api) = definition.destination();
            if api.delete().is_none() {
                without.push(id);
            }
        }
    }
    if without.is_empty() {
        return Ok(());
    }
    Err(Error::usage(
        format!(
            "no record of {} can be removed: no rule for deletions is defined",
            joined(&without, 4)
        ),
        "write `delete` into [connection.destination] and apply it, or leave the records with \
         --records keep",
    ))
}

/// Pauses the connection, removes its records in a last run, and says what that run did; `None`
/// for a connection that never sent a record.
///
/// # Errors
/// Not every record is gone: the connection stays paused.
pub(super) async fn remove(
    session: &Session,
    id: &ConnectionId,
    who: &str,
    bars: &Bars,
) -> Result<Option<String>, Error> {
    let folder = session.store().await?.connection(id);
    let log = Log::open(&folder).await?;
    if log.highest().is_none() {
        return Ok(None);
    }
    let pause = Pause {
        tag: Some(TAG.to_owned()),
        by: Some(session::identity()),
        since: Some(whole_seconds(Timestamp::now())),
        ..Pause::new("its records are being removed")
    };
    let schedules = &session.temporal().await?.schedules;
    session.known(id, schedules.pause(id, &pause).await).await?;
    let newest = log.newest_commit().map(|commit| commit.number);
    let Some(stored) = definitions::newest(&folder).await? else {
        return Err(session.unknown(id).await);
    };
    let verdict = Verdict::RemoveRecords { definition_version: stored.version };
    decisions::write(session, id, who, newest, verdict).await?;
    let trigger = start::trigger(session, id).await?;
    let (run, ending) = start::follow(session, id, &trigger, bars).await?;
    session.tell_ending(id, &run, &ending);
    let left = |what: String| Error::RecordsLeft { id: id.clone(), what };
    let Ending::Committed { receipt } = ending else {
        return Err(left(format!("the run that was to remove them {}", ending.as_str())));
    };
    let Receipt { number, records, exception_count, push, .. } = *receipt;
    if records.next > 0 || exception_count > 0 || push.rejected > 0 {
        return Err(left(format!(
            "after run {number} {} and {} are left, and {} refused",
            counted(records.next, "record"),
            counted(exception_count, "exception"),
            counted(push.rejected, "removal")
        )));
    }
    let removed = counted(push.acknowledged, "record");
    Ok(Some(format!("run {number} removed {removed}")))
}
