use tidemark_model::{
    definition::Definition,
    entry::{Coverage, DefinitionRef, Manifest, SnapshotFiles},
    receipt::{Cost, Outcome, Proof, ProofKind, PushCounts, Receipt, RecordCounts, RowCounts},
};

use super::*;
use crate::{definitions::tests::test_definition, store::Store};

fn owner(run_id: &str) -> Owner {
    Owner {
        namespace: "default".to_owned(),
        workflow_id: "sync/a/b".to_owned(),
        run_id: run_id.to_owned(),
    }
}

fn manifest(definition: &Definition) -> Manifest {
    Manifest {
        definition: DefinitionRef {
            version: 1,
            source_hash: definition.source_hash(),
            destination_hash: definition.destination_hash(),
        },
        snapshot: SnapshotFiles::default(),
        complete_as_of: jiff::Timestamp::UNIX_EPOCH,
        full_read_as_of: jiff::Timestamp::UNIX_EPOCH,
        exceptions: None,
        quiet_after: None,
        late_handled: Vec::new(),
        hold: None,
        waived_removals: None,
        kept: None,
        removals: Vec::new(),
        decided: 0,
        stale_decisions: Vec::new(),
    }
}

const PROOF: Proof = Proof { kind: ProofKind::FirstResponse, source_total: 0, turn_count: 0 };

fn prepared(number: u64, base: Option<u64>, run_id: &str) -> Prepared {
    Prepared {
        format: FORMAT,
        number: RunNumber::new(number),
        base: base.map(RunNumber::new),
        owner: owner(run_id),
        prepared_at: jiff::Timestamp::UNIX_EPOCH,
        coverage: Coverage::Changes,
        next: manifest(&test_definition()),
        changes: None,
        send_from: None,
        rows: RowCounts::default(),
        records: RecordCounts::default(),
        push: PushCounts::default(),
        proof: PROOF,
        source_cost: Cost::default(),
        unmatched_paths: Vec::new(),
        commit: None,
    }
}

fn committed(number: u64, run_id: &str) -> Committed {
    let number = RunNumber::new(number);
    let manifest = manifest(&test_definition());
    let receipt = Receipt {
        number,
        outcome: Outcome::InStep,
        definition_version: 1,
        full_read: false,
        complete_as_of: manifest.complete_as_of,
        rows: RowCounts::default(),
        records: RecordCounts::default(),
        push: PushCounts::default(),
        exception_count: 0,
        rejected_count: 0,
        held_count: 0,
        hold_rule: None,
        waived_count: 0,
        proof: PROOF,
        source_cost: Cost::default(),
        destination_cost: Cost::default(),
        unmatched_paths: Vec::new(),
    };
    Committed {
        format: FORMAT,
        number,
        owner: owner(run_id),
        committed_at: manifest.complete_as_of,
        manifest,
        receipt,
    }
}

/// A log of unchanged runs up to a number, each with its commit inside.
async fn log_up_to(folder: &Folder, last: u64) {
    let log = Log::open(folder).await.unwrap();
    for number in 1..=last {
        let mut entry = prepared(number, number.checked_sub(1).filter(|n| *n > 0), "r");
        entry.commit = Some(Box::new(committed(number, "r")));
        assert!(matches!(log.create_prepared(&entry).await.unwrap(), Taken::Ours(_)));
    }
}

