//! All receivers of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use tidemark_model::ids::AccountId;
use tidemark_model::secret::SecretLookup;
use tokio::time::Instant;
use tracing::warn;

use super::alertmanager::Alertmanager;
use super::error::SinkError;
use super::log::Log;
use super::outbox::Outbox;
use super::post::Poster;
use super::slack::Slack;
use super::webhook::Webhook;
use super::{Link, Sink};
use crate::config::{AddressError, SinkConfig, SinkKind, not_at_hand};
use crate::rules::{Notice, Phase, Subject};

/// How long one sink may begin requests for what it is given at once. With the time of the last
/// one, and until it is noted in the next pass, less than the minute after which what is not known
/// to be sent is given out again.
const ROUND: Duration = Duration::from_secs(15);

/// A key with fewer characters could be guessed from what it signed.
const SHORTEST: usize = 16;

/// What to do about a reference that leads nowhere, or to nothing that can be used.
const STARTED_AGAIN: &str =
    "what it leads to is read when the monitor starts: correct it, and start it again";

/// All receivers, connected. They hold no state: that is in the [`Outbox`].
pub struct Sinks(Vec<Receiver>);

struct Receiver {
    name: String,
    accounts: Option<BTreeSet<AccountId>>,
    sink: Box<dyn Sink>,
}

/// A notice that a sink is to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handout {
    pub sink: String,
    pub notice: Notice,
}

/// What came of an attempt to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub sink: String,
    /// The notice's; `None`: what stands open was said again.
    pub key: Option<String>,
    pub outcome: Outcome,
}

/// How an attempt to send ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Sent,
    Failed(SinkError),
    /// The sink failed at something else, or there was no time left.
    Untried,
}

/// Why a sink cannot be connected.
#[derive(Debug)]
#[non_exhaustive]
pub struct SinkProblem {
    pub sink: String,
    pub reason: String,
}

/// Why the sinks cannot be connected: all of them at once, none with a secret. Never empty.
#[derive(Debug, thiserror::Error)]
pub struct SinkProblems(Vec<SinkProblem>);

impl fmt::Display for SinkProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, SinkProblem { sink, reason }) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "sink {sink}: {reason}")?;
        }
        Ok(())
    }
}

impl Sinks {
    /// Reads the secrets, once, and makes the sinks. Sends nothing. Must be called after the
    /// process's TLS provider was installed. `link` makes the address of a connection's page.
    ///
    /// # Errors
    /// Secrets that are not at hand or cannot be used; the HTTP client cannot be set up.
    pub fn connect(
        configs: &[SinkConfig],
        secrets: &dyn SecretLookup,
        link: Option<&Link>,
    ) -> Result<Self, SinkProblems> {
        let poster = Poster::new().map_err(|error| {
            let reason = format!("the HTTP client cannot be set up: {error}");
            SinkProblems(vec![SinkProblem { sink: "*".to_owned(), reason }])
        })?;
        let (mut receivers, mut problems) = (Vec::new(), Vec::new());
        for config in configs {
            let SinkConfig { name, accounts, kind } = config.clone();
            match connect(&kind, &poster, secrets, link) {
                Ok(sink) => receivers.push(Receiver { name, accounts, sink }),
                Err(reason) => problems.push(SinkProblem { sink: name, reason }),
            }
        }
        if problems.is_empty() { Ok(Self(receivers)) } else { Err(SinkProblems(problems)) }
    }

    /// Writes down who is owed these notices, and takes out what is to be sent now. The outbox has
    /// to be written before [`deliver`](Self::deliver) is called.
    pub fn hand_out(
        &self,
        outbox: &mut Outbox,
        notices: Vec<Notice>,
        now: Timestamp,
        resend_after: SignedDuration,
    ) -> Vec<Handout> {
        for notice in notices {
            self.add(outbox, notice, now);
        }
        let names = self.0.iter().map(|receiver| receiver.name.as_str()).collect();
        let due = outbox.due(now, &names, resend_after);
        self.add_own(outbox, now);
        due.into_iter()
            .filter_map(|(sink, notice)| {
                let receiver = self.0.iter().find(|receiver| receiver.name == sink)?;
                match self.part(receiver, &notice) {
                    Some(notice) => Some(Handout { sink, notice }),
                    // It is not told of these accounts any more.
                    None => {
                        outbox.forget(&notice.key, &sink);
                        None
                    }
                }
            })
            .collect()
    }

    /// Sends what was handed out: each sink in order and until its first failure, the sinks side
    /// by side.
    pub async fn deliver(&self, handouts: Vec<Handout>, now: Timestamp) -> Vec<Delivery> {
        let mut by_sink: BTreeMap<String, Vec<Notice>> = BTreeMap::new();
        for Handout { sink, notice } in handouts {
            by_sink.entry(sink).or_default().push(notice);
        }
        let rounds = self.0.iter().filter_map(|receiver| {
            let notices = by_sink.remove(&receiver.name)?;
            Some(receiver.round(notices, now))
        });
        join_all(rounds).await.into_iter().flatten().collect()
    }

    /// Says again what stands open to the sinks that forget, unless they are left alone for now.
    /// `standing` is the watch's; sinks that fail are added to it.
    pub async fn refresh(
        &self,
        outbox: &Outbox,
        mut standing: Vec<Notice>,
        now: Timestamp,
    ) -> Vec<Delivery> {
        standing.extend(outbox.standing());
        let standing = &standing;
        let forgetful = self
            .0
            .iter()
            .filter(|receiver| receiver.sink.forgets() && !outbox.rests(&receiver.name, now));
        let refreshed = forgetful.map(|receiver| async move {
            let own: Vec<Notice> =
                standing.iter().filter_map(|notice| self.part(receiver, notice)).collect();
            if own.is_empty() {
                return None;
            }
            let outcome = receiver.outcome(receiver.sink.refresh(&own, now).await);
            Some(Delivery { sink: receiver.name.clone(), key: None, outcome })
        });
        join_all(refreshed).await.into_iter().flatten().collect()
    }

