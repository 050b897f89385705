//! Lists that change while they are read, and the ways in which a change can hide.

use tidemark_engine::port::{ReadRequest, Stop};
use tidemark_model::{
    entry::Coverage,
    failure::{Failure, FailureClass, FailureKind},
    receipt::ProofKind,
    row::RowState,
};
use tidemark_simulator::{Fault, FaultAction, Mutation, RandomKind, Seed, Side};

use tidemark_connectors::conformance::MemoryReading;

use crate::support::{Bench, Committed, LIST, Read};

/// Pages of members only.
fn page_fault(action: FaultAction) -> Fault {
    Fault::next(Side::Source, action).path(&format!("/3.0/lists/{LIST}/members"))
}

/// Reads, and plays `change` while the page after `skip` others is held: before it is made if
/// `before`, else after.
async fn read_with(
    bench: &Bench,
    committed: &Committed,
    skip: u64,
    before: bool,
    change: impl FnOnce(),
) -> Read {
    let id = "held".to_owned();
    let action = if before { FaultAction::Hold { id } } else { FaultAction::ApplyThenHold { id } };
    bench.world().add_fault(page_fault(action).after(skip));
    let (read, ()) = tokio::join!(bench.read(committed), async {
        bench.world().wait_held("held", 1).await;
        change();
        bench.world().release("held");
    });
    read
}

/// A small list with small pages, so that a full read is a walk of many.
async fn small() -> Bench {
    let source = "settle = \"0s\"\npage_size = 50\nsimultaneous_requests = 2";
    Bench::with_source(&Seed::of(600), source).await
}

#[tokio::test]
async fn whatever_happens_between_two_pages_of_a_first_read_is_in_it() {
    for before in [true, false] {
        for (skip, kind) in [
            (1, RandomKind::Touch),
            (3, RandomKind::Change),
            (4, RandomKind::Archive),
            (5, RandomKind::DeleteForEver),
            (6, RandomKind::ChangeEmail),
            (7, RandomKind::Add),
        ] {
            let bench = small().await;
            let read = read_with(&bench, &Committed::default(), skip, before, || {
                bench.draw(kind, 5);
                bench.world().advance(1);
            })
            .await;
            bench.assert_in_step(&read.committed);
        }
    }
}

#[tokio::test]
async fn a_member_that_comes_back_from_the_archive_in_between_stays() {
    let bench = small().await;
    let committed = bench.first_read().await;
    let archived = bench.draw(RandomKind::Archive, 4);
    bench.draw(RandomKind::DeleteForEver, 1);
    // After the answer about archived members was made.
    let read = read_with(&bench, &committed, 1, false, || {
        bench.world().advance(1);
        bench.mutate(&Mutation::Unarchive { member: archived[0].clone() });
    })
    .await;
    bench.assert_in_step(&read.committed);
    assert!(read.committed.rows.contains_key(&archived[0]));
}

#[tokio::test]
async fn a_member_that_comes_back_within_the_second_in_which_it_went_is_never_taken_for_gone() {
    let bench = small().await;
    let committed = bench.first_read().await;
    let archived = bench.draw(RandomKind::Archive, 4);
    bench.draw(RandomKind::DeleteForEver, 1);
    bench
        .world()
        .add_fault(page_fault(FaultAction::ApplyThenHold { id: "held".to_owned() }).after(1));
    let (read, ()) = tokio::join!(bench.read(&committed), async {
        bench.world().wait_held("held", 1).await;
        bench.mutate(&Mutation::Unarchive { member: archived[0].clone() });
        bench.world().release("held");
    });
    // Its stamp does not say which of the two came last: the order of the requests does.
    bench.assert_in_step(&read.committed);
    assert!(read.committed.rows.contains_key(&archived[0]));
}

#[tokio::test]
async fn counts_of_two_instants_are_not_taken_for_one() {
    let bench = small().await;
    let committed = bench.first_read().await;
    let deleted = bench.draw(RandomKind::DeleteForEver, 1);
    // Between the first request and the one about archived members another one goes: now as many
    // rows are known as the first request counted, and the wrong ones.
    let read = read_with(&bench, &committed, 1, true, || {
        bench.draw(RandomKind::Archive, 1);
    })
    .await;
    assert!(!read.committed.rows.contains_key(&deleted[0]));
    bench.assert_in_step(&read.committed);
}

