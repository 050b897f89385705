//! What is answered about an account or a connection, here and by `tidemark fresh -o json`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_engine::freshness::{AccountFreshness, Counts, Freshness, Look, State, Subject};
use utoipa::ToSchema;

/// What is asked of a watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The oldest that it may be.
    pub max_age: Duration,
    /// Whether records that are exceptions are good enough.
    pub accept_exceptions: bool,
}

/// How fresh an account or a connection is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    Account(AccountAnswer),
    Connection(ConnectionAnswer),
}

/// `fresh` is what a gate goes by; `state` says what it would be with and without exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = State)]
pub enum StateName {
    /// The watermark is as recent as was asked for.
    Fresh,
    /// The same, except for the records that `exceptions` counts.
    FreshExcept,
    /// The watermark is older, or nothing is proven of the destination.
    NotFresh,
}

/// Records whose state at the destination is not what the source's is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exceptions {
    /// All of them, without the waived ones.
    pub total: u64,
    /// How many of them the destination refused.
    pub rejected: u64,
    /// How many of them are removals that wait for an operator.
    pub held: u64,
    /// Exceptions that an operator accepted as they are; they do not count in `total`.
    pub waived: u64,
}

/// How fresh a connection is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionAnswer {
    /// `account/connection`.
    #[schema(example = "acme/newsletter")]
    pub connection: String,
    /// Whether it is as fresh as was asked for.
    pub fresh: bool,
    pub state: StateName,
    /// Why, in a sentence.
    #[schema(example = "complete as of 2026-11-21T10:00:00Z, 12m 30s ago")]
    pub reason: String,
    /// The watermark, by the source's clock: a record that was not changed since then is at the
    /// destination as mapped. `null` if nothing is proven.
    #[schema(required = true)]
    pub complete_as_of: Option<Timestamp>,
    /// How old the watermark is, rounded up.
    #[schema(required = true)]
    pub age_seconds: Option<u64>,
    pub exceptions: Exceptions,
}

/// How fresh an account is: as fresh as its oldest connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountAnswer {
    #[schema(example = "acme")]
    pub account: String,
    /// Whether every connection is as fresh as was asked for.
    pub fresh: bool,
    /// That of the worst connection.
    pub state: StateName,
    /// Why, in a sentence that names the worst connection.
    #[schema(example = "acme/newsletter: complete as of 2026-11-21T10:00:00Z, 12m 30s ago")]
    pub reason: String,
    /// The oldest watermark; `null` if nothing is proven of a connection.
    #[schema(required = true)]
    pub complete_as_of: Option<Timestamp>,
    /// How old that watermark is, rounded up.
    #[schema(required = true)]
    pub age_seconds: Option<u64>,
    /// Those of all connections together.
    pub exceptions: Exceptions,
    /// Every connection, in the order of their ids.
    pub connections: Vec<ConnectionAnswer>,
}

impl Answer {
    /// Judges a look; `None` if there is nothing to judge: no such connection, or an account
    /// without connections.
    #[must_use]
    pub fn of(subject: &Subject, looks: &[Look], asked: Asked, now: Timestamp) -> Option<Self> {
        let Asked { max_age, accept_exceptions } = asked;
        match subject {
            Subject::Account(account) => AccountFreshness::of(account, looks, max_age, now)
                .map(|judged| Self::Account(AccountAnswer::of(judged, accept_exceptions))),
            Subject::Connection(_) => looks.first().map(|look| {
                let judged = Freshness::of(look, max_age, now);
                Self::Connection(ConnectionAnswer::of(judged, accept_exceptions))
            }),
        }
    }

    /// The account's or the connection's name.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Account(answer) => &answer.account,
            Self::Connection(answer) => &answer.connection,
        }
    }

    #[must_use]
    pub fn fresh(&self) -> bool {
        match self {
            Self::Account(answer) => answer.fresh,
            Self::Connection(answer) => answer.fresh,
        }
    }

    #[must_use]
    pub fn state(&self) -> StateName {
        match self {
            Self::Account(answer) => answer.state,
            Self::Connection(answer) => answer.state,
        }
    }

    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Account(answer) => &answer.reason,
            Self::Connection(answer) => &answer.reason,
        }
    }

    /// An account's connections, or the one connection.
    #[must_use]
    pub fn connections(&self) -> &[ConnectionAnswer] {
        match self {
            Self::Account(answer) => &answer.connections,
            Self::Connection(answer) => std::slice::from_ref(answer),
        }
    }
}

impl ConnectionAnswer {
    fn of(judged: Freshness, accept_exceptions: bool) -> Self {
        Self {
            connection: judged.connection.to_string(),
            fresh: judged.state.passes(accept_exceptions),
            state: judged.state.into(),
            reason: judged.reason,
            complete_as_of: judged.complete_as_of,
            age_seconds: judged.age.map(|age| age.as_secs()),
            exceptions: judged.counts.into(),
        }
    }
}

impl AccountAnswer {
    fn of(judged: AccountFreshness, accept_exceptions: bool) -> Self {
        let connections = judged.connections.into_iter();
        Self {
            account: judged.account.to_string(),
            fresh: judged.state.passes(accept_exceptions),
            state: judged.state.into(),
            reason: judged.reason,
            complete_as_of: judged.complete_as_of,
            age_seconds: judged.age.map(|age| age.as_secs()),
            exceptions: judged.counts.into(),
            connections: connections
                .map(|one| ConnectionAnswer::of(one, accept_exceptions))
                .collect(),
        }
    }
}

impl From<State> for StateName {
    fn from(state: State) -> Self {
        match state {
            State::Fresh => Self::Fresh,
            State::FreshExcept => Self::FreshExcept,
            State::NotFresh => Self::NotFresh,
        }
    }
}

impl StateName {
    /// As people read it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::FreshExcept => "fresh except for some records",
            Self::NotFresh => "not fresh",
        }
    }
}

impl From<Counts> for Exceptions {
    fn from(counts: Counts) -> Self {
        let Counts { exceptions, rejected, held, waived } = counts;
        Self { total: exceptions, rejected, held, waived }
    }
}
