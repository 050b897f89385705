//! `exceptions ID list`: the exceptions of a connection, and the decisions about them.

use serde::Serialize;
use tidemark_model::entry::RunNumber;
use tidemark_model::exception::{ExceptionKind, HoldRule};
use tidemark_model::ids::ConnectionId;
use tidemark_model::receipt::Receipt;

use crate::decisions::{self, Told};
use crate::error::Error;
use crate::exceptions::{Book, Shown, Wanted};
use crate::exit::Exit;
use crate::session::Session;
use crate::ui::details::Details;
use crate::ui::output::{Entry, Format, OutputArgs, Subject};
use crate::ui::table::{Cell, Tone};
use crate::ui::text::{counted, cut, grouped};
use crate::ui::time::instant;

/// Lines of data that are written at once.
const CHUNK: usize = 1_000;

/// List exceptions, and the decisions that wait for the next run
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    wanted: Wanted,

    /// How many at most
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    limit: u32,

    #[command(flatten)]
    output: OutputArgs,
}

/// The exceptions of a connection, as far as they are shown.
#[derive(Debug, Serialize)]
struct Listed {
    connection: ConnectionId,
    /// The run whose commit names them.
    run: Option<RunNumber>,
    counts: Counts,
    hold: Option<HoldShown>,
    open_decisions: Vec<Told>,
    /// The last ones that were not carried out, because what they were about had moved on.
    stale_decisions: Vec<Told>,
    exceptions: Vec<Shown>,
    #[serde(skip)]
    shown_count: u32,
    /// Those that match and are not shown.
    more_count: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    rejected: u64,
    invalid: u64,
    held: u64,
    /// Exceptions that somebody accepted, removals that somebody did without among them.
    waived: u64,
    /// Invalid rows that are only counted.
    unnamed: u64,
}

#[derive(Debug, Serialize)]
struct HoldShown {
    since: RunNumber,
    held_at: jiff::Timestamp,
    rule: HoldRule,
    rule_text: String,
}

impl Counts {
    fn of(receipt: &Receipt, book: &Book) -> Self {
        let Receipt { rejected_count, held_count, waived_count, exception_count, rows, .. } =
            receipt;
        let named = book.single.iter().filter(|one| one.kind == ExceptionKind::Invalid).count();
        Self {
            rejected: *rejected_count,
            invalid: exception_count.saturating_sub(rejected_count + held_count),
            held: *held_count,
            waived: *waived_count,
            unnamed: rows.invalid.saturating_sub(named as u64),
        }
    }
}

impl Args {
    pub(super) async fn run(self, session: &Session, id: &ConnectionId) -> Result<Exit, Error> {
        let book = Book::open(session, id).await?;
        let listed = self.listed(session, id, &book).await?;
        let ui = session.ui();
        match self.output.output {
            Format::Jsonl | Format::Name => {}
            format => ui.subject(format, &listed)?,
        }
        if listed.more_count > 0 {
            let more = grouped(listed.more_count);
            ui.note(&format!("{more} more; --limit says how many are shown, at most 100,000"));
        }
        if listed.counts.unnamed > 0 {
            let rows = counted(listed.counts.unnamed, "more invalid row");
            ui.note(&format!("{rows} counted by the receipt; the first ones only have a name"));
        }
        if let Some(note) = self.note(&listed) {
            ui.note(&note);
        }
        Ok(Exit::Ok)
    }

    /// What else to say of what is shown.
    fn note(&self, listed: &Listed) -> Option<String> {
        let id = &listed.connection;
        if listed.run.is_none() {
            return Some(format!("{id} has not been in step yet, so it has no exceptions"));
        }
        if listed.shown_count == 0 && listed.more_count == 0 {
            let such = if self.wanted.says_nothing() { "no exceptions" } else { "none of these" };
            return Some(format!("{id} has {such}"));
        }
        let rule = listed.hold.as_ref()?.rule_text.as_str();
        self.wanted.may_mean(ExceptionKind::Held, rule).then(|| {
            format!(
                "`tidemark exceptions {id} approve --all` lets the next run remove what is held, \
                 `tidemark exceptions {id} ignore --kind held --why TEXT` leaves it where it is"
            )
        })
    }

