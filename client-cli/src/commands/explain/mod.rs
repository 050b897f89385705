//! `explain`: why the record of a row is as it is.

mod address;
mod conclusion;
mod explained;
mod history;

use jiff::Timestamp;
use tidemark_connectors::HttpConnectors;
use tidemark_engine::definitions;
use tidemark_engine::port::{Connectors as _, FoundRow};
use tidemark_engine::snapshot::{Snapshot, SnapshotRow};
use tidemark_model::definition::{Definition, Deletions};
use tidemark_model::failure::{Failure, Side};
use tidemark_model::ids::ConnectionId;

use self::address::{Address, Place};
use self::conclusion::{Conclusion, Standing};
use self::explained::{Explained, SnapshotThen, SourceNow};
use self::history::History;
use crate::decisions;
use crate::error::Error;
use crate::exceptions::{Book, Wanted};
use crate::exit::Exit;
use crate::secrets::{self, Here};
use crate::selection;
use crate::session::Session;
use crate::ui::output::OutputArgs;
use crate::ui::time::instant;

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
        let mut found = find(&definition, name).await;
        let held = match (&found, Address::of(name)) {
            (Ok(Some(_)), _) | (_, None) => None,
            (Ok(None) | Err(_), Some(address)) => {
                address.search(&book, usize::from(self.back)).await?
            }
        };
        let mut name = name.to_owned();
        if let Some(held) = &held {
            held.key(&self.id)?.clone_into(&mut name);
            // A row whose address changed is still there, under its key.
            if found.is_ok() {
                found = find(&definition, &name).await;
            }
        }
        let row = found.as_ref().ok().and_then(Option::as_ref);
        let key = row.map_or(name, |found| found.row.key.clone());
        let place = held.map(|held| held.place);
        let explained =
            self.explain(session, &definition, &book, (&key, place), found.as_ref()).await?;
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
        (key, found_in): (&str, Option<Place>),
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
        let kept = match &snapshot {
            None => book.kept(key).await?,
            Some(_) => None,
        };
        let of_source = source.map(|found| found.row.id.as_str()).filter(|id| !id.is_empty());
        let record_id = snapshot
            .as_ref()
            .and_then(|row| row.id.as_deref())
            .or(exceptions.iter().map(|one| one.id.as_str()).find(|id| !id.is_empty()))
            .or(kept.as_deref())
            .or(of_source)
            .map(str::to_owned);
        let history = history::search(&book.folder, key, usize::from(self.back)).await?;
        let nothing_known = source.is_none()
            && snapshot.is_none()
            && exceptions.is_empty()
            && kept.is_none()
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
            last_sent: history.last.as_ref(),
            newest_commit: book.run(),
            watermark: manifest.map(|manifest| manifest.complete_as_of),
            keeps: definition.policy().deletions() == Deletions::Keep,
            kept: kept.is_some(),
        });
        let paused = schedule.as_ref().is_some_and(|schedule| schedule.paused);
        let conclusion_text = conclusion.sentence(&self.id, key, next_run(next_run_at, paused));
        let History { last, .. } = &history;
        Ok(Explained {
            connection: self.id.clone(),
            key: key.to_owned(),
            record_id,
            found_in,
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
    secrets::require(definition, &[Side::Source])?;
    HttpConnectors::new(Here)?.source(definition)?.find(name).await
}

async fn snapshot_row(book: &Book, key: &str) -> Result<Option<SnapshotRow>, Error> {
    let Some(manifest) = book.manifest() else { return Ok(None) };
    let snapshot = Snapshot::open(&book.folder, &manifest.snapshot).await?;
    Ok(snapshot.look_up(&[key.to_owned()], true).await?.into_iter().next().flatten())
}

/// When the next run is, as part of a sentence.
fn next_run(at: Option<Timestamp>, paused: bool) -> String {
    match at {
        _ if paused => "the next run, once the connection is resumed,".to_owned(),
        Some(at) => format!("the next run, at {},", instant(at)),
        None => "the next run".to_owned(),
    }
}
