//! `watch` beside a run: it ends with it, it can be left, it outlasts a connection that drops, and
//! it says when Temporal falls silent.

use tidemark_simulator::{Fault, FaultAction, Mutation, RandomKind, RejectRule, Side};
use tidemark_tests::{Following, LIST, Line, RECORD_KEY, Stage};

use crate::{TOMBSTONE, stage};

const HELD: &str = "held";

/// Starts a run that waits for the source.
async fn start_held(stage: &Stage) {
    let action = FaultAction::Hold { id: HELD.into() };
    stage.world().add_fault(Fault::next(Side::Source, action));
    stage.ask(["start", stage.id()]).await.expect(0);
    stage.world().wait_held(HELD, 1).await;
}

/// `watch`, once it shows what the run does. `address` is where it finds Temporal.
async fn watch(stage: &Stage, address: Option<String>) -> Following {
    let mut command = stage.command();
    command.envs(address.map(|address| ("TEMPORAL_ADDRESS", address))).args(["watch", stage.id()]);
    let mut watch = Following::spawn(command);
    watch.wait_told(&format!("{}: read", stage.id())).await;
    watch
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_ends_with_the_run_and_its_exit_code_is_that_of_the_run() {
    let stage = stage("watched", 60).await;
    stage.apply(TOMBSTONE).await;
    let none = stage.ask(["watch", stage.id()]).await.expect(5);
    assert!(none.stderr.contains("no run of watched/newsletter is under way"), "{}", none.stderr);
    let _worker = stage.worker(&[]);

    start_held(&stage).await;
    let attached = watch(&stage, None).await;
    stage.world().release(HELD);
    let answer = attached.ended().await.expect(0);
    assert!(answer.stdout.contains("in_step: 60 added"), "{}", answer.stdout);
    stage.assert_in_step();

    // A record that is refused, among many that are not.
    let mut members = Vec::new();
    stage.world().each_member(LIST, |member| members.push(member.contact_id())).unwrap();
    let refused = [format!("newsletter:{}", members[0])];
    stage.world().reject_when(RECORD_KEY, RejectRule::records(refused, 200)).unwrap();
    for member in &members {
        stage.world().mutate(LIST, &Mutation::set(member, "FNAME", "Changed")).unwrap();
    }
    start_held(&stage).await;
    let attached = watch(&stage, None).await;
    stage.world().release(HELD);
    let answer = attached.ended().await.expect(4);
    assert!(answer.stdout.contains("in_step_except: "), "{}", answer.stdout);
    assert!(answer.stdout.contains("1 rejected"), "{}", answer.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_at_work_has_not_ended_and_may_carry_out_what_was_decided() {
    const SENDING: &str = "sending";
    const DECIDED: &str = "read the whole list; waits for the run under way or the next one";
    let stage = stage("atwork", 40).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.world().mutate_random(LIST, RandomKind::Change, 5, 1).unwrap();
    let sending = FaultAction::Hold { id: SENDING.into() };
    stage.world().add_fault(Fault::next(Side::Destination, sending));
    let reading = FaultAction::Hold { id: HELD.into() };
    stage.world().add_fault(Fault::next(Side::Source, reading));

    let start = stage.ask(["start", stage.id(), "--full", "--wait", "--as", "eve"]);
    let story = async {
        for held in [HELD, SENDING] {
            stage.world().wait_held(held, 1).await;
            let known = stage.ask(["inspect", stage.id()]).await.expect(0).stdout;
            assert!(known.contains(DECIDED), "{held}: {known}");
            assert!(!known.contains("unfinished"), "{held}: {known}");
            stage.world().release(held);
        }
    };
    let (answer, ()) = tokio::join!(start, story);
    answer.expect(0);
    let known = stage.ask(["inspect", stage.id()]).await.expect(0).stdout;
    assert!(!known.contains("waits for"), "{known}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_run_is_told_that_no_worker_takes_it_up() {
    let stage = stage("alone", 5).await;
    stage.apply(TOMBSTONE).await;
    let mut command = stage.command();
    command.args(["start", stage.id(), "--wait"]);
    let mut start = Following::spawn(command);
    start.wait_told(&format!("{}: waits for a worker", stage.id())).await;
    let _worker = stage.worker(&[]);
    start.ended().await.expect(0);
    stage.assert_in_step();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_watching_leaves_the_run_going() {
    let stage = stage("left", 60).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    start_held(&stage).await;

    let left = watch(&stage, None).await;
    left.interrupt().await;
    let answer = left.ended().await.expect(0);
    assert!(answer.stderr.contains("the run of left/newsletter goes on"), "{}", answer.stderr);
    assert_eq!(answer.stdout, "");

    // It is there to be watched, and it ends by itself.
    let attached = watch(&stage, None).await;
    stage.world().release(HELD);
    attached.ended().await.expect(0);
    stage.assert_in_step();
    let runs = stage.ask(["runs", stage.id(), "-o", "json"]).await.expect(0).json();
    let outcomes: Vec<_> = runs.as_array().unwrap().iter().map(|run| &run["outcome"]).collect();
    assert_eq!(outcomes, ["in_step"], "{runs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_told_to_who_watches() {
    let stage = stage("silent", 60).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.world().mutate_random(LIST, RandomKind::Change, 20, 1).unwrap();
    start_held(&stage).await;

    let line = Line::to(stage.temporal_address()).await;
    let attached = watch(&stage, Some(line.url())).await;
    line.cut();
    // The message names the limit, which is what this test is about. That it is kept is not
    // measured, only that it ends long before anything else would end it.
    let in_time = std::time::Duration::from_secs(30);
    let answer = tokio::time::timeout(in_time, attached.ended()).await.expect("it gives up");
    let answer = answer.expect(6);
    let said = format!("temporal at {} does not answer within 4 seconds", line.url());
    assert!(answer.stderr.contains(&said), "{}", answer.stderr);
    assert_eq!(answer.stdout, "");

    stage.world().release(HELD);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_notices_nothing_of_a_connection_that_drops() {
    let stage = stage("dropped", 60).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    start_held(&stage).await;

    let line = Line::to(stage.temporal_address()).await;
    let attached = watch(&stage, Some(line.url())).await;
    // One beside it gives up at the limit of a silence: the first has then waited for longer than
    // the client repeats a request.
    let other = Line::to(stage.temporal_address()).await;
    let beside = watch(&stage, Some(other.url())).await;
    other.cut();
    beside.ended().await.expect(6);

    line.hang_up();
    stage.world().release(HELD);
    let answer = attached.ended().await.expect(0);
    assert!(answer.stdout.contains("in_step: 60 added"), "{}", answer.stdout);
    stage.assert_in_step();
}
