//! Looking one member up.

use tidemark_model::{failure::FailureKind, row::RowState};
use tidemark_simulator::{Mutation, Seed};

use crate::support::{Bench, Lines};

#[tokio::test]
async fn a_member_is_found_by_its_key_and_by_its_address() {
    let bench = Bench::new(&Seed::of(20)).await;
    let key = bench.mutate(&Mutation::add("Ada.L@Example.com", "Ada", "Lovelace"));
    let source = bench.fresh_source();
    let by_key = source.find(&key).await.unwrap().unwrap();
    assert_eq!((&by_key.row.key, by_key.row.state), (&key, RowState::Sent));
    assert!(by_key.row.record.contains("Lovelace"));
    assert_eq!((by_key.listed, by_key.status.as_str()), (true, "subscribed"));
    // It is mapped as a page that shows it would be.
    let read = bench.read(&crate::support::Committed::default()).await;
    assert_eq!(read.committed.rows[&key], by_key.row);

    let mark = bench.world().ledger().mark;
    assert_eq!(source.find("ada.l@example.COM").await.unwrap(), Some(by_key));
    assert_eq!(bench.world().ledger_since(mark).source.call_count, 1);
}

#[tokio::test]
async fn an_archived_member_is_known_and_not_listed_and_a_deleted_one_is_unknown() {
    let bench = Bench::new(&Seed::of(20)).await;
    let key = bench.mutate(&Mutation::add("ada@example.com", "Ada", "Lovelace"));
    bench.mutate(&Mutation::Archive { member: key.clone() });
    let archived = bench.fresh_source().find("ada@example.com").await.unwrap().unwrap();
    assert_eq!((archived.listed, archived.status.as_str()), (false, "archived"));
    bench.mutate(&Mutation::DeleteForEver { member: key.clone() });
    assert_eq!(bench.fresh_source().find(&key).await.unwrap(), None);
}

#[tokio::test]
async fn a_list_that_is_not_there_is_no_missing_member() {
    let lines = Lines { source: "list_id = \"d4e5f6\"".to_owned(), ..Lines::default() };
    let bench = Bench::with(&Seed::of(5), &lines).await;
    let failure = bench.fresh_source().find("ada@example.com").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Gone, "{failure}");
    assert!(failure.message.contains("a1b2c3"), "{failure}");
}
