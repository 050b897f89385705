//! What a sweep keeps, what it deletes, and when it deletes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::FutureExt;
use tidemark_engine::{
    log::Log,
    port::{Clock, Host},
    run::{Swept, Tally, exceptions, sweep, sweepable},
};
use tidemark_model::{
    entry::{Committed, Owner, RunNumber},
    exception::Verdict,
    failure::FailureKind,
    progress::Stage,
    receipt::Outcome,
    step::{CommitRequest, EndedRun, ReadOutcome},
};
use tokio::task::yield_now;

use crate::support::{Fault, FaultAt, Shown, TestHost, World, definition_toml};

/// What happens to an object.
type Damage = fn(Vec<u8>) -> Vec<u8>;

const DAY: Duration = Duration::from_hours(24);

/// Short times, so that a test sees them pass.
const POLICY: &str = r#"keep_commits = 3
        keep_raw = "2d"
        deadline = "1h""#;

/// A connection with so many commits, an hour apart. Each changes a record, and one is refused
/// throughout.
async fn committed(count: u32) -> World {
    let world = World::with_policy(POLICY).await;
    world.destination().state().refuses.insert("newsletter:bad".to_owned());
    world.listing.put("bad", "x");
    for number in 0..count {
        world.listing.put("a", &number.to_string());
        world.listing.put(&format!("k{number}"), "x");
        world.run().await.receipt();
        world.hour();
    }
    world
}

/// All that the newest commits name, whoever wrote it.
async fn named(world: &World, count: usize) -> BTreeSet<String> {
    let recent = Log::open(&world.folder()).await.unwrap().recent(count).await.unwrap();
    let mut named = BTreeSet::new();
    for entry in recent {
        let Committed { manifest, number, owner, .. } = entry.committed.unwrap();
        let files = manifest.snapshot.ranges.iter().map(|range| &range.file);
        let deltas = manifest.snapshot.deltas.iter().map(|delta| &delta.file);
        let files = files.chain(deltas).chain(&manifest.exceptions);
        named.extend(files.map(|file| file.path.clone()));
        let index = entry.prepared.changes.unwrap().path;
        let folder = index.strip_suffix("index.json").unwrap();
        named.extend(world.paths_with(folder).await);
        named.extend(world.paths_with(&format!("acks/{:012}/", number.get())).await);
        named.extend(world.paths_with(&format!("runs/{}/", owner.run_id)).await);
    }
    named
}

/// The objects that are neither log nor definitions.
async fn files(world: &World) -> BTreeSet<String> {
    let paths = world.paths_with("").await.into_iter();
    paths.filter(|path| !path.starts_with("log/") && !path.starts_with("definitions/")).collect()
}

#[tokio::test]
async fn what_the_newest_commits_reach_stays_and_all_else_goes_once_it_is_old() {
    let world = committed(9).await;
    let log = world.log_names().await;
    world.clock.advance(3 * DAY);
    let kept = named(&world, 3).await;
    let before = files(&world).await;
    assert!(kept.len() < before.len(), "{kept:?}");

    let would = sweepable(&world.folder(), world.clock.now()).await.unwrap();
    assert_eq!(files(&world).await, before, "looking deletes nothing");
    let swept = world.sweep().await.unwrap();

    assert_eq!(files(&world).await, kept);
    assert_eq!(world.log_names().await, log);
    assert_eq!(swept, would);
    assert_eq!(swept.total().objects, (before.len() - kept.len()) as u64);
    let Swept { snapshots, changes, exceptions: lists, acknowledgements, pages, runs } = swept;
    for tally in [snapshots, changes, lists, acknowledgements, pages, runs] {
        assert!(tally.objects > 0 && tally.bytes > 0, "{swept:?}");
    }
    for entry in Log::open(&world.folder()).await.unwrap().recent(3).await.unwrap() {
        let list = entry.committed.unwrap().manifest.exceptions.unwrap();
        assert_eq!(exceptions(&world.folder(), &list).await.unwrap().len(), 1);
    }
    assert_eq!(world.sweep().await.unwrap(), Swept::default(), "nothing is left to do");
    world.destination().state().refuses.clear();
    world.listing.put("bad", "mended");
    world.run().await.receipt();
    world.assert_in_step();
}

