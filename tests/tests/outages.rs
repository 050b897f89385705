//! What a run needs is away for a while: Temporal, the store, room on the disk.

use std::path::Path;

use tidemark_simulator::{Fault, FaultAction, Mutation, RandomKind, Side};
use tidemark_tests::{LIST, Objects, Role, SELDOM, Stage};
use tokio::process::Command;

use crate::{PROGRAM, TOMBSTONE, assert_health, stage};

const HELD: &str = "held";

#[tokio::test(flavor = "multi_thread")]
async fn temporal_crashes_in_the_middle_of_a_run() {
    let mut stage = Stage::on_own_temporal(PROGRAM, "restarted", 3_000).await;
    stage.apply_with(TOMBSTONE, "simultaneous_batches = 1").await;
    let _worker = stage.worker(&[]);
    let action = FaultAction::Hold { id: HELD.into() };
    stage.world().add_fault(Fault::next(Side::Destination, action).after(1));
    stage.ask(["start", stage.id()]).await.expect(0);
    stage.world().wait_held(HELD, 1).await;
    stage.own_temporal().kill();
    stage.world().release(HELD);
    stage.own_temporal().restart().await.unwrap();
    // Waits for the run under way, and finds nothing to do.
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
    let written = stage.world().ledger().destination.call_count;
    assert!(written <= 4, "{written} requests for three batches");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_everything_for_a_while_is_waited_for() {
    let objects = Objects::start().await;
    let stage = Stage::on_objects(PROGRAM, "refusing", 2_000, &objects).await;
    stage.apply(TOMBSTONE).await;
    let worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.world().mutate_random(LIST, RandomKind::Change, 20, 1).unwrap();
    let action = FaultAction::Hold { id: HELD.into() };
    stage.world().add_fault(Fault::next(Side::Source, action));
    let start = stage.ask(["start", stage.id(), "--wait"]);
    let outage = async {
        stage.world().wait_held(HELD, 1).await;
        objects.refuse_all(true);
        stage.world().release(HELD);
        objects.wait_refused(2).await;
        worker.wait_log("the run goes on by itself").await;
        objects.refuse_all(false);
    };
    let (answer, ()) = tokio::join!(start, outage);
    answer.expect(0);
    stage.assert_in_step();
}

/// Copies a folder with all that is in it.
async fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").args([from, to]).status().await.unwrap();
    assert!(copied.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_from_an_old_backup_is_refused_until_what_it_lost_is_accepted() {
    let stage = stage("backup", 60).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let (store, backup) = (stage.folder().join("store"), stage.folder().join("backup"));
    copy(&store, &backup).await;
    // What the backup does not know: an edit, and that a record came and is not there any more.
    // Neither health nor deadline are news by then; that something was sent is.
    let file = stage.folder().join("edited.toml");
    let edited = stage.definition(TOMBSTONE, "").replace(SELDOM, "every = \"364d\"");
    std::fs::write(&file, edited).unwrap();
    stage.ask(["apply", file.to_str().unwrap()]).await.expect(0);
    let ids =
        stage.world().mutate(LIST, &Mutation::add("ada@contacts.example", "Ada", "L")).unwrap();
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let member = ids.contact_id;
    let record = format!("newsletter:{member}");
    stage.world().mutate(LIST, &Mutation::Archive { member }).unwrap();

    std::fs::remove_dir_all(&store).unwrap();
    copy(&backup, &store).await;
    let found = stage.ask(["doctor", stage.id(), "--fix"]).await.expect(1);
    assert!(found.stdout.contains("the store went back in time"), "{}", found.stdout);
    assert!(found.stdout.contains("--resend"), "{}", found.stdout);
    assert!(
        found.stdout.contains("its schedule is not as the definition says"),
        "{}",
        found.stdout
    );
    assert!(
        found.stderr.contains("2 findings, 2 left"),
        "an older store repairs nothing: {found:?}"
    );
    let mark = stage.world().ledger().mark;
    for _ in 0..2 {
        let refused = stage.ask(["start", stage.id(), "--wait"]).await.expect(1);
        assert!(refused.stderr.contains("the store went back in time"), "{}", refused.stderr);
        assert!(refused.stderr.contains("--resend"), "{}", refused.stderr);
    }
    let ledger = stage.world().ledger_since(mark);
    assert_eq!((ledger.source.call_count, ledger.destination.call_count), (0, 0));

    // Accepted: all but what only the lost commits knew is in step, and later runs go on.
    stage.ask(["start", stage.id(), "--resend", "--wait", "--yes", "--as", "olga"]).await.expect(0);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    assert!(stage.held().remove(&record).is_some(), "nobody knew of it any more");
}

/// It never came to a commit, and its entry and all that it left in the store are gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_that_the_store_lost_is_known_to_the_schedule() {
    let stage = stage("failed", 60).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let (store, backup) = (stage.folder().join("store"), stage.folder().join("backup"));
    copy(&store, &backup).await;
    stage.world().mutate(LIST, &Mutation::add("ada@contacts.example", "Ada", "L")).unwrap();
    let action = FaultAction::Status { status: 401, title: None, retry_after: None };
    stage.world().add_fault(Fault::next(Side::Destination, action));
    stage.ask(["start", stage.id(), "--wait"]).await.expect(1);
    assert_health(&stage, "failing").await;

    std::fs::remove_dir_all(&store).unwrap();
    copy(&backup, &store).await;
    let lack = "ends with run 1, and run 2 took its number";
    let found = stage.ask(["doctor", stage.id()]).await.expect(1);
    assert!(found.stdout.contains(lack), "{}", found.stdout);
    let refused = stage.ask(["start", stage.id(), "--wait"]).await.expect(1);
    assert!(refused.stderr.contains(lack), "{}", refused.stderr);
    stage.ask(["start", stage.id(), "--resend", "--wait", "--yes", "--as", "olga"]).await.expect(0);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_not_removed_while_its_schedule_alone_knows_what_the_store_lost() {
    let stage = stage("forgotten", 5).await;
    stage.apply(TOMBSTONE).await;
    let (store, backup) = (stage.folder().join("store"), stage.folder().join("backup"));
    copy(&store, &backup).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    assert_health(&stage, "in-step").await;
    std::fs::remove_dir_all(&store).unwrap();
    copy(&backup, &store).await;

    let refused = stage.ask(["remove", stage.id(), "--yes"]).await.expect(1);
    assert!(refused.stderr.contains("the store went back in time"), "{}", refused.stderr);
    stage.ask(["get", stage.id()]).await.expect(0);
    let refused = stage.ask(["start", stage.id(), "--wait"]).await.expect(1);
    assert!(refused.stderr.contains("the store went back in time"), "{}", refused.stderr);

    let purged = stage.ask(["remove", stage.id(), "--purge", "--yes"]).await.expect(0);
    assert!(purged.stdout.contains("records that only they knew may stay"), "{}", purged.stdout);
    let gone = stage.ask(["inspect", stage.id()]).await.expect(5);
    assert!(gone.stderr.contains("nothing of forgotten/newsletter is left"), "{}", gone.stderr);
}

/// The program, in a process whose files may not grow beyond a few KiB: what writes more fails as
/// it does on a full disk.
fn on_a_full_disk(command: &Command) -> Command {
    let command = command.as_std();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", r#"trap '' XFSZ; ulimit -f 8; exec "$0" "$@""#])
        .arg(command.get_program())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_a_full_disk_sends_nothing_and_goes_on_where_there_is_room() {
    let stage = stage("full", 2_000).await;
    stage.apply(TOMBSTONE).await;
    let mut command = on_a_full_disk(&stage.command());
    command.arg("worker");
    let full = Role::spawn(command);
    let start = stage.ask(["start", stage.id(), "--wait"]);
    let story = async {
        full.wait_log("another attempt follows").await;
        assert!(stage.held().is_empty(), "nothing was sent");
        let (code, log) = full.terminate().await;
        assert_eq!(code, 0, "{log}");
        assert!(log.contains("look at the store's space"), "{log}");
        stage.worker(&[])
    };
    let (answer, _roomy) = tokio::join!(start, story);
    answer.expect(0);
    stage.assert_in_step();
}
