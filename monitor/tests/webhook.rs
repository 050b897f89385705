//! Signed JSON.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tidemark_monitor::rules::{Part, Phase};
use tidemark_monitor::sinks::Outcome;

use crate::notices::{HOSTILE, at, failing, group, late, outage, send, then};
use crate::receiver::{Receiver, Request, SIGNING_KEY, connect, webhook};

/// As the documentation tells a receiver to.
fn is_signed(request: &Request, key: &str) -> bool {
    let mut expected = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    expected.update(request.header("tidemark-timestamp").as_bytes());
    expected.update(b".");
    expected.update(request.body.as_bytes());
    let digits: String =
        expected.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    request.header("tidemark-signature") == format!("v1={digits}")
}

#[tokio::test]
async fn a_connection_is_told_of_in_signed_json() {
    let receiver = Receiver::start().await;
    let sinks = connect(&webhook("hook", &receiver, ""), &[]);
    let notice = late("acme/news", failing(HOSTILE));
    assert_eq!(send(&sinks, "hook", notice.clone()).await, Outcome::Sent);
    let request = receiver.one();
    assert!(is_signed(&request, SIGNING_KEY));
    assert!(!is_signed(&request, "another key"));
    assert!(!is_signed(
        &Request { body: format!("{} ", request.body), ..request.clone() },
        SIGNING_KEY
    ));
    assert_eq!(request.header("idempotency-key"), notice.key);
    // The text as it came is a value of JSON, and nothing else.
    assert_eq!(request.json()["cause"]["message"], HOSTILE);
    insta::assert_snapshot!(request.text(), @r#"
    POST /hook
    accept-encoding: gzip
    accept: */*
    content-length: 721
    content-type: application/json
    idempotency-key: late/acme/news/7
    tidemark-signature: v1=fd1d9a8a1f4aa3db0721ad771cfe5f5a4293be657c64a09bbed5e17398a2d927
    tidemark-timestamp: 1795687200
    
    {
      "version": 1,
      "key": "late/acme/news/7",
      "at": "2026-11-26T10:00:00Z",
      "phase": "opened",
      "about": "connection",
      "severity": "warning",
      "account": "acme",
      "connection": "acme/news",
      "kind": "late",
      "cause": {
        "name": "failing",
        "since": "2026-11-26T09:00:00Z",
        "class": "source",
        "side": "source",
        "system": "us1.api.mailchimp.com",
        "kind": "transient",
        "message": "<!channel> <http://evil.example|click> \"quoted\" 'too' *bold* `code` & more\nnext line\u001b[31mU+202E {{ .Labels }} </script>"
      },
      "text": "acme/news: late: failing since 2026-11-26T09:00:00Z (transient; source must act): <!channel> <http://evil.example|click> \"quoted\" 'too' *bold* `code` & more\\nnext line\\u{1b}[31m\\u{202e} {{ .Labels }} </script>",
      "next": "tidemark inspect acme/news"
    }
    "#);
}

#[tokio::test]
async fn every_subject_has_its_fields() {
    let receiver = Receiver::start().await;
    let sinks = connect(&webhook("hook", &receiver, ""), &[]);
    let over = then(&late("acme/news", failing("no answer")), Phase::Closed, 60);
    let workers = outage(Part::Workers, None, Phase::Opened);
    for notice in [over, group("no answer"), workers] {
        assert_eq!(send(&sinks, "hook", notice).await, Outcome::Sent);
    }
    let bodies: Vec<String> = receiver
        .take()
        .iter()
        .map(|request| serde_json::to_string_pretty(&request.json()).unwrap())
        .collect();
    insta::assert_snapshot!(bodies.join("\n"), @r#"
    {
      "version": 1,
      "key": "late/acme/news/7/closed",
      "at": "2026-11-26T10:01:00Z",
      "phase": "closed",
      "about": "connection",
      "severity": "warning",
      "account": "acme",
      "connection": "acme/news",
      "kind": "late",
      "cause": {
        "name": "failing",
        "since": "2026-11-26T09:00:00Z",
        "class": "source",
        "side": "source",
        "system": "us1.api.mailchimp.com",
        "kind": "transient",
        "message": "no answer"
      },
      "ending": "recovered",
      "text": "acme/news: in time again"
    }
    {
      "version": 1,
      "key": "group/late/failing/source/us1.api.mailchimp.com/2026-11-26T10:00:00Z",
      "at": "2026-11-26T10:00:00Z",
      "phase": "opened",
      "about": "group",
      "severity": "critical",
      "kind": "late",
      "group": "late/failing/source/us1.api.mailchimp.com",
      "counts": {
        "acme": 2,
        "globex": 3
      },
      "new": [
        "acme/news",
        "globex/a"
      ],
      "sample": [
        {
          "connection": "acme/news",
          "cause": {
            "name": "failing",
            "since": "2026-11-26T09:00:00Z",
            "class": "source",
            "side": "source",
            "system": "us1.api.mailchimp.com",
            "kind": "transient",
            "message": "no answer"
          }
        },
        {
          "connection": "globex/a",
          "cause": {
            "name": "failing",
            "since": "2026-11-26T09:00:00Z",
            "class": "source",
            "side": "source",
            "system": "us1.api.mailchimp.com",
            "kind": "transient",
            "message": "no answer"
          }
        }
      ],
      "text": "5 connections: late; acme/news: failing since 2026-11-26T09:00:00Z (transient; source must act): no answer; globex/a: failing since 2026-11-26T09:00:00Z (transient; source must act): no answer",
      "next": "tidemark lag --by cause"
    }
    {
      "version": 1,
      "key": "outage/workers/2026-11-26T09:55:00Z",
      "at": "2026-11-26T10:00:00Z",
      "phase": "opened",
      "about": "outage",
      "severity": "critical",
      "part": "workers",
      "since": "2026-11-26T09:55:00Z",
      "until": null,
      "text": "no worker polls, since 2026-11-26T09:55:00Z; nobody is called late meanwhile",
      "next": "start workers: tidemark worker"
    }
    "#);
}

#[tokio::test]
async fn a_repetition_has_the_same_key_and_body_and_another_signature() {
    let receiver = Receiver::start().await;
    let sinks = connect(&webhook("hook", &receiver, ""), &[]);
    let notice = late("acme/news", failing("no answer"));
    for second in [0, 60] {
        let handout =
            tidemark_monitor::sinks::Handout { sink: "hook".to_owned(), notice: notice.clone() };
        let _ = sinks.deliver(vec![handout], at(second)).await;
    }
    let requests = receiver.take();
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(requests[0].header("idempotency-key"), requests[1].header("idempotency-key"));
    assert_ne!(requests[0].header("tidemark-signature"), requests[1].header("tidemark-signature"));
    assert!(requests.iter().all(|request| is_signed(request, SIGNING_KEY)));
}

#[tokio::test]
async fn a_key_is_a_header_whatever_is_in_it() {
    let receiver = Receiver::start().await;
    let sinks = connect(&webhook("hook", &receiver, ""), &[]);
    let mut notice = late("acme/news", failing("no answer"));
    notice.key = "group/late/ü\r\nx: y".to_owned();
    assert_eq!(send(&sinks, "hook", notice.clone()).await, Outcome::Sent);
    let request = receiver.one();
    assert_eq!(request.header("idempotency-key"), "group/late/%C3%BC%0D%0Ax: y");
    assert_eq!(request.json()["key"], notice.key);
    assert!(!request.headers.contains_key("x"));
}
