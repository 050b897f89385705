//! What goes wrong, and that no secret is in what is told of it.

use std::time::Duration;

use tidemark_monitor::sinks::{Outcome, SinkError};
use tracing::instrument::WithSubscriber as _;

use crate::log::Journal;
use crate::notices::{failing, late, send};
use crate::receiver::{Answer, Receiver, connect, webhook};

const SLACK: &str = "[[sink]]\nname = 'team'\nkind = 'slack'\nurl = 'env:SLACK'";

/// Sends a notice to a Slack at a secret path. What is told of it anywhere has no secret in it.
async fn told(url: &str) -> SinkError {
    let sinks = connect(SLACK, &[("SLACK", url)]);
    let journal = Journal::default();
    let outcome = send(&sinks, "team", late("acme/news", failing("no answer")))
        .with_subscriber(journal.subscriber())
        .await;
    let Outcome::Failed(error) = outcome else { panic!("it was sent") };
    let log = journal.text();
    assert!(log.contains("not sent"), "{log}");
    for text in [log, format!("{error} {error:?} {} {}", error.hint(), error.actor())] {
        for secret in ["T0secret", "B0secret", "127.0.0.1"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    error
}

#[tokio::test]
async fn an_answer_that_repeats_the_address_is_told_without_it() {
    let receiver = Receiver::start().await;
    receiver.answers(Answer::Status(
        404,
        "<b>no_service</b>: cannot POST /services/T0secret/B0secret\n at 127.0.0.1",
    ));
    let error = told(&receiver.url("/services/T0secret/B0secret")).await;
    insta::assert_snapshot!(error, @r"
    it answered 404: the address or a credential is wrong: <b>no_service</b>: cannot POST /REDACTED/REDACTED/REDACTED\n at REDACTED
    ");
    insta::assert_snapshot!(error.hint(), @r"
    correct `url` of the [[sink]] and start the monitor again, then: tidemark monitor test-alert
    ");
}

#[tokio::test]
async fn nobody_is_there() {
    // A port that is taken, and at which nobody listens.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let error = told(&format!("http://127.0.0.1:{port}/services/T0secret/B0secret")).await;
    let SinkError::NoConnection { reason } = error else { panic!("{error}") };
    assert!(reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    for status in [301, 302, 303, 307, 308] {
        receiver.answers(Answer::With(status, "location", elsewhere.url("/T0secret")));
        let error = told(&receiver.url("/services/T0secret/B0secret")).await;
        assert_eq!(error, SinkError::Redirected { status });
    }
    assert_eq!(receiver.take().len(), 5);
    assert_eq!(elsewhere.take().len(), 0);
}

#[tokio::test]
async fn a_busy_receiver_says_until_when() {
    let receiver = Receiver::start().await;
    receiver.answers(Answer::With(429, "retry-after", "120".to_owned()));
    let error = told(&receiver.url("/services/T0secret/B0secret")).await;
    let retry_after = Some(Duration::from_secs(120));
    assert_eq!(error, SinkError::Busy { status: 429, retry_after });
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_does_not_answer_is_given_up() {
    let receiver = Receiver::start().await;
    receiver.answers(Answer::Never);
    let error = told(&receiver.url("/services/T0secret/B0secret")).await;
    assert_eq!(error.to_string(), "it did not answer within 10 s");
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_its_end() {
    let receiver = Receiver::start().await;
    receiver.answers(Answer::Endless(500));
    receiver.answers(Answer::Endless(200));
    let url = receiver.url("/services/T0secret/B0secret");
    let SinkError::Failed { status: 500, reason } = told(&url).await else { panic!() };
    assert_eq!(reason.chars().count(), 201);
    let sinks = connect(SLACK, &[("SLACK", &url)]);
    let outcome = send(&sinks, "team", late("acme/news", failing("no answer"))).await;
    assert_eq!(outcome, Outcome::Sent);
    // What the system's buffers take, and not ten seconds of it.
    assert!(receiver.poured() < 64 * 1024 * 1024, "{}", receiver.poured());
}

#[tokio::test]
async fn a_webhook_does_not_tell_its_key() {
    let receiver = Receiver::start().await;
    receiver.answers(Answer::Status(401, "your key a-signing-key-of-the-tests is unknown"));
    let sinks = connect(&webhook("hook", &receiver, ""), &[]);
    let outcome = send(&sinks, "hook", late("acme/news", failing("no answer"))).await;
    let reason = "your key REDACTED is unknown".to_owned();
    assert_eq!(outcome, Outcome::Failed(SinkError::Refused { status: 401, reason }));
}
