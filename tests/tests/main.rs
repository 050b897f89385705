//! End to end: the program as operators call it, on a real Temporal server.

#![expect(clippy::unwrap_used, reason = "a test panics rather than returning an error")]

mod applying;
mod cancel;
mod checks;
mod crashes;
mod demo;
mod flows;
mod histories;
mod kills;
mod monitor;
mod operators;
mod outages;
mod queries;
mod races;
mod sweeps;
mod watching;
mod zombies;

use tidemark_tests::Stage;

const TOMBSTONE: &str = r#"{ tombstone = "deleted" }"#;
const DELETE: &str = r#"{ method = "DELETE", path = "/record/{id}" }"#;

/// The program as it ships.
const PROGRAM: &str = env!("CARGO_BIN_EXE_tidemark-under-test");

/// A stage of its own for the test of that name.
async fn stage(name: &str, count: u32) -> Stage {
    Stage::new(PROGRAM, name, count).await
}
