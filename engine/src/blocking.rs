//! Work that waits for the disk or the store, or computes for long: on threads that may.
//!
//! With the feature `simulation` a thread may be told to carry such work out itself, so that a
//! simulation on one thread is the same to the letter each time it runs.

use tokio::runtime::Handle;
use tracing::Span;

/// Runs what waits for the store, or computes for long, on a thread that may. What is said there,
/// a panic above all, names the step as if it were said here.
pub(crate) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    #[cfg(feature = "simulation")]
    if inline::is_on() {
        return inline::run(work);
    }
    let span = Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(done) => done,
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime goes down: nobody waits for the answer any more.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Carries out the requests to the store that such work waits for.
#[derive(Clone, Debug)]
pub(crate) struct Runtime(Handle);

impl Runtime {
    /// That of this thread. Must be called inside a Tokio runtime.
    pub(crate) fn current() -> Self {
        Self(Handle::current())
    }

    /// Waits for an answer. Only where work may block.
    pub(crate) fn block_on<F: Future>(&self, answer: F) -> F::Output {
        #[cfg(feature = "simulation")]
        if inline::is_on() {
            return inline::answer(answer);
        }
        self.0.block_on(answer)
    }
}

/// Everything on one thread.
#[cfg(feature = "simulation")]
pub mod inline {
    use std::{
        cell::Cell,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    thread_local! {
        static ON: Cell<bool> = const { Cell::new(false) };
        static BLOCKED: Cell<u32> = const { Cell::new(0) };
    }

    /// How often an answer is asked for that has to be there at once.
    const POLLS: u32 = 100_000;

    /// From now on this thread carries out itself what else goes to threads that may block.
    pub fn turn_on() {
        ON.set(true);
    }

    pub(super) fn is_on() -> bool {
        ON.get()
    }

    /// Whether this thread is inside work that may block: a store has to answer at once then,
    /// since nothing else can run before it does.
    #[must_use]
    pub fn is_blocked() -> bool {
        BLOCKED.get() > 0
    }

    struct Inside;

    impl Drop for Inside {
        fn drop(&mut self) {
            BLOCKED.set(BLOCKED.get() - 1);
        }
    }

    pub(super) fn run<R>(work: impl FnOnce() -> R) -> R {
        BLOCKED.set(BLOCKED.get() + 1);
        let _inside = Inside;
        work()
    }

    pub(super) fn answer<F: Future>(answer: F) -> F::Output {
        let mut answer = pin!(answer);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..POLLS {
            if let Poll::Ready(done) = answer.as_mut().poll(&mut context) {
                return done;
            }
        }
        unreachable!("a simulated store answers blocked work at once")
    }
}

#[cfg(test)]
mod tests {
    use tracing::Instrument as _;

    use super::*;

    #[tokio::test]
    async fn what_is_said_on_such_a_thread_names_the_step() {
        // That of this thread alone would not be known there.
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
        let span = tracing::info_span!("step");
        let id = span.id();
        assert!(id.is_some());
        let there = blocking(|| Span::current().id()).instrument(span).await;
        assert_eq!(there, id);
    }
}
