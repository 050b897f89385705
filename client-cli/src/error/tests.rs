use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use anstream::adapter::strip_str;
use temporalio_client::tonic::{Code, Status};
use tidemark_model::definition::{SourceText, parse};
use tidemark_model::failure::{FailureKind, Side};
use tidemark_schedules::Operation;

use super::*;
use crate::demo::DemoError;
use crate::ui::errors::render;

/// Names every variant once. The match has no `_`: whoever adds a variant is sent here by the
/// compiler, and from here to [`all`] by a test.
macro_rules! variants {
    ($($name:ident)*) => {
        const VARIANTS: &[&str] = &[$(stringify!($name)),*];

        fn variant(error: &Error) -> &'static str {
            match error {
                $(Error::$name { .. } => stringify!($name),)*
            }
        }
    };
}

variants! {
    Usage NobodyToAsk Declined
    Definitions File FileNotWritten EmptyFolder
    NoConnection NoAccount Removed NoMatch NoRun NothingRuns NoException NoRow
    NoStore Store StoreSilent Claim
    Connect TemporalSilent TemporalLost Schedule Setup Temporal NoWorker CheckLost NotASync
    NotTried Detached Failure RunFailed RunEnded Refused Overtaken HoldChanged RecordsLeft
    SomeFailed CheckFailed
    WorkerConfig GatewayConfig MonitorConfig SinksFailed Worker
    Demo Listen Runtime Input Output
}

fn id() -> ConnectionId {
    "acme/news".parse().unwrap()
}

fn failure() -> Box<Failure> {
    let failure = Failure::new(
        FailureKind::Unauthenticated,
        Side::Source,
        "Mailchimp refused the API key: 401 API Key Invalid",
    );
    Box::new(failure.hint("put a valid key at `env:ACME_KEY` and restart the worker"))
}

fn status(code: Code, message: &str) -> Box<Status> {
    Box::new(Status::new(code, message))
}

fn refused_setting() -> ConfigError {
    ConfigError::Refused("the two settings exclude each other".to_owned())
}

