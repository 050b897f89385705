//! `resume`: undo pauses.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use tidemark_model::ids::ConnectionId;
use tidemark_schedules::{Pause, ScheduleClient, ScheduleError, Undo};

use crate::error::Error;
use crate::exit::Exit;
use crate::many::{self, Report};
use crate::selection::Many;
use crate::session::{self, Session};
use crate::ui::output::OutputArgs;
use crate::ui::text::joined;
use crate::ui::time::whole_seconds;

/// Schedules that are looked at at once.
const SIMULTANEOUS: usize = 16;

/// Undo pauses, so that connections run again
///
/// Without --paused-by every pause is undone. With it only that one is, and a connection that is
/// paused for another reason stays paused; `resume --paused-by TAG` alone means every connection
/// that the tag pauses.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    many: Many,

    /// Undo only the pause of this tag
    #[arg(long, value_name = "TAG")]
    paused_by: Option<String>,

    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let chosen = match &self.paused_by {
            Some(tag) if self.many.selection.named().is_none() => {
                let ids = self.paused_by(session, tag).await?;
                self.many.ask(session, "resume", ids)?
            }
            _ => self.many.choose(session, "resume").await?,
        };
        if chosen.dry_run {
            return many::dry_run(session, self.output.output, &chosen, "resumed").await;
        }
        session.announce().await?;
        let undo = self.paused_by.clone().map_or(Undo::All, Undo::Tag);
        let results = many::each(&chosen.ids, async |id| resume(session, id, &undo).await).await;
        many::report(session.ui(), self.output.output, results)
    }

    /// The selected connections that a tag pauses. A pause that was made just now does not show in
    /// visibility yet, so those that it does not show as paused are asked for themselves.
    async fn paused_by(&self, session: &Session, tag: &str) -> Result<Vec<ConnectionId>, Error> {
        let selection = &self.many.selection;
        let schedules = &session.temporal().await?.schedules;
        let listed = schedules.list(&selection.filter()).await?;
        let shown: BTreeSet<&ConnectionId> = listed
            .iter()
            .filter(|listed| tags(&listed.pauses(), tag))
            .map(|listed| &listed.connection)
            .collect();
        let matching = selection.matching(session, &listed).await?;
        let paused: Vec<Option<ConnectionId>> = stream::iter(matching)
            .map(|id| {
                let shown = shown.contains(&id);
                paused_by(schedules, id, shown, tag)
            })
            .buffered(SIMULTANEOUS)
            .try_collect()
            .await?;
        let ids: Vec<ConnectionId> = paused.into_iter().flatten().collect();
        if ids.is_empty() {
            return Err(Error::NoMatch { selection: format!("--paused-by {tag}") });
        }
        Ok(ids)
    }
}

/// The connection, if a tag pauses it, and `shown` says that this is known already.
async fn paused_by(
    schedules: &ScheduleClient,
    id: ConnectionId,
    shown: bool,
    tag: &str,
) -> Result<Option<ConnectionId>, Error> {
    if shown {
        return Ok(Some(id));
    }
    match schedules.describe(&id).await {
        Ok(description) => Ok(tags(&description.pauses(), tag).then_some(id)),
        Err(ScheduleError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether one of the pauses is of a tag.
fn tags(pauses: &[Pause], tag: &str) -> bool {
    pauses.iter().any(|pause| pause.tag.as_deref() == Some(tag))
}

async fn resume(session: &Session, id: &ConnectionId, undo: &Undo) -> Result<Report, Error> {
    let temporal = session.temporal().await?;
    let before = session.schedule(id).await?;
    if !before.paused {
        return Ok(Report::done(id, "was not paused"));
    }
    if let Undo::Tag(tag) = undo
        && !tags(&before.pauses(), tag)
    {
        return Ok(Report::done(
            id,
            format!("stays paused: {}; none of it is tagged {tag}", reasons(&before.pauses())),
        ));
    }
    let note = Pause {
        by: Some(session::identity()),
        since: Some(whole_seconds(Timestamp::now())),
        ..Pause::new("resumed")
    };
    let after = temporal.schedules.resume(id, undo, &note).await?;
    Ok(Report::done(
        id,
        if after.paused {
            format!("stays paused: {}", reasons(&after.pauses()))
        } else {
            "resumed".to_owned()
        },
    ))
}

fn reasons(pauses: &[Pause]) -> String {
    let texts: Vec<&str> = pauses
        .iter()
        .map(|pause| if pause.reason.is_empty() { "no reason given" } else { &pause.reason })
        .collect();
    joined(&texts, 3)
}
