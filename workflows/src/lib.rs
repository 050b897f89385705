//! Deterministic workflow code, activity contracts, and the names that both sides of Temporal use.
//!
//! No I/O is within reach here: neither the client nor the SDK's worker is a dependency, and
//! `clippy.toml` refuses clocks, randomness, threads and maps without an order.

pub mod check;
pub mod health;
pub mod names;
pub mod sweep;
pub mod sync;
