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

/// Asks until the schedule shows a health: what a run publishes appears soon after its end.
async fn assert_health(stage: &Stage, expected: &str) {
    /// Each try takes some hundredths of a second.
    const TRIES: usize = 500;
    let mut shown = serde_json::Value::Null;
    for _ in 0..TRIES {
        let known = stage.ask(["inspect", stage.id(), "-o", "json"]).await.expect(0).json();
        shown = known["health"].clone();
        if shown == expected {
            return;
        }
    }
    panic!("the health is {shown}, not {expected}");
}
