//! `exceptions ID approve|retry|ignore`: what an operator decides about exceptions.

mod found;

use tidemark_model::exception::ExceptionKind;
use tidemark_model::ids::ConnectionId;

use self::found::find;
use crate::commands::start;
use crate::decisions::{self, Decider};
use crate::error::Error;
use crate::exceptions::{Book, Wanted};
use crate::exit::Exit;
use crate::many::{self, Report};
use crate::session::Session;
use crate::ui::output::OutputArgs;
use crate::ui::text::joined;

/// Carry out held removals
///
/// The next run removes the records. Asks first, and says how many they are.
#[derive(Debug, clap::Args)]
pub(super) struct ApproveArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    how: How,
}

/// Try rejected records and invalid rows again
///
/// The next run sends rejected records again and reads invalid rows again, whether they changed or
/// not.
#[derive(Debug, clap::Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    how: How,
}

/// Accept exceptions as they are
///
/// They are still counted, and no longer keep the connection from being in step. That a record is
/// refused or a row invalid is accepted until the row changes; a removal that is done without
/// leaves its record where it is until the row comes back.
#[derive(Debug, clap::Args)]
pub(super) struct IgnoreArgs {
    #[command(flatten)]
    which: Which,

    /// Why; shown by `list` and `show`
    #[arg(long, value_name = "TEXT")]
    why: String,

    #[command(flatten)]
    how: How,
}

/// Which exceptions are decided about.
#[derive(Debug, clap::Args)]
struct Which {
    #[command(flatten)]
    wanted: Wanted,

    /// All that the decision can be about
    #[arg(long, conflicts_with_all = ["keys", "kind", "reason_like"])]
    all: bool,
}

#[derive(Debug, clap::Args)]
struct How {
    /// Start a run that carries it out
    #[arg(long)]
    start: bool,

    /// Go on without asking
    #[arg(short, long)]
    yes: bool,

    /// Only say what would be decided
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    decider: Decider,

    #[command(flatten)]
    output: OutputArgs,
}

/// What is decided.
#[derive(Clone, Debug)]
enum Deed {
    Approve,
    Retry,
    Ignore { why: String },
}

impl ApproveArgs {
    pub(super) async fn run(self, session: &Session, id: &ConnectionId) -> Result<Exit, Error> {
        decide(session, id, &self.which, &self.how, &Deed::Approve).await
    }
}

impl RetryArgs {
    pub(super) async fn run(self, session: &Session, id: &ConnectionId) -> Result<Exit, Error> {
        decide(session, id, &self.which, &self.how, &Deed::Retry).await
    }
}

impl IgnoreArgs {
    pub(super) async fn run(self, session: &Session, id: &ConnectionId) -> Result<Exit, Error> {
        if self.why.trim().is_empty() {
            return Err(Error::usage(
                "why the exceptions are accepted was not said",
                "write --why \"what makes it right\": whoever finds it later will ask",
            ));
        }
        if let Some(found) = self.why.chars().find(|letter| letter.is_control()) {
            return Err(Error::usage(
                format!("why the exceptions are accepted may not hold {found:?}"),
                "leave that character out, and say the same again",
            ));
        }
        decide(session, id, &self.which, &self.how, &Deed::Ignore { why: self.why }).await
    }
}

async fn decide(
    session: &Session,
    id: &ConnectionId,
    which: &Which,
    how: &How,
    deed: &Deed,
) -> Result<Exit, Error> {
    if which.wanted.says_nothing() && !which.all {
        return Err(Error::usage(
            format!("which exceptions to {} was not said", deed.verb()),
            "name their keys, or say --kind, --reason-like or --all",
        ));
    }
    let who = how.decider.name()?;
    let book = Book::open(session, id).await?;
    let found = find(id, &book, &which.wanted, deed).await?;
    let (ui, format) = (session.ui(), how.output.output);
    let verdicts = found.verdicts(deed);
    let sentences: Vec<String> = verdicts.iter().map(decisions::sentence).collect();
    if how.dry_run {
        let report = Report::done(id, format!("would decide to {}", joined(&sentences, 2)));
        return many::report(ui, format, vec![(id, Ok(report))]);
    }
    session.announce().await?;
    if let Some(question) = found.question(id, deed) {
        ui.confirm(&question, how.yes)?;
    }
    found.check_current(session, id, &book).await?;
    let mut written = Vec::with_capacity(verdicts.len());
    for verdict in verdicts {
        let decision = decisions::write(session, id, &who, book.run(), verdict).await?;
        written.push(format!(
            "decision {} is to {}",
            decision.number,
            decisions::sentence(&decision.verdict)
        ));
    }
    let written = written.join("; ");
    let report = if how.start {
        let trigger = start::trigger(session, id).await?;
        start::started(session, id, &trigger).await?.after(&written)
    } else {
        Report::done(id, "the next run carries it out").after(&written)
    };
    many::report(ui, format, vec![(id, Ok(report))])
}

impl Deed {
    fn verb(&self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Retry => "retry",
            Self::Ignore { .. } => "ignore",
        }
    }

    /// Whether it can be decided about exceptions of a kind.
    fn fits(&self, kind: ExceptionKind) -> bool {
        match self {
            Self::Approve => kind == ExceptionKind::Held,
            Self::Retry => kind != ExceptionKind::Held,
            Self::Ignore { .. } => true,
        }
    }

    /// The error for an exception of another kind.
    fn misfit(&self, id: &ConnectionId, what: &str, kind: ExceptionKind) -> Error {
        let kind = kind.as_str();
        match self {
            Self::Approve => Error::usage(
                format!("only held removals can be approved, and {what} is {kind}"),
                format!("`tidemark exceptions {id} retry KEY` sends it again, `ignore` accepts it"),
            ),
            Self::Retry | Self::Ignore { .. } => Error::usage(
                format!(
                    "only what was rejected or invalid can be tried again, and {what} is {kind}"
                ),
                format!(
                    "`tidemark exceptions {id} approve KEY` removes its record, `ignore` keeps it"
                ),
            ),
        }
    }
}
