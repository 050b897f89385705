//! Full reads: side by side, and after a crash.

use std::{collections::BTreeSet, time::Duration};

use tidemark_connectors::conformance::MemoryReading;
use tidemark_engine::port::{Connectors, PageWriter, ReadRequest};
use tidemark_model::entry::Coverage;
use tidemark_simulator::{Call, Fault, FaultAction, Seed, Side};

use crate::support::{Bench, Committed, KEY, connectors};

fn request() -> ReadRequest {
    ReadRequest { coverage: Coverage::Full, since: None, must_see: Vec::new() }
}

/// What a page was asked for.
fn question(call: &Call) -> String {
    let parameters = ["since_last_changed", "before_last_changed", "offset", "sort_dir"]
        .map(|name| call.parameter(name).unwrap_or_default());
    parameters.join(" ")
}

#[tokio::test]
async fn a_crash_costs_at_most_one_page_of_each_open_window() {
    let source = "settle = \"0s\"\npage_size = 50\nsimultaneous_requests = 4";
    let bench = Bench::with_source(&Seed::of(5_000), source).await;
    bench.world().set_latency(Duration::from_millis(2));
    let pages = MemoryReading::over(Committed::default().rows);
    let held = FaultAction::Hold { id: "held".to_owned() };
    bench.world().add_fault(Fault::next(Side::Source, held).after(60).times(4));
    // The process dies with four pages on their way.
    {
        let (source, request) = (bench.fresh_source(), request());
        tokio::select! {
            _ = source.read(&request, &pages, &pages, &bench.host) => panic!("it is held"),
            () = bench.world().wait_held("held", 4) => {}
        }
    }
    let staged = pages.staged().await.unwrap();
    let windows: BTreeSet<&str> = staged.iter().map(|head| head.window.as_str()).collect();
    let before = bench.world().ledger();
    assert!(before.source.call_count >= 60);
    bench.world().release("held");
    bench.world().wait_calls(Side::Source, before.calls.len() + 4).await;

    let read = bench.read_on(&request(), pages).await.unwrap();
    bench.assert_in_step(&read.committed);
    let asked: BTreeSet<String> = before.calls.iter().map(question).collect();
    let again = read.ledger.calls.iter().filter(|call| asked.contains(&question(call))).count();
    assert!(again <= windows.len(), "{again} pages again, {} windows", windows.len());
    let all = before.source.call_count + read.ledger.source.call_count;
    assert!(all <= 145, "{all} requests for 100 pages, windows, a crash, and the closing one");
}

#[tokio::test]
async fn windows_are_read_side_by_side_and_show_each_row_about_once() {
    let seed = Seed { count: 40_000, ties: 9_000, ..Seed::default() };
    let bench = Bench::new(&seed).await;
    // Long enough for requests to meet.
    bench.world().set_latency(Duration::from_millis(20));
    let read = bench.read(&Committed::default()).await;
    bench.assert_in_step(&read.committed);
    assert!(read.ledger.source.call_count <= 62, "{} requests", read.ledger.source.call_count);
    assert_eq!(read.ledger.peaks.get(KEY), Some(&8));
}

#[tokio::test]
async fn readings_with_one_key_share_its_places() {
    let bench = Bench::new(&Seed::of(20_000)).await;
    bench.world().set_latency(Duration::from_millis(20));
    let connectors = connectors();
    let source = || connectors.source(&bench.definition).unwrap();
    let (one, other) = (source(), source());
    let pages = || MemoryReading::over(Committed::default().rows);
    let (one_pages, other_pages) = (pages(), pages());
    let request = request();
    let (one, other) = tokio::join!(
        one.read(&request, &one_pages, &one_pages, &bench.host),
        other.read(&request, &other_pages, &other_pages, &bench.host),
    );
    assert_eq!(one.unwrap().proof.source_total, 20_000);
    assert_eq!(other.unwrap().proof.source_total, 20_000);
    assert_eq!(bench.world().ledger().peaks.get(KEY), Some(&8));
}
