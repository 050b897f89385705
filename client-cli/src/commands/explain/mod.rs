//! `explain`: why the record of a row is as it is.

mod conclusion;
mod history;

use std::pin::pin;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Serialize;
use tidemark_connectors::HttpConnectors;
use tidemark_engine::definitions;
use tidemark_engine::diff::ChangeSet;
use tidemark_engine::port::{BatchKind, Connectors as _, FoundRow};
use tidemark_engine::run;
use tidemark_engine::snapshot::{Snapshot, SnapshotRow};
use tidemark_model::definition::{Definition, Deletions};
use tidemark_model::entry::RunNumber;
use tidemark_model::exception::Verdict;
use tidemark_model::failure::Failure;
use tidemark_model::ids::ConnectionId;
use tidemark_model::row::RowState;

use self::conclusion::{Conclusion, Standing};
use self::history::{History, LastSent};
use crate::decisions::{self, Told};
use crate::error::Error;
use crate::exceptions::{Book, Shown, Wanted};
use crate::exit::Exit;
use crate::secrets::Here;
use crate::selection;
use crate::session::Session;
use crate::ui::details::Details;
use crate::ui::output::{OutputArgs, Subject};
use crate::ui::record;
use crate::ui::time::instant_and_age;

/// Say why the record of a row is as it is
///
/// Asks the source about the row now, from here, with the secrets that are at hand here. Shows
/// what the snapshot holds of it, its exceptions, the last run that sent it, what was decided
/// about it, and one sentence of conclusion.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id, account/connection
    #[arg(value_name = "ID", value_parser = selection::connection)]
    id: ConnectionId,

    /// The key of the source, the id of the record, or an e-mail address
    #[arg(value_name = "KEY|EMAIL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: String,

    /// Show the contents of records, which may be personal data
    #[arg(long)]
    values: bool,

    /// How many runs to look through for the last one that sent the record
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 100,
        value_parser = clap::value_parser!(u16).range(1..=10_000)
    )]
    back: u16,

    #[command(flatten)]
    output: OutputArgs,
}

