//! Notices on their way: a sink that fails, and processes that die.

use jiff::SignedDuration;
use tidemark_monitor::rules::{Notice, Phase};
use tidemark_monitor::sinks::{Outbox, Sinks};

use crate::notices::{at, failing, late, then};
use crate::receiver::{Answer, Receiver, connect, webhook};

const RESEND_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// A pass of the watch by a process that has read the outbox, and writes it.
async fn pass(sinks: &Sinks, stored: &mut String, notices: Vec<Notice>, second: i64) {
    let mut outbox: Outbox = serde_json::from_str(stored).unwrap();
    let handouts = sinks.hand_out(&mut outbox, notices, at(second), RESEND_AFTER);
    *stored = serde_json::to_string(&outbox).unwrap();
    let deliveries = sinks.deliver(handouts, at(second)).await;
    let mut outbox: Outbox = serde_json::from_str(stored).unwrap();
    sinks.note(&mut outbox, &deliveries, at(second));
    *stored = serde_json::to_string(&outbox).unwrap();
}

fn empty() -> String {
    serde_json::to_string(&Outbox::default()).unwrap()
}

#[tokio::test]
async fn a_sink_that_fails_is_told_of_by_the_other_and_gets_everything_later() {
    let (ill, well) = (Receiver::start().await, Receiver::start().await);
    let file = [webhook("ill", &ill, ""), webhook("well", &well, "")].concat();
    let mut stored = empty();
    for _ in 0..7 {
        ill.answers(Answer::Status(500, "out of order"));
    }
    let mut minutes = Vec::new();
    for minute in 0..40 {
        // Each pass is one of a process that has just begun.
        let sinks = connect(&file, &[]);
        let notice = late(&format!("acme/c{minute}"), failing("no answer"));
        pass(&sinks, &mut stored, vec![notice], minute * 60).await;
        minutes.extend(well.keys().into_iter().map(|key| (minute, key)));
    }
    let sink: Vec<String> = minutes
        .iter()
        .filter(|(_, key)| key.starts_with("sink/"))
        .map(|(minute, key)| format!("{minute}: {key}"))
        .collect();
    insta::assert_snapshot!(sink.join("\n"), @r"
    9: sink/ill/2026-11-26T10:00:00Z
    24: sink/ill/2026-11-26T10:00:00Z/closed
    ");
    let told = minutes.iter().filter(|(_, key)| key.starts_with("late/")).count();
    assert_eq!(told, 40);
    // Everything reached the one that was ill, once it was well.
    let mut got = ill.keys();
    let failed: Vec<String> = got.drain(..7).collect();
    assert!(failed.iter().all(|key| got.contains(key)));
    got.sort();
    got.dedup();
    assert_eq!(got.len(), 40);
    assert_eq!(stored, serde_json::to_string(&settled(40 + 2)).unwrap());
}

/// An outbox that holds nothing, after so many notices.
fn settled(count: i64) -> Outbox {
    let text = empty().replace(r#""next_number":0"#, &format!(r#""next_number":{count}"#));
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn what_a_process_died_with_is_sent_by_the_next_one() {
    let receiver = Receiver::start().await;
    let file = webhook("hook", &receiver, "");
    let sinks = connect(&file, &[]);
    let mut outbox = Outbox::default();
    let opened = late("acme/news", failing("no answer"));
    let closed = then(&opened, Phase::Closed, 60);
    let handouts =
        sinks.hand_out(&mut outbox, vec![opened.clone(), closed.clone()], at(0), RESEND_AFTER);
    assert_eq!(handouts.len(), 2);
    let mut stored = serde_json::to_string(&outbox).unwrap();
    // It died here.
    let next = connect(&file, &[]);
    pass(&next, &mut stored, Vec::new(), 59).await;
    assert_eq!(receiver.keys(), Vec::<String>::new());
    pass(&next, &mut stored, Vec::new(), 60).await;
    assert_eq!(receiver.keys(), [opened.key.clone(), closed.key]);
    pass(&next, &mut stored, vec![opened], 3_600).await;
    // The watch does not tell a key twice. If it did, it would be sent: nothing is remembered
    // of what was sent.
    assert_eq!(receiver.keys().len(), 1);
}

#[tokio::test]
async fn a_sink_that_fails_is_not_asked_for_each_notice() {
    let receiver = Receiver::start().await;
    let sinks = connect(&webhook("hook", &receiver, ""), &[]);
    let mut stored = empty();
    receiver.answers(Answer::Status(500, "out of order"));
    let notices: Vec<Notice> =
        (0..10).map(|n| late(&format!("acme/c{n}"), failing("no answer"))).collect();
    pass(&sinks, &mut stored, notices, 0).await;
    assert_eq!(receiver.keys().len(), 1);
    pass(&sinks, &mut stored, Vec::new(), 29).await;
    assert_eq!(receiver.keys().len(), 0);
    pass(&sinks, &mut stored, Vec::new(), 30).await;
    assert_eq!(receiver.keys().len(), 1);
    pass(&sinks, &mut stored, Vec::new(), 31).await;
    assert_eq!(receiver.keys().len(), 9);
}

#[tokio::test]
async fn a_test_reaches_every_sink_and_says_what_it_is() {
    let (hook, slack, pager) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let file = format!(
        "{}[[sink]]\nname = 'team'\nkind = 'slack'\nurl = 'env:SLACK'\n[[sink]]\nname = 'pager'\n\
         kind = 'alertmanager'\nurl = '{}'\n[[sink]]\nname = 'journal'\nkind = 'log'\n",
        webhook("hook", &hook, "accounts = ['acme']"),
        pager.url("")
    );
    let sinks = connect(&file, &[("SLACK", &slack.url("/services/T0"))]);
    slack.answers(Answer::Status(403, "invalid_token"));
    let results: Vec<String> = sinks
        .test_alert(at(0))
        .await
        .into_iter()
        .map(|(name, result)| {
            let told = result
                .map_or_else(|error| format!("{error}; {}", error.hint()), |()| "sent".to_owned());
            format!("{name}: {told}")
        })
        .collect();
    insta::assert_snapshot!(results.join("\n"), @r"
    hook: sent
    team: it answered 403: the address or a credential is wrong: invalid_token; correct `url` of the [[sink]] and start the monitor again, then: tidemark monitor test-alert
    pager: sent
    journal: sent
    ");
    let bodies = [hook.one(), slack.one(), pager.one()].map(|request| request.body);
    insta::assert_snapshot!(bodies.join("\n"), @r#"
    {"version":1,"key":"test/hook/2026-11-26T10:00:00Z","at":"2026-11-26T10:00:00Z","phase":"opened","about":"test","severity":"info","sink":"hook","text":"this is a test of sink hook: nothing is wrong"}
    {"text":"🧪 *test* `team`\n`this is a test of sink team: nothing is wrong`"}
    [{"labels":{"alertname":"TidemarkTest","sink":"pager","severity":"info"},"annotations":{"summary":"test: pager","description":"this is a test of sink pager: nothing is wrong"},"startsAt":"2026-11-26T10:00:00Z","endsAt":"2026-11-26T10:05:00Z"}]
    "#);
}
