//! `mute`: keep quiet about what is known already.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tidemark_engine::freshness::Subject;
use tidemark_model::schedule::duration;
use tidemark_monitor::mutes;
use tidemark_monitor::rules::{Mute, Muted};

use crate::error::Error;
use crate::exit::Exit;
use crate::selection;
use crate::session::{self, Session};
use crate::ui::output::{Entry, OutputArgs};
use crate::ui::table::Cell;
use crate::ui::text::number_of;
use crate::ui::time::{instant_and_age, whole_seconds};

/// Keep the monitor quiet about an account or a connection for a while
///
/// It goes on looking: what is still wrong at the end of the mute is told then, and `lag` shows both.
/// Without an account or a connection, the mutes in force are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An account, or a connection as account/connection
    #[arg(value_name = "ACCOUNT|ID", value_parser = selection::subject)]
    subject: Option<Subject>,

    /// All connections
    #[arg(long, conflicts_with = "subject")]
    all: bool,

    /// When it ends: an instant such as 2026-11-22T06:00:00Z, or in how long, such as 4h
    #[arg(long, value_name = "INSTANT|DURATION", value_parser = until)]
    until: Option<Timestamp>,

    /// Why; shown by `mute` and `lag`
    #[arg(long)]
    reason: Option<String>,

    /// End the mutes of just this account or connection now
    #[arg(long, conflicts_with_all = ["until", "reason"])]
    lift: bool,

    #[command(flatten)]
    output: OutputArgs,
}

/// A mute, as it is listed.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    mute: Mute,
    #[serde(skip)]
    now: Timestamp,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let store = session.store().await?;
        let now = Timestamp::now();
        let what = match (&self.subject, self.all) {
            (Some(Subject::Connection(id)), _) => Muted::Connection(id.clone()),
            (Some(Subject::Account(account)), _) => Muted::Account(account.clone()),
            (None, true) => Muted::Everything,
            (None, false) if self.until.is_some() || self.reason.is_some() || self.lift => {
                return Err(Error::usage(
                    "it is not said what is to be muted",
                    "say an account, a connection, or --all",
                ));
            }
            (None, false) => {
                let mutes = current(session, now).await?;
                let listed: Vec<Listed> =
                    mutes.into_iter().map(|(_, mute)| Listed { mute, now }).collect();
                session.ui().entries(self.output.output, &listed)?;
                return Ok(Exit::Ok);
            }
        };
        if self.lift {
            let mut lifted_count = 0;
            for (name, mute) in current(session, now).await? {
                if mute.what == what {
                    mutes::lift(store, &name).await?;
                    lifted_count += 1;
                }
            }
            session.ui().note(&format!("lifted {}", number_of(lifted_count, "mute")));
            return Ok(Exit::Ok);
        }
        let (until, reason) = self.end_and_reason(now)?;
        if let Some(subject) = &self.subject
            && session.look(subject, &[]).await?.is_empty()
        {
            return Err(session.unknown_subject(subject).await);
        }
        let mute = Mute { what, until, reason, by: session::identity() };
        mutes::add(store, mute.clone()).await?;
        session.ui().entries(self.output.output, &[Listed { mute, now }])?;
        Ok(Exit::Ok)
    }

    fn end_and_reason(&self, now: Timestamp) -> Result<(Timestamp, String), Error> {
        let Some(until) = self.until else {
            return Err(Error::usage(
                "a mute has an end, and none is said",
                "say --until, such as --until 4h",
            ));
        };
        if until <= now {
            return Err(Error::usage(
                "--until is over already",
                "say an instant that is still to come",
            ));
        }
        let reason = self.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
        let Some(reason) = reason else {
            return Err(Error::usage(
                "a mute has a reason, and none is said",
                "say --reason: whoever finds the mute wants to know",
            ));
        };
        Ok((until, reason.to_owned()))
    }
}

/// The mutes in force, each with its name. Of those that cannot be read a warning says so: one of
/// them may be the one that is looked for.
///
/// # Errors
/// The store does not answer.
pub(super) async fn current(
    session: &Session,
    now: Timestamp,
) -> Result<Vec<(String, Mute)>, Error> {
    let mutes = mutes::current(session.store().await?, now).await?;
    for unreadable in &mutes.unreadable {
        session.ui().warning(&format!("{unreadable}; {}", unreadable.hint()));
    }
    Ok(mutes.current)
}

/// Reads an instant, or how far it is away.
fn until(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let away = duration::parse(text)
        .map_err(|error| format!("it is no instant, and as a duration it {error}"))?;
    let away = SignedDuration::try_from(away).map_err(|error| error.to_string())?;
    Timestamp::now()
        .checked_add(away)
        .map(whole_seconds)
        .map_err(|_| "it is too far away".to_owned())
}

impl Entry for Listed {
    const COLUMNS: &'static [&'static str] = &["MUTED", "UNTIL", "BY", "REASON"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.name()),
            Cell::new(instant_and_age(self.now, self.mute.until)),
            Cell::new(&self.mute.by),
            Cell::new(&self.mute.reason),
        ]
    }

    fn name(&self) -> String {
        match &self.mute.what {
            Muted::Connection(id) => id.to_string(),
            Muted::Account(account) => account.to_string(),
            Muted::Everything => "everything".to_owned(),
        }
    }
}
