//! What Temporal keeps of runs: small, without secrets and contact data, and replayable.

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use temporalio_client::WorkflowHistory;
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};
use tidemark_simulator::{RandomKind, RejectRule};
use tidemark_tests::{LIST, MAILCHIMP_KEY, RECORD_KEY, Stage};
use tidemark_workflows::{check::CheckConnection, sweep::SweepStore, sync::SyncConnection};

use crate::{DELETE, PROGRAM, TOMBSTONE, checks, stage, sweeps::sweep};

/// The largest payload that may cross Temporal.
pub(crate) const PAYLOAD_LIMIT: usize = 16 * 1024;

/// Set to record the histories that are not there, from released workflow code. Those that are
/// there stay: what old code began must go on replaying.
const RECORD: &str = "TIDEMARK_RECORD_HISTORIES";

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay")
}

/// The workflow id of the newest run.
async fn newest_run(stage: &Stage) -> String {
    let runs = stage.ask(["runs", stage.id(), "-o", "json"]).await.expect(0).json();
    let run = runs.as_array().and_then(|runs| runs.first()).unwrap_or(&runs).clone();
    run["workflow_id"].as_str().unwrap_or_else(|| panic!("no workflow id in {run}")).to_owned()
}

async fn history_json(stage: &Stage) -> Vec<u8> {
    stage.history(&newest_run(stage).await).await.to_json().await.unwrap()
}

/// Every `data` of a payload, decoded.
pub(crate) fn payloads(value: &serde_json::Value, found: &mut Vec<Vec<u8>>) {
    match value {
        serde_json::Value::Object(fields) => {
            if let (Some(data), true) =
                (fields.get("data").and_then(|data| data.as_str()), fields.contains_key("metadata"))
            {
                found.push(BASE64_STANDARD.decode(data).unwrap());
            }
            fields.values().for_each(|value| payloads(value, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| payloads(value, found)),
        _ => {}
    }
}

/// Refuses records in words that quote addresses: of somebody whose record was not sent, and in
/// other letters than those that were.
fn refuse_quoting(stage: &Stage, members: &[&str]) {
    let ids = members.iter().map(|member| format!("newsletter:{member}"));
    let mut rule = RejectRule::records(ids, 200);
    rule.message = "taken by Somebody.Else@Example.NET, not by bob@localhost".to_owned();
    stage.world().reject_when(RECORD_KEY, rule).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_are_small_and_carry_neither_secrets_nor_contacts() {
    let stage = stage("payloads", 2_500).await;
    stage.apply(DELETE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let mut histories = vec![history_json(&stage).await];
    // A write and a removal are refused: both reasons are in the result of a step.
    let changed = stage.world().mutate_random(LIST, RandomKind::Change, 40, 1).unwrap();
    let archived = stage.world().mutate_random(LIST, RandomKind::Archive, 4, 2).unwrap();
    refuse_quoting(&stage, &[changed[0].contact_id.as_str(), archived[0].contact_id.as_str()]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(4);
    histories.push(history_json(&stage).await);
    // So many that the run fails, with a reason in its failure.
    let changed = stage.world().mutate_random(LIST, RandomKind::Change, 20, 3).unwrap();
    let changed: Vec<_> = changed.iter().map(|member| member.contact_id.as_str()).collect();
    refuse_quoting(&stage, &changed);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(1);
    histories.push(history_json(&stage).await);
    let quoting = histories.iter().map(|history| {
        let mut found = Vec::new();
        payloads(&serde_json::from_slice(history).unwrap(), &mut found);
        let said = |text: &[u8]| String::from_utf8_lossy(text).contains("taken by …, not by …");
        found.iter().any(|payload| said(payload)) || said(history)
    });
    assert_eq!(quoting.collect::<Vec<_>>(), [false, true, true], "reasons are passed on");
    stage.world().revoke_key(MAILCHIMP_KEY);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(1);
    histories.push(history_json(&stage).await);

    let mut emails = Vec::new();
    stage.world().each_member(LIST, |member| emails.push(member.email().to_owned())).unwrap();
    for history in histories {
        let mut found = Vec::new();
        payloads(&serde_json::from_slice(&history).unwrap(), &mut found);
        assert!(found.len() >= 4, "a history has payloads, or this test sees nothing");
        for payload in found.iter().chain([&history]) {
            let text = String::from_utf8_lossy(payload);
            assert!(!text.contains(MAILCHIMP_KEY) && !text.contains(RECORD_KEY));
            let small = text.to_lowercase();
            assert!(!small.contains("example."), "an address in {text}");
            assert!(!small.contains("bob@") && !small.contains("else@"), "an address in {text}");
            assert!(emails.iter().all(|email| !text.contains(email.as_str())));
        }
        for payload in found {
            assert!(payload.len() <= PAYLOAD_LIMIT, "{} bytes", payload.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_run_is_short() {
    let stage = stage("short", 500).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let events = stage.history(&newest_run(&stage).await).await.into_events().await.unwrap();
    assert!(events.len() <= 25, "{} events", events.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_histories_replay() {
    if std::env::var_os(RECORD).is_some() {
        record().await;
    }
    let options = WorkflowReplayerOptions::new()
        .register_workflow::<SyncConnection>()
        .and_then(|options| options.register_workflow::<CheckConnection>())
        .and_then(|options| options.register_workflow::<SweepStore>())
        .expect("the workflows can be registered")
        .build();
    let replayer = WorkflowReplayer::new(options).expect("a workflow is registered");
    let mut replayed = 0;
    for entry in std::fs::read_dir(recorded()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let history = WorkflowHistory::from_json(&std::fs::read(&path).unwrap()).unwrap();
        replayer
            .replay_workflow(history)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        replayed += 1;
    }
    assert!(replayed >= 6, "only {replayed} histories were found");
}

/// Keeps the history of a workflow's newest run under a name.
async fn keep_workflow(stage: &Stage, name: &str, workflow_id: &str) {
    let path = recorded().join(format!("{name}.json"));
    if !path.exists() {
        let history = stage.history(workflow_id).await.to_json().await.unwrap();
        std::fs::write(path, history).unwrap();
    }
}

/// Records a history of each way that a run goes, and of each other workflow.
async fn record() {
    let mut stage = Stage::on_own_temporal(PROGRAM, "record", 1_200).await;
    stage.apply(TOMBSTONE).await;
    let worker = stage.worker(&[]);
    let keep = async |name: &str| keep_workflow(&stage, name, &newest_run(&stage).await).await;
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    keep("first-sync").await;
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    keep("unchanged").await;
    stage.world().mutate_random(LIST, RandomKind::Change, 5, 1).unwrap();
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    keep("changed").await;
    keep_workflow(&stage, "checked", &checks::look(&stage).await).await;
    stage.world().revoke_key(MAILCHIMP_KEY);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(1);
    keep("failed-user").await;
    let swept = sweep(&mut stage, &worker).await;
    keep_workflow(&stage, "swept", &swept).await;
}
