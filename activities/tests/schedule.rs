//! The schedule layer: what it says must be what the server then does.

use std::time::Duration;

use jiff::Timestamp;
use temporalio_client::{
    Client, NamespacedClient as _, WorkflowTerminateOptions, tonic::IntoRequest as _,
};
use temporalio_common::{
    UntypedWorkflow,
    protos::temporal::api::{
        schedule::v1::{Schedule, schedule_action},
        workflow::v1::NewWorkflowExecutionInfo,
        workflowservice::v1::{DescribeScheduleRequest, UpdateScheduleRequest},
    },
};
use tidemark_model::{
    definition::{Definition, SourceText, parse},
    ids::{AccountId, ConnectionId},
    step::Known,
};
use tidemark_schedules::{
    Created, Listed, Pause, Projection, ProjectionSettings, Published, RunRef, ScheduleClient,
    ScheduleError, ScheduleFilter, Standing, Undo,
};
use tidemark_workflows::health::Health;

use crate::server::client;

fn definition(id: &str, when: &str) -> Definition {
    let text = format!(
        r#"
        [[connection]]
        id = "{id}"
        {when}
        [connection.source]
        kind = "mailchimp"
        api_key = "env:KEY"
        list_id = "a1b2c3"
        [connection.destination]
        kind = "record-api"
        url = "https://data.internal/record"
        api_key = "env:KEY"
        delete = {{ tombstone = "deleted" }}
        [connection.record]
        id = "contact_id"
        email = "email_address"
        [connection.policy]
        deletions = "propagate"
        "#
    );
    let file = SourceText { name: "test.toml".to_owned(), text };
    parse(&[file], &[]).expect("the definition is valid").remove(0)
}

/// Hours away from any tick, so that nothing runs that the test did not start.
fn projection(id: &str, version: u32) -> Projection {
    Projection::new(&definition(id, "every = \"365d\""), version, &ProjectionSettings::default())
}

fn standing(health: Health) -> Standing {
    Standing {
        health,
        synced_through: Some("2026-11-21T10:00:00Z".parse().unwrap()),
        lag_deadline: "2026-11-21T13:00:00Z".parse().unwrap(),
        known: Known::default(),
    }
}

fn tagged(reason: &str, tag: &str) -> Pause {
    Pause { tag: Some(tag.to_owned()), ..Pause::new(reason) }
}

async fn created(id: &str) -> (Client, ScheduleClient, ConnectionId) {
    let client = client().await;
    let schedules = ScheduleClient::new(&client);
    let made = schedules.create(&projection(id, 1), &standing(Health::New)).await.unwrap();
    assert_eq!(made, Created::Created);
    (client, schedules, ConnectionId::new(id).unwrap())
}

