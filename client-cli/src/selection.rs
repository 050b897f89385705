//! Which connections a verb is about: some by their ids, or all that match.

use std::fmt;

use clap::Args;
use clap::builder::PossibleValuesParser;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tidemark_engine::definitions;
use tidemark_engine::freshness::Subject;
use tidemark_engine::store::{Store, StoreError};
use tidemark_model::ids::{AccountId, ConnectionId};
use tidemark_monitor::look::unreadable;
use tidemark_schedules::{Listed, ScheduleFilter};
use tidemark_workflows::health::Health;

use crate::error::Error;
use crate::session::Session;
use crate::ui::text::{joined, number_of};

const HEADING: &str = "Which connections";

/// Definitions that are read at once.
const SIMULTANEOUS: usize = 16;

/// Kinds of sources and destinations that a definition can name.
const SOURCE_KINDS: [&str; 1] = ["mailchimp"];
const DESTINATION_KINDS: [&str; 1] = ["record-api"];

/// Connections, by ids or by what they are.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Selection {
    /// Ids, account/connection
    #[arg(value_name = "ID", value_parser = connection)]
    ids: Vec<ConnectionId>,

    /// Those of an account
    #[arg(
        long,
        value_name = "ACCOUNT",
        value_parser = account,
        conflicts_with = "ids",
        help_heading = HEADING
    )]
    account: Vec<AccountId>,

    /// Those that read from a kind of source
    #[arg(
        long,
        value_name = "KIND",
        value_parser = PossibleValuesParser::new(SOURCE_KINDS),
        conflicts_with = "ids",
        help_heading = HEADING
    )]
    source: Vec<String>,

    /// Those that send to a kind of destination
    #[arg(
        long,
        value_name = "KIND",
        value_parser = PossibleValuesParser::new(DESTINATION_KINDS),
        conflicts_with = "ids",
        help_heading = HEADING
    )]
    destination: Vec<String>,

    /// Those that are doing so
    #[arg(
        long,
        value_name = "HEALTH",
        value_parser = health_parser(),
        conflicts_with = "ids",
        help_heading = HEADING
    )]
    health: Vec<Health>,

    /// Every connection
    #[arg(
        long,
        conflicts_with_all = ["ids", "account", "source", "destination", "health"],
        help_heading = HEADING
    )]
    all: bool,
}

/// A selection, as verbs take it that change something.
#[derive(Clone, Debug, Args)]
pub(crate) struct Many {
    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Go on without asking
    #[arg(short, long)]
    yes: bool,

    /// Only say which connections it would be
    #[arg(long)]
    dry_run: bool,
}

/// The connections that were chosen, and whether something is to be done to them.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) ids: Vec<ConnectionId>,
    pub(crate) dry_run: bool,
}

/// Reads the id of a connection.
///
/// # Errors
/// What is wrong with it, for clap.
pub(crate) fn connection(text: &str) -> Result<ConnectionId, String> {
    text.parse().map_err(|error| format!("it {error}"))
}

/// Reads the name of an account or the id of a connection.
///
/// # Errors
/// What is wrong with it, for clap.
pub(crate) fn subject(text: &str) -> Result<Subject, String> {
    text.parse().map_err(|error| format!("it {error}"))
}

fn account(text: &str) -> Result<AccountId, String> {
    text.parse().map_err(|error| format!("it {error}"))
}

fn health_parser() -> impl clap::builder::TypedValueParser<Value = Health> {
    use clap::builder::TypedValueParser as _;
    PossibleValuesParser::new(Health::ALL.map(Health::as_str))
        .try_map(|text| text.parse::<Health>())
}

impl Selection {
    /// Whether nothing was said about which connections.
    pub(crate) fn says_nothing(&self) -> bool {
        self.ids.is_empty() && !self.all && self.filter() == ScheduleFilter::default()
    }

    /// As a condition for Temporal's visibility.
    pub(crate) fn filter(&self) -> ScheduleFilter {
        ScheduleFilter {
            connections: self.ids.clone(),
            accounts: self.account.clone(),
            source_kinds: self.source.clone(),
            destination_kinds: self.destination.clone(),
            health: self.health.clone(),
            paused: None,
        }
    }

    /// Defined connections that match and that visibility does not show: it lags behind, and a
    /// verb for many must not pass over one without a word.
    async fn unlisted(
        &self,
        session: &Session,
        listed: &[ConnectionId],
    ) -> Result<Vec<ConnectionId>, Error> {
        let store = session.store().await?;
        let mut ids = definitions::connections(store).await?;
        ids.retain(|id| {
            listed.binary_search(id).is_err()
                && (self.account.is_empty() || self.account.contains(&id.account()))
        });
        let matching: Vec<Option<ConnectionId>> = stream::iter(ids)
            .map(|id| self.defined(store, id))
            .buffered(SIMULTANEOUS)
            .try_collect()
            .await?;
        Ok(matching.into_iter().flatten().collect())
    }

