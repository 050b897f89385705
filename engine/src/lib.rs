//! Read, compare, push, commit: one run of a connection, as a library over ports.
//!
//! Knows nothing of Temporal, so that a simulation can drive it.

mod blocking;
mod check;
pub mod definitions;
pub mod diff;
pub mod freshness;
pub mod log;
pub mod mapping;
mod pace;
pub mod port;
pub mod run;
pub mod snapshot;
pub mod staging;
pub mod store;

#[cfg(feature = "simulation")]
pub use blocking::inline;
pub use check::check;
