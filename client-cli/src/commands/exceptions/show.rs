//! `exceptions ID show KEY`: one exception in full.

use jiff::Timestamp;
use serde::Serialize;
use tidemark_model::exception::{ExceptionKind, Verdict};
use tidemark_model::ids::ConnectionId;

use crate::decisions::{self, Told};
use crate::error::Error;
use crate::exceptions::{Book, Shown, Wanted};
use crate::exit::Exit;
use crate::session::Session;
use crate::ui::details::Details;
use crate::ui::output::{OutputArgs, Subject};
use crate::ui::time::instant_and_age;

/// What a held removal is once somebody does without it.
const DONE_WITHOUT: &str = "held: the row is gone, and its record stays where it is";

/// Show the exceptions of a key in full
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The key of the source, or the id of the record
    #[arg(value_name = "KEY")]
    key: String,

    #[command(flatten)]
    output: OutputArgs,
}

/// An exception in full.
#[derive(Debug, Serialize)]
struct InFull {
    connection: ConnectionId,
    exception: Shown,
    /// Decisions about it that wait for the next run.
    open_decisions: Vec<Told>,
}

impl Args {
    pub(super) async fn run(self, session: &Session, id: &ConnectionId) -> Result<Exit, Error> {
        let book = Book::open(session, id).await?;
        let wanted = Wanted { keys: vec![self.key.clone()], ..Wanted::default() };
        let mut found = Vec::new();
        book.each(&wanted, |exception| {
            found.push(exception);
            Ok(())
        })
        .await?;
        if found.is_empty() {
            return Err(Error::NoException { id: id.clone(), keys: vec![self.key] });
        }
        let open = decisions::open(&book.folder, book.manifest()).await?;
        let in_full = |exception: Shown| InFull {
            connection: id.clone(),
            open_decisions: open
                .iter()
                .filter(|told| concerns(told, &exception))
                .cloned()
                .collect(),
            exception,
        };
        let shown: Vec<InFull> = found.into_iter().map(in_full).collect();
        session.ui().subjects(self.output.output, &shown)?;
        Ok(Exit::Ok)
    }
}

/// Whether a decision is about an exception.
fn concerns(told: &Told, exception: &Shown) -> bool {
    match &told.verdict {
        Verdict::Approve(removals) | Verdict::Waive { removals, .. } => {
            exception.kind == ExceptionKind::Held
                && !exception.done_without
                && removals.ids.as_ref().is_none_or(|ids| ids.contains(&exception.id))
        }
        Verdict::Retry { keys } | Verdict::Ignore { keys, .. } => {
            keys.iter().any(|name| name.kind == exception.kind && name.key == exception.key)
        }
        Verdict::ReadInFull
        | Verdict::SendAgain
        | Verdict::Repair { .. }
        | Verdict::RemoveRecords { .. }
        | Verdict::Exactly(_) => false,
    }
}

impl Subject for InFull {
    fn details(&self) -> Details {
        let Shown { key, id, kind, reason, attempt_count, since, waiver, done_without } =
            &self.exception;
        let connection = &self.connection;
        let (meaning, until) = match *done_without {
            true => (DONE_WITHOUT, "until the row returns"),
            false => (meaning(*kind), "until the row changes"),
        };
        let next = match kind {
            _ if *done_without => "nothing: should the row return, its record is kept in step \
                                   again, and a later removal is a new one"
                .to_owned(),
            ExceptionKind::Held => format!(
                "tidemark exceptions {connection} approve {key}\n\
                 tidemark exceptions {connection} ignore {key} --why TEXT"
            ),
            ExceptionKind::Rejected | ExceptionKind::Invalid => format!(
                "tidemark exceptions {connection} retry {key}\n\
                 tidemark exceptions {connection} ignore {key} --why TEXT"
            ),
        };
        let accepted = match waiver {
            Some(waiver) => {
                let at = instant_and_age(Timestamp::now(), waiver.at);
                Some(format!("{}\nby {}, {at}, {until}", waiver.why, waiver.who))
            }
            None => done_without.then(|| format!("by whom is not known any more, {until}")),
        };
        let open: Vec<String> = self.open_decisions.iter().map(Told::sentence).collect();
        Details::default()
            .section("exception")
            .pair("connection", connection.as_str())
            .pair("key", key)
            .pair("record", if id.is_empty() { "none" } else { id })
            .pair("kind", meaning)
            .pair("reason", reason)
            .pair_if("attempts", (*attempt_count > 0).then(|| attempt_count.to_string()))
            .pair_if("since", since.map(|since| format!("run {since}")))
            .pair_if("accepted", accepted)
            .pair_if("waits for the next run", (!open.is_empty()).then(|| open.join("\n")))
            .pair("to decide", next)
    }

    fn name(&self) -> String {
        self.exception.key.clone()
    }
}

fn meaning(kind: ExceptionKind) -> &'static str {
    match kind {
        ExceptionKind::Rejected => "rejected: the destination refused the record",
        ExceptionKind::Invalid => "invalid: the row cannot be mapped to a record",
        ExceptionKind::Held => "held: the row is gone, and the removal of its record waits",
    }
}