#[tokio::test]
async fn what_is_younger_than_two_deadlines_stays() {
    let world = World::with_policy(POLICY).await;
    for number in 0..9 {
        world.listing.put("a", &number.to_string());
        world.clock.advance(Duration::from_secs(1));
        world.run().await.receipt();
    }
    world.clock.advance(Duration::from_secs(2 * 3_600 - 10));
    assert_eq!(world.sweep().await.unwrap(), Swept::default());
    world.clock.advance(Duration::from_secs(11));
    let Swept { changes, pages, .. } = world.sweep().await.unwrap();
    assert!(changes.objects > 0);
    assert_eq!(pages, Tally::default(), "raw pages stay for as long as the policy says");
    world.clock.advance(2 * DAY);
    assert!(world.sweep().await.unwrap().pages.objects > 0);
    assert_eq!(world.paths_with("pages/").await, [""; 0]);
}

#[tokio::test]
async fn a_run_that_may_go_on_keeps_what_it_read_however_old_it_is() {
    let world = committed(6).await;
    world.listing.put("a", "new");
    let host = world.host();
    let id = &world.connection;
    let ReadOutcome::Read(read) = world.engine.read(&host, id).await.unwrap() else {
        panic!("a row changed")
    };
    // No worker is there for a month, and then a sweep comes first.
    world.clock.advance(30 * DAY);
    world.sweep().await.unwrap();
    let computed = world.engine.compute(&host, id, &read).await.unwrap();
    world.clock.advance(30 * DAY);
    world.sweep().await.unwrap();
    let number = computed.number;
    world.attempts(async || world.engine.push(&host, id, number).await).await.unwrap();
    world.clock.advance(30 * DAY);
    world.sweep().await.unwrap();
    let request = CommitRequest::Pushed { number };
    world.engine.commit(&host, id, &request).await.unwrap();
    assert_eq!(world.destination().records()["newsletter:a"], crate::support::record("a", "new"));
}

#[tokio::test]
async fn a_run_that_ended_or_was_overtaken_needs_its_pages_no_more() {
    let world = committed(3).await;
    world.listing.put("a", "new");
    let id = &world.connection;
    let (ended, overtaken) = (world.host(), world.host());
    for host in [&ended, &overtaken] {
        world.engine.read(host, id).await.unwrap();
        host.close();
    }
    let note = EndedRun {
        owner: Owner::clone(ended.owner()),
        number: Some(RunNumber::new(4)),
        outcome: Outcome::FailedSource,
        stage: Stage::Read,
        ended_at: world.clock.now(),
        attempt_count: 1,
        failure: None,
    };
    world.engine.end(id, &note).await.unwrap();
    let of = async |host: &TestHost| {
        let run_id = &host.owner().run_id;
        let pages = world.paths_with(&format!("pages/{run_id}/")).await.len();
        (pages > 0, world.paths_with(&format!("runs/{run_id}")).await)
    };
    world.clock.advance(3 * DAY);
    world.sweep().await.unwrap();
    let record = format!("runs/{}.json", ended.owner().run_id);
    assert_eq!(of(&ended).await, (false, vec![record]), "the note of its end outlives it");
    assert!(of(&overtaken).await.0, "nobody took its number, and nothing says that it ended");
    for number in 0..3 {
        world.listing.put("a", &number.to_string());
        world.run().await.receipt();
        world.hour();
    }
    world.sweep().await.unwrap();
    assert_eq!(of(&overtaken).await, (false, Vec::new()));
    assert_eq!(of(&ended).await, (false, Vec::new()), "older than the oldest commit that is kept");
}

#[tokio::test]
async fn a_run_that_died_is_made_good_from_what_a_sweep_left() {
    let world = committed(6).await;
    let before = world.listing.snapshot();
    world.listing.put("a", "pushed");
    world.run_that_dies(true).await;
    world.clock.advance(30 * DAY);
    world.sweep().await.unwrap();
    assert_eq!(world.paths_with("pages/").await.len(), 1, "what it read is kept, for people");
    // Undone at the source, as if it had never been.
    world.listing.take_back("a", &before);
    world.destination().state().refuses.clear();
    world.listing.put("bad", "mended");
    world.run().await.receipt();
    world.assert_in_step();
}

