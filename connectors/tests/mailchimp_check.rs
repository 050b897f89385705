//! Looking at a list before anything is read.

use std::collections::BTreeSet;

use tidemark_connectors::VisibleList;
use tidemark_model::failure::{FailureClass, FailureKind};
use tidemark_simulator::{Mutation, Seed};

use crate::support::{Bench, KEY, Lines};

#[tokio::test]
async fn a_list_is_shown_with_its_name_its_size_and_three_records() {
    let bench = Bench::new(&Seed::of(1_234)).await;
    let check = bench.fresh_source().check().await.unwrap();
    assert_eq!((check.name.as_str(), check.row_total), ("Newsletter", 1_234));
    assert_eq!((check.invalid_count, check.unmatched_paths), (0, Vec::new()));
    assert_eq!(check.samples.len(), 3);
    for sample in &check.samples {
        let names: Vec<&str> = sample.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["id", "email", "firstname", "lastname"]);
        assert!(sample.fields.iter().all(|(_, value)| !value.is_empty()));
    }
    assert_eq!(check.cost.request_count, 2);
}

#[tokio::test]
async fn a_path_that_no_member_has_is_named_with_the_nearest_one() {
    let lines = Lines {
        record: "firstname = \"merge_fields.FNAM\"\nemail = \"email_adress\"".to_owned(),
        ..Lines::default()
    };
    let bench = Bench::with(&Seed::of(20), &lines).await;
    let check = bench.fresh_source().check().await.unwrap();
    let mut unmatched = check.unmatched_paths;
    unmatched.sort();
    let expected = [("email_adress", "email_address"), ("merge_fields.FNAM", "merge_fields.FNAME")]
        .map(|(path, nearest)| (path.to_owned(), Some(nearest.to_owned())));
    assert_eq!(unmatched, expected);
    // A reading only warns, with the same paths.
    let read = bench.read(&crate::support::Committed::default()).await;
    let mut warned = read.reading.unmatched_paths;
    warned.sort();
    assert_eq!(warned, ["email_adress", "merge_fields.FNAM"]);
}

#[tokio::test]
async fn members_that_cannot_be_mapped_are_counted() {
    let bench = Bench::new(&Seed::of(20)).await;
    let member = bench.draw(tidemark_simulator::RandomKind::Touch, 1).remove(0);
    bench.mutate(&Mutation::SetRaw {
        member,
        field: "LNAME".to_owned(),
        value: serde_json::json!(["a", "list"]),
    });
    let check = bench.fresh_source().check().await.unwrap();
    assert_eq!(check.invalid_count, 1);
}

#[tokio::test]
async fn an_unknown_list_is_an_error_that_names_those_that_can_be_seen() {
    let lines = Lines { source: "list_id = \"d4e5f6\"".to_owned(), ..Lines::default() };
    let bench = Bench::with(&Seed::of(5), &lines).await;
    bench.world().add_list(KEY, "0f0f0f", "Customers").unwrap();
    for failure in [
        bench.fresh_source().check().await.err(),
        bench.try_read(&crate::support::Committed::default(), Vec::new()).await.err(),
    ] {
        let failure = failure.expect("the list is not there");
        assert_eq!((failure.kind, failure.class()), (FailureKind::Gone, FailureClass::User));
        assert_eq!(
            failure.message,
            "the key at `env:KEY` cannot see a list `d4e5f6`; it can see a1b2c3 (Newsletter), \
             0f0f0f (Customers)"
        );
    }
}

#[tokio::test]
async fn a_list_that_is_deleted_under_a_reading_is_never_an_empty_one() {
    let bench = Bench::new(&Seed::of(2_500)).await;
    let committed = bench.first_read().await;
    bench.world().remove_list(crate::support::LIST).unwrap();
    let failure = bench.try_read(&committed, Vec::new()).await.err().expect("it is gone");
    assert_eq!(failure.kind, FailureKind::Gone);
    assert!(failure.message.ends_with("it can see no list at all"), "{failure}");
}

#[tokio::test]
async fn a_refused_key_says_what_to_do_and_not_what_it_is() {
    let other = Lines { source: "api_key = \"env:OTHER_KEY\"".to_owned(), ..Lines::default() };
    let bench = Bench::with(&Seed::of(5), &other).await;
    let failure = bench.fresh_source().check().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthenticated);
    assert_eq!(failure.message, "Mailchimp refused the API key: 401 API Key Invalid");
    assert_eq!(
        failure.hint.as_deref(),
        Some(
            "put a valid key at `env:OTHER_KEY` and restart the worker, then: tidemark start \
             acme/newsletter"
        )
    );
    assert!(!format!("{failure:?}").contains("other-us1"));

    let bench = Bench::new(&Seed::of(5)).await;
    bench.world().disable_account(KEY).unwrap();
    let failure = bench.fresh_source().check().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Forbidden);
    assert_eq!(failure.class(), FailureClass::User);
}

#[tokio::test]
async fn the_lists_that_a_key_can_see_are_named() {
    let bench = Bench::new(&Seed::of(5)).await;
    bench.world().add_list(KEY, "0f0f0f", "Customers").unwrap();
    let lists = visible_lists(&bench).await;
    let named: Vec<_> = lists.iter().map(|list| (&*list.id, &*list.name)).collect();
    assert_eq!(named, [("a1b2c3", "Newsletter"), ("0f0f0f", "Customers")]);
}

#[tokio::test]
async fn more_lists_than_a_page_holds_are_all_named() {
    let bench = Bench::new(&Seed::of(5)).await;
    for number in 0..1_500 {
        bench.world().add_list(KEY, &format!("more{number:04}"), "One of many").unwrap();
    }
    let lists = visible_lists(&bench).await;
    let ids: BTreeSet<&str> = lists.iter().map(|list| &*list.id).collect();
    assert_eq!((lists.len(), ids.len()), (1_501, 1_501));
}

async fn visible_lists(bench: &Bench) -> Vec<VisibleList> {
    let url = bench.simulator.url().parse().unwrap();
    crate::support::connectors()
        .mailchimp_lists(bench.definition.id(), &"env:KEY".parse().unwrap(), Some(&url))
        .await
        .unwrap()
}