/// At least one of each, and more where the hint goes by what is inside.
fn all() -> Vec<Error> {
    let problems =
        parse(&[SourceText { name: "a.toml".to_owned(), text: String::new() }], &[]).unwrap_err();
    let run_id = || "01a1fdf4-608c-76c8-92fb-cc4424caf4a0".to_owned();
    let address = || "http://localhost:7233".to_owned();
    vec![
        Error::usage("this cannot be", "say that instead"),
        Error::NobodyToAsk { question: "remove 3 connections?".to_owned() },
        Error::Declined,
        Error::Definitions { problems },
        Error::File { path: "a.toml".into(), source: ErrorKind::NotFound.into() },
        Error::File { path: "a.toml".into(), source: ErrorKind::PermissionDenied.into() },
        Error::File { path: "a.toml".into(), source: ErrorKind::InvalidData.into() },
        Error::FileNotWritten { path: "a.json".into(), source: ErrorKind::StorageFull.into() },
        Error::EmptyFolder { path: "connections".into() },
        Error::NoConnection { id: id(), nearest: Some("acme/newsletter".parse().unwrap()) },
        Error::NoConnection { id: id(), nearest: None },
        Error::NoAccount {
            account: "acne".parse().unwrap(),
            nearest: Some("acme".parse().unwrap()),
        },
        Error::Removed {
            id: id(),
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
            nothing_left: false,
        },
        Error::Removed {
            id: id(),
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
            nothing_left: true,
        },
        Error::NoMatch { selection: "account acme, health failing".to_owned() },
        Error::NoRun { id: id(), run: "77".to_owned() },
        Error::NothingRuns { id: id() },
        Error::NoException { id: id(), keys: vec!["k1".to_owned()] },
        Error::NoException { id: id(), keys: vec!["k1".to_owned(), "k2".to_owned()] },
        Error::NoException { id: id(), keys: Vec::new() },
        Error::NoRow {
            id: id(),
            name: "k1".to_owned(),
            looked_through: "the newest 7 runs (12 records sent)".to_owned(),
        },
        Error::NoStore,
        Error::Store(StoreError::Missing { path: "definitions/0000000001.json".to_owned() }),
        Error::Store(StoreError::NewerFormat {
            path: "store.json".to_owned(),
            format: 9,
            known: 1,
        }),
        Error::StoreSilent { url: "s3://bucket/state".to_owned(), seconds: 10 },
        Error::Claim(ClaimError::Unclaimed { url: "file:///state".to_owned() }),
        Error::Claim(ClaimError::OtherNamespace {
            url: "file:///state".to_owned(),
            owner: "default".to_owned(),
            asking: "staging".to_owned(),
        }),
        Error::Connect(ConnectError::Unreachable {
            address: address(),
            reason: "connection refused".to_owned(),
        }),
        Error::TemporalSilent { address: address(), seconds: 4 },
        Error::TemporalLost {
            address: address(),
            source: status(Code::Unavailable, "transport error"),
        },
        Error::Schedule(ScheduleError::NotFound { connection: id() }),
        Error::Schedule(ScheduleError::Unreachable {
            operation: Operation::general("list schedules"),
            source: status(Code::DeadlineExceeded, "timeout expired"),
        }),
        Error::Schedule(ScheduleError::Busy {
            operation: Operation::on("describe the schedule of", &id()),
            source: status(Code::ResourceExhausted, "query buffer is full"),
        }),
        Error::Schedule(ScheduleError::Refused {
            operation: Operation::general("list schedules"),
            source: status(Code::InvalidArgument, "no mapping defined for ConnectionId"),
        }),
        Error::Schedule(ScheduleError::NotDone {
            operation: Operation::on("pause", &id()),
            waited: Duration::from_secs(10),
        }),
        Error::Schedule(ScheduleError::Note { part: "reason", found: '|' }),
        Error::Setup(SetupError::NoNamespace { namespace: "staging".to_owned() }),
        Error::Setup(SetupError::Refused {
            operation: "list search attributes",
            source: status(Code::PermissionDenied, "not for this key"),
        }),
        Error::Setup(SetupError::Unreachable {
            operation: "list search attributes",
            source: status(Code::Unavailable, "transport error"),
        }),
        Error::Temporal { operation: "list runs", source: status(Code::Internal, "it broke") },
        Error::NoWorker { task_queue: "tidemark".to_owned() },
        Error::CheckLost { id: id(), reason: "Workflow terminated".to_owned() },
        Error::NotASync { workflow_id: "another-workflow".to_owned() },
        Error::NotTried,
        Error::Detached { id: id() },
        Error::Failure(failure()),
        Error::RunFailed { id: id(), run_id: run_id(), failure: failure() },
        Error::RunEnded {
            id: id(),
            run_id: run_id(),
            what: "was terminated: by hand".to_owned(),
            causes: Vec::new(),
        },
        Error::Refused { id: id(), failure: failure() },
        Error::Overtaken { id: id(), version: 3 },
        Error::HoldChanged { id: id(), run: Some(RunNumber::new(12)) },
        Error::RecordsLeft {
            id: id(),
            what: "after run 12 3 records and 3 exceptions are left".to_owned(),
        },
        Error::SomeFailed { failed_count: 2, count: 300 },
        Error::CheckFailed { failed_count: 1, count: 1 },
        Error::CheckFailed { failed_count: 1, count: 2 },
        Error::WorkerConfig(refused_setting()),
        Error::GatewayConfig(refused_setting()),
        Error::MonitorConfig(refused_setting().into()),
        Error::SinksFailed { failed_count: 1, count: 2 },
        Error::Worker(anyhow::anyhow!("the spill folder cannot be made")),
        Error::Demo(DemoError::Verb {
            verb: "setup".to_owned(),
            code: "exit status: 1".to_owned(),
        }),
        Error::Listen {
            address: "127.0.0.1:8600".parse().unwrap(),
            source: ErrorKind::AddrInUse.into(),
        },
        Error::Runtime(ErrorKind::OutOfMemory.into()),
        Error::Input { source: ErrorKind::UnexpectedEof.into() },
        Error::Output(ErrorKind::StorageFull.into()),
        Error::Output(ErrorKind::BrokenPipe.into()),
    ]
}

#[test]
fn every_message_and_its_exit_code() {
    let texts: Vec<String> = all()
        .iter()
        .map(|error| format!("{} {}", error.exit().code(), strip_str(&render(error))))
        .collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn every_variant_has_its_message_shown() {
    let all = all();
    let shown: BTreeSet<&str> = all.iter().map(variant).collect();
    let missing: Vec<&&str> = VARIANTS.iter().filter(|name| !shown.contains(**name)).collect();
    assert!(missing.is_empty(), "add to `all`: {missing:?}");
}

/// Each error ends with a next step, but for those that need none or say it themselves.
#[test]
fn every_error_has_a_next_step() {
    let without: BTreeSet<&str> =
        all().iter().filter(|error| error.hints().is_empty()).map(variant).collect();
    assert_eq!(without, BTreeSet::from(["Declined", "Definitions"]));
}