#[tokio::test]
async fn a_second_change_within_a_second_is_not_lost() {
    let bench = Bench::new(&Seed::of(3_000)).await;
    let committed = bench.first_read().await;
    let member = bench.draw(RandomKind::Change, 1).remove(0);
    let read = bench.read(&committed).await;
    bench.assert_in_step(&read.committed);
    // The stamp stays the same, the content does not.
    bench.mutate(&Mutation::set(&member, "FNAME", "Second"));
    bench.world().advance(3_600);
    let read = bench.read(&read.committed).await;
    bench.assert_in_step(&read.committed);
    assert_eq!(read.ledger.source.call_count, 1);
}

#[tokio::test]
async fn an_address_change_keeps_the_record() {
    let bench = Bench::new(&Seed::of(3_000)).await;
    let committed = bench.first_read().await;
    let archived = bench.draw(RandomKind::Archive, 1).remove(0);
    let address = {
        let record: serde_json::Value =
            serde_json::from_str(&committed.rows[&archived].record).unwrap();
        record["email"].as_str().unwrap().to_owned()
    };
    let member =
        committed.rows.keys().find(|key| **key != archived).expect("there are others").clone();
    bench.world().advance(60);
    // The address of one that was archived: the list forgets that one for it.
    bench.mutate(&Mutation::ChangeEmail { member: member.clone(), email: address.clone() });
    bench.world().advance(60);
    let read = bench.read(&committed).await;
    bench.assert_in_step(&read.committed);
    assert!(read.committed.rows[&member].record.contains(&address));
    assert!(!read.committed.rows.contains_key(&archived));
}

#[tokio::test]
async fn rows_that_become_visible_late_are_waited_for_where_rows_went_away() {
    let bench = Bench::with_source(&Seed::of(3_000), "settle = \"30s\"").await;
    let committed = bench.first_read().await;
    bench.world().set_lag(LIST, 20).unwrap();
    bench.draw(RandomKind::DeleteForEver, 1);
    bench.draw(RandomKind::Add, 2);
    bench.draw(RandomKind::Change, 3);
    bench.world().advance(25);
    bench.draw(RandomKind::Change, 3);
    let read = bench.read(&committed).await;
    // What was not to be seen by then is behind the watermark; the next run has it.
    let unseen = read.committed.since.unwrap().as_second() - bench.world().now();
    assert!((-100..=-50).contains(&unseen), "the watermark is {unseen} s from now");
    bench.world().advance(3_600);
    let read = bench.read(&read.committed).await;
    bench.assert_in_step(&read.committed);
}

#[tokio::test]
async fn a_row_later_than_settle_allows_makes_the_next_run_read_in_full() {
    let bench = Bench::with_source(&Seed::of(3_000), "settle = \"5s\"").await;
    let committed = bench.first_read().await;
    bench.world().set_lag(LIST, 60).unwrap();
    bench.draw(RandomKind::Change, 3);
    bench.world().advance(30);
    let read = bench.read(&committed).await;
    assert_eq!(read.reading.coverage, Coverage::Changes);
    bench.world().advance(90);
    // The rows are older than the watermark that said they were not there.
    let read = bench.read(&read.committed).await;
    assert_eq!(read.reading.coverage, Coverage::Full);
    bench.assert_in_step(&read.committed);
}

#[tokio::test]
async fn members_left_out_by_the_filter_are_rows_all_the_same() {
    let source = "settle = \"0s\"\nstatuses = [\"subscribed\"]";
    let bench = Bench::with_source(&Seed::of(500), source).await;
    let committed = bench.first_read().await;
    let member = committed.rows.keys().next().unwrap().clone();
    bench.mutate(&Mutation::Change {
        member: member.clone(),
        merge_fields: serde_json::Map::new(),
        status: Some(tidemark_simulator::Status::Unsubscribed),
    });
    bench.world().advance(60);
    let read = bench.read(&committed).await;
    assert_eq!(read.ledger.source.call_count, 1);
    assert_eq!(read.committed.rows[&member].state, RowState::Filtered);
    assert_eq!(read.committed.rows.len() as u64, read.reading.proof.source_total);
}

