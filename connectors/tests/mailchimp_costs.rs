//! What a reading costs, in requests.

use tidemark_model::{
    entry::Coverage,
    receipt::{Proof, ProofKind},
};
use tidemark_simulator::{RandomKind, Seed};

use crate::support::{Bench, pages};

#[tokio::test]
async fn an_unchanged_list_of_any_size_is_one_request_and_no_page() {
    for count in [0, 1, 99, 1_000, 20_000] {
        let bench = Bench::new(&Seed::of(count)).await;
        let committed = bench.first_read().await;
        let read = bench.read(&committed).await;
        assert_eq!(read.ledger.source.call_count, 1, "{count} members");
        assert!(read.pages.pages().is_empty());
        assert_eq!(read.reading.coverage, Coverage::Changes);
        let proof =
            Proof { kind: ProofKind::FirstResponse, source_total: count.into(), turn_count: 0 };
        assert_eq!(read.reading.proof, proof);
        assert_eq!(read.reading.cost.request_count, 1);
        assert_eq!(read.committed.rows, committed.rows);
    }
}

#[tokio::test]
async fn twenty_changes_are_one_request() {
    let bench = Bench::new(&Seed::of(30_000)).await;
    let committed = bench.first_read().await;
    bench.draw(RandomKind::Change, 18);
    bench.draw(RandomKind::Add, 1);
    bench.draw(RandomKind::ChangeEmail, 1);
    bench.world().advance(5);
    let read = bench.read(&committed).await;
    assert_eq!(read.ledger.source.call_count, 1);
    assert_eq!(read.reading.proof.kind, ProofKind::FirstResponse);
    bench.assert_in_step(&read.committed);
}

#[tokio::test]
async fn members_that_were_archived_long_ago_cost_one_request_more() {
    let bench = Bench::new(&Seed::of(30_000)).await;
    let committed = bench.first_read().await;
    bench.draw(RandomKind::Change, 20);
    bench.draw(RandomKind::Archive, 3);
    bench.world().advance(60);
    let read = bench.read(&committed).await;
    assert_eq!(read.ledger.source.call_count, 2);
    assert_eq!(read.reading.proof.kind, ProofKind::FirstResponse);
    bench.assert_in_step(&read.committed);
}

#[tokio::test]
async fn members_that_were_archived_just_now_need_a_closing_request() {
    let bench = Bench::new(&Seed::of(30_000)).await;
    let committed = bench.first_read().await;
    bench.draw(RandomKind::Change, 20);
    bench.draw(RandomKind::Archive, 3);
    let read = bench.read(&committed).await;
    assert_eq!(read.ledger.source.call_count, 3);
    let Proof { kind, turn_count, .. } = read.reading.proof;
    assert_eq!((kind, turn_count), (ProofKind::ClosingRequest, 1));
    bench.assert_in_step(&read.committed);
}

#[tokio::test]
async fn a_member_that_is_deleted_for_ever_is_found_by_halving() {
    let bench = Bench::new(&Seed::of(64_000)).await;
    let committed = bench.first_read().await;
    bench.draw(RandomKind::Change, 20);
    bench.draw(RandomKind::Archive, 3);
    bench.draw(RandomKind::DeleteForEver, 1);
    let read = bench.read(&committed).await;
    // First, archived, five counts that leave 2,000 rows, two pages of those, closing.
    assert!(read.ledger.source.call_count <= 10, "{} requests", read.ledger.source.call_count);
    assert_eq!(read.reading.coverage, Coverage::Changes);
    bench.assert_in_step(&read.committed);
}

#[tokio::test]
async fn five_scattered_deletions_are_cheaper_than_a_full_read() {
    let bench = Bench::new(&Seed::of(40_000)).await;
    let committed = bench.first_read().await;
    bench.draw(RandomKind::DeleteForEver, 5);
    let read = bench.read(&committed).await;
    assert!(read.ledger.source.call_count <= 38, "{} requests", read.ledger.source.call_count);
    assert_eq!(read.reading.coverage, Coverage::Changes);
    bench.assert_in_step(&read.committed);
}

#[tokio::test]
async fn many_deletions_are_found_by_a_full_read() {
    let bench = Bench::new(&Seed::of(20_000)).await;
    let committed = bench.first_read().await;
    bench.draw(RandomKind::DeleteForEver, 400);
    let read = bench.read(&committed).await;
    assert_eq!(read.reading.coverage, Coverage::Full);
    assert!(read.ledger.source.call_count <= 32, "{} requests", read.ledger.source.call_count);
    bench.assert_in_step(&read.committed);
}

#[tokio::test]
async fn more_changes_than_a_page_are_continued() {
    let bench = Bench::new(&Seed::of(30_000)).await;
    let committed = bench.first_read().await;
    for _ in 0..25 {
        bench.draw(RandomKind::Change, 100);
        bench.world().advance(40);
    }
    let read = bench.read(&committed).await;
    // The first with the fewest rows, three pages, the closing one.
    assert_eq!(read.ledger.source.call_count, 5);
    assert_eq!(read.reading.coverage, Coverage::Changes);
    bench.assert_in_step(&read.committed);
    // The next reading expects as many again, and asks for as many rows as a page has.
    bench.world().advance(2_600);
    let next = bench.read(&read.committed).await;
    assert_eq!(next.ledger.source.call_count, 1);
    let count = next.ledger.calls.first().and_then(|call| call.parameter("count"));
    assert_eq!(count.as_deref(), Some("1000"));
}

#[tokio::test]
async fn an_import_into_one_second_is_walked_without_a_gap() {
    let seed = Seed { count: 30_000, ties: 7_500, ..Seed::default() };
    let bench = Bench::new(&seed).await;
    let committed = bench.first_read().await;
    bench.draw(RandomKind::Change, 2_300);
    let read = bench.read(&committed).await;
    // The first closing request shows nothing older than that second, so it is walked again before
    // another one.
    assert_eq!(read.ledger.source.call_count, 9);
    assert_eq!(read.reading.coverage, Coverage::Changes);
    bench.assert_in_step(&read.committed);
}

#[tokio::test]
async fn keys_that_must_be_seen_are_looked_up_unless_a_page_shows_them() {
    let bench = Bench::new(&Seed::of(5_000)).await;
    let committed = bench.first_read().await;
    let changed = bench.draw(RandomKind::Change, 1);
    let deleted = bench.draw(RandomKind::DeleteForEver, 1);
    let old = committed.rows.values().min_by_key(|row| row.modified).unwrap().key.clone();
    bench.world().advance(60);
    let must_see = vec![changed[0].clone(), deleted[0].clone(), old];
    let read = bench.try_read(&committed, must_see).await.unwrap();
    assert_eq!(read.ledger.count(tidemark_simulator::Operation::Member), 2);
    assert_eq!(pages(&read.ledger), 2, "the first request and the closing one");
    bench.assert_in_step(&read.committed);
}

#[tokio::test]
async fn too_many_keys_that_must_be_seen_are_read_in_full() {
    let bench = Bench::new(&Seed::of(5_000)).await;
    let committed = bench.first_read().await;
    let must_see: Vec<String> = committed.rows.keys().take(6).cloned().collect();
    let read = bench.try_read(&committed, must_see).await.unwrap();
    assert_eq!(read.reading.coverage, Coverage::Full);
    bench.assert_in_step(&read.committed);
}
