//! The exceptions of a connection as its newest commit names them, and which of them are meant.

mod waived;

use std::collections::BTreeSet;
use std::pin::pin;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use futures::TryStreamExt as _;
use serde::Serialize;
use tidemark_engine::definitions;
use tidemark_engine::diff::{ChangeSet, DirtyKey};
use tidemark_engine::log::Log;
use tidemark_engine::run;
use tidemark_engine::store::Folder;
use tidemark_model::entry::{Committed, Manifest, RunNumber};
use tidemark_model::exception::{Exception, ExceptionKind, Hold, Waiver};
use tidemark_model::ids::ConnectionId;

use self::waived::Waives;
use crate::error::Error;
use crate::session::Session;

/// The reason of held removals that are done without: the rule that held them stands nowhere any
/// more.
const DONE_WITHOUT: &str = "its removal is done without until the row returns";

/// What stands at the newest commit.
pub(crate) struct Book {
    pub(crate) folder: Folder,
    pub(crate) commit: Option<Committed>,
    /// The rejected records and invalid rows, in key order.
    pub(crate) single: Vec<Exception>,
    /// The removals of the hold: there may be millions.
    held: Option<ChangeSet>,
}

/// An exception of any kind, as verbs show it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) kind: ExceptionKind,
    pub(crate) reason: String,
    pub(crate) attempt_count: u32,
    /// The run that met it first; of held removals, the run that held the first of them. Of one
    /// that is done without it is not known any more.
    pub(crate) since: Option<RunNumber>,
    pub(crate) waiver: Option<Waiver>,
    /// Whether it is a removal that somebody decided to do without: its record stays until the row
    /// returns. Then `waiver` is absent if the decision cannot be found any more.
    pub(crate) done_without: bool,
}

impl From<&Exception> for Shown {
    fn from(exception: &Exception) -> Self {
        Self {
            key: exception.key.clone(),
            id: exception.id.clone(),
            kind: exception.kind,
            reason: exception.reason.clone(),
            attempt_count: exception.attempt_count,
            since: Some(exception.since),
            waiver: exception.waiver.clone(),
            done_without: false,
        }
    }
}

impl Shown {
    fn held(removal: DirtyKey, hold: &Hold) -> Self {
        Self {
            key: removal.key,
            id: removal.id,
            kind: ExceptionKind::Held,
            reason: hold.rule.to_string(),
            attempt_count: 0,
            since: Some(hold.since),
            waiver: None,
            done_without: false,
        }
    }

    fn done_without(removal: DirtyKey, waives: &Waives) -> Self {
        Self {
            waiver: waives.about(&removal.id),
            key: removal.key,
            id: removal.id,
            kind: ExceptionKind::Held,
            reason: DONE_WITHOUT.to_owned(),
            attempt_count: 0,
            since: None,
            done_without: true,
        }
    }

    /// Whether somebody accepted it as it is.
    pub(crate) fn is_accepted(&self) -> bool {
        self.done_without || self.waiver.is_some()
    }
}

