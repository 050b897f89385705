//! Who owns accounts of the list API, and how much they may ask for at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Whoever owns an account: the limit on simultaneous requests is theirs, not a key's.
#[derive(Default)]
pub(crate) struct User {
    disabled: AtomicBool,
    running: AtomicUsize,
}

impl User {
    /// The most requests that may run at once.
    pub(crate) const LIMIT: usize = 10;

    pub(crate) fn set_disabled(&self, disabled: bool) {
        self.disabled.store(disabled, Ordering::SeqCst);
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.disabled.load(Ordering::SeqCst)
    }

    /// A slot, as long as one is free; it is given back when the server is done, not the client.
    pub(crate) fn slot(self: &Arc<Self>) -> Option<Slot> {
        let taken = self.running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| {
            (n < Self::LIMIT).then_some(n + 1)
        });
        taken.ok().map(|_| Slot(Arc::clone(self)))
    }
}

/// One of the simultaneous requests of a user.
pub(crate) struct Slot(Arc<User>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
