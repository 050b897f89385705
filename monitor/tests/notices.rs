//! Notices to send.

use jiff::{SignedDuration, Timestamp};
use tidemark_model::failure::{FailureClass, FailureKind, Side};
use tidemark_monitor::rules::{Cause, Ending, Kind, Notice, Outage, Part, Phase, Subject};
use tidemark_monitor::sinks::{Delivery, Handout, Outcome, Sinks};

/// Text that a source sent, and that wants to be more than text.
pub(crate) const HOSTILE: &str = "<!channel> <http://evil.example|click> \"quoted\" 'too' *bold* `code` \
                                  & more\nnext line\u{1b}[31m\u{202e} {{ .Labels }} </script>";

pub(crate) fn now() -> Timestamp {
    "2026-11-26T10:00:00Z".parse().unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    now() + SignedDuration::from_secs(second)
}

pub(crate) fn failing(message: &str) -> Cause {
    Cause::Failing {
        since: at(-3_600),
        class: FailureClass::Source,
        side: Side::Source,
        system: "us1.api.mailchimp.com".into(),
        kind: FailureKind::Transient,
        message: message.into(),
    }
}

/// A connection is late.
pub(crate) fn late(connection: &str, cause: Cause) -> Notice {
    Notice {
        key: format!("late/{connection}/7"),
        at: now(),
        phase: Phase::Opened,
        subject: Subject::Connection {
            connection: connection.parse().unwrap(),
            kind: Kind::Late,
            cause,
            ending: None,
        },
    }
}

/// Such a notice later on.
pub(crate) fn then(notice: &Notice, to: Phase, second: i64) -> Notice {
    let mut notice = notice.clone();
    notice.key =
        format!("{}/{}", notice.key, if to == Phase::Closed { "closed" } else { "reminder/1" });
    notice.phase = to;
    notice.at = at(second);
    if let (Subject::Connection { ending, .. }, Phase::Closed) = (&mut notice.subject, to) {
        *ending = Some(Ending::Recovered);
    }
    notice
}

/// Many are late, two of `acme` and three of `globex`.
pub(crate) fn group(message: &str) -> Notice {
    let id = |text: &str| text.parse().unwrap();
    Notice {
        key: "group/late/failing/source/us1.api.mailchimp.com/2026-11-26T10:00:00Z".to_owned(),
        at: now(),
        phase: Phase::Opened,
        subject: Subject::Group {
            kind: Kind::Late,
            counts: [("acme".parse().unwrap(), 2), ("globex".parse().unwrap(), 3)].into(),
            new: vec![id("acme/news"), id("globex/a")],
            sample: vec![(id("acme/news"), failing(message)), (id("globex/a"), failing(message))],
            group: "late/failing/source/us1.api.mailchimp.com".to_owned(),
            joining: false,
        },
    }
}

pub(crate) fn outage(part: Part, until: Option<Timestamp>, phase: Phase) -> Notice {
    let since = at(-300);
    Notice {
        key: format!("outage/{part}/{since}"),
        at: now(),
        phase,
        subject: Subject::Outage(Outage { part, since, until }),
    }
}

/// Sends one notice to one sink.
pub(crate) async fn send(sinks: &Sinks, sink: &str, notice: Notice) -> Outcome {
    let handout = Handout { sink: sink.to_owned(), notice };
    let mut deliveries: Vec<Delivery> = sinks.deliver(vec![handout], now()).await;
    assert_eq!(deliveries.len(), 1);
    deliveries.remove(0).outcome
}
