//! Operators and runs at the same time: nothing of the operator's is lost.

use crate::{TOMBSTONE, stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_connection_is_started_and_stays_paused_with_its_note() {
    let stage = stage("paused", 100).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["pause", stage.id(), "--reason", "the list is being cleaned"]).await.expect(0);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
    let shown = stage.ask(["inspect", stage.id()]).await.expect(0).stdout;
    assert!(shown.contains("the list is being cleaned"), "{shown}");
    assert!(shown.contains("paused"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_races_with_a_run_is_kept() {
    let stage = stage("race", 50).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    for round in 0..5 {
        // The first run's health and watermark are published while the pause is on its way.
        let reason = format!("round {round}");
        let (started, paused) = tokio::join!(
            stage.ask(["start", stage.id(), "--wait"]),
            stage.ask(["pause", stage.id(), "--reason", &reason]),
        );
        started.expect(0);
        paused.expect(0);
        let shown = stage.ask(["inspect", stage.id()]).await.expect(0).stdout;
        assert!(shown.contains(&reason), "{shown}");
        stage.ask(["resume", stage.id()]).await.expect(0);
        let shown = stage.ask(["inspect", stage.id()]).await.expect(0).stdout;
        assert!(!shown.contains(&reason), "{shown}");
    }
    stage.assert_in_step();
}
