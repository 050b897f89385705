//! What a decision is about.

use tidemark_engine::log::Log;
use tidemark_model::exception::{ExceptionKey, ExceptionKind, HeldRemovals, Verdict};
use tidemark_model::ids::ConnectionId;

use super::Deed;
use crate::error::Error;
use crate::exceptions::{Book, Shown, Wanted};
use crate::session::Session;
use crate::ui::text::grouped;

/// The exceptions that are meant.
#[derive(Debug, Default)]
pub(super) struct Found {
    single: Vec<ExceptionKey>,
    held: Option<HeldRemovals>,
    held_count: u64,
}

/// Finds what is meant.
///
/// # Errors
/// A key that is no exception, or one that cannot be decided about in this way.
pub(super) async fn find(
    id: &ConnectionId,
    book: &Book,
    wanted: &Wanted,
    deed: &Deed,
) -> Result<Found, Error> {
    if let Some(kind) = wanted.kind.filter(|kind| !deed.fits(*kind)) {
        return Err(deed.misfit(
            id,
            &format!("what --kind {kind} means", kind = kind.as_str()),
            kind,
        ));
    }
    let by_key = !wanted.keys.is_empty();
    let mut found = Found::default();
    let (mut named, mut ids): (Vec<Shown>, Vec<String>) = Default::default();
    book.each(wanted, |exception| {
        // What somebody accepted is only meant if it is named.
        if by_key {
            named.push(exception);
        } else if exception.kind == ExceptionKind::Held {
            found.held_count += u64::from(!exception.done_without);
        } else if deed.fits(exception.kind) && exception.waiver.is_none() {
            found.single.push(name(exception));
        }
        Ok(())
    })
    .await?;
    let unknown = wanted.unknown_keys(&named);
    if by_key && !unknown.is_empty() {
        return Err(Error::NoException { id: id.clone(), keys: unknown });
    }
    let (fitting, others): (Vec<Shown>, Vec<Shown>) =
        named.into_iter().partition(|one| deed.fits(one.kind) && !one.done_without);
    if let Some(other) = others.iter().find(|one| !fitting.iter().any(|two| two.key == one.key)) {
        return Err(match other.done_without {
            true => decided(id, &other.key),
            false => deed.misfit(id, &other.key, other.kind),
        });
    }
    for exception in fitting {
        if exception.kind == ExceptionKind::Held {
            ids.push(exception.id);
        } else {
            found.single.push(name(exception));
        }
    }
    if by_key {
        found.held_count = ids.len() as u64;
    }
    if !deed.fits(ExceptionKind::Held) {
        found.held_count = 0;
    }
    if let Some(hold) = book.hold().filter(|_| found.held_count > 0) {
        let ids = by_key.then_some(ids);
        found.held = Some(HeldRemovals { hold: hold.removals.clone(), ids });
    }
    if found.single.is_empty() && found.held.is_none() {
        return Err(Error::NoException { id: id.clone(), keys: Vec::new() });
    }
    Ok(found)
}

/// The error for a removal that somebody decided to do without.
fn decided(id: &ConnectionId, key: &str) -> Error {
    Error::usage(
        format!(
            "the removal of {key} is waived until the row returns: there is nothing to decide any \
             more"
        ),
        format!("`tidemark exceptions {id} list --kind held` shows who decided that, and why"),
    )
}

fn name(exception: Shown) -> ExceptionKey {
    ExceptionKey { kind: exception.kind, key: exception.key, id: exception.id }
}

impl Found {
    pub(super) fn verdicts(&self, deed: &Deed) -> Vec<Verdict> {
        let held = self.held.clone().map(|removals| match deed {
            Deed::Ignore { why } => Verdict::Waive { removals, why: why.clone() },
            Deed::Approve | Deed::Retry => Verdict::Approve(removals),
        });
        let keys = self.single.clone();
        let single = (!keys.is_empty()).then(|| match deed {
            Deed::Ignore { why } => Verdict::Ignore { keys, why: why.clone() },
            Deed::Approve | Deed::Retry => Verdict::Retry { keys },
        });
        held.into_iter().chain(single).collect()
    }

    /// What has to be agreed to: every removal, and accepting more than one exception.
    pub(super) fn question(&self, id: &ConnectionId, deed: &Deed) -> Option<String> {
        let count = self.held_count + self.single.len() as u64;
        let records = if self.held_count == 1 { "record" } else { "records" };
        match deed {
            Deed::Approve => Some(format!(
                "Remove {} {records} of {id} from the destination?",
                grouped(self.held_count)
            )),
            Deed::Ignore { .. } if count > 1 => {
                Some(format!("Accept {} exceptions of {id} as they are?", grouped(count)))
            }
            Deed::Ignore { .. } | Deed::Retry => None,
        }
    }

    /// A decision about what has moved on would not be carried out: it is not written down.
    pub(super) async fn check_current(
        &self,
        session: &Session,
        id: &ConnectionId,
        seen: &Book,
    ) -> Result<(), Error> {
        let newest = Log::open(&seen.folder).await?.newest_commit().map(|commit| commit.number);
        if newest == seen.run() {
            return Ok(());
        }
        let now = Book::open(session, id).await?;
        if let Some(held) = &self.held
            && now.hold().map(|hold| &hold.removals) != Some(&held.hold)
        {
            return Err(Error::HoldChanged { id: id.clone(), run: newest });
        }
        let resolved = self
            .single
            .iter()
            .filter(|name| !now.single.iter().any(|exception| exception.name() == **name));
        let keys: Vec<String> = resolved.map(|name| name.key.clone()).collect();
        if keys.is_empty() { Ok(()) } else { Err(Error::NoException { id: id.clone(), keys }) }
    }
}
