//! What was seen in the store, for as long as it may be answered from.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidemark_engine::{
    freshness::{Look, Subject},
    store::{Store, StoreError},
};
use tokio::time::Instant;

use crate::measure;

/// Nobody is answered from a look that began earlier.
const OLDEST: Duration = Duration::from_secs(1);

/// A look that began earlier does not make the next one cheaper: what it saw is read anew.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// The looks at accounts and connections. Many that ask for the same at once share one look.
pub(crate) struct Looks {
    store: Store,
    slots: Mutex<HashMap<Subject, Slot>>,
}

/// Whoever holds it looks, and the others wait for what it sees.
type Slot = Arc<tokio::sync::Mutex<Option<Seen>>>;

struct Seen {
    began_at: Instant,
    looks: Arc<[Look]>,
}

/// The slot that a look is taken for. Names that do not exist are without number, so it is given up
/// unless something is kept in it: after an error and when the request is dropped too.
struct Place<'a> {
    looks: &'a Looks,
    subject: &'a Subject,
    slot: &'a Slot,
    kept: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let mut slots = self.looks.slots();
        // Another may have its place by now.
        if slots.get(self.subject).is_some_and(|slot| Arc::ptr_eq(slot, self.slot)) {
            slots.remove(self.subject);
        }
    }
}

impl Looks {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, slots: Mutex::default() }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// A look that is at most a second old. It shows nothing if there is no such account or
    /// connection.
    pub(crate) async fn of(&self, subject: &Subject) -> Result<Arc<[Look]>, StoreError> {
        let slot = self.slot(subject);
        let mut seen = slot.lock().await;
        let mut place = Place { looks: self, subject, slot: &slot, kept: false };
        // After an error, or when this future is dropped, nothing is left to answer from.
        let last = seen.take();
        if let Some(fresh) = last.as_ref().filter(|last| last.began_at.elapsed() < OLDEST) {
            let looks = Arc::clone(&fresh.looks);
            *seen = last;
            place.kept = true;
            return Ok(looks);
        }
        let began_at = Instant::now();
        let known = last.filter(|last| last.began_at.elapsed() < FORGOTTEN);
        let known = known.as_ref().map_or(&[][..], |known| &known.looks);
        measure::looked();
        let looks: Arc<[Look]> = subject.look(&self.store, known).await?.into();
        if !looks.is_empty() {
            place.kept = true;
            *seen = Some(Seen { began_at, looks: Arc::clone(&looks) });
        }
        Ok(looks)
    }

    fn slot(&self, subject: &Subject) -> Slot {
        Arc::clone(self.slots().entry(subject.clone()).or_default())
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<Subject, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
