//! Start, restart, stop, in one process.

use temporalio_client::WorkflowCountOptions;
use temporalio_client::schedules::{CreateScheduleOptions, ScheduleAction, ScheduleSpec};
use temporalio_common::UntypedWorkflow;
use temporalio_common::data_converters::RawValue;
use tidemark_devserver::{DevServerError, TemporalServer};

use super::{cli, client, lives};

const ATTRIBUTES: &[(&str, &str)] = &[("ConnectionId", "Keyword"), ("LagDeadline", "Datetime")];

#[tokio::test]
async fn starts_with_its_namespace_and_attributes_and_goes() {
    let mut server = TemporalServer::options(cli().await)
        .namespace("tidemark-test")
        .search_attributes(ATTRIBUTES)
        .start()
        .await
        .unwrap();
    let pid = server.pid().expect("it runs");
    let folder = server.folder().to_owned();

    assert_eq!(server.namespace(), "tidemark-test");
    assert_eq!(server.ui_url(), None);
    assert!(lives(pid));
    let query = "ConnectionId = 'a/b' AND LagDeadline < '2026-01-01T00:00:00Z'";
    let counted =
        client(&server).await.count_workflows(query, WorkflowCountOptions::default()).await;
    assert_eq!(counted.unwrap().count(), 0);

    server.stop().await;
    assert_eq!(server.pid(), None);
    assert!(!lives(pid), "the process is gone");
    assert!(folder.join("temporal.db").exists(), "stopping keeps the state");
    drop(server);
    assert!(!folder.exists(), "the temporary folder went with the server");
}

#[tokio::test]
async fn state_survives_restart_and_crash() {
    let mut server =
        TemporalServer::options(cli().await).search_attributes(ATTRIBUTES).start().await.unwrap();
    let address = server.address();
    let action = ScheduleAction::start_workflow(
        UntypedWorkflow::new("never-run"),
        RawValue::empty(),
        "no-queue",
        "never",
    );
    let options = CreateScheduleOptions::builder()
        .action(action)
        .spec(ScheduleSpec::from_interval(std::time::Duration::from_hours(1)))
        .build();
    client(&server).await.create_schedule("acme/newsletter", options).await.unwrap();

    let first = server.pid().unwrap();
    server.restart().await.unwrap();
    let second = server.pid().unwrap();
    assert_ne!(first, second);
    assert!(!lives(first));
    assert_eq!(server.address(), address);
    let handle = client(&server).await.get_schedule_handle("acme/newsletter");
    handle.describe(Default::default()).await.expect("it is there after a restart");

    server.kill();
    assert!(!lives(second));
    assert_eq!(server.pid(), None);
    server.restart().await.unwrap();
    let handle = client(&server).await.get_schedule_handle("acme/newsletter");
    handle.describe(Default::default()).await.expect("it is there after a crash");
}

#[tokio::test]
async fn serves_the_web_ui_from_a_folder_that_stays() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("new").join("state");
    let options = TemporalServer::options(cli().await).folder(&state).ui(true);
    let server = options.clone().start().await.unwrap();

    let url = server.ui_url().expect("it was asked for");
    let authority = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(authority).await.unwrap();
    let request = format!("GET / HTTP/1.0\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(answer.to_lowercase().contains("<!doctype html>"), "{answer}");

    match options.start().await {
        Err(DevServerError::FolderInUse { path }) => {
            assert_eq!(path, state.canonicalize().unwrap());
        }
        other => panic!("two servers on one database: {other:?}"),
    }
    let pid = server.pid().unwrap();
    drop(server);
    assert!(!lives(pid));
    assert!(state.join("temporal.db").exists(), "a folder that was named stays");
}
