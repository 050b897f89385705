//! `exceptions ID approve|retry|ignore`: what an operator decides about exceptions.

use tidemark_engine::log::Log;
use tidemark_model::exception::{ExceptionKey, ExceptionKind, HeldRemovals, Verdict};
use tidemark_model::ids::ConnectionId;

use crate::commands::start;
use crate::decisions::{self, Decider};
use crate::error::Error;
use crate::exceptions::{Book, Shown, Wanted};
use crate::exit::Exit;
use crate::many::{self, Report};
use crate::session::Session;
use crate::ui::output::OutputArgs;
use crate::ui::text::{grouped, joined};

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

/// The exceptions that are meant.
#[derive(Debug, Default)]
struct Found {
    single: Vec<ExceptionKey>,
    held: Option<HeldRemovals>,
    held_count: u64,
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

/// Finds what is meant.
///
/// # Errors
/// A key that is no exception, or one that cannot be decided about in this way.
async fn find(
    id: &ConnectionId,
    book: &Book,
    wanted: &Wanted,
    deed: &Deed,
) -> Result<Found, Error> {
    if let Some(kind) = wanted.kind.filter(|kind| !deed.fits(*kind)) {
        return Err(deed.misfit(
            id,
            &format!("what --kind {kind} means", kind = kind.as_str()),
            kind,
        ));
    }
    let by_key = !wanted.keys.is_empty();
    let mut found = Found::default();
    let (mut named, mut ids): (Vec<Shown>, Vec<String>) = Default::default();
    book.each(wanted, |exception| {
        // What somebody accepted is only meant if it is named.
        if by_key {
            named.push(exception);
        } else if exception.kind == ExceptionKind::Held {
            found.held_count += 1;
        } else if deed.fits(exception.kind) && exception.waiver.is_none() {
            found.single.push(name(exception));
        }
        Ok(())
    })
    .await?;
    let unknown = wanted.unknown_keys(&named);
    if by_key && !unknown.is_empty() {
        return Err(Error::NoException { id: id.clone(), keys: unknown });
    }
    let (fitting, others): (Vec<Shown>, Vec<Shown>) =
        named.into_iter().partition(|exception| deed.fits(exception.kind));
    if let Some(other) = others.iter().find(|one| !fitting.iter().any(|two| two.key == one.key)) {
        return Err(deed.misfit(id, &other.key, other.kind));
    }
    for exception in fitting {
        if exception.kind == ExceptionKind::Held {
            ids.push(exception.id);
        } else {
            found.single.push(name(exception));
        }
    }
    if by_key {
        found.held_count = ids.len() as u64;
    }
    if !deed.fits(ExceptionKind::Held) {
        found.held_count = 0;
    }
    if let Some(hold) = book.hold().filter(|_| found.held_count > 0) {
        let ids = by_key.then_some(ids);
        found.held = Some(HeldRemovals { hold: hold.removals.clone(), ids });
    }
    if found.single.is_empty() && found.held.is_none() {
        return Err(Error::NoException { id: id.clone(), keys: Vec::new() });
    }
    Ok(found)
}

fn name(exception: Shown) -> ExceptionKey {
    ExceptionKey { kind: exception.kind, key: exception.key, id: exception.id }
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

impl Found {
    fn verdicts(&self, deed: &Deed) -> Vec<Verdict> {
        let held = self.held.clone().map(|removals| match deed {
            Deed::Ignore { why } => Verdict::Waive { removals, why: why.clone() },
            Deed::Approve | Deed::Retry => Verdict::Approve(removals),
        });
        let keys = self.single.clone();
        let single = (!keys.is_empty()).then(|| match deed {
            Deed::Ignore { why } => Verdict::Ignore { keys, why: why.clone() },
            Deed::Approve | Deed::Retry => Verdict::Retry { keys },
        });
        held.into_iter().chain(single).collect()
    }

    /// What has to be agreed to: every removal, and accepting more than one exception.
    fn question(&self, id: &ConnectionId, deed: &Deed) -> Option<String> {
        let count = self.held_count + self.single.len() as u64;
        let records = if self.held_count == 1 { "record" } else { "records" };
        match deed {
            Deed::Approve => Some(format!(
                "Remove {} {records} of {id} from the destination?",
                grouped(self.held_count)
            )),
            Deed::Ignore { .. } if count > 1 => {
                Some(format!("Accept {} exceptions of {id} as they are?", grouped(count)))
            }
            Deed::Ignore { .. } | Deed::Retry => None,
        }
    }

    /// A decision about what has moved on would not be carried out: it is not written down.
    async fn check_current(
        &self,
        session: &Session,
        id: &ConnectionId,
        seen: &Book,
    ) -> Result<(), Error> {
        let newest = Log::open(&seen.folder).await?.newest_commit().map(|commit| commit.number);
        if newest == seen.run() {
            return Ok(());
        }
        let now = Book::open(session, id).await?;
        if let Some(held) = &self.held
            && now.hold().map(|hold| &hold.removals) != Some(&held.hold)
        {
            return Err(Error::HoldChanged { id: id.clone(), run: newest });
        }
        let resolved = self
            .single
            .iter()
            .filter(|name| !now.single.iter().any(|exception| exception.name() == **name));
        let keys: Vec<String> = resolved.map(|name| name.key.clone()).collect();
        if keys.is_empty() { Ok(()) } else { Err(Error::NoException { id: id.clone(), keys }) }
    }
}
