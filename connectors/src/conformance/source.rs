//! What every source has to keep to.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use tidemark_engine::port::{ReadRequest, Reading, Source, Stop};
use tidemark_model::{
    entry::Coverage,
    failure::{Failure, FailureKind},
    row::RowState,
};

use super::{MemoryReading, MemorySnapshot, TestHost};

/// A source and the system behind it, which the suite changes. The system is quiet otherwise, and
/// starts with more rows than fit a page.
#[async_trait]
pub trait SourceSubject: Send + Sync {
    /// The source, as a process that just started makes it.
    fn source(&self) -> Arc<dyn Source>;

    /// On the system's clock.
    fn host(&self) -> &TestHost;

    /// Adds rows.
    fn add(&self, count: usize);

    /// Changes the content of rows.
    fn change(&self, count: usize);

    /// Removes rows in whatever way leaves the least trace.
    fn remove(&self, count: usize);

    /// The records that the rows have to be mapped to, by record id.
    fn records(&self) -> BTreeMap<String, String>;
}

/// Runs the whole suite. Panics with what is wrong.
pub async fn source(subject: &dyn SourceSubject) {
    let first = shows_every_row(subject).await;
    let since = brings_nothing_new_when_nothing_changed(subject, first).await;
    let since = brings_what_changed(subject, since).await;
    let since = takes_away_what_vanished(subject, since).await;
    let since = goes_on_behind_durable_pages(subject, since).await;
    stops_between_pages(subject, since).await;
}

/// The rows and the watermark of the last commit.
type Committed = (MemorySnapshot, jiff::Timestamp);

/// Reads until the reading is over, however often the source asks for a pause.
///
/// # Errors
/// Any other failure.
pub async fn read_through(
    source: &dyn Source,
    request: &ReadRequest,
    pages: &MemoryReading,
    host: &TestHost,
) -> Result<Reading, Failure> {
    loop {
        match source.read(request, pages, pages, host).await {
            Err(failure) if failure.kind == FailureKind::Waiting => {
                let wait = failure.retry_after.unwrap_or_default();
                host.advance(i64::try_from(wait.as_secs()).unwrap_or(i64::MAX) + 1);
            }
            end => return end,
        }
    }
}

async fn read(
    subject: &dyn SourceSubject,
    coverage: Coverage,
    committed: Option<Committed>,
) -> (Committed, Reading, MemoryReading) {
    let (rows, since) =
        committed.map_or((MemorySnapshot::new(), None), |(rows, since)| (rows, Some(since)));
    let request = ReadRequest { coverage, since, must_see: Vec::new() };
    let pages = MemoryReading::over(rows);
    let reading = read_through(subject.source().as_ref(), &request, &pages, subject.host())
        .await
        .expect("a quiet system can be read");
    let rows = pages.commit(&reading);
    assert_eq!(rows.len() as u64, reading.proof.source_total, "the proof counts the rows");
    ((rows, reading.complete_as_of), reading, pages)
}

fn records(rows: &MemorySnapshot) -> BTreeMap<String, String> {
    let sent = rows.values().filter(|row| row.state == RowState::Sent);
    sent.map(|row| (row.id.clone(), row.record.clone())).collect()
}

fn assert_in_step(subject: &dyn SourceSubject, (rows, _): &Committed) {
    pretty_equal(&records(rows), &subject.records());
}

fn pretty_equal(found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) {
    let differing: Vec<_> = found
        .iter()
        .filter(|(id, record)| expected.get(*id) != Some(record))
        .chain(expected.iter().filter(|(id, _)| !found.contains_key(*id)))
        .take(5)
        .collect();
    assert!(differing.is_empty(), "differs in {differing:?}, among others");
}

async fn shows_every_row(subject: &dyn SourceSubject) -> Committed {
    let (committed, reading, _) = read(subject, Coverage::Full, None).await;
    assert_eq!(reading.coverage, Coverage::Full);
    assert_in_step(subject, &committed);
    committed
}

async fn brings_nothing_new_when_nothing_changed(
    subject: &dyn SourceSubject,
    committed: Committed,
) -> Committed {
    subject.host().advance(3_600);
    let rows = committed.0.clone();
    let (committed, reading, _) = read(subject, Coverage::Changes, Some(committed)).await;
    assert_eq!(reading.coverage, Coverage::Changes);
    assert_eq!(committed.0, rows);
    committed
}

async fn brings_what_changed(subject: &dyn SourceSubject, committed: Committed) -> Committed {
    subject.host().advance(3_600);
    subject.add(3);
    subject.change(5);
    subject.host().advance(10);
    let (committed, _, _) = read(subject, Coverage::Changes, Some(committed)).await;
    assert_in_step(subject, &committed);
    committed
}

async fn takes_away_what_vanished(subject: &dyn SourceSubject, committed: Committed) -> Committed {
    subject.host().advance(3_600);
    subject.remove(2);
    subject.host().advance(10);
    let (committed, _, _) = read(subject, Coverage::Changes, Some(committed)).await;
    assert_in_step(subject, &committed);
    committed
}

/// The store is lost after every single page, and each attempt is a new process.
async fn goes_on_behind_durable_pages(
    subject: &dyn SourceSubject,
    (rows, since): Committed,
) -> Committed {
    subject.host().advance(3_600);
    subject.change(4);
    subject.remove(1);
    let request =
        ReadRequest { coverage: Coverage::Full, since: Some(since), must_see: Vec::new() };
    let pages = MemoryReading::over(rows);
    for attempt in 0.. {
        assert!(attempt < 1_000, "an attempt that makes one page durable brings the end nearer");
        pages.fail_after(Some(1));
        let source = subject.source();
        match read_through(source.as_ref(), &request, &pages, subject.host()).await {
            Ok(reading) => {
                let committed = (pages.commit(&reading), reading.complete_as_of);
                assert_in_step(subject, &committed);
                return committed;
            }
            Err(failure) => assert_eq!(failure.kind, FailureKind::Transient, "{failure}"),
        }
    }
    unreachable!("the loop has no end of its own")
}

async fn stops_between_pages(subject: &dyn SourceSubject, (rows, since): Committed) {
    for (stop, kind) in
        [(Stop::Draining, FailureKind::Draining), (Stop::Cancelled, FailureKind::Cancelled)]
    {
        subject.host().set_stop(Some(stop));
        let request =
            ReadRequest { coverage: Coverage::Full, since: Some(since), must_see: Vec::new() };
        let pages = MemoryReading::over(rows.clone());
        let source = subject.source();
        let ended = source.read(&request, &pages, &pages, subject.host()).await;
        assert_eq!(ended.expect_err("it was told to stop").kind, kind);
        subject.host().set_stop(None);
    }
}
