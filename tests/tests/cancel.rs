//! A run is cancelled from the Web UI, by the requests that its pages send.

use std::{sync::Once, time::Duration};

use reqwest::header::{COOKIE, SET_COOKIE};
use tidemark_simulator::{Fault, FaultAction, Operation, RandomKind, Side};
use tidemark_tests::{LIST, Stage};

use crate::{TOMBSTONE, stage};

const HELD: &str = "held";

/// The HTTP client takes the process's provider, although the Web UI speaks without TLS.
fn tls() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().expect("nobody else does");
    });
}

/// Cancels the newest run as the Web UI does.
async fn cancel(stage: &Stage) {
    let runs = stage.ask(["runs", stage.id(), "-o", "json"]).await.expect(0).json();
    let id = |name: &str| runs[0][name].as_str().unwrap().to_owned();
    tls();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
    // The page sets a cookie against requests from elsewhere, and its requests repeat the value.
    let page = client.get(stage.web_ui()).send().await.unwrap();
    let cookies = page.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    let token = cookies
        .filter_map(|cookie| cookie.strip_prefix("_csrf=")?.split(';').next())
        .next()
        .expect("a cookie against forgery");
    let mut url = reqwest::Url::parse(&stage.web_ui()).unwrap();
    let workflow = id("workflow_id");
    url.path_segments_mut().unwrap().pop_if_empty().extend([
        "api",
        "v1",
        "namespaces",
        "default",
        "workflows",
        &workflow,
        "cancel",
    ]);
    url.query_pairs_mut().append_pair("execution.runId", &id("run_id"));
    let answer = client
        .post(url)
        .header("X-CSRF-TOKEN", token)
        .header(COOKIE, format!("_csrf={token}"))
        .header("Caller-Type", "operator")
        .send()
        .await
        .unwrap();
    let status = answer.status();
    assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap());
}

async fn watermark(stage: &Stage) -> String {
    let known = stage.ask(["inspect", stage.id(), "-o", "json"]).await.expect(0).json();
    known["complete_as_of"].as_str().unwrap_or_else(|| panic!("{known}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_in_the_web_ui_finishes_its_batch_and_the_next_one_supersedes_it() {
    let stage = stage("web-ui", 500).await;
    let limits = "batch_records = 50\nsimultaneous_batches = 1";
    stage.apply_with(TOMBSTONE, limits).await;
    let worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let before = watermark(&stage).await;

    stage.world().mutate_random(LIST, RandomKind::Change, 400, 1).unwrap();
    let mark = stage.world().ledger().mark;
    let action = FaultAction::Hold { id: HELD.into() };
    stage.world().add_fault(Fault::next(Side::Destination, action).after(2));
    let start = stage.ask(["start", stage.id(), "--wait"]);
    let story = async {
        stage.world().wait_held(HELD, 1).await;
        cancel(&stage).await;
        worker.wait_log("temporal asks the step to end").await;
        stage.world().release(HELD);
    };
    let (answer, ()) = tokio::join!(start, story);
    let answer = answer.expect(1);
    assert!(answer.stderr.contains("was cancelled"), "{}", answer.stderr);
    let ledger = stage.world().ledger_since(mark);
    assert_eq!(ledger.count(Operation::Write), 3, "the batch was finished, and none begun");
    assert!(ledger.calls.iter().all(|call| call.status == Some(200)));
    let runs = stage.ask(["runs", stage.id(), "-o", "json"]).await.expect(0).json();
    assert_eq!(runs[0]["outcome"], "cancelled", "{runs}");
    assert_eq!(watermark(&stage).await, before);

    let answer = stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let waits = "waits until nothing that an earlier run sent can take effect any more";
    assert!(answer.stderr.contains(waits), "{}", answer.stderr);
    stage.assert_in_step();
    assert_ne!(watermark(&stage).await, before);
}