#[tokio::test]
async fn members_that_cannot_be_mapped_are_counted_and_never_end_a_reading() {
    let lines = crate::support::Lines {
        policy: "required = [\"email\"]".to_owned(),
        ..crate::support::Lines::default()
    };
    let bench = Bench::with(&Seed::of(300), &lines).await;
    let members = bench.draw(RandomKind::Touch, 4);
    let long = "x".repeat(10 * 1024 * 1024);
    let set = |member: &String, value| Mutation::SetRaw {
        member: member.clone(),
        field: "FNAME".to_owned(),
        value,
    };
    bench.mutate(&Mutation::RemoveEmail { member: members[0].clone() });
    bench.mutate(&set(&members[1], serde_json::json!({"an": "object"})));
    bench.mutate(&set(&members[2], serde_json::Value::from(long)));
    bench.mutate(&Mutation::NullMergeFields { member: members[3].clone() });
    bench.world().advance(1_000);
    let read = bench.read(&Committed::default()).await;
    assert_eq!(read.committed.rows.len(), 300);
    let state = |member: &String| read.committed.rows[member].state;
    assert_eq!(members.iter().take(3).map(state).collect::<Vec<_>>(), [RowState::Invalid; 3]);
    // A null is an empty text.
    assert_eq!(state(&members[3]), RowState::Sent);
    let invalid = read.committed.rows.values().filter(|row| row.state == RowState::Invalid);
    assert_eq!(invalid.count(), 3);
}

#[tokio::test]
async fn a_member_without_a_contact_id_goes_by_its_id_and_is_invalid_by_itself() {
    let bench = Bench::new(&Seed::of(300)).await;
    let member = bench.draw(RandomKind::Touch, 1).remove(0);
    let ids = bench.world().mutate(LIST, &Mutation::RemoveContactId { member }).unwrap();
    bench.world().advance(1_000);
    let read = bench.read(&Committed::default()).await;
    assert_eq!(read.committed.rows.len(), 300);
    let row = &read.committed.rows[&ids.id];
    assert_eq!(row.state, RowState::Invalid, "what is mapped to the record's id is empty");
    let invalid = read.committed.rows.values().filter(|row| row.state == RowState::Invalid);
    assert_eq!(invalid.count(), 1);
    // It is looked up by that name as well.
    let found = bench.fresh_source().find(&ids.id).await.unwrap().unwrap();
    assert_eq!(found.row, *row);
}

#[tokio::test]
async fn a_member_that_lost_its_contact_id_is_told_and_not_only_another_that_is_gone() {
    for coverage in [Coverage::Changes, Coverage::Full] {
        let bench = Bench::new(&Seed::of(300)).await;
        let first = bench.read(&Committed::default()).await;
        assert_eq!(first.reading.stand_in_count, 0);
        let gone = bench.draw(RandomKind::DeleteForEver, 1).remove(0);
        let member = bench.draw(RandomKind::Touch, 1).remove(0);
        let lost = Mutation::RemoveContactId { member: member.clone() };
        let ids = bench.world().mutate(LIST, &lost).unwrap();
        bench.world().advance(1_000);
        let since = first.committed.since;
        let request = ReadRequest { coverage, since, must_see: Vec::new() };
        let pages = MemoryReading::over(first.committed.rows);
        let read = bench.read_on(&request, pages).await.expect("a proof");
        let rows = &read.committed.rows;
        assert!(rows.contains_key(&ids.id));
        assert!(!rows.contains_key(&member) && !rows.contains_key(&gone));
        assert_eq!(read.reading.stand_in_count, 1, "{coverage:?}");

        // The next one knows it by that name, unless something becomes of it.
        bench.draw(RandomKind::Add, 1);
        bench.world().advance(1_000);
        let next = bench.read(&read.committed).await;
        assert_eq!(next.reading.stand_in_count, 0);
        bench.world().mutate(LIST, &Mutation::Touch { member }).unwrap();
        bench.world().advance(1_000);
        assert_eq!(bench.read(&next.committed).await.reading.stand_in_count, 1);
    }
}

#[tokio::test]
async fn a_byte_that_is_no_text_spoils_one_member_and_no_other() {
    let bench = Bench::new(&Seed::of(300)).await;
    bench.world().add_fault(page_fault(FaultAction::InvalidUtf8));
    let read = bench.read(&Committed::default()).await;
    let spoiled = read.committed.rows.values().filter(|row| row.state == RowState::Invalid);
    assert_eq!((read.committed.rows.len(), spoiled.count()), (300, 1));
}

