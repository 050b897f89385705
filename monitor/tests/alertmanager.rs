//! What Alertmanager gets: `POST /api/v2/alerts`.

use std::sync::Arc;

use serde_json::Value;
use tidemark_model::ids::ConnectionId;
use tidemark_monitor::rules::{Part, Phase};
use tidemark_monitor::sinks::{Link, Outbox, Outcome, SinkError};

use crate::notices::{HOSTILE, at, failing, group, late, now, outage, send, then};
use crate::receiver::{Answer, Receiver, connect, connect_linked, webhook};

fn table(receiver: &Receiver) -> String {
    format!("[[sink]]\nname = 'pager'\nkind = 'alertmanager'\nurl = '{}'", receiver.url("/am/"))
}

#[tokio::test]
async fn an_alert_stands_for_five_minutes() {
    let receiver = Receiver::start().await;
    let link: Link = Arc::new(|connection: &ConnectionId| {
        Some(format!("http://ui/namespaces/default/schedules/{}", connection.name()))
    });
    let sinks = connect_linked(&table(&receiver), &[], Some(&link));
    let notice = late("acme/news", failing(HOSTILE));
    assert_eq!(send(&sinks, "pager", notice).await, Outcome::Sent);
    insta::assert_snapshot!(receiver.one().text(), @r#"
    POST /am/api/v2/alerts
    accept-encoding: gzip
    accept: */*
    content-length: 568
    content-type: application/json
    
    [
      {
        "labels": {
          "alertname": "TidemarkLate",
          "account": "acme",
          "connection": "acme/news",
          "kind": "late",
          "severity": "warning"
        },
        "annotations": {
          "summary": "late: acme/news",
          "description": "acme/news: late: failing since 2026-11-26T09:00:00Z (transient; source must act): ‹!channel› ‹http://evil.example|click› \"quoted\" 'too' *bold* `code` & more\\nnext line\\u{1b}[31m\\u{202e} {{ .Labels }} ‹/script›",
          "next": "tidemark inspect acme/news"
        },
        "startsAt": "2026-11-26T10:00:00Z",
        "endsAt": "2026-11-26T10:05:00Z",
        "generatorURL": "http://ui/namespaces/default/schedules/news"
      }
    ]
    "#);
}

#[tokio::test]
async fn all_that_stands_open_is_said_again_with_what_it_began_with() {
    let receiver = Receiver::start().await;
    let sinks = connect(&table(&receiver), &[]);
    let standing = vec![
        late("acme/news", failing("no answer")),
        group("no answer"),
        outage(Part::Workers, None, Phase::Opened),
    ];
    let deliveries = sinks.refresh(&Outbox::default(), standing, at(3_600)).await;
    assert_eq!(deliveries.len(), 1);
    assert_eq!((&deliveries[0].key, &deliveries[0].outcome), (&None, &Outcome::Sent));
    insta::assert_snapshot!(receiver.one().text(), @r#"
    POST /am/api/v2/alerts
    accept-encoding: gzip
    accept: */*
    content-length: 1180
    content-type: application/json
    
    [
      {
        "labels": {
          "alertname": "TidemarkLate",
          "account": "acme",
          "connection": "acme/news",
          "kind": "late",
          "severity": "warning"
        },
        "annotations": {
          "summary": "late: acme/news",
          "description": "acme/news: late: failing since 2026-11-26T09:00:00Z (transient; source must act): no answer",
          "next": "tidemark inspect acme/news"
        },
        "startsAt": "2026-11-26T10:00:00Z",
        "endsAt": "2026-11-26T11:05:00Z"
      },
      {
        "labels": {
          "alertname": "TidemarkLate",
          "group": "late/failing/source/us1.api.mailchimp.com",
          "kind": "late",
          "severity": "critical"
        },
        "annotations": {
          "summary": "late: 5 connections",
          "description": "5 connections: late; acme/news: failing since 2026-11-26T09:00:00Z (transient; source must act): no answer; globex/a: failing since 2026-11-26T09:00:00Z (transient; source must act): no answer",
          "next": "tidemark lag --by cause"
        },
        "startsAt": "2026-11-26T10:00:00Z",
        "endsAt": "2026-11-26T11:05:00Z"
      },
      {
        "labels": {
          "alertname": "TidemarkOutage",
          "part": "workers",
          "severity": "critical"
        },
        "annotations": {
          "summary": "outage: workers",
          "description": "no worker polls, since 2026-11-26T09:55:00Z; nobody is called late meanwhile",
          "next": "start workers: tidemark worker"
        },
        "startsAt": "2026-11-26T10:00:00Z",
        "endsAt": "2026-11-26T11:05:00Z"
      }
    ]
    "#);
}

#[tokio::test]
async fn the_labels_stay_the_same_from_the_beginning_to_the_end() {
    let receiver = Receiver::start().await;
    let sinks = connect(&table(&receiver), &[]);
    let opened = late("acme/news", failing("no answer"));
    let again = then(&late("acme/news", failing("another error")), Phase::Reminder, 60);
    let closed = then(&opened, Phase::Closed, 120);
    let mut group_over = group("no answer");
    group_over.phase = Phase::Closed;
    for notice in [opened, again, closed, group("other"), group_over] {
        let _ = send(&sinks, "pager", notice).await;
    }
    let alerts: Vec<Value> =
        receiver.take().iter().map(|request| request.json()[0].clone()).collect();
    assert_eq!(alerts[0]["labels"], alerts[1]["labels"]);
    assert_eq!(alerts[0]["labels"], alerts[2]["labels"]);
    assert_eq!(alerts[3]["labels"], alerts[4]["labels"]);
    assert_ne!(alerts[0]["annotations"], alerts[1]["annotations"]);
    // Closed: it ended then. Without a beginning, which would have to be before.
    assert_eq!(alerts[2]["endsAt"], "2026-11-26T10:02:00Z");
    assert_eq!(alerts[2].get("startsAt"), None);
}

#[tokio::test]
async fn a_sink_that_fails_stands_open_for_the_others() {
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let sinks = connect(&format!("{}\n{}", table(&receiver), webhook("hook", &other, "")), &[]);
    let mut outbox = Outbox::default();
    for _ in 0..5 {
        outbox.failed(None, "hook", now(), &SinkError::Busy { status: 503, retry_after: None });
    }
    let deliveries = sinks.refresh(&outbox, Vec::new(), at(60)).await;
    assert_eq!(deliveries.len(), 1);
    let alerts = receiver.one().json();
    assert_eq!(alerts[0]["labels"]["alertname"], "TidemarkSinkFailing");
    assert_eq!(alerts[0]["labels"]["sink"], "hook");
    assert_eq!(alerts[0]["startsAt"], "2026-11-26T10:00:00Z");
    assert_eq!(alerts.as_array().unwrap().len(), 1);
    // Not to itself: it would not take it.
    for _ in 0..5 {
        outbox.failed(None, "pager", now(), &SinkError::Busy { status: 503, retry_after: None });
    }
    assert_eq!(sinks.refresh(&outbox, Vec::new(), at(3_600)).await.len(), 1);
    assert_eq!(receiver.one().json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_open_is_nothing_to_say() {
    let receiver = Receiver::start().await;
    let sinks = connect(&table(&receiver), &[]);
    assert_eq!(sinks.refresh(&Outbox::default(), Vec::new(), now()).await, []);
    assert_eq!(receiver.take().len(), 0);
}

#[tokio::test]
async fn many_alerts_come_in_several_requests() {
    let receiver = Receiver::start().await;
    let sinks = connect(&table(&receiver), &[]);
    let standing = (0..450).map(|n| late(&format!("acme/c{n}"), failing("no answer"))).collect();
    let _ = sinks.refresh(&Outbox::default(), standing, now()).await;
    let counts: Vec<usize> =
        receiver.take().iter().map(|request| request.json().as_array().unwrap().len()).collect();
    assert_eq!(counts, [200, 200, 50]);
}

#[tokio::test]
async fn one_that_does_not_take_what_stands_open_counts_as_failing() {
    let receiver = Receiver::start().await;
    let sinks = connect(&table(&receiver), &[]);
    let standing = vec![late("acme/news", failing("no answer"))];
    let mut outbox = Outbox::default();
    receiver.answers(Answer::Status(500, "no quorum"));
    let deliveries = sinks.refresh(&outbox, standing.clone(), now()).await;
    sinks.note(&mut outbox, &deliveries, now());
    assert_eq!(outbox.states()["pager"].failing_since, Some(now()));
    // It is left alone for half a minute.
    assert_eq!(sinks.refresh(&outbox, standing.clone(), at(29)).await, []);
    let deliveries = sinks.refresh(&outbox, standing, at(30)).await;
    sinks.note(&mut outbox, &deliveries, at(30));
    assert_eq!(outbox, Outbox::default());
    assert_eq!(receiver.take().len(), 2);
}
