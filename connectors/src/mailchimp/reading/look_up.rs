//! Looking members up one by one: those that unfinished runs may have sent to the destination, so
//! that their newest state has to be known whether their stamp moved or not.

use futures::stream::{self, StreamExt};
use tidemark_engine::port::KeyTime;
use tidemark_model::failure::Failure;

use super::{
    desk::{Desk, Draft, Staged},
    journal::{Journal, Remarks, Step},
};

/// The window of look-ups.
const LOOK_UPS: &str = "look-ups";

/// Looks up the keys that must be seen and were not. Whether any was ever looked up.
pub(super) async fn unseen(desk: &Desk<'_>, journal: &mut Journal) -> Result<bool, Failure> {
    let first = journal.next_number(LOOK_UPS);
    let unseen = journal.unseen(&desk.request.must_see);
    let looks: Vec<_> =
        (first..).zip(unseen).map(|(number, key)| look_up(desk, key, number)).collect();
    let mut looks = stream::iter(looks).buffer_unordered(desk.limits.simultaneous_requests);
    while let Some(staged) = looks.next().await {
        let Staged { head, resume } = staged?;
        journal.note(&head, resume);
    }
    Ok(journal.next_number(LOOK_UPS) > 0)
}

/// Looks one member up and stages what became of it.
async fn look_up(desk: &Desk<'_>, key: &str, number: u32) -> Result<Staged, Failure> {
    let slot = desk.slot().await?;
    let looked_up = desk.client.member(slot, key, desk.mapping, desk.host.clock()).await?;
    let held = desk.mirror.look_up(&[key.to_owned()]).await?.into_iter().next().flatten();
    let mut rows = Vec::new();
    let mut gone = Vec::new();
    let mut stand_ins = Vec::new();
    match (looked_up.member, held) {
        (Some(member), _) if !member.archived => {
            if member.stands_in {
                stand_ins = desk.unknown(vec![&member.row]).await?;
            }
            rows.push(member.row);
        }
        (Some(archived), Some(held)) if archived.row.modified >= held.modified => {
            gone.push(KeyTime { key: key.to_owned(), modified: archived.row.modified });
        }
        // Nobody says when it went: as late as the row in hand, so that any newer one wins.
        (None, Some(held)) => gone.push(KeyTime { key: key.to_owned(), modified: held.modified }),
        (Some(_) | None, _) => {}
    }
    let contradicts = desk.contradicted_by(&rows).await?;
    desk.stage(Draft {
        window: LOOK_UPS.to_owned(),
        number,
        step: Step::LookUp,
        answer: &looked_up.answer,
        requested_at: looked_up.requested_at,
        rows,
        gone,
        remarks: Remarks { contradicts, seen: vec![key.to_owned()], unmatched: None, stand_ins },
    })
    .await
}