/// All that is known of a row.
#[derive(Debug, Serialize)]
struct Explained {
    connection: ConnectionId,
    key: String,
    record_id: Option<String>,
    conclusion: Conclusion,
    conclusion_text: String,
    /// The source now; absent if it does not know the row, or could not be asked.
    source: Option<SourceNow>,
    source_error: Option<String>,
    snapshot: Option<SnapshotThen>,
    /// The run of the snapshot.
    run: Option<RunNumber>,
    complete_as_of: Option<Timestamp>,
    exceptions: Vec<Shown>,
    last_sent: Option<LastSent>,
    looked_through: String,
    open_decisions: Vec<Told>,
    next_run_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct SourceNow {
    status: String,
    listed: bool,
    state: RowState,
    changed_at: Option<Timestamp>,
    record: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct SnapshotThen {
    state: RowState,
    has_record: bool,
    changed_at: Option<Timestamp>,
    record: Vec<(String, String)>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let book = Book::open(session, &self.id).await?;
        let stored = definitions::newest(&book.folder).await?;
        let Some(definition) = stored.and_then(|stored| stored.definition) else {
            return Err(session.unknown(&self.id).await);
        };
        // A record's id is the row's name with a prefix, where the key is what it is made of.
        let prefix = definition.record().id_prefix();
        let name = self.name.strip_prefix(prefix).unwrap_or(&self.name);
        let found = find(&definition, name).await;
        let row = found.as_ref().ok().and_then(Option::as_ref);
        let key = row.map_or_else(|| name.to_owned(), |found| found.row.key.clone());
        let explained = self.explain(session, &definition, &book, &key, found.as_ref()).await?;
        session.ui().subject(self.output.output, &explained)?;
        match found {
            Ok(_) => Ok(Exit::Ok),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn explain(
        &self,
        session: &Session,
        definition: &Definition,
        book: &Book,
        key: &str,
        found: Result<&Option<FoundRow>, &Failure>,
    ) -> Result<Explained, Error> {
        let source = found.ok().and_then(Option::as_ref);
        let snapshot = snapshot_row(book, key).await?;
        let names =
            [Some(key), snapshot.as_ref().and_then(|row| row.id.as_deref()), Some(&self.name)];
        let keys = names.into_iter().flatten().map(str::to_owned).collect();
        let wanted = Wanted { keys, ..Wanted::default() };
        let mut exceptions = Vec::new();
        book.each(&wanted, |exception| {
            exceptions.push(exception);
            Ok(())
        })
        .await?;
        let of_source = source.map(|found| found.row.id.as_str()).filter(|id| !id.is_empty());
        let record_id = snapshot
            .as_ref()
            .and_then(|row| row.id.as_deref())
            .or(exceptions.iter().map(|one| one.id.as_str()).find(|id| !id.is_empty()))
            .or(of_source)
            .map(str::to_owned);
        let history = history::search(&book.folder, key, usize::from(self.back)).await?;
        let done_without = done_without(book, key).await?;
        let nothing_known = source.is_none()
            && snapshot.is_none()
            && exceptions.is_empty()
            && done_without.is_none()
            && history.last.is_none();
        if nothing_known && found.is_ok() {
            return Err(Error::NoRow {
                id: self.id.clone(),
                name: self.name.clone(),
                looked_through: history.extent(),
            });
        }
        // Without Temporal everything else can be said all the same.
        let schedule = match session.temporal().await {
            Ok(temporal) => temporal.schedules.describe(&self.id).await.ok(),
            Err(_) => None,
        };
        let manifest = book.manifest();
        let next_run_at = schedule.as_ref().and_then(|schedule| schedule.next_at.first().copied());
        let conclusion = Conclusion::of(&Standing {
            key,
            source: found.ok().map(Option::as_ref),
            snapshot: snapshot.as_ref(),
            exceptions: &exceptions,
            done_without: done_without.as_ref(),
            last_sent: history.last.as_ref(),
            newest_commit: book.run(),
            watermark: manifest.map(|manifest| manifest.complete_as_of),
            keeps: definition.policy().deletions() == Deletions::Keep,
        });
        let paused = schedule.as_ref().is_some_and(|schedule| schedule.paused);
        let conclusion_text = conclusion.sentence(&self.id, key, next_run(next_run_at, paused));
        let History { last, .. } = &history;
        Ok(Explained {
            connection: self.id.clone(),
            key: key.to_owned(),
            record_id,
            conclusion,
            conclusion_text,
            source: source.map(|found| SourceNow::of(found, self.values)),
            source_error: found.err().map(ToString::to_string),
            snapshot: snapshot.as_ref().map(|row| SnapshotThen::of(row, self.values)),
            run: book.run(),
            complete_as_of: manifest.map(|manifest| manifest.complete_as_of),
            exceptions,
            last_sent: last.clone(),
            looked_through: history.extent(),
            open_decisions: decisions::open(&book.folder, manifest).await?,
            next_run_at,
        })
    }
}

/// Asks the source, with the secrets of this process.
async fn find(definition: &Definition, name: &str) -> Result<Option<FoundRow>, Failure> {
    HttpConnectors::new(Here)?.source(definition)?.find(name).await
}

async fn snapshot_row(book: &Book, key: &str) -> Result<Option<SnapshotRow>, Error> {
    let Some(manifest) = book.manifest() else { return Ok(None) };
    let snapshot = Snapshot::open(&book.folder, &manifest.snapshot).await?;
    Ok(snapshot.look_up(&[key.to_owned()], true).await?.into_iter().next().flatten())
}

/// The decision to do without the removal of a row's record, if it stands.
async fn done_without(book: &Book, key: &str) -> Result<Option<Told>, Error> {
    let Some(file) = book.manifest().and_then(|manifest| manifest.waived_removals.as_ref()) else {
        return Ok(None);
    };
    let set = ChangeSet::open(&book.folder, file).await?;
    let mut keys = pin!(set.keys());
    while let Some(batch) = keys.try_next().await? {
        let Some(removal) = batch.into_iter().find(|removal| removal.key == key) else { continue };
        let about = |told: &Told| match &told.verdict {
            Verdict::Waive { removals, .. } => {
                removals.ids.as_ref().is_none_or(|ids| ids.contains(&removal.id))
            }
            _ => false,
        };
        let mut all = run::decisions(&book.folder, 0).await?.into_iter().map(Told::from);
        return Ok(all.rfind(about));
    }
    Ok(None)
}

/// When the next run is, as part of a sentence.
fn next_run(at: Option<Timestamp>, paused: bool) -> String {
    match at {
        _ if paused => "the next run, once the connection is resumed,".to_owned(),
        Some(at) => format!("the next run, at {},", crate::ui::time::instant(at)),
        None => "the next run".to_owned(),
    }
}

impl SourceNow {
    fn of(found: &FoundRow, values: bool) -> Self {
        Self {
            status: found.status.clone(),
            listed: found.listed,
            state: found.row.state,
            changed_at: Timestamp::from_second(found.row.modified).ok(),
            record: record::fields(&found.row.record, values),
        }
    }
}

impl SnapshotThen {
    fn of(row: &SnapshotRow, values: bool) -> Self {
        Self {
            state: row.state,
            has_record: row.has_record,
            changed_at: Timestamp::from_second(row.modified).ok(),
            record: row.record.as_deref().map_or_else(Vec::new, |one| record::fields(one, values)),
        }
    }
}

fn state(state: RowState) -> &'static str {
    match state {
        RowState::Sent => "mapped to a record",
        RowState::Filtered => "filtered: the definition does not send it",
        RowState::Invalid => "invalid: it cannot be mapped to a record",
    }
}

impl Subject for Explained {
    fn details(&self) -> Details {
        let now = Timestamp::now();
        let at = |at: Timestamp| instant_and_age(now, at);
        let shown =
            |fields: &[(String, String)]| (!fields.is_empty()).then(|| record::lines(fields));
        let mut details = Details::default()
            .section("row")
            .pair("connection", self.connection.as_str())
            .pair("key", &self.key)
            .pair_if("record", self.record_id.as_deref())
            .section("source now");
        details = match (&self.source, &self.source_error) {
            (_, Some(error)) => details.pair("row", format!("it could not be asked: {error}")),
            (None, None) => details.pair("row", "it does not know one"),
            (Some(source), None) => details
                .pair("row", if source.listed { "listed" } else { "not listed any more" })
                .pair("status", &source.status)
                .pair_if("state", source.listed.then(|| state(source.state)))
                .pair_if("changed", source.changed_at.map(at))
                .pair_if("fields", shown(&source.record)),
        };
        details = details.section("snapshot");
        details = match (&self.snapshot, self.run) {
            (_, None) => details.pair("row", "there is no snapshot yet"),
            (None, Some(run)) => details.pair("row", format!("none, as of run {run}")),
            (Some(row), Some(run)) => details
                .pair("row", format!("as of run {run}"))
                .pair("state", state(row.state))
                .pair_if("changed", row.changed_at.map(at))
                .pair_if("fields", shown(&row.record)),
        };
        details = details
            .pair_if("complete as of", self.complete_as_of.map(at))
            .section("destination")
            .pair("last sent", self.last_sent_sentence());
        for exception in &self.exceptions {
            details = details.pair(exception.kind.as_str(), &exception.reason);
        }
        let open: Vec<String> = self.open_decisions.iter().map(Told::sentence).collect();
        details
            .pair_if("waits for the next run", (!open.is_empty()).then(|| open.join("\n")))
            .section("conclusion")
            .pair("", &self.conclusion_text)
    }

    fn name(&self) -> String {
        self.key.clone()
    }
}

impl Explained {
    fn last_sent_sentence(&self) -> String {
        let Some(last) = &self.last_sent else {
            return format!("not in {}", self.looked_through);
        };
        let what = match last.kind {
            BatchKind::Write => "written",
            BatchKind::Remove => "removed",
        };
        let end = if last.committed { "" } else { ", which did not end" };
        format!("{what} by run {}{end}, at {}", last.run, crate::ui::time::instant(last.at))
    }
}