/// Reads, with a change before every page.
async fn read_restless(
    bench: &Bench,
    committed: &Committed,
    kind: RandomKind,
    count: usize,
) -> Result<Read, Failure> {
    let holds: Vec<String> = (0..1_000).map(|page| format!("page {page}")).collect();
    for id in &holds {
        bench.world().add_fault(page_fault(FaultAction::Hold { id: id.clone() }));
    }
    let reading = bench.try_read(committed, Vec::new());
    let changing = async {
        for id in &holds {
            bench.world().wait_held(id, 1).await;
            bench.draw(kind, count);
            bench.world().advance(1);
            bench.world().release(id);
        }
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! { ended = reading => ended, () = changing => unreachable!() };
    bench.world().clear_faults();
    ended
}

#[tokio::test]
async fn a_list_whose_rows_never_rest_is_proven_all_the_same() {
    for kind in [RandomKind::Change, RandomKind::Add] {
        let bench = small().await;
        let first = read_restless(&bench, &Committed::default(), kind, 2).await.expect("a proof");
        assert_eq!(first.reading.proof.kind, ProofKind::ClosingRequest);
        // The change before its last page is in it.
        bench.assert_in_step(&first.committed);
        bench.draw(RandomKind::DeleteForEver, 1);
        let next = read_restless(&bench, &first.committed, kind, 2).await.expect("a proof");
        bench.assert_in_step(&next.committed);
    }
}

#[tokio::test]
async fn a_list_that_always_loses_rows_is_not_called_proven() {
    let bench = small().await;
    let committed = bench.first_read().await;
    bench.draw(RandomKind::DeleteForEver, 1);
    let ended = read_restless(&bench, &committed, RandomKind::Archive, 1).await;
    let failure = ended.err().expect("it was never proven");
    assert_eq!(failure.kind, FailureKind::Unproven, "{failure} {:?}", failure.causes);
    assert_eq!(failure.class(), FailureClass::Source);
    bench.world().advance(10);
    let read = bench.read(&committed).await;
    bench.assert_in_step(&read.committed);
}

/// It is caught up with once for each closing request, however long the next one has to wait.
#[tokio::test]
async fn a_list_that_always_loses_rows_is_not_waited_for_for_ever() {
    let source = "settle = \"30s\"\npage_size = 50\nsimultaneous_requests = 2";
    let bench = Bench::with_source(&Seed::of(600), source).await;
    let committed = bench.first_read().await;
    bench.draw(RandomKind::DeleteForEver, 1);
    let mark = bench.world().ledger().mark;
    let ended = read_restless(&bench, &committed, RandomKind::DeleteForEver, 1).await;
    let failure = ended.err().expect("it was never proven");
    assert_eq!(failure.kind, FailureKind::Unproven, "{failure} {:?}", failure.causes);
    let asked = bench.world().ledger_since(mark).source.call_count;
    assert!(asked <= 150, "{asked} requests for four searches and 12 pages");
}

#[tokio::test]
async fn an_edit_that_moves_no_stamp_and_no_count_is_found_by_the_next_full_read() {
    let bench = Bench::new(&Seed::of(2_500)).await;
    let committed = bench.first_read().await;
    let request = |since| ReadRequest { coverage: Coverage::Full, since, must_see: Vec::new() };
    let pages = MemoryReading::over(committed.rows.clone());
    let read = bench.read_on(&request(committed.since), pages).await.unwrap();
    assert_eq!(read.reading.proof.kind, ProofKind::ClosingRequest);
    assert_eq!(read.committed.rows, committed.rows);
}

#[tokio::test]
async fn a_stopped_reading_leaves_its_pages_to_the_next_attempt() {
    let bench = small().await;
    let request = ReadRequest { coverage: Coverage::Full, since: None, must_see: Vec::new() };
    let pages = MemoryReading::over(Committed::default().rows);
    bench.world().add_fault(page_fault(FaultAction::Hold { id: "held".to_owned() }).after(6));
    let source = bench.fresh_source();
    let (stopped, ()) = tokio::join!(source.read(&request, &pages, &pages, &bench.host), async {
        bench.world().wait_held("held", 1).await;
        bench.host.set_stop(Some(Stop::Draining));
        bench.world().release("held");
    });
    assert_eq!(stopped.unwrap_err().kind, FailureKind::Draining);
    let durable = pages.pages().len();
    assert!(durable >= 7, "pages on their way are kept: {durable}");
    bench.host.set_stop(None);
    let read = bench.read_on(&request, pages).await.unwrap();
    bench.assert_in_step(&read.committed);
    let asked = bench.world().ledger().source.call_count;
    assert!(asked <= 18, "{asked} requests for 12 pages, windows and the closing one");
}