#[tokio::test]
async fn an_empty_log_begins_with_one() {
    let log = Log::open(&Store::in_memory().root()).await.unwrap();
    assert_eq!((log.highest(), log.newest_commit()), (None, None));
    assert_eq!(log.next_number(), RunNumber::FIRST);
    assert!(log.recent(3).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_number_is_taken_once_and_stays_whose_it_is() {
    let folder = Store::in_memory().root();
    let log = Log::open(&folder).await.unwrap();
    let first = prepared(1, None, "first");
    assert_eq!(log.create_prepared(&first).await.unwrap(), Taken::Ours(first.clone()));
    // Another attempt of the run finds its entry, whatever it computed itself.
    let again = Prepared { coverage: Coverage::Full, ..first.clone() };
    assert_eq!(log.create_prepared(&again).await.unwrap(), Taken::Ours(first.clone()));
    let other = prepared(1, None, "second");
    assert_eq!(log.create_prepared(&other).await.unwrap(), Taken::Theirs(first));
}

#[tokio::test]
async fn unfinished_entries_above_the_newest_commit_are_found_across_folders() {
    let folder = Store::in_memory().root();
    log_up_to(&folder, 998).await;
    let log = Log::open(&folder).await.unwrap();
    for number in 999..=1_001 {
        log.create_prepared(&prepared(number, Some(998), "dead")).await.unwrap();
    }
    let log = Log::open(&folder).await.unwrap();
    assert_eq!(log.highest(), Some(RunNumber::new(1_001)));
    assert_eq!(log.newest_commit().unwrap().number.get(), 998);
    let unfinished: Vec<u64> = log.unfinished().iter().map(|entry| entry.number.get()).collect();
    assert_eq!(unfinished, [999, 1_000, 1_001]);

    log.create_committed(&committed(1_001, "dead")).await.unwrap();
    let log = Log::open(&folder).await.unwrap();
    assert_eq!(log.newest_commit().unwrap().number.get(), 1_001);
    assert!(log.unfinished().is_empty());
    let recent = log.recent(4).await.unwrap();
    let recent: Vec<(u64, bool)> = recent
        .iter()
        .map(|entry| (entry.prepared.number.get(), entry.committed.is_some()))
        .collect();
    assert_eq!(recent, [(1_001, true), (1_000, false), (999, false), (998, true)]);
}

#[tokio::test]
async fn a_gap_in_a_folder_or_between_folders_is_damage() {
    for lost in [999, 1_000, 1_001] {
        let folder = Store::in_memory().root();
        log_up_to(&folder, 1_002).await;
        let (objects, path) = folder.locate(&path::path(RunNumber::new(lost), Mark::Prepared));
        object_store::ObjectStoreExt::delete(&objects, &path).await.unwrap();
        let opened = Log::open(&folder).await;
        // The newest folder alone is looked at while its own entries lead to a commit.
        assert_eq!(opened.is_ok(), lost == 999, "{lost}");
        if lost != 999 {
            assert!(matches!(opened, Err(StoreError::Damaged { .. })), "{lost}");
        }
    }
    let folder = Store::in_memory().root();
    log_up_to(&folder, 1_000).await;
    folder.delete_all("log/000000000").await.unwrap();
    assert!(matches!(Log::open(&folder).await, Err(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn nothing_below_a_purge_counts_and_its_number_stays_taken() {
    let folder = Store::in_memory().root();
    log_up_to(&folder, 2).await;
    Log::open(&folder).await.unwrap().create_purged().await.unwrap();
    let log = Log::open(&folder).await.unwrap();
    assert_eq!(log.newest_commit(), None);
    assert_eq!(log.purged(), Some(RunNumber::new(2)));
    assert_eq!(log.next_number(), RunNumber::new(3));
    log.create_prepared(&prepared(3, None, "r")).await.unwrap();
    log.create_committed(&committed(3, "r")).await.unwrap();
    assert_eq!(Log::open(&folder).await.unwrap().newest_commit().unwrap().number.get(), 3);
}

#[tokio::test]
async fn an_entry_under_a_wrong_name_is_damage() {
    let folder = Store::in_memory().root();
    log_up_to(&folder, 1).await;
    let content = folder.get("log/000000000/000000000001.prepared").await.unwrap().unwrap();
    folder.create("log/000000000/000000000002.prepared", content).await.unwrap();
    let error = Log::open(&folder).await.unwrap_err().to_string();
    assert!(error.ends_with("it says that it is run 1"), "{error}");
}
