//! A real Temporal server for the demo and the tests: found or built, started, stopped.
//!
//! [`find`] looks for the Temporal CLI (`TEMPORAL_CLI`, then `temporal` on `PATH`, then one that is
//! built once into a cache folder), and [`TemporalServer`] runs its development server on ports
//! that were free and in a folder of its own. A server started here never takes an address, a
//! namespace or a configuration file from the shell, and never outlives the process that started
//! it. Nothing here imitates Temporal.

mod cli;
mod error;
mod folder;
mod install;
mod ports;
mod process;
mod ready;
mod server;

pub use cli::{TemporalCli, find};
pub use error::DevServerError;
pub use process::GuardedProcess;
pub use server::{ServerOptions, TemporalServer};