/// Visibility is a second behind; the schedule is looked for until it is as expected.
async fn listed(
    schedules: &ScheduleClient,
    connection: &ConnectionId,
    expected: impl Fn(&Listed) -> bool,
) -> Listed {
    let filter =
        ScheduleFilter { connections: vec![connection.clone()], ..ScheduleFilter::default() };
    let look = async {
        loop {
            let mut found = schedules.list(&filter).await.unwrap();
            if found.first().is_some_and(&expected) {
                break found.remove(0);
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.expect("visibility catches up")
}

/// Ends a run that no worker will ever take.
async fn terminate(client: &Client, run: &RunRef) {
    let handle = client.get_workflow_handle::<UntypedWorkflow>(&run.workflow_id);
    handle.terminate(WorkflowTerminateOptions::default()).await.unwrap();
}

#[tokio::test]
async fn a_schedule_is_what_the_projection_says() {
    let (client, schedules, id) = created("shape/every").await;

    let description = schedules.describe(&id).await.unwrap();

    assert!(description.matches(&projection("shape/every", 1)));
    assert!(!description.matches(&projection("shape/every", 2)), "another version is another one");
    assert_eq!(description.attributes.health, Some(Health::New));
    assert_eq!(description.attributes.account, Some(AccountId::new("shape").unwrap()));
    assert_eq!(description.attributes.source_kind.as_deref(), Some("mailchimp"));
    assert_eq!(description.attributes.lag_deadline, Some(standing(Health::New).lag_deadline));
    assert!(!description.paused);
    let first = description.next_at.first().copied().expect("it ticks");
    assert!(first > Timestamp::now());
    let priority = started(&mut held(&client, &id).await).priority.take().expect("it has one");
    assert_eq!(priority.fairness_key, "shape", "accounts share the workers");
    let again =
        schedules.create(&projection("shape/every", 1), &standing(Health::New)).await.unwrap();
    assert_eq!(again, Created::Exists);
}

#[tokio::test]
async fn cron_with_a_time_zone_matches_what_the_server_makes_of_it() {
    let schedules = ScheduleClient::new(&client().await);
    let settings = ProjectionSettings::default();
    let cron = |expression: &str| {
        let when = format!("cron = \"{expression}\"\ntimezone = \"Europe/Berlin\"");
        Projection::new(&definition("shape/cron", &when), 1, &settings)
    };
    let id = ConnectionId::new("shape/cron").unwrap();
    schedules.create(&cron("0 7 * * 1-5"), &standing(Health::New)).await.unwrap();

    let description = schedules.describe(&id).await.unwrap();
    assert!(description.matches(&cron("0 7 * * 1-5")));
    assert!(!description.matches(&cron("0 8 * * 1-5")));

    schedules.update(&cron("0 8 * * 1-5"), &standing(Health::New)).await.unwrap();
    assert!(schedules.describe(&id).await.unwrap().matches(&cron("0 8 * * 1-5")));
}

#[tokio::test]
async fn whatever_is_edited_by_hand_is_seen() {
    type Edit = fn(&mut Schedule);
    let (client, schedules, id) = created("shape/edited").await;
    let projection = projection("shape/edited", 1);
    let name = tidemark_workflows::names::schedule_id(&id);
    let namespace = client.namespace();
    let edits: [(&str, Edit); 9] = [
        ("another queue", |schedule| {
            started(schedule).task_queue.as_mut().unwrap().name = "nobody-polls".to_owned();
        }),
        ("another workflow", |schedule| {
            started(schedule).workflow_type.as_mut().unwrap().name = "Nothing".to_owned();
        }),
        ("another workflow id", |schedule| started(schedule).workflow_id.push('x')),
        ("an input that is none", |schedule| started(schedule).input = None),
        ("another connection's input", |schedule| {
            let payload = &mut started(schedule).input.as_mut().unwrap().payloads[0];
            let text = std::str::from_utf8(&payload.data).unwrap();
            payload.data = text.replace("shape/edited", "shape/other").into();
        }),
        ("a time limit of runs", |schedule| {
            started(schedule).workflow_run_timeout =
                Some(Duration::from_mins(1).try_into().unwrap());
        }),
        // So are schedules that were made before runs had one.
        ("no fairness key", |schedule| started(schedule).priority = None),
        ("an end", |schedule| {
            let spec = schedule.spec.as_mut().unwrap();
            spec.end_time = Some(std::time::SystemTime::now().into());
        }),
        ("a number of runs", |schedule| {
            let state = schedule.state.as_mut().unwrap();
            (state.limited_actions, state.remaining_actions) = (true, 1);
        }),
    ];
    for (what, edit) in edits {
        let mut schedule = held(&client, &id).await;
        edit(&mut schedule);
        let update = UpdateScheduleRequest {
            namespace: namespace.clone(),
            schedule_id: name.clone(),
            schedule: Some(schedule),
            request_id: what.to_owned(),
            ..UpdateScheduleRequest::default()
        };
        let mut service = client.connection().workflow_service();
        service.update_schedule(update.into_request()).await.unwrap();
        assert!(!schedules.describe(&id).await.unwrap().matches(&projection), "{what}");
        schedules.update(&projection, &standing(Health::InStep)).await.unwrap();
        assert!(schedules.describe(&id).await.unwrap().matches(&projection), "{what}, mended");
    }
}

/// The schedule as the server holds it.
async fn held(client: &Client, connection: &ConnectionId) -> Schedule {
    let describe = DescribeScheduleRequest {
        namespace: client.namespace(),
        schedule_id: tidemark_workflows::names::schedule_id(connection),
    };
    let mut service = client.connection().workflow_service();
    let seen = service.describe_schedule(describe.into_request()).await.unwrap().into_inner();
    seen.schedule.unwrap()
}

/// The runs that a schedule starts.
fn started(schedule: &mut Schedule) -> &mut NewWorkflowExecutionInfo {
    let Some(schedule_action::Action::StartWorkflow(started)) =
        schedule.action.as_mut().and_then(|action| action.action.as_mut())
    else {
        panic!("it starts no run");
    };
    started
}

#[tokio::test]
async fn an_update_keeps_the_pause_and_its_note() {
    let (_, schedules, id) = created("update/keeps-pause").await;
    let pause = tagged("the key is being changed", "key");
    schedules.pause(&id, &pause).await.unwrap();

    schedules
        .update(&projection("update/keeps-pause", 2), &standing(Health::InStep))
        .await
        .unwrap();

    let description = schedules.describe(&id).await.unwrap();
    assert!(description.matches(&projection("update/keeps-pause", 2)));
    assert!(description.paused);
    assert_eq!(description.pauses(), [pause]);
    let listed =
        listed(&schedules, &id, |one| one.paused && one.attributes.health == Some(Health::InStep))
            .await;
    assert_eq!(listed.pauses(), description.pauses());
}

#[tokio::test]
async fn publishing_on_an_older_look_does_not_undo_a_pause() {
    let (_, schedules, id) = created("publish/stale").await;
    let seen = schedules.describe(&id).await.unwrap();
    let pause = Pause::new("in between");
    schedules.pause(&id, &pause).await.unwrap();

    let published = schedules
        .publish(&projection("publish/stale", 1), &standing(Health::Failing), &seen)
        .await
        .unwrap();

    assert!(matches!(published, Published::Sent | Published::Stale));
    let after = schedules.describe(&id).await.unwrap();
    assert_eq!(after.pauses(), [pause], "the pause stands");
    assert_eq!(after.attributes.health, Some(Health::New), "the publication was dropped");
}

#[tokio::test]
async fn publishing_shows_in_lists_and_keeps_a_pause() {
    let (_, schedules, id) = created("publish/shows").await;
    let pause = Pause::new("before");
    schedules.pause(&id, &pause).await.unwrap();
    let seen = schedules.describe(&id).await.unwrap();

    schedules
        .publish(&projection("publish/shows", 1), &standing(Health::InStepExcept), &seen)
        .await
        .unwrap();

    let listed =
        listed(&schedules, &id, |one| one.attributes.health == Some(Health::InStepExcept)).await;
    assert_eq!(listed.pauses(), [pause]);
    assert_eq!(listed.attributes.synced_through, standing(Health::New).synced_through);
}

#[tokio::test]
async fn publishing_for_a_removed_connection_is_no_error() {
    let (_, schedules, id) = created("publish/gone").await;
    let seen = schedules.describe(&id).await.unwrap();
    schedules.delete(&id).await.unwrap();
    schedules.delete(&id).await.unwrap();
    let gone = schedules.describe(&id).await.unwrap_err();
    assert!(matches!(gone, ScheduleError::NotFound { .. }), "{gone}");

    let published = schedules
        .publish(&projection("publish/gone", 1), &standing(Health::New), &seen)
        .await
        .unwrap();

    assert_eq!(published, Published::Gone);
}

#[tokio::test]
async fn a_paused_schedule_runs_once_when_triggered_and_stays_paused() {
    let (client, schedules, id) = created("trigger/paused").await;
    let pause = tagged("the provider moves house", "move");
    schedules.pause(&id, &pause).await.unwrap();

    let trigger = schedules.trigger(&id).await.unwrap();
    let run = schedules.wait_triggered(&trigger).await.unwrap();

    assert_eq!(trigger.waits_for, None);
    assert!(run.run.workflow_id.starts_with("sync/trigger/paused-"), "{:?}", run.run);
    let after = schedules.describe(&id).await.unwrap();
    assert!(after.paused);
    assert_eq!(after.pauses(), [pause]);
    terminate(&client, &run.run).await;
}

#[tokio::test]
async fn a_trigger_waits_for_the_run_that_is_under_way() {
    let (client, schedules, id) = created("trigger/waits").await;
    let first = schedules.trigger(&id).await.unwrap();
    let first = schedules.wait_triggered(&first).await.unwrap();

    let second = schedules.trigger(&id).await.unwrap();
    assert_eq!(second.waits_for, Some(first.run.clone()));
    assert_eq!(schedules.triggered(&second).await.unwrap(), None);
    let third = schedules.trigger(&id).await.unwrap();

    terminate(&client, &first.run).await;
    let run = schedules.wait_triggered(&second).await.unwrap();
    assert_ne!(run.run.run_id, first.run.run_id);
    assert_eq!(schedules.wait_triggered(&third).await.unwrap().run, run.run, "two share one run");
    terminate(&client, &run.run).await;
}

#[tokio::test]
async fn a_tag_undoes_exactly_its_own_pause() {
    let (_, schedules, id) = created("pause/tags").await;
    let by_hand = Pause::new("the owner asked for it");
    let maintenance = tagged("maintenance", "spring");
    schedules.pause(&id, &by_hand).await.unwrap();
    schedules.pause(&id, &maintenance).await.unwrap();
    schedules.pause(&id, &maintenance).await.unwrap();

    let other = Undo::Tag("autumn".to_owned());
    let after = schedules.resume(&id, &other, &Pause::new("resumed")).await.unwrap();
    assert_eq!(after.pauses(), [by_hand.clone(), maintenance]);

    let after = schedules
        .resume(&id, &Undo::Tag("spring".to_owned()), &Pause::new("resumed"))
        .await
        .unwrap();
    assert_eq!(after.pauses(), [by_hand], "the older pause holds");

    let since = Some("2026-11-21T12:00:00Z".parse().unwrap());
    let note = Pause { since, ..Pause::new("resumed by hand") };
    let after = schedules.resume(&id, &Undo::All, &note).await.unwrap();
    assert!(!after.paused);
    assert_eq!(after.note, "resumed by hand [since: 2026-11-21T12:00:00Z]");
    assert_eq!(after.resumed_at(), since);
}

#[tokio::test]
async fn pauses_triggers_and_publications_at_once_lose_nothing() {
    let (client, schedules, id) = created("race/all").await;
    let (one, two) = (tagged("one", "one"), tagged("two", "two"));
    let publish = async {
        for _ in 0..10 {
            // As a worker does it: a publication that fails is given up.
            let Ok(seen) = schedules.describe(&id).await else { continue };
            let published = schedules
                .publish(&projection("race/all", 1), &standing(Health::InStep), &seen)
                .await;
            assert!(!matches!(published, Err(ScheduleError::Refused { .. })), "{published:?}");
        }
    };
    let start = async {
        let trigger = schedules.trigger(&id).await.unwrap();
        schedules.wait_triggered(&trigger).await.unwrap()
    };

    let (first, second, run, ()) =
        tokio::join!(schedules.pause(&id, &one), schedules.pause(&id, &two), start, publish);

    first.unwrap();
    second.unwrap();
    terminate(&client, &run.run).await;
    let mut tags: Vec<_> =
        schedules.describe(&id).await.unwrap().pauses().into_iter().map(|one| one.tag).collect();
    tags.sort();
    assert_eq!(tags, [Some("one".to_owned()), Some("two".to_owned())]);
}

#[tokio::test]
async fn lists_hold_what_was_asked_for() {
    let (_, schedules, id) = created("listing/one").await;
    let other = projection("listing/two", 1);
    schedules.create(&other, &standing(Health::Failing)).await.unwrap();
    let second = ConnectionId::new("listing/two").unwrap();
    listed(&schedules, &id, |_| true).await;
    listed(&schedules, &second, |_| true).await;

    let account = vec![AccountId::new("listing").unwrap()];
    let all = ScheduleFilter { accounts: account.clone(), ..ScheduleFilter::default() };
    let failing = ScheduleFilter {
        accounts: account,
        health: vec![Health::Failing],
        paused: Some(false),
        ..ScheduleFilter::default()
    };
    let ids =
        |listed: Vec<Listed>| listed.into_iter().map(|one| one.connection).collect::<Vec<_>>();

    assert_eq!(ids(schedules.list(&all).await.unwrap()), [id, second.clone()]);
    assert_eq!(ids(schedules.list(&failing).await.unwrap()), [second]);
}

/// The command line runs many of these side by side on a thread pool.
#[test]
fn calls_can_be_spawned() {
    fn sendable<T: Send>(_: &T) {}
    fn check(schedules: &ScheduleClient, projection: &Projection, id: &ConnectionId) {
        sendable(&schedules.update(projection, &standing(Health::New)));
        sendable(&schedules.trigger(id));
        sendable(&schedules.pause(id, &Pause::default()));
        sendable(&schedules.resume(id, &Undo::All, &Pause::default()));
    }
    let _ = check;
}