impl Book {
    /// Reads what the newest commit names, but for the held removals.
    ///
    /// # Errors
    /// No such connection, or the store's.
    pub(crate) async fn open(session: &Session, id: &ConnectionId) -> Result<Self, Error> {
        let folder = session.store().await?.connection(id);
        match definitions::newest(&folder).await? {
            None => return Err(session.unknown(id).await),
            Some(stored) if stored.definition.is_none() => {
                return Err(session.removed(id, stored.applied_at).await);
            }
            Some(_) => {}
        }
        let commit = Log::open(&folder).await?.newest_commit().cloned();
        let manifest = commit.as_ref().map(|commit| &commit.manifest);
        let single = match manifest.and_then(|manifest| manifest.exceptions.as_ref()) {
            Some(file) => run::exceptions(&folder, file).await?,
            None => Vec::new(),
        };
        let held = match manifest.and_then(|manifest| manifest.hold.as_ref()) {
            Some(hold) => Some(ChangeSet::open(&folder, &hold.removals).await?),
            None => None,
        };
        Ok(Self { folder, commit, single, held })
    }

    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        self.commit.as_ref().map(|commit| &commit.manifest)
    }

    pub(crate) fn hold(&self) -> Option<&Hold> {
        self.manifest()?.hold.as_ref()
    }

    /// The id of the record that a row which is gone left under `deletions = "keep"`.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn kept(&self, key: &str) -> Result<Option<String>, Error> {
        let Some(file) = self.manifest().and_then(|manifest| manifest.kept.as_ref()) else {
            return Ok(None);
        };
        let set = ChangeSet::open(&self.folder, file).await?;
        let mut batches = pin!(set.keys());
        while let Some(batch) = batches.try_next().await? {
            if let Some(found) = batch.into_iter().find(|record| record.key == key) {
                return Ok(Some(found.id));
            }
        }
        Ok(None)
    }

    /// The run of the newest commit.
    pub(crate) fn run(&self) -> Option<RunNumber> {
        self.commit.as_ref().map(|commit| commit.number)
    }

    /// Visits every exception that is meant, without holding them all: held removals behind the
    /// others, and last those that are done without.
    ///
    /// # Errors
    /// The store's, or that of `visit`.
    pub(crate) async fn each(
        &self,
        wanted: &Wanted,
        mut visit: impl FnMut(Shown) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for exception in &self.single {
            if wanted.means(exception.kind, &exception.key, &exception.id, &exception.reason) {
                visit(exception.into())?;
            }
        }
        if let (Some(hold), Some(held)) = (self.hold(), &self.held)
            && wanted.may_mean(ExceptionKind::Held, &hold.rule.to_string())
        {
            let mut batches = pin!(held.keys());
            while let Some(batch) = batches.try_next().await? {
                for removal in batch.into_iter().filter(|one| wanted.names(&one.key, &one.id)) {
                    visit(Shown::held(removal, hold))?;
                }
            }
        }
        if let Some(file) = self.manifest().and_then(|manifest| manifest.waived_removals.as_ref())
            && wanted.may_mean(ExceptionKind::Held, DONE_WITHOUT)
        {
            let waives = Waives::load(self).await?;
            let set = ChangeSet::open(&self.folder, file).await?;
            let mut batches = pin!(set.keys());
            while let Some(batch) = batches.try_next().await? {
                for removal in batch.into_iter().filter(|one| wanted.names(&one.key, &one.id)) {
                    visit(Shown::done_without(removal, &waives))?;
                }
            }
        }
        Ok(())
    }
}

/// Which exceptions are meant: every condition that is set must hold.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Wanted {
    /// Keys of the source, or ids of records
    #[arg(value_name = "KEY")]
    pub(crate) keys: Vec<String>,

    /// Those of a kind
    #[arg(long, value_name = "KIND", value_parser = kind_parser())]
    pub(crate) kind: Option<ExceptionKind>,

    /// Those whose reason holds a text, whatever its case
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason_like: Option<String>,
}

fn kind_parser() -> impl TypedValueParser<Value = ExceptionKind> {
    PossibleValuesParser::new(ExceptionKind::ALL.map(ExceptionKind::as_str)).try_map(|text| {
        let of_text = |kind: &ExceptionKind| kind.as_str() == text;
        ExceptionKind::ALL.into_iter().find(of_text).ok_or("no such kind")
    })
}

impl Wanted {
    /// Whether nothing was said, which means all of them.
    pub(crate) fn says_nothing(&self) -> bool {
        self.keys.is_empty() && self.kind.is_none() && self.reason_like.is_none()
    }

    fn means(&self, kind: ExceptionKind, key: &str, id: &str, reason: &str) -> bool {
        self.may_mean(kind, reason) && self.names(key, id)
    }

    /// Whether exceptions of a kind and reason can be meant.
    pub(crate) fn may_mean(&self, kind: ExceptionKind, reason: &str) -> bool {
        let like = |text: &String| reason.to_lowercase().contains(&text.to_lowercase());
        self.kind.is_none_or(|wanted| wanted == kind) && self.reason_like.as_ref().is_none_or(like)
    }

    fn names(&self, key: &str, id: &str) -> bool {
        self.keys.is_empty() || self.keys.iter().any(|name| name == key || name == id)
    }

    /// The keys that none of `found` bears.
    pub(crate) fn unknown_keys(&self, found: &[Shown]) -> Vec<String> {
        let known: BTreeSet<&str> =
            found.iter().flat_map(|shown| [shown.key.as_str(), shown.id.as_str()]).collect();
        self.keys.iter().filter(|key| !known.contains(key.as_str())).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_that_is_set_must_hold() {
        let rejected = |wanted: &Wanted| {
            wanted.means(ExceptionKind::Rejected, "k1", "news:k1", "E-mail is NOT valid")
        };
        let with = |keys: &[&str], kind, like: Option<&str>| Wanted {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            kind,
            reason_like: like.map(str::to_owned),
        };
        assert!(rejected(&with(&[], None, None)));
        assert!(rejected(&with(
            &["other", "k1"],
            Some(ExceptionKind::Rejected),
            Some("not valid")
        )));
        assert!(rejected(&with(&["news:k1"], None, None)));
        assert!(!rejected(&with(&["k"], None, None)));
        assert!(!rejected(&with(&[], Some(ExceptionKind::Invalid), None)));
        assert!(!rejected(&with(&["k1"], None, Some("too long"))));
    }
}
