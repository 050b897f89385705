//! Every call of both sides, written down: what it was, what it cost, how many ran at once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{Method, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bell::Bell;

/// Which of the two simulated systems a call went to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The list API.
    Source,
    /// The record API.
    Destination,
}

/// What a call asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `GET /3.0/ping`
    Ping,
    /// `GET /3.0/lists`
    Lists,
    /// `GET /3.0/lists/{id}`
    List,
    /// `GET /3.0/lists/{id}/members`: a page.
    Page,
    /// `GET /3.0/lists/{id}/members/{member}`: a look-up of one.
    Member,
    /// Anything that changes a list.
    Change,
    /// `POST /record`: a batch of writes.
    Write,
    /// `DELETE /record/{id}`
    Delete,
    /// `GET /record`: a page of what the destination holds.
    Read,
    /// Anything else.
    Other,
}

impl Operation {
    pub(crate) fn of(side: Side, method: &Method, path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match (side, parts.as_slice()) {
            (Side::Destination, ["record"]) if method == Method::POST => Self::Write,
            (Side::Destination, ["record"]) if method == Method::GET => Self::Read,
            (Side::Destination, ["record", _]) if method == Method::DELETE => Self::Delete,
            (Side::Source, ["3.0", "lists", _, "members", ..]) if method != Method::GET => {
                Self::Change
            }
            (Side::Source, ["3.0", "ping"]) => Self::Ping,
            (Side::Source, ["3.0", "lists"]) => Self::Lists,
            (Side::Source, ["3.0", "lists", _]) => Self::List,
            (Side::Source, ["3.0", "lists", _, "members"]) => Self::Page,
            (Side::Source, ["3.0", "lists", _, "members", _]) => Self::Member,
            _ => Self::Other,
        }
    }
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Counts up from 0 in the order in which calls ended.
    pub number: usize,
    /// Which system.
    pub side: Side,
    /// What it asked for.
    pub operation: Operation,
    /// HTTP method.
    pub method: String,
    /// Path and query; keys are never part of either.
    pub path: String,
    /// The key it came with, if any.
    pub key: Option<String>,
    /// The status, also of an answer that was dropped; None = not applied and not answered.
    pub status: Option<u16>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body as it went over the wire.
    pub bytes_out: u64,
    /// When it came.
    pub started_at: Timestamp,
    /// When it was answered.
    pub ended_at: Timestamp,
    /// From the first to the last.
    pub duration: Duration,
    /// Calls of the same key and side that ran when it came, itself included.
    pub simultaneous: usize,
    /// Whether a fault took it.
    pub faulted: bool,
}

impl Call {
    /// The value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.path.split_once('?')?;
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// Sums over calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Calls.
    pub call_count: u64,
    /// Of them those without an answer below 400.
    pub failure_count: u64,
    /// Bytes of the requests' bodies.
    pub bytes_in: u64,
    /// Bytes of the answers' bodies.
    pub bytes_out: u64,
}

impl Totals {
    fn add(&mut self, call: &Call) {
        self.call_count += 1;
        self.failure_count += u64::from(call.status.is_none_or(|status| status >= 400));
        self.bytes_in += call.bytes_in;
        self.bytes_out += call.bytes_out;
    }
}

/// What the ledger says about the calls since a mark.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The mark to ask the next time, to see only what comes after this.
    pub mark: usize,
    /// All calls to the list API.
    pub source: Totals,
    /// All calls to the record API.
    pub destination: Totals,
    /// By kind.
    pub operations: BTreeMap<Operation, Totals>,
    /// The most simultaneous calls per key, since the last reset.
    pub peaks: BTreeMap<String, usize>,
    /// Each call, in the order in which they ended.
    pub calls: Vec<Call>,
}

impl Ledger {
    /// How many calls of this kind.
    pub fn count(&self, operation: Operation) -> u64 {
        self.operations.get(&operation).map_or(0, |totals| totals.call_count)
    }
}

/// A call that has not ended.
pub(crate) struct OpenCall {
    pub(crate) side: Side,
    pub(crate) operation: Operation,
    method: String,
    path: String,
    key: Option<String>,
    started_at: Timestamp,
    started: Instant,
    simultaneous: usize,
}

#[derive(Default)]
struct Book {
    calls: Vec<Call>,
    running: HashMap<(Side, String), usize>,
    peaks: BTreeMap<String, usize>,
}

pub(crate) struct Bookkeeper {
    book: Mutex<Book>,
    ended: Bell,
}

impl Bookkeeper {
    pub(crate) fn new() -> Self {
        Self { book: Mutex::default(), ended: Bell::new() }
    }

    pub(crate) fn open(
        &self,
        side: Side,
        method: &Method,
        uri: &Uri,
        key: Option<&str>,
    ) -> OpenCall {
        let path = uri.path_and_query().map_or_else(|| uri.path(), |path| path.as_str());
        let simultaneous = key.map_or(1, |key| {
            let mut book = self.book();
            let running = book.running.entry((side, key.to_owned())).or_default();
            *running += 1;
            let running = *running;
            let peak = book.peaks.entry(key.to_owned()).or_default();
            *peak = running.max(*peak);
            running
        });
        OpenCall {
            side,
            operation: Operation::of(side, method, uri.path()),
            method: method.to_string(),
            path: path.to_owned(),
            key: key.map(str::to_owned),
            started_at: Timestamp::now(),
            started: Instant::now(),
            simultaneous,
        }
    }

    pub(crate) fn close(&self, open: OpenCall, ending: Ending) {
        let mut book = self.book();
        if let Some(key) = &open.key
            && let Some(running) = book.running.get_mut(&(open.side, key.clone()))
        {
            *running = running.saturating_sub(1);
        }
        let number = book.calls.len();
        book.calls.push(Call {
            number,
            side: open.side,
            operation: open.operation,
            method: open.method,
            path: open.path,
            key: open.key,
            status: ending.status,
            bytes_in: ending.bytes_in,
            bytes_out: ending.bytes_out,
            started_at: open.started_at,
            ended_at: Timestamp::now(),
            duration: open.started.elapsed(),
            simultaneous: open.simultaneous,
            faulted: ending.faulted,
        });
        drop(book);
        self.ended.ring();
    }

    pub(crate) fn since(&self, mark: usize) -> Ledger {
        let book = self.book();
        let mut ledger = Ledger {
            mark: book.calls.len(),
            peaks: book.peaks.clone(),
            calls: book.calls.iter().skip(mark).cloned().collect(),
            ..Ledger::default()
        };
        for call in &ledger.calls {
            ledger.operations.entry(call.operation).or_default().add(call);
            match call.side {
                Side::Source => ledger.source.add(call),
                Side::Destination => ledger.destination.add(call),
            }
        }
        ledger
    }

    pub(crate) fn reset(&self) {
        let mut book = self.book();
        book.calls.clear();
        book.peaks.clear();
    }

    /// Waits until `count` calls that fit have ended since the last reset.
    pub(crate) async fn wait(&self, count: usize, fits: impl Fn(&Call) -> bool) {
        let enough = || self.book().calls.iter().filter(|call| fits(call)).count() >= count;
        self.ended.until(enough).await;
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a call ended.
pub(crate) struct Ending {
    pub(crate) status: Option<u16>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) faulted: bool,
}
