//! `check --on-worker`: both ends are asked where the secrets are, and nothing of them comes back.

use std::path::PathBuf;

use tidemark_simulator::Mutation;
use tidemark_tests::{LIST, MAILCHIMP_KEY, RECORD_KEY, Stage};
use tokio::process::Command;

use crate::{
    TOMBSTONE,
    histories::{PAYLOAD_LIMIT, payloads},
    stage,
};

/// A definition's file, which nobody applies.
fn file(stage: &Stage, name: &str, definition: &str) -> PathBuf {
    let path = stage.folder().join(name);
    std::fs::write(&path, definition).unwrap();
    path
}

/// `check --on-worker`, from where the secrets are not.
fn check(stage: &Stage) -> Command {
    let mut command = stage.command();
    command.env_remove("ACME_MAILCHIMP_KEY").env_remove("RECORD_API_KEY");
    command.args(["check", "--on-worker"]);
    command
}

/// The id of the workflow that a call named on stderr.
fn workflow_id(stderr: &str) -> &str {
    let (_, id) = stderr.split_once("a worker looks, as ").expect("the workflow is named");
    id.lines().next().expect("a line has an end")
}

/// A worker looks at the stage's definition. Returns the workflow's id.
pub(crate) async fn look(stage: &Stage) -> String {
    let path = file(stage, "looked-at.toml", &stage.definition(TOMBSTONE, ""));
    let answer = check(stage).arg(&path).output().await.unwrap();
    workflow_id(&String::from_utf8(answer.stderr).unwrap()).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_looks_with_its_own_secrets_and_answers_without_contents() {
    let stage = stage("on-worker", 50).await;
    let address = "ada.lovelace@contacts.example";
    stage.world().mutate(LIST, &Mutation::add(address, "Ada", "Lovelace")).unwrap();
    let mut members = Vec::new();
    stage.world().each_member(LIST, |member| members.push(member.contact_id())).unwrap();
    let spoiled = Mutation::SetRaw {
        member: members.first().unwrap().clone(),
        field: "FNAME".into(),
        value: serde_json::json!({ "first": "Grace" }),
    };
    stage.world().mutate(LIST, &spoiled).unwrap();
    let _worker = stage.worker(&[]);
    let path = file(&stage, "new.toml", &stage.definition(TOMBSTONE, ""));

    let answer = check(&stage).arg(&path).output().await.unwrap();

    let (stdout, stderr) =
        (String::from_utf8(answer.stdout).unwrap(), String::from_utf8(answer.stderr).unwrap());
    assert_eq!(answer.status.code(), Some(0), "{stdout}\n{stderr}");
    assert!(stdout.contains("Newsletter, 51 rows"), "{stdout}");
    assert!(stdout.contains("xxx.xxxxxxxx@xxxxxxxx.xxxxxxx"), "a masked sample: {stdout}");
    assert!(stdout.contains("1 × object where text is expected at merge_fields.FNAME"), "{stdout}");

    let history = stage.history(workflow_id(&stderr)).await.to_json().await.unwrap();
    let mut found = Vec::new();
    payloads(&serde_json::from_slice(&history).unwrap(), &mut found);
    assert!(found.len() >= 3, "a history has payloads, or this test sees nothing");
    for payload in found {
        assert!(payload.len() <= PAYLOAD_LIMIT, "{} bytes", payload.len());
        let text = String::from_utf8_lossy(&payload);
        for secret in [MAILCHIMP_KEY, RECORD_KEY, address, "Lovelace", "Grace"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_finds_wrong_is_told_of_all_connections_at_once() {
    let stage = stage("on-worker-wrong", 20).await;
    let _worker = stage.worker(&[]);
    let good = stage.definition(TOMBSTONE, "");
    let other = |name: &str| good.replace(stage.id(), &format!("on-worker-wrong/{name}"));
    let typo = other("typo").replace("merge_fields.FNAME", "merge_fields.FNAM");
    let unset = other("unset").replace("env:ACME_MAILCHIMP_KEY", "env:NOT_SET_ANYWHERE");
    let path = file(&stage, "three.toml", &(good.clone() + &typo + &unset));

    let answer = check(&stage).arg(&path).output().await.unwrap();

    let stdout = String::from_utf8(answer.stdout).unwrap();
    assert_eq!(answer.status.code(), Some(7), "{stdout}");
    assert!(stdout.contains("`merge_fields.FNAM`, did you mean `merge_fields.FNAME`?"), "{stdout}");
    assert!(stdout.contains("NOT_SET_ANYWHERE"), "{stdout}");
    assert_eq!(stdout.matches("would not work").count(), 2, "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_it_says_so() {
    let stage = stage("on-worker-none", 1).await;
    let path = file(&stage, "new.toml", &stage.definition(TOMBSTONE, ""));
    let answer = check(&stage).arg(&path).output().await.unwrap();
    let stderr = String::from_utf8(answer.stderr).unwrap();
    assert_eq!(answer.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("no worker polls the task queue on-worker-none"), "{stderr}");
    assert!(stderr.contains("tidemark worker"), "{stderr}");
}