#[tokio::test]
async fn a_sender_that_wakes_after_a_sweep_is_made_good() {
    let world = committed(0).await;
    world.listing.put("a", "frozen");
    let old = world.host();
    let id = &world.connection;
    let ReadOutcome::Read(read) = world.engine.read(&old, id).await.unwrap() else {
        panic!("a row changed")
    };
    let number = world.engine.compute(&old, id, &read).await.unwrap().number;
    let (fault, held) = Fault::hold();
    world.destination().state().script.push_back(fault);
    let meanwhile = async {
        held.arrived.await.unwrap();
        old.close();
        for value in ["b", "c", "d", "e", "f"] {
            world.clock.advance(DAY);
            world.listing.put("a", value);
            world.run().await.receipt();
        }
        // What its change set held is at the source no more.
        world.listing.delete_for_ever("a");
        world.clock.advance(DAY);
        world.run_and_approve().await;
        world.clock.advance(3 * DAY);
        world.sweep().await.unwrap();
        assert_eq!(world.paths_with("changes/000000000001-").await, [""; 0]);
        held.release.send(()).unwrap();
    };
    tokio::join!(world.engine.push(&old, id, number).map(drop), meanwhile);
    assert!(world.destination().records().contains_key("newsletter:a"));
    world.destination().state().refuses.clear();
    world.hour();
    world.run_and_approve().await;
    world.hour();
    world.listing.put("bad", "mended");
    world.run_and_approve().await;
    world.assert_in_step();
}

#[tokio::test]
async fn invalid_rows_and_held_removals_outlive_many_commits() {
    let world = World::with_policy(POLICY).await;
    for number in 0..12 {
        world.listing.put(&format!("k{number:02}"), "x");
    }
    world.listing.show("broken", Shown::Invalid);
    world.run().await.receipt();
    for number in 0..7 {
        world.listing.archive(&format!("k{number:02}"));
    }
    world.hour();
    assert_eq!(world.run().await.receipt().held_count, 7);
    for number in 0..6 {
        world.hour();
        world.listing.put("k11", &number.to_string());
        assert_eq!(world.run().await.receipt().held_count, 7);
    }
    world.clock.advance(3 * DAY);
    assert!(world.sweep().await.unwrap().changes.objects > 0);
    world.hour();
    let held = world.held(None).await;
    world.decide(Verdict::Approve(held)).await;
    assert_eq!(world.run().await.receipt().held_count, 0);
    world.assert_in_step();
}

#[tokio::test]
async fn with_something_lost_nothing_is_deleted() {
    let damages: [(&str, Damage); 4] = [
        ("log/000000000/000000000009.committed", |mut content| {
            content.split_off(content.len() / 2)
        }),
        ("log/000000000/000000000009.prepared", |_| b"{}".to_vec()),
        ("log/000000000/000000000007.committed", |_| Vec::new()),
        ("definitions/0000000001.json", |_| Vec::new()),
    ];
    for (path, damage) in damages {
        let world = committed(9).await;
        world.clock.advance(3 * DAY);
        world.tamper(path, damage).await;
        assert_nothing_goes(&world, path).await;
    }
    for path in ["log/000000000/000000000004.prepared", "changes/000000000009-"] {
        let world = committed(9).await;
        world.clock.advance(3 * DAY);
        let lost = world.paths_with(path).await;
        let lost = lost.iter().find(|path| !path.ends_with(".zst")).unwrap();
        world.delete(lost).await;
        assert_nothing_goes(&world, path).await;
    }
}

async fn assert_nothing_goes(world: &World, why: &str) {
    let before = world.paths_with("").await;
    let failure = world.sweep().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Corrupt, "{why}: {failure:?}");
    assert!(failure.hint.is_some(), "{why}");
    assert_eq!(world.paths_with("").await, before, "{why}");
}

