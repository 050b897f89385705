//! The facts about each connection: of the commit log, and of Temporal where they are needed.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use tidemark_model::ids::ConnectionId;
use tidemark_monitor::look::{self, LookError, Looker};
use tidemark_monitor::pauses::SeenPauses;
use tidemark_monitor::rules::{Due, Facts, Look, Settings};
use tidemark_schedules::Listed;

use crate::error::Error;
use crate::many;
use crate::projected::ProjectedWith;
use crate::session::{Session, Temporal};

/// A connection that was looked at.
pub(super) struct Looked {
    pub(super) id: ConnectionId,
    pub(super) facts: Facts,
    pub(super) due: Due,
    /// Why nothing is known of it but what the store says.
    pub(super) error: Option<String>,
}

impl Looked {
    /// `None` for one that is not defined any more.
    fn of(look: Look) -> Option<Self> {
        let facts = look.facts?;
        let due = Due::of(&facts, &[], &Settings::default());
        Some(Self { id: look.connection, facts, due, error: None })
    }

    /// With what a monitor has seen of a pause. `asked`: whether Temporal said something of it.
    fn with(self, pauses: &SeenPauses, asked: bool, now: Timestamp) -> Self {
        let Self { id, mut facts, error, .. } = self;
        let settings = Settings::default();
        pauses.complete(&id, &mut facts, asked, now, &settings);
        let due = Due::of(&facts, &[], &settings);
        Self { id, facts, due, error }
    }

    /// Whether it is behind its deadline, with no allowance for clocks.
    pub(super) fn late(&self, now: Timestamp) -> bool {
        !self.facts.is_paused() && self.due.at <= now
    }
}

/// Reads the commit log of every connection that is defined, and asks Temporal about those that
/// look late or are not listed: they may be paused, or be without a schedule. What it does not say of
/// one is that one's error; when it is lost altogether, the others are not asked about. `pauses` are
/// those that a monitor remembers.
pub(super) async fn look_at(
    session: &Session,
    temporal: Option<&Temporal>,
    ids: &[ConnectionId],
    listed: &[Listed],
    pauses: &SeenPauses,
    now: Timestamp,
) -> Result<Vec<Looked>, Error> {
    let store = session.store().await?;
    let looker = temporal.map(|temporal| {
        let settings = ProjectedWith::default().settings(session);
        Looker::new(store.clone(), temporal.schedules.clone(), settings)
    });
    let lost = AtomicBool::new(false);
    let results = many::each(ids, async |id| {
        // In the order of their connections.
        let place = listed.binary_search_by(|one| one.connection.cmp(id));
        let listed = place.ok().and_then(|place| listed.get(place));
        let Some(glance) = Looked::of(look::glance(store, id, listed, now).await?) else {
            return Ok(None);
        };
        let Some(looker) = looker.as_ref().filter(|_| glance.late(now) || listed.is_none()) else {
            return Ok(Some(glance.with(pauses, listed.is_some(), now)));
        };
        if lost.load(Ordering::Relaxed) {
            let glance = glance.with(pauses, listed.is_some(), now);
            let unasked = || "temporal was lost before this one was asked about".to_owned();
            let error = glance.late(now).then(unasked);
            return Ok(Some(Looked { error, ..glance }));
        }
        match looker.look(id, now).await {
            Ok(look) => Ok(Looked::of(look).map(|looked| looked.with(pauses, true, now))),
            Err(LookError::Temporal(error)) => {
                if error.unreachable() {
                    lost.store(true, Ordering::Relaxed);
                }
                let glance = glance.with(pauses, listed.is_some(), now);
                Ok(Some(Looked { error: Some(error.to_string()), ..glance }))
            }
            Err(error) => Err(error.into()),
        }
    })
    .await;
    let looked: Result<Vec<Option<Looked>>, Error> =
        results.into_iter().map(|(_, looked)| looked).collect();
    Ok(looked?.into_iter().flatten().collect())
}
