//! Whether what a destination holds is recent enough: the freshness gate.
//!
//! The commit log and the definitions decide, and nothing else: neither what Temporal knows, nor
//! what is published for lists and alarms. A [`Look`] is what they say of a connection at one
//! moment, [`Freshness`] what that means for whoever asks for an age.

mod account;
mod look;
mod verdict;

pub use account::AccountFreshness;
pub use look::{Look, Proven, Subject, Unproven};
pub use verdict::{Counts, Freshness, State};

#[cfg(test)]
mod tests;
