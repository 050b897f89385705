//! `fresh`: whether what a destination holds is recent enough for a report.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tidemark_engine::freshness::{Look, Subject};
use tidemark_gateway::{Answer, Asked, ConnectionAnswer, StateName};
use tidemark_model::schedule::duration;
use tokio::time::Instant;

use crate::error::Error;
use crate::exit::Exit;
use crate::selection;
use crate::session::Session;
use crate::ui::details::Details;
use crate::ui::output::{Entry, OutputArgs, Subject as Output, rows};
use crate::ui::table::{Cell, Tone};

/// While it waits, the store is looked at so often,
const PACE: Duration = Duration::from_secs(1);

/// or less often, if there are many connections: each of them so often.
const PACE_OF_EACH: Duration = Duration::from_millis(20);

/// Say whether an account or a connection is fresh
///
/// Ends with 0 if the watermark is at most as old as --max-age, with 3 if it is older or nothing is
/// proven, and with 4 if it is except for records that the newest commit counts. An account is as
/// fresh as its oldest connection. The commit log is read and nothing else: Temporal is not needed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An account, or a connection as account/connection
    #[arg(value_name = "ACCOUNT|ID", value_parser = selection::subject)]
    subject: Subject,

    /// How old the watermark may be, such as 2h or 1h30m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    max_age: Duration,

    /// Wait up to so long for it to become fresh
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    wait: Option<Duration>,

    /// Records that are exceptions are good enough: ends with 0 instead of 4
    #[arg(long)]
    accept_exceptions: bool,

    #[command(flatten)]
    output: OutputArgs,
}

/// The answer, as it is written.
#[derive(Serialize)]
#[serde(transparent)]
struct Told(Answer);

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let began_at = Instant::now();
        let until = self.wait.map(|wait| began_at.checked_add(wait).unwrap_or(began_at));
        let mut looks = Vec::new();
        let mut told_to_wait = false;
        let answer = loop {
            looks = session.look(&self.subject, &looks).await?;
            let answer = match self.judge(&looks) {
                Some(answer) => answer,
                None => return Err(session.unknown_subject(&self.subject).await),
            };
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.unwrap_or_default();
            if answer.fresh() || left.is_zero() {
                break answer;
            }
            if !told_to_wait {
                let wait = duration::text(self.wait.unwrap_or_default());
                session.ui().note(&format!("{}; waiting up to {wait}", line(&answer)));
                told_to_wait = true;
            }
            tokio::time::sleep(pace(looks.len()).min(left)).await;
        };
        let exit = match (answer.fresh(), answer.state()) {
            (true, _) => Exit::Ok,
            (false, StateName::FreshExcept) => Exit::InStepExcept,
            (false, StateName::Fresh | StateName::NotFresh) => Exit::NotFresh,
        };
        session.ui().subject(self.output.output, &Told(answer))?;
        Ok(exit)
    }

    fn judge(&self, looks: &[Look]) -> Option<Answer> {
        let asked = Asked { max_age: self.max_age, accept_exceptions: self.accept_exceptions };
        Answer::of(&self.subject, looks, asked, Timestamp::now())
    }
}

/// How long to wait until the next look.
fn pace(connection_count: usize) -> Duration {
    let of_all = PACE_OF_EACH.saturating_mul(u32::try_from(connection_count).unwrap_or(u32::MAX));
    PACE.max(of_all)
}

fn line(answer: &Answer) -> String {
    format!("{} is {}: {}", answer.subject(), answer.state().words(), answer.reason())
}

impl Output for Told {
    fn details(&self) -> Details {
        let Self(answer) = self;
        let details = Details::default().text("", line(answer));
        match answer {
            Answer::Account(account) if account.connections.len() > 1 => {
                details.table("", ConnectionAnswer::COLUMNS, rows(&account.connections))
            }
            Answer::Account(_) | Answer::Connection(_) => details,
        }
    }

    fn name(&self) -> String {
        self.0.subject().to_owned()
    }
}

impl Entry for ConnectionAnswer {
    const COLUMNS: &'static [&'static str] = &["CONNECTION", "STATE", "WHY"];

    fn cells(&self) -> Vec<Cell> {
        let tone = match self.state {
            StateName::Fresh => Tone::Good,
            StateName::FreshExcept => Tone::Attention,
            StateName::NotFresh => Tone::Bad,
        };
        vec![
            Cell::new(&self.connection),
            Cell::new(self.state.words()).tone(tone),
            Cell::new(&self.reason),
        ]
    }

    fn name(&self) -> String {
        self.connection.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_connections_are_looked_at_less_often() {
        assert_eq!(pace(1), Duration::from_secs(1));
        assert_eq!(pace(50), Duration::from_secs(1));
        assert_eq!(pace(1_000), Duration::from_secs(20));
    }
}
