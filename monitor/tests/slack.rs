//! What Slack and its kin get.

use tidemark_monitor::rules::{Cause, Part, Phase};
use tidemark_monitor::sinks::Outcome;

use crate::notices::{HOSTILE, failing, group, late, now, outage, send, then};
use crate::receiver::{Receiver, connect};

const SLACK: &str = "[[sink]]\nname = 'team'\nkind = 'slack'\nurl = 'env:SLACK'";

/// The text of the one message that a receiver got.
fn text(receiver: &Receiver) -> String {
    let request = receiver.one();
    assert_eq!(request.path, "/services/T0/B0/secret");
    assert_eq!(request.header("content-type"), "application/json");
    let body = request.json();
    assert_eq!(body.as_object().unwrap().len(), 1);
    body["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn messages_are_a_head_a_line_and_the_next_command() {
    let receiver = Receiver::start().await;
    let sinks = connect(SLACK, &[("SLACK", &receiver.url("/services/T0/B0/secret"))]);
    let late = late("acme/news", failing("no answer"));
    let mut texts = Vec::new();
    for notice in [
        late.clone(),
        then(&late, Phase::Reminder, 60),
        then(&late, Phase::Closed, 60),
        group("no answer"),
        outage(Part::Temporal, None, Phase::Opened),
        outage(Part::Temporal, Some(now()), Phase::Closed),
    ] {
        assert_eq!(send(&sinks, "team", notice).await, Outcome::Sent);
        texts.push(text(&receiver));
    }
    insta::assert_snapshot!(texts.join("\n--\n"), @r"
    🔴 *late* `acme/news`
    `acme/news: late: failing since 2026-11-26T09:00:00Z (transient; source must act): no answer`
    next: `tidemark inspect acme/news`
    --
    🔴 *still late* `acme/news`
    `acme/news: still: late: failing since 2026-11-26T09:00:00Z (transient; source must act): no answer`
    next: `tidemark inspect acme/news`
    --
    🟢 *over: late* `acme/news`
    `acme/news: in time again`
    --
    🔴 *late* `5 connections`
    `5 connections: late; acme/news: failing since 2026-11-26T09:00:00Z (transient; source must act): no answer; globex/a: failing since 2026-11-26T09:00:00Z (transient; source must act): no answer`
    next: `tidemark lag --by cause`
    --
    🔴 *outage* `temporal`
    `Temporal does not answer, since 2026-11-26T09:55:00Z; nobody is called late meanwhile`
    next: `tidemark lag`
    --
    🟢 *over: outage* `temporal`
    `over: Temporal does not answer, from 2026-11-26T09:55:00Z to 2026-11-26T10:00:00Z`
    ");
}

#[tokio::test]
async fn text_from_elsewhere_stays_text() {
    let receiver = Receiver::start().await;
    let sinks = connect(SLACK, &[("SLACK", &receiver.url("/services/T0/B0/secret"))]);
    let _ = send(&sinks, "team", late("acme/news", failing(HOSTILE))).await;
    let text = text(&receiver);
    insta::assert_snapshot!(text, @r#"
    🔴 *late* `acme/news`
    `acme/news: late: failing since 2026-11-26T09:00:00Z (transient; source must act): &lt;!channel&gt; &lt;http://evil.example|click&gt; "quoted" 'too' *bold* 'code' &amp; more\nnext line\u{1b}[31m\u{202e} {{ .Labels }} &lt;/script&gt;`
    next: `tidemark inspect acme/news`
    "#);
    // Slack's own signs are nowhere, and every backtick is one of ours.
    assert!(!text.contains(['<', '>']));
    assert!(text.lines().all(|line| line.matches('`').count() == 2), "{text}");
    assert_eq!(text.lines().count(), 3);
}

#[tokio::test]
async fn a_long_text_is_cut() {
    let receiver = Receiver::start().await;
    let sinks = connect(SLACK, &[("SLACK", &receiver.url("/services/T0/B0/secret"))]);
    let long = "<&>".repeat(20_000);
    let cause = Cause::Working {
        since: now(),
        progress: long.as_str().into(),
        system: "us1.api.mailchimp.com".into(),
    };
    let _ = send(&sinks, "team", late("acme/news", cause)).await;
    let text = text(&receiver);
    assert!(text.len() < 12_000, "{}", text.len());
    let line = text.lines().nth(1).unwrap();
    assert!(line.ends_with("…`"), "{line}");
    // No escape was cut in two.
    assert!(!line.replace("&lt;", "").replace("&gt;", "").replace("&amp;", "").contains('&'));
}
