//! What goes wrong on the way, and how it is told.

use std::time::Duration;

use futures::FutureExt;
use tidemark_engine::port::{Connectors, ReadRequest, Source, Stop};
use tidemark_model::{
    entry::Coverage,
    failure::{Failure, FailureClass, FailureKind},
};
use tidemark_simulator::{Fault, FaultAction, Seed, Side};

use tidemark_connectors::conformance::{MemoryReading, read_through};

use crate::support::{Bench, Committed, KEY, connectors};

/// The failure of a reading that meets a fault in its second request, and what it is when it is
/// read on.
async fn failure_of(action: FaultAction) -> Failure {
    let bench = Bench::with_source(&Seed::of(300), "settle = \"0s\"\npage_size = 100").await;
    bench.world().add_fault(Fault::next(Side::Source, action).after(1));
    let request = ReadRequest { coverage: Coverage::Full, since: None, must_see: Vec::new() };
    let pages = MemoryReading::over(Committed::default().rows);
    let source = bench.fresh_source();
    let failure = source
        .read(&request, &pages, &pages, &bench.host)
        .await
        .expect_err("one attempt of each request is made");
    assert_eq!(bench.world().ledger().source.call_count, 2, "nobody asks again");
    // The next attempt goes on behind the page that is durable.
    let read = bench.read_on(&request, pages).await.unwrap();
    bench.assert_in_step(&read.committed);
    assert!(read.ledger.calls.iter().all(|call| {
        call.parameter("since_last_changed").is_some()
            || call.parameter("before_last_changed").is_some()
            || call.parameter("sort_dir").as_deref() == Some("DESC")
    }));
    assert!(!format!("{failure:?}").contains(KEY), "no failure shows the key");
    failure
}

#[tokio::test]
async fn what_may_pass_is_transient() {
    let broken = [
        FaultAction::Html { status: 502 },
        FaultAction::Html { status: 504 },
        FaultAction::Status { status: 500, title: None, retry_after: None },
        FaultAction::Html { status: 200 },
        FaultAction::Empty { status: 200 },
        FaultAction::Truncate,
        FaultAction::CutShort,
        FaultAction::Drop,
        FaultAction::ApplyThenDrop,
    ];
    for action in broken {
        let failure = failure_of(action.clone()).await;
        assert_eq!(failure.kind, FailureKind::Transient, "{action:?}: {failure}");
        assert_eq!(failure.class(), FailureClass::Source, "{action:?}");
    }
}

#[tokio::test]
async fn a_brake_is_told_from_a_refusal_by_the_words_that_come_with_it() {
    let brakes = [
        FaultAction::Status { status: 429, title: None, retry_after: None },
        FaultAction::Empty { status: 429 },
        FaultAction::Empty { status: 403 },
        FaultAction::Html { status: 403 },
    ];
    for action in brakes {
        let failure = failure_of(action.clone()).await;
        assert_eq!(failure.kind, FailureKind::RateLimited, "{action:?}: {failure}");
    }
    let refusal = FaultAction::Status {
        status: 403,
        title: Some("User Disabled".to_owned()),
        retry_after: None,
    };
    let failure = failure_of(refusal).await;
    assert_eq!(failure.kind, FailureKind::Forbidden);
    assert!(failure.message.ends_with("403 User Disabled"), "{failure}");
}

#[tokio::test]
async fn no_title_repeats_an_address() {
    let title = Some("ada@example.com is not a contact".to_owned());
    let failure = failure_of(FaultAction::Status { status: 400, title, retry_after: None }).await;
    assert_eq!(failure.message, "Mailchimp refused the request: 400 … is not a contact");
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_handed_on() {
    let action = FaultAction::Status { status: 429, title: None, retry_after: Some(90) };
    let failure = failure_of(action).await;
    assert_eq!(failure.retry_after, Some(Duration::from_secs(90)));
    let action = FaultAction::Status { status: 503, title: None, retry_after: Some(7) };
    let failure = failure_of(action).await;
    assert_eq!(
        (failure.kind, failure.retry_after),
        (FailureKind::Transient, Some(Duration::from_secs(7)))
    );
}

#[tokio::test]
async fn a_reading_that_waits_for_a_place_ends_with_the_stop() {
    let limit = "settle = \"0s\"\nsimultaneous_requests = 1";
    let bench = Bench::with_source(&Seed::of(10), limit).await;
    let connectors = connectors();
    let source = || connectors.source(&bench.definition).unwrap();
    let (busy, waiting) = (source(), source());
    let hold = FaultAction::Hold { id: "held".to_owned() };
    bench.world().add_fault(Fault::next(Side::Source, hold));
    let request = ReadRequest { coverage: Coverage::Full, since: None, must_see: Vec::new() };
    let pages = || MemoryReading::over(Committed::default().rows);
    let (first, second) = (pages(), pages());
    let stop = async {
        bench.world().wait_held("held", 1).await;
        let mut reading = waiting.read(&request, &second, &second, &bench.host);
        assert!((&mut reading).now_or_never().is_none(), "the only place is taken");
        bench.host.set_stop(Some(Stop::Draining));
        assert_eq!(reading.await.unwrap_err().kind, FailureKind::Draining);
        bench.host.set_stop(None);
        bench.world().release("held");
    };
    let busy = read_through(busy.as_ref(), &request, &first, &bench.host);
    let (read, ()) = tokio::join!(busy, stop);
    read.unwrap();
}

#[tokio::test]
async fn a_request_without_an_answer_is_given_up_and_may_have_been_applied() {
    let source = "settle = \"0s\"\nrequest_timeout = \"1s\"";
    let bench = Bench::with_source(&Seed::of(10), source).await;
    bench
        .world()
        .add_fault(Fault::next(Side::Source, FaultAction::Hold { id: "for ever".to_owned() }));
    let failure = bench.try_read(&Committed::default(), Vec::new()).await.err().unwrap();
    assert_eq!(failure.kind, FailureKind::Transient);
    assert_eq!(
        failure.message,
        "Mailchimp did not answer within 1 s; the request may have been applied"
    );
    bench.world().release("for ever");
}

#[tokio::test]
async fn nobody_at_the_address_is_transient_and_names_no_secret() {
    let bench = Bench::new(&Seed::of(10)).await;
    let source = bench.fresh_source();
    let Bench { simulator, .. } = bench;
    simulator.shutdown().await;
    let failure = Source::check(source.as_ref()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Transient);
    assert_eq!(failure.message, "cannot connect to Mailchimp");
    assert!(!failure.causes.is_empty());
    assert!(!format!("{failure:?}").contains(KEY));
}

#[tokio::test]
async fn a_key_that_is_revoked_under_a_reading_ends_it_for_the_user() {
    let bench = Bench::new(&Seed::of(2_500)).await;
    let committed = bench.first_read().await;
    bench.world().revoke_key(KEY);
    let failure = bench.try_read(&committed, Vec::new()).await.err().unwrap();
    assert_eq!((failure.kind, failure.class()), (FailureKind::Unauthenticated, FailureClass::User));
}