    /// What is shown. Lines of data are written on the way, so that no more are in memory than
    /// are asked for.
    async fn listed(
        &self,
        session: &Session,
        id: &ConnectionId,
        book: &Book,
    ) -> Result<Listed, Error> {
        let ui = session.ui();
        let format = self.output.output;
        let streams = matches!(format, Format::Jsonl | Format::Name);
        let (mut shown, mut shown_count, mut more_count) = (Vec::new(), 0_u32, 0_u64);
        book.each(&self.wanted, |exception| {
            if shown_count == self.limit {
                more_count += 1;
                return Ok(());
            }
            shown_count += 1;
            shown.push(exception);
            if streams && shown.len() == CHUNK {
                ui.entries(format, &shown)?;
                shown.clear();
            }
            Ok(())
        })
        .await?;
        if streams {
            ui.entries(format, &shown)?;
        }
        let manifest = book.manifest();
        Ok(Listed {
            connection: id.clone(),
            run: book.run(),
            counts: book
                .commit
                .as_ref()
                .map(|commit| Counts::of(&commit.receipt, book))
                .unwrap_or_default(),
            hold: book.hold().map(|hold| HoldShown {
                since: hold.since,
                held_at: hold.held_at,
                rule: hold.rule,
                rule_text: hold.rule.to_string(),
            }),
            open_decisions: decisions::open(&book.folder, manifest).await?,
            stale_decisions: decisions::stale(&book.folder, manifest).await?,
            exceptions: shown,
            shown_count,
            more_count,
        })
    }
}

impl Subject for Listed {
    fn details(&self) -> Details {
        let Counts { rejected, invalid, held, waived, .. } = self.counts;
        let lines = |decisions: &[Told]| {
            let lines: Vec<String> = decisions.iter().map(Told::sentence).collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        };
        let held = match &self.hold {
            Some(hold) => {
                format!("{}, since run {}: {}", grouped(held), hold.since, hold.rule_text)
            }
            None => grouped(held),
        };
        Details::default()
            .section("standing")
            .pair("connection", self.connection.as_str())
            .pair("as of", self.run.map_or_else(|| "no run".to_owned(), |run| format!("run {run}")))
            .pair("rejected", grouped(rejected))
            .pair("invalid", grouped(invalid))
            .pair("held", held)
            .pair("accepted", grouped(waived))
            .pair_if("waits for the next run", lines(&self.open_decisions))
            .pair_if("was not carried out", lines(&self.stale_decisions))
            .table("exceptions", Shown::COLUMNS, self.exceptions.iter().map(Shown::cells).collect())
    }

    fn name(&self) -> String {
        self.connection.to_string()
    }
}

impl Entry for Shown {
    const COLUMNS: &'static [&'static str] =
        &["KEY", "ID", "KIND", "REASON", "ATTEMPTS", "SINCE", "ACCEPTED"];

    fn cells(&self) -> Vec<Cell> {
        let tone = match self.kind {
            _ if self.is_accepted() => Tone::Plain,
            ExceptionKind::Held => Tone::Attention,
            ExceptionKind::Rejected | ExceptionKind::Invalid => Tone::Bad,
        };
        let attempts = (self.attempt_count > 0).then(|| self.attempt_count.to_string());
        let waiver = match &self.waiver {
            Some(waiver) => {
                let why = cut(&waiver.why, 60);
                Some(format!("{} at {}: {why}", waiver.who, instant(waiver.at)))
            }
            None => self.done_without.then(|| "by whom is not known any more".to_owned()),
        };
        vec![
            Cell::new(&self.key),
            Cell::new(&self.id),
            Cell::new(self.kind.as_str()).tone(tone),
            Cell::new(match self.kind {
                // The rule stands above, once for all of them.
                ExceptionKind::Held if !self.done_without => "its removal waits".to_owned(),
                _ => cut(&self.reason, 60),
            }),
            Cell::or_none(attempts).right(),
            Cell::or_none(self.since.map(|since| format!("run {since}"))),
            Cell::or_none(waiver),
        ]
    }

    fn name(&self) -> String {
        self.key.clone()
    }
}