    /// Notes what came of it. The outbox has to be written afterwards.
    pub fn note(&self, outbox: &mut Outbox, deliveries: &[Delivery], now: Timestamp) {
        for Delivery { sink, key, outcome } in deliveries {
            match (outcome, key) {
                (Outcome::Sent, Some(key)) => outbox.sent(key, sink, now),
                (Outcome::Sent, None) => outbox.works(sink, now),
                (Outcome::Failed(error), key) => outbox.failed(key.as_deref(), sink, now, error),
                (Outcome::Untried, Some(key)) => outbox.returned(key, sink),
                (Outcome::Untried, None) => {}
            }
        }
        self.add_own(outbox, now);
    }

    /// Sends one notice to each sink that says that it is a test.
    pub async fn test_alert(&self, now: Timestamp) -> Vec<(String, Result<(), SinkError>)> {
        let sent = self.0.iter().map(|receiver| async move {
            let notice = Notice {
                key: format!("test/{}/{now}", receiver.name),
                at: now,
                phase: Phase::Opened,
                subject: Subject::Test { sink: receiver.name.clone() },
            };
            (receiver.name.clone(), receiver.sink.deliver(&notice, now).await)
        });
        join_all(sent).await
    }

    fn add_own(&self, outbox: &mut Outbox, now: Timestamp) {
        for notice in outbox.take_own() {
            self.add(outbox, notice, now);
        }
    }

    fn add(&self, outbox: &mut Outbox, notice: Notice, now: Timestamp) {
        let owing: Vec<String> = self
            .0
            .iter()
            .filter(|receiver| self.part(receiver, &notice).is_some())
            .map(|receiver| receiver.name.clone())
            .collect();
        if owing.is_empty() && !joining(&notice) {
            warn!(key = notice.key, "no sink is told of this notice");
        }
        outbox.add(notice, owing, now);
    }

    /// What a sink gets of a notice.
    fn part(&self, receiver: &Receiver, notice: &Notice) -> Option<Notice> {
        if let Subject::Sink { name, .. } = &notice.subject {
            let about = self.0.iter().find(|receiver| receiver.name == *name);
            // The name of a sink may say whose it is: whoever sees all that it sees may know it.
            let accounts = about.and_then(|about| about.accounts.as_ref());
            let may_know = match (&receiver.accounts, accounts) {
                (None, _) => true,
                (Some(own), Some(accounts)) => own.is_superset(accounts),
                (Some(_), None) => false,
            };
            return (receiver.name != *name && may_know).then(|| notice.clone());
        }
        match &receiver.accounts {
            None if joining(notice) => None,
            None => Some(notice.clone()),
            Some(accounts) => notice.for_accounts(&|account| accounts.contains(account)),
        }
    }
}

impl Receiver {
    async fn round(&self, notices: Vec<Notice>, now: Timestamp) -> Vec<Delivery> {
        let begun = Instant::now();
        let mut deliveries = Vec::with_capacity(notices.len());
        let mut goes_on = true;
        for notice in notices {
            let outcome = if goes_on && begun.elapsed() < ROUND {
                self.outcome(self.sink.deliver(&notice, now).await)
            } else {
                Outcome::Untried
            };
            goes_on = outcome == Outcome::Sent;
            deliveries.push(Delivery { sink: self.name.clone(), key: Some(notice.key), outcome });
        }
        deliveries
    }

    fn outcome(&self, sent: Result<(), SinkError>) -> Outcome {
        match sent {
            Ok(()) => Outcome::Sent,
            Err(error) => {
                warn!(sink = self.name, error = error.line(), hint = error.hint(), "not sent");
                Outcome::Failed(error)
            }
        }
    }
}

/// Whether it is for those only who may not see every account.
fn joining(notice: &Notice) -> bool {
    matches!(notice.subject, Subject::Group { joining: true, .. })
}

fn connect(
    kind: &SinkKind,
    poster: &Poster,
    secrets: &dyn SecretLookup,
    link: Option<&Link>,
) -> Result<Box<dyn Sink>, String> {
    let poster = poster.clone();
    let refused = |error: AddressError| {
        let hint = match &error {
            AddressError::PlainHttp => error.hint(),
            _ => STARTED_AGAIN,
        };
        format!("`url` {error}; {hint}")
    };
    Ok(match kind {
        SinkKind::Webhook { place, secret } => {
            let url = place.resolve(secrets).map_err(refused)?;
            let secret = secret
                .resolve(secrets)
                .map_err(|error| AddressError::Secret(not_at_hand(&error)))
                .map_err(|error| format!("`secret` {error}; {STARTED_AGAIN}"))?;
            let secret = secret.expose_secret();
            if secret.chars().count() < SHORTEST {
                return Err(format!(
                    "`secret` has fewer than {SHORTEST} characters and could be guessed: make one \
                     with `openssl rand -hex 24`"
                ));
            }
            Box::new(Webhook::new(poster, url, secret))
        }
        SinkKind::Slack { place } => {
            Box::new(Slack::new(poster, place.resolve(secrets).map_err(refused)?))
        }
        SinkKind::Alertmanager { place } => {
            let url = place.resolve(secrets).map_err(refused)?;
            Box::new(Alertmanager::new(poster, url, link.cloned()))
        }
        SinkKind::Log => Box::new(Log),
    })
}

#[cfg(test)]
mod tests;
