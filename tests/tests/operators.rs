//! What operators decide: held removals, refused records, previews, repairs, and giving a connection
//! up.

use tidemark_simulator::{Fault, FaultAction, Mutation, RejectRule, Side};
use tidemark_tests::{LIST, RECORD_KEY, Stage};

use crate::{DELETE, TOMBSTONE, assert_health, stage};

/// The contact ids of the list's members, in order.
fn members(stage: &Stage) -> Vec<String> {
    let mut members = Vec::new();
    stage.world().each_member(LIST, |member| members.push(member.contact_id())).unwrap();
    members.sort_unstable();
    members
}

fn archive(stage: &Stage, members: &[String]) {
    for member in members {
        stage.world().mutate(LIST, &Mutation::Archive { member: member.clone() }).unwrap();
    }
}

fn record_id(member: &str) -> String {
    format!("newsletter:{member}")
}

/// Asks `tidemark exceptions ID …`.
async fn exceptions(stage: &Stage, arguments: &[&str]) -> tidemark_tests::Answer {
    stage.ask(["exceptions", stage.id()].iter().chain(arguments).copied()).await
}

async fn conclusion(stage: &Stage, name: &str) -> String {
    let explained = stage.ask(["explain", stage.id(), name, "-o", "json"]).await.expect(0).json();
    explained["conclusion_text"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mass_deletion_waits_is_approved_and_is_carried_out() {
    let stage = stage("held", 40).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let members = members(&stage);
    archive(&stage, &members[..25]);

    let held = stage.ask(["start", stage.id(), "--wait"]).await.expect(4);
    assert!(held.stdout.contains("25 removals held"), "{}", held.stdout);
    assert!(held.stderr.contains(&format!("tidemark exceptions {} list", stage.id())));
    assert_eq!(stage.held().len(), 40, "nothing was removed");
    assert_health(&stage, "held").await;
    let inspected = stage.ask(["inspect", stage.id()]).await.expect(0).stdout;
    assert!(inspected.contains("25 of 40 records within 24 hours are more than half"));
    assert!(inspected.contains("list --kind held"), "{inspected}");
    assert!(conclusion(&stage, &members[3]).await.contains("its removal waits for approval"));

    // Nobody can be asked here, so nothing is decided.
    let asked = exceptions(&stage, &["approve", "--all", "--as", "eve"]).await.expect(2);
    assert!(asked.stderr.contains("Remove 25 records"), "{}", asked.stderr);
    // One by its key, one not wanted, and the rest.
    let one = exceptions(&stage, &["approve", &members[0], "--yes", "--as", "eve"]).await.expect(0);
    assert!(one.stderr.contains("by eve"), "{}", one.stderr);
    let why = ["ignore", &members[1], "--why", "kept for the audit", "--as", "eve"];
    exceptions(&stage, &why).await.expect(0);
    let inspected = stage.ask(["inspect", stage.id()]).await.expect(0).stdout;
    assert!(inspected.contains("waits for the next run"), "{inspected}");
    let held = stage.ask(["start", stage.id(), "--wait"]).await.expect(4);
    assert!(held.stdout.contains("23 removals held"), "{}", held.stdout);
    assert_eq!(stage.held().len(), 39);
    assert!(conclusion(&stage, &members[1]).await.contains("kept for the audit"));

    let all = exceptions(&stage, &["approve", "--all", "--yes", "--as", "eve", "--start"]).await;
    let all = all.expect(0);
    assert!(all.stdout.contains("all 23 held removals"), "{}", all.stdout);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    assert_health(&stage, "in-step").await;
    let left = stage.held();
    assert_eq!(left.len(), 16, "15 members and the record that is kept");
    assert!(left.contains_key(&record_id(&members[1])));
    let none = exceptions(&stage, &["approve", "--all", "--yes", "--as", "eve"]).await;
    let none = none.expect(5);
    assert!(none.stderr.contains("no such exceptions"), "{}", none.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_is_listed_accepted_and_tried_again() {
    let stage = stage("refused", 40).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let members = members(&stage);
    let (one, other) = (members[0].as_str(), members[1].as_str());
    let refused = [record_id(one), record_id(other)];
    stage.world().reject_when(RECORD_KEY, RejectRule::records(refused, 200)).unwrap();
    for member in [one, other] {
        stage.world().mutate(LIST, &Mutation::set(member, "FNAME", "Refused")).unwrap();
    }
    // Of few records two are too large a share for a run to be a green one.
    for member in &members[2..] {
        stage.world().mutate(LIST, &Mutation::set(member, "LNAME", "Changed")).unwrap();
    }
    stage.ask(["start", stage.id(), "--wait"]).await.expect(4);
    assert_health(&stage, "rejecting").await;
    let listed = exceptions(&stage, &["list", "-o", "json"]).await.expect(0).json();
    assert_eq!(listed["counts"]["rejected"], 2, "{listed}");
    assert!(conclusion(&stage, one).await.contains("refused by the destination"));
    let ignore = ["ignore", one, "--why", "theirs to mend", "--as", "eve"];
    exceptions(&stage, &ignore).await.expect(0);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(4);
    assert!(conclusion(&stage, one).await.contains("accepted by eve: theirs to mend"));

    // What is mended at the destination is tried again, and then there is nothing to try.
    stage.world().clear_rejects(RECORD_KEY).unwrap();
    let retry = exceptions(&stage, &["retry", other, "--as", "eve", "--start"]).await.expect(0);
    assert!(retry.stdout.contains("started"), "{}", retry.stdout);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    assert_health(&stage, "in-step").await;
    let again = exceptions(&stage, &["retry", other, "--as", "eve"]).await.expect(5);
    assert!(again.stderr.contains("resolved"), "{}", again.stderr);
    // The accepted one is sent when its row changes.
    stage.world().mutate(LIST, &Mutation::set(one, "FNAME", "Mended")).unwrap();
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_exactly_what_a_preview_showed_or_nothing() {
    let stage = stage("exactly", 60).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let members = members(&stage);
    let file = stage.folder().join("preview.json");
    let file = file.to_str().unwrap();
    let preview = ["preview", stage.id(), "--save", file, "-o", "json"];
    let exactly = ["start", stage.id(), "--exactly", file, "--wait", "--as", "eve"];

    stage.world().mutate(LIST, &Mutation::set(&members[0], "FNAME", "Previewed")).unwrap();
    archive(&stage, &members[1..3]);
    let mark = stage.world().ledger().mark;
    let shown = stage.ask(preview).await.expect(0).json();
    assert_eq!((&shown["push"]["changed"], &shown["push"]["removed"]), (&1.into(), &2.into()));
    assert_eq!(stage.world().ledger_since(mark).destination.call_count, 0);
    stage.ask(exactly).await.expect(0);
    stage.assert_in_step();

    // Once it is carried out, the file orders nothing more.
    stage.world().mutate(LIST, &Mutation::set(&members[5], "FNAME", "Moved")).unwrap();
    let moved = stage.ask(exactly).await.expect(2);
    assert!(moved.stderr.contains("the connection has moved on"), "{}", moved.stderr);
    // What the source did after the preview is nothing that anybody looked at.
    stage.ask(preview).await.expect(0);
    stage.world().mutate(LIST, &Mutation::set(&members[6], "FNAME", "Later")).unwrap();
    let mark = stage.world().ledger().mark;
    let other = stage.ask(exactly).await.expect(1);
    assert!(other.stderr.contains("moved on from the preview"), "{}", other.stderr);
    assert_eq!(stage.world().ledger_since(mark).destination.call_count, 0);
    let inspected = stage.ask(["inspect", stage.id(), "-o", "json"]).await.expect(0).json();
    assert_eq!(inspected["open_decisions"], serde_json::json!([]), "it was taken back");
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();

    // Everything again, and everything read.
    let records = 58;
    let asked = stage.ask(["start", stage.id(), "--resend", "--as", "eve"]).await.expect(2);
    assert!(asked.stderr.contains("Send all 58 records"), "{}", asked.stderr);
    let resend = ["start", stage.id(), "--resend", "--yes", "--full", "--wait", "--as", "eve"];
    stage.ask(resend).await.expect(0);
    let runs = stage.ask(["runs", stage.id(), "-o", "json", "--limit", "1"]).await.expect(0).json();
    let receipt = &runs[0]["receipt"];
    assert_eq!(
        (&receipt["push"]["repeated"], &receipt["full_read"]),
        (&records.into(), &true.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_goes_with_all_its_records() {
    let stage = stage("given-up", 60).await;
    stage.apply(DELETE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let members = members(&stage);
    // A record whose removal is refused keeps the connection from going.
    let stuck = record_id(&members[0]);
    stage.world().reject_when(RECORD_KEY, RejectRule::records([stuck.clone()], 200)).unwrap();
    let remove = ["remove", stage.id(), "--records", "delete", "--yes", "--as", "eve"];
    let left = stage.ask(remove).await.expect(1);
    assert!(left.stderr.contains("stays paused"), "{}", left.stderr);
    assert_eq!(stage.held().len(), 1);
    stage.world().clear_rejects(RECORD_KEY).unwrap();
    let gone = stage.ask(remove).await.expect(0);
    assert!(gone.stdout.contains("removed 1 record; the connection"), "{}", gone.stdout);
    assert!(stage.held().is_empty());
    stage.ask(["inspect", stage.id()]).await.expect(5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_destination_lost_is_found_and_sent_again() {
    const HELD: &str = "held";
    let stage = stage("repaired", 40).await;
    stage.apply_with(TOMBSTONE, "read = { path = \"/record\" }").await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let lose_everything = || {
        stage.world().remove_destination(RECORD_KEY);
        stage.world().add_destination(RECORD_KEY);
    };
    let repair = ["verify", stage.id(), "--repair", "--as", "eve", "-o", "json"];
    lose_everything();
    stage.ask(["verify", stage.id()]).await.expect(4);
    let repaired = stage.ask(repair.into_iter().chain(["--wait"])).await.expect(0).json();
    assert_eq!((&repaired["missing_count"], &repaired["repair"]), (&40.into(), &1.into()));
    let receipt = &repaired["started"]["ending"]["receipt"];
    assert_eq!(receipt["push"]["repeated"], 40, "{repaired}");
    stage.assert_in_step();

    // Whoever paused the connection says when it runs.
    stage.ask(["pause", stage.id(), "--reason", "the destination moves"]).await.expect(0);
    lose_everything();
    let ordered = stage.ask(repair).await.expect(4);
    assert!(ordered.stderr.contains("it is paused"), "{}", ordered.stderr);
    assert!(ordered.stderr.contains("tidemark start"), "{}", ordered.stderr);
    assert_eq!(ordered.json()["started"], serde_json::Value::Null);
    assert!(stage.held().is_empty());
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
    stage.ask(["resume", stage.id()]).await.expect(0);

    // A run at work does not know of the order, and the next one does.
    lose_everything();
    let action = FaultAction::Hold { id: HELD.into() };
    stage.world().add_fault(Fault::next(Side::Source, action));
    let start = stage.ask(["start", stage.id(), "--wait"]);
    let story = async {
        stage.world().wait_held(HELD, 1).await;
        let ordered = stage.ask(repair).await.expect(4);
        assert!(ordered.stderr.contains("a run is at work"), "{}", ordered.stderr);
        stage.world().release(HELD);
    };
    let (started, ()) = tokio::join!(start, story);
    started.expect(0);
    assert!(stage.held().is_empty());
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_is_shown_also_to_who_cannot_be_asked_about_its_repair() {
    let stage = stage("surplus", 40).await;
    stage.apply_with(DELETE, "read = { path = \"/record\" }").await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    // The destination says that the record is gone already, and has it all the same.
    let action = FaultAction::Status { status: 404, title: None, retry_after: None };
    stage.world().add_fault(Fault::next(Side::Destination, action).method("DELETE"));
    archive(&stage, &members(&stage)[..1]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    assert_eq!(stage.held().len(), 40);

    let repair = ["verify", stage.id(), "--repair", "--as", "eve", "-o", "json"];
    let asked = stage.ask(repair).await.expect(2);
    assert!(asked.stderr.contains("remove 1 record that only the"), "{}", asked.stderr);
    let found = asked.json();
    assert_eq!((&found["surplus_count"], &found["equal_count"]), (&1.into(), &39.into()));
    assert_eq!(found["repair"], serde_json::Value::Null);
    stage.ask(["verify", stage.id()]).await.expect(4);

    stage.ask(repair.into_iter().chain(["--yes", "--wait"])).await.expect(0);
    stage.assert_in_step();
}