#[tokio::test]
async fn a_sweep_that_dies_anywhere_is_gone_on_with() {
    let world = committed(6).await;
    world.clock.advance(3 * DAY);
    let kept = named(&world, 3).await;
    let mut before = BTreeMap::new();
    for path in files(&world).await {
        let content = world.folder().get(&path).await.unwrap().unwrap();
        before.insert(path, content);
    }
    for at in [FaultAt::Before, FaultAt::After] {
        for operation in 0.. {
            world.objects.fail(operation, at);
            let swept = world.sweep().await;
            if world.objects.has_fault() {
                assert!(operation > 20, "only {operation} operations");
                world.objects.forget_fault();
                break;
            }
            // What is not there is not there either way.
            if let Err(failure) = swept {
                assert_eq!(failure.kind, FailureKind::Transient, "operation {operation}");
            }
            assert!(files(&world).await.is_superset(&kept), "operation {operation}");
            world.sweep().await.unwrap();
            assert_eq!(files(&world).await, kept, "operation {operation}");
            for (path, content) in &before {
                if !kept.contains(path) {
                    world.folder().write(path, content.clone(), 0).await.unwrap();
                }
            }
            world.clock.advance(3 * DAY);
        }
        world.sweep().await.unwrap();
    }
    world.destination().state().refuses.clear();
    world.listing.put("bad", "mended");
    world.run().await.receipt();
    world.assert_in_step();
}

#[tokio::test]
async fn a_sweep_that_stood_still_anywhere_misses_nothing_that_another_deleted_since() {
    for operation in 1.. {
        let world = committed(4).await;
        world.clock.advance(3 * DAY);
        let (folder, now) = (world.folder(), world.clock.now());
        let mut late = Box::pin(sweep(&folder, now));
        // The store gives way once at each operation.
        let mut is_done = false;
        for _ in 0..operation {
            is_done |= !is_done && (&mut late).now_or_never().is_some();
            yield_now().await;
        }
        if is_done {
            assert!(operation > 20, "only {operation} operations");
            break;
        }
        for number in 0..4 {
            world.listing.put("a", &format!("since {number}"));
            world.run().await.receipt();
            world.hour();
        }
        world.clock.advance(3 * DAY);
        world.sweep().await.unwrap();
        let kept = named(&world, 3).await;

        let woken = late.await;

        assert!(woken.is_ok(), "operation {operation}: {woken:?}");
        assert!(files(&world).await.is_superset(&kept), "operation {operation}");
    }
}

#[tokio::test]
async fn a_removed_connection_keeps_its_newest_commits_and_one_that_was_purged_nothing() {
    let world = committed(9).await;
    world.store_version(None, false).await;
    world.clock.advance(3 * DAY);
    let kept = named(&world, 3).await;
    world.sweep().await.unwrap();
    assert_eq!(files(&world).await, kept);
    world.engine.purge(&world.connection).await.unwrap();
    world.sweep().await.unwrap();
    assert_eq!(files(&world).await, BTreeSet::new());
    // The log goes on where it ended.
    world.destination().state().refuses.clear();
    world.apply(&definition_toml(World::ADDRESS, POLICY), false).await;
    world.run().await.receipt();
    assert_eq!(world.destination().records(), world.listing.records());
}

#[tokio::test]
async fn what_a_greater_keep_commits_no_longer_finds_is_no_damage() {
    let world = committed(9).await;
    world.clock.advance(3 * DAY);
    world.sweep().await.unwrap();
    let more = POLICY.replace("keep_commits = 3", "keep_commits = 48");
    world.apply(&definition_toml(World::ADDRESS, &more), false).await;
    let before = files(&world).await;
    assert_eq!(world.sweep().await.unwrap(), Swept::default());
    assert_eq!(files(&world).await, before);
}

#[tokio::test]
async fn a_year_of_runs_leaves_no_more_than_a_few_days_of_them() {
    let world = World::with_policy(POLICY).await;
    let mut most = [0; 3];
    for number in 0..300_usize {
        world.listing.put(&format!("k{}", number % 7), &number.to_string());
        if number % 11 == 3 {
            world.run_that_dies(number % 2 == 0).await;
        } else {
            world.run().await.receipt();
        }
        world.hour();
        if number % 24 == 23 {
            world.sweep().await.unwrap();
            let third = &mut most[number / 100];
            *third = files(&world).await.len().max(*third);
        }
    }
    world.run().await.receipt();
    world.assert_in_step();
    let [first, .., last] = most;
    assert!(last <= first + 10, "{most:?}");
}
