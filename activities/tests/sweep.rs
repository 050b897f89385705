//! The sweep on a real server: its schedule, its workflow, and its end.

use std::time::Duration;

use temporalio_client::{
    Client, NamespacedClient as _, WorkflowGetResultOptions, WorkflowStartOptions,
    errors::WorkflowGetResultError, tonic::IntoRequest as _,
};
use temporalio_common::{
    error::IncomingError,
    protos::temporal::api::{
        schedule::v1::{SchedulePatch, schedule_action},
        workflowservice::v1::{
            DescribeScheduleRequest, DescribeScheduleResponse, PatchScheduleRequest,
        },
    },
};
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use tidemark_activities::sweep::{EnsuredSchedule, SweepActivities, ensure_schedule};
use tidemark_engine::{
    definitions::{self, StoredDefinition},
    store::Store,
};
use tidemark_model::{
    definition::{SourceText, parse},
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
};
use tidemark_schedules::{ProjectionSettings, ScheduleClient, ScheduleFilter};
use tidemark_workflows::{
    names::SWEEP_ID,
    sweep::{SweepRequest, SweepStore, SweepSummary},
};
use tokio_util::sync::CancellationToken;

use crate::server::{client, client_of, start};

async fn describe(client: &Client) -> DescribeScheduleResponse {
    let request =
        DescribeScheduleRequest { namespace: client.namespace(), schedule_id: SWEEP_ID.to_owned() };
    let mut service = client.connection().workflow_service();
    service.describe_schedule(request.into_request()).await.unwrap().into_inner()
}

async fn pause(client: &Client) {
    let patch = SchedulePatch { pause: "for a restore".to_owned(), ..SchedulePatch::default() };
    let request = PatchScheduleRequest {
        namespace: client.namespace(),
        schedule_id: SWEEP_ID.to_owned(),
        patch: Some(patch),
        ..PatchScheduleRequest::default()
    };
    client.connection().workflow_service().patch_schedule(request.into_request()).await.unwrap();
    while !describe(client).await.schedule.unwrap().state.unwrap().paused {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_schedule_is_made_once_and_is_no_connections() {
    // A server of its own: there is one such schedule in a namespace.
    let server = start().await;
    let client = client_of(&server).await;
    tidemark_activities::setup::ensure_search_attributes(&client).await.unwrap();
    let settings = ProjectionSettings::default();

    assert_eq!(ensure_schedule(&client, &settings).await.unwrap(), EnsuredSchedule::Created);
    assert_eq!(ensure_schedule(&client, &settings).await.unwrap(), EnsuredSchedule::Present);
    pause(&client).await;
    let other = ProjectionSettings { task_queue: "other".to_owned(), ..settings };
    assert_eq!(ensure_schedule(&client, &other).await.unwrap(), EnsuredSchedule::Updated);
    let queue = |described: DescribeScheduleResponse| {
        let action = described.schedule.unwrap().action.unwrap().action;
        let Some(schedule_action::Action::StartWorkflow(info)) = action else {
            panic!("it starts a workflow")
        };
        info.task_queue.unwrap().name
    };
    while queue(describe(&client).await) != "other" {
        tokio::task::yield_now().await;
    }
    assert_eq!(ensure_schedule(&client, &other).await.unwrap(), EnsuredSchedule::Present);
    let state = describe(&client).await.schedule.unwrap().state.unwrap();
    assert!(state.paused, "a pause is the operator's");

    let listed = ScheduleClient::new(&client).list(&ScheduleFilter::default()).await.unwrap();
    assert!(listed.is_empty(), "{listed:?}");
}

/// A store with connections that never ran, and one whose definition is damaged.
async fn store(damaged: bool) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("file://{}", folder.path().display())).unwrap();
    for name in ["a", "b", "c"] {
        let text = format!(
            r#"
            [[connection]]
            id = "acme/{name}"
            every = "1h"
            [connection.source]
            kind = "mailchimp"
            api_key = "env:KEY"
            list_id = "a1b2c3"
            [connection.destination]
            kind = "record-api"
            url = "https://data.internal/{name}"
            api_key = "env:KEY"
            [connection.record]
            id = "contact_id"
            [connection.policy]
            deletions = "keep"
            "#
        );
        let file = SourceText { name: "test.toml".to_owned(), text };
        let version = StoredDefinition {
            version: 1,
            applied_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            definition: Some(parse(&[file], &[]).unwrap().remove(0)),
            same_destination: false,
        };
        let id = ConnectionId::new(&format!("acme/{name}")).unwrap();
        definitions::put(&store.connection(&id), version).await.unwrap();
    }
    if damaged {
        let id = ConnectionId::new("acme/b").unwrap();
        let path = "definitions/0000000001.json";
        store.connection(&id).write(path, b"{".to_vec().into(), 0).await.unwrap();
    }
    (folder, store)
}

async fn swept(queue: &str, store: Store) -> Result<SweepSummary, WorkflowGetResultError> {
    let client = client().await;
    let activities =
        SweepActivities::new(store, Duration::from_millis(100), CancellationToken::new());
    let runtime = Runtime::from_current_tokio(Default::default()).unwrap();
    let options = WorkerOptions::new(queue)
        .register_workflow::<SweepStore>()
        .unwrap()
        .register_activities(activities)
        .build();
    let mut worker = Worker::new(&runtime, client.clone(), options).unwrap();
    let stop = worker.shutdown_handle();
    let sweep = async {
        let request = SweepRequest::new(Duration::from_secs(20));
        let options = WorkflowStartOptions::new(queue, queue).build();
        let handle = client.start_workflow(SweepStore::run, request, options).await.unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        stop();
        result
    };
    let (ran, result) = tokio::join!(worker.run(), sweep);
    ran.unwrap();
    result
}

#[tokio::test]
async fn every_connection_of_the_store_is_swept() {
    let (_folder, store) = store(false).await;
    let summary = swept("sweep-all", store).await.unwrap();
    assert_eq!(summary, SweepSummary { connections: 3, ..SweepSummary::default() });
}

#[tokio::test]
async fn a_damaged_connection_fails_the_sweep_once_all_others_are_swept() {
    let (_folder, store) = store(true).await;
    let failed = swept("sweep-damaged", store).await.unwrap_err();
    let WorkflowGetResultError::Failed(error) = failed else { panic!("it failed: {failed:?}") };
    let IncomingError::Application(application) = *error else { panic!("as an application") };
    assert_eq!(application.type_name(), Some("corrupt"));
    let text = application.to_string();
    assert!(text.contains("acme/b") && text.contains("tidemark sweep acme/b"), "{text}");
    let summary: SweepSummary = application.details().unwrap().unwrap();
    assert_eq!((summary.connections, summary.refused_count), (2, 1));
}

#[test]
fn a_summary_stays_small_however_much_is_damaged() {
    let mut summary = SweepSummary::default();
    let failure = Failure::new(FailureKind::Corrupt, Side::Platform, "ä".repeat(10_000));
    for number in 0..10_000 {
        let id = ConnectionId::new(&format!("acme/list-{number}")).unwrap();
        summary.refuse(&id, &failure);
    }
    assert_eq!(summary.refused_count, 10_000);
    assert!(serde_json::to_vec(&summary).unwrap().len() < 2_048);
}