    /// The connection, if it is defined and matches. One whose definition cannot be read matches
    /// unless a kind is asked for, which nobody can know of it: the verb says what is wrong with it.
    async fn defined(
        &self,
        store: &Store,
        id: ConnectionId,
    ) -> Result<Option<ConnectionId>, StoreError> {
        let stored = match definitions::newest(&store.connection(&id)).await {
            Ok(stored) => stored,
            Err(error) if unreadable(&error) && !self.asks_kind() => return Ok(Some(id)),
            Err(error) => return Err(error),
        };
        let one_of = |kinds: &[String], kind: &str| {
            kinds.is_empty() || kinds.iter().any(|wanted| wanted == kind)
        };
        let matches = stored.and_then(|stored| stored.definition).is_some_and(|definition| {
            one_of(&self.source, definition.source().kind())
                && one_of(&self.destination, definition.destination().kind())
        });
        Ok(matches.then_some(id))
    }

    fn asks_kind(&self) -> bool {
        !self.source.is_empty() || !self.destination.is_empty()
    }

    /// Whether it says something that only visibility knows.
    pub(crate) fn asks_health(&self) -> bool {
        !self.health.is_empty()
    }

    /// All that match: those that visibility lists, and those that it does not show yet.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn matching(
        &self,
        session: &Session,
        listed: &[Listed],
    ) -> Result<Vec<ConnectionId>, Error> {
        let mut ids: Vec<ConnectionId> =
            listed.iter().map(|listed| listed.connection.clone()).collect();
        if self.health.is_empty() {
            let unlisted = self.unlisted(session, &ids).await?;
            ids.extend(unlisted);
            ids.sort_unstable();
        }
        Ok(ids)
    }

    /// The ids, if the connections were named by them: without repetitions, in the given order.
    pub(crate) fn named(&self) -> Option<Vec<ConnectionId>> {
        let mut named: Vec<ConnectionId> = Vec::new();
        for id in &self.ids {
            if !named.contains(id) {
                named.push(id.clone());
            }
        }
        (!named.is_empty()).then_some(named)
    }
}

/// What was typed, for messages: `account acme, health failing`.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = |name: &str, values: Vec<String>| {
            (!values.is_empty()).then(|| format!("{name} {}", values.join(" or ")))
        };
        let strings = |values: &[AccountId]| values.iter().map(ToString::to_string).collect();
        let parts: Vec<String> = [
            texts("account", strings(&self.account)),
            texts("source", self.source.clone()),
            texts("destination", self.destination.clone()),
            texts("health", self.health.iter().map(ToString::to_string).collect()),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !parts.is_empty() {
            f.write_str(&parts.join(", "))
        } else if self.ids.is_empty() {
            f.write_str("--all")
        } else {
            f.write_str(&joined(&self.ids, 5))
        }
    }
}

impl Many {
    /// Finds the connections, tells how many they are, and asks before `verb` is done to more
    /// than one.
    ///
    /// # Errors
    /// Nothing was selected, nothing matches, or the answer was no.
    pub(crate) async fn choose(&self, session: &Session, verb: &str) -> Result<Chosen, Error> {
        let found = self.find(session, verb).await?;
        self.ask(session, verb, found.ids)
    }

    /// Asks before `verb` is done to more than one of `ids`.
    ///
    /// # Errors
    /// The answer was no.
    pub(crate) fn ask(
        &self,
        session: &Session,
        verb: &str,
        ids: Vec<ConnectionId>,
    ) -> Result<Chosen, Error> {
        if ids.len() > 1 && !self.dry_run {
            let what =
                format!("{verb} {}: {}", number_of(ids.len(), "connection"), joined(&ids, 4));
            if self.yes {
                session.ui().note(&what);
            } else {
                session.ui().confirm(&format!("{what}?"), false)?;
            }
        }
        Ok(Chosen { ids, dry_run: self.dry_run })
    }

    /// Finds the connections, without asking.
    ///
    /// # Errors
    /// Nothing was selected, or nothing matches.
    pub(crate) async fn find(&self, session: &Session, verb: &str) -> Result<Chosen, Error> {
        let chosen = |ids| Chosen { ids, dry_run: self.dry_run };
        if self.selection.says_nothing() {
            return Err(Error::usage(
                format!("which connections to {verb} was not said"),
                "name them by their ids, or say --account, --source, --destination, --health or --all",
            ));
        }
        if let Some(named) = self.selection.named() {
            return Ok(chosen(named));
        }
        let listed = session.temporal().await?.schedules.list(&self.selection.filter()).await?;
        let ids = self.selection.matching(session, &listed).await?;
        if ids.is_empty() {
            return Err(Error::NoMatch { selection: self.selection.to_string() });
        }
        Ok(chosen(ids))
    }

    /// Whether questions are answered beforehand.
    pub(crate) fn yes(&self) -> bool {
        self.yes
    }
}
