//! Sweeping: what nothing reaches any more, and is old enough, goes.
//!
//! Nothing goes by age alone. What is kept is found first, from the log, and only then is anything
//! deleted; so a sweep may run beside runs and beside another sweep, and may die anywhere.
//!
//! What a run writes carries the run's number in its name. Only numbers up to the newest commit are
//! looked at: an entry above it, or one that does not stand yet, may still name every object of
//! its number.

mod keep;
mod place;

use futures::StreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::failure::Failure;

use self::{
    keep::Keep,
    place::{Kind, Place},
};
use crate::store::{Folder, Listed, StoreError};

/// Objects that are deleted at once: as many as S3 takes in one request.
const DELETED_AT_ONCE: usize = 1_000;

/// What a sweep deleted, or would delete, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    pub snapshots: Tally,
    /// Change sets, held removals among them.
    pub changes: Tally,
    pub exceptions: Tally,
    pub acknowledgements: Tally,
    /// Raw pages.
    pub pages: Tally,
    /// What runs were decided to be, what they read, and how they ended.
    pub runs: Tally,
}

/// So many objects, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub objects: u64,
    pub bytes: u64,
}

impl Tally {
    /// Adds up.
    pub fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

impl Swept {
    /// Of all kinds.
    #[must_use]
    pub fn total(&self) -> Tally {
        let Self { snapshots, changes, exceptions, acknowledgements, pages, runs } = *self;
        let mut total = Tally::default();
        for tally in [snapshots, changes, exceptions, acknowledgements, pages, runs] {
            total.add(tally);
        }
        total
    }

    fn of(&mut self, kind: Kind) -> &mut Tally {
        match kind {
            Kind::Snapshots => &mut self.snapshots,
            Kind::Changes => &mut self.changes,
            Kind::Exceptions => &mut self.exceptions,
            Kind::Acknowledgements => &mut self.acknowledgements,
            Kind::Pages => &mut self.pages,
            Kind::RunFiles | Kind::RunRecords => &mut self.runs,
        }
    }
}

/// Deletes what a connection does not need any more. May be dropped at any point.
///
/// # Errors
/// `Corrupt` when the log has a gap or something that the next run needs cannot be read: nothing
/// was deleted then. The store's: some objects may be gone, and sweeping again goes on.
pub async fn sweep(connection: &Folder, now: Timestamp) -> Result<Swept, Failure> {
    Sweep::begin(connection, now).await?.all(true).await.map_err(Failure::from)
}

/// What [`sweep`] would delete.
///
/// # Errors
/// As [`sweep`].
pub async fn sweepable(connection: &Folder, now: Timestamp) -> Result<Swept, Failure> {
    Sweep::begin(connection, now).await?.all(false).await.map_err(Failure::from)
}

/// A sweep that knows what it keeps.
struct Sweep<'s> {
    folder: &'s Folder,
    /// `None` for a connection without any definition: nothing says how long to keep.
    keep: Option<Keep>,
}

impl<'s> Sweep<'s> {
    async fn begin(folder: &'s Folder, now: Timestamp) -> Result<Self, StoreError> {
        Ok(Self { folder, keep: Keep::of(folder, now).await? })
    }

    async fn all(self, delete: bool) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let Some(mut keep) = self.keep else { return Ok(swept) };
        for kind in Kind::ALL {
            let mut listed = self.folder.objects(kind.folder());
            let mut going = Going::default();
            while let Some(object) = listed.next().await {
                let object = object?;
                let place = Place::of(&object.path).filter(|place| place.kind == kind);
                let Some(place) = place else { continue };
                if !keep.lets_go(&place, &object).await? {
                    continue;
                }
                going.add(object);
                if going.paths.len() == DELETED_AT_ONCE {
                    swept.of(kind).add(going.end(self.folder, delete).await?);
                }
            }
            swept.of(kind).add(going.end(self.folder, delete).await?);
        }
        Ok(swept)
    }
}

/// Objects that go together.
#[derive(Default)]
struct Going {
    paths: Vec<String>,
    tally: Tally,
}

impl Going {
    fn add(&mut self, object: Listed) {
        self.tally.add(Tally { objects: 1, bytes: object.bytes });
        self.paths.push(object.path);
    }

    async fn end(&mut self, folder: &Folder, delete: bool) -> Result<Tally, StoreError> {
        let Self { paths, tally } = std::mem::take(self);
        if delete && !paths.is_empty() {
            folder.delete(&paths).await?;
        }
        Ok(tally)
    }
}
