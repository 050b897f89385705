//! `preview`: what the next run would send, without sending it.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tidemark_engine::definitions;
use tidemark_engine::port::{BatchKind, Host as _};
use tidemark_engine::run::{Engine, Preview, PreviewSample};
use tidemark_model::entry::RunNumber;
use tidemark_model::failure::{Failure, FailureKind, Side};
use tidemark_model::ids::ConnectionId;
use tidemark_model::receipt::{PushCounts, RecordCounts, RowCounts};

use crate::engine::engine;
use crate::error::Error;
use crate::exit::Exit;
use crate::host::LocalHost;
use crate::saved::SavedPreview;
use crate::secrets;
use crate::selection;
use crate::session::Session;
use crate::ui::details::Details;
use crate::ui::output::{OutputArgs, Subject};
use crate::ui::progress::Bars;
use crate::ui::record;
use crate::ui::table::Cell;
use crate::ui::text::{counted, grouped};
use crate::ui::time::{instant_and_age, rough};

/// Attempts that may fail one after the other. What was read by then is not read again.
const ATTEMPTS: u32 = 6;

/// Show what the next run would send, and send nothing
///
/// Reads and compares from here, with the secrets that are at hand here, as the next run would.
/// With --save, `tidemark start ID --exactly FILE` sends exactly that, or nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id, account/connection
    #[arg(value_name = "ID", value_parser = selection::connection)]
    id: ConnectionId,

    /// Where to save what a run can be held to
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,

    /// Show the contents of the sample records, which may be personal data
    #[arg(long)]
    values: bool,

    /// How many samples of writes, and of removals
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(0..=1000)
    )]
    limit: u16,

    #[command(flatten)]
    output: OutputArgs,
}

/// What would be sent.
#[derive(Debug, Serialize)]
struct Previewed {
    connection: ConnectionId,
    /// The commit that it is against.
    base: Option<RunNumber>,
    definition_version: u32,
    full_read: bool,
    complete_as_of: Timestamp,
    rows: RowCounts,
    records: RecordCounts,
    push: PushCounts,
    hold_rule: Option<String>,
    source_request_count: u64,
    samples: Vec<Sample>,
    saved_in: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Sample {
    kind: BatchKind,
    key: String,
    id: String,
    fields: Vec<(String, String)>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let folder = session.store().await?.connection(&self.id);
        let Some(stored) = definitions::newest(&folder).await? else {
            return Err(session.unknown(&self.id).await);
        };
        let Some(definition) = stored.definition else {
            return Err(session.removed(&self.id, stored.applied_at).await);
        };
        secrets::require(&definition, &[Side::Source, Side::Destination])?;
        let bar = Bars::new(session.ui()).bar(self.id.as_str());
        let host = LocalHost::new(session, &self.id, "preview", bar)?;
        let engine = engine(session).await?;
        let preview = patiently(session, &engine, &host, &self.id, usize::from(self.limit)).await;
        host.finish();
        let preview = preview?;
        if let Some(path) = &self.save {
            SavedPreview::new(session, &self.id, preview.exact.clone()).await?.write(path)?;
            session.ui().note(&format!(
                "saved: `tidemark start {} --exactly {}` sends exactly this, or nothing",
                self.id,
                path.display()
            ));
        }
        let previewed = Previewed::of(self.id, preview, self.values, self.save);
        session.ui().subject(self.output.output, &previewed)?;
        Ok(Exit::Ok)
    }
}

/// Goes on after waits and passing failures, as a run's next attempt would.
async fn patiently(
    session: &Session,
    engine: &Engine,
    host: &LocalHost<'_>,
    id: &ConnectionId,
    sample_count: usize,
) -> Result<Preview, Error> {
    let mut failed_count = 0;
    loop {
        let failure = match engine.preview(host, id, sample_count).await {
            Ok(preview) => return Ok(preview),
            Err(failure) => failure,
        };
        if failure.kind != FailureKind::Waiting {
            failed_count += 1;
        }
        if !failure.kind.retryable() || failed_count == ATTEMPTS {
            return Err(failure.into());
        }
        let wait = wait(&failure, failed_count);
        session.ui().note(&format!("{failure}; goes on in {}", rough(wait)));
        tokio::select! {
            () = host.clock().sleep(wait) => {}
            () = host.stopped() => {}
        }
    }
}

/// How long to wait before the next attempt: a second at least, so that it can be read.
fn wait(failure: &Failure, failed_count: u32) -> Duration {
    let backoff = Duration::from_secs(1 << failed_count.min(5));
    failure.retry_after.unwrap_or(backoff).max(Duration::from_secs(1))
}

impl Previewed {
    fn of(
        connection: ConnectionId,
        preview: Preview,
        values: bool,
        saved_in: Option<PathBuf>,
    ) -> Self {
        let sample = |sample: PreviewSample| Sample {
            fields: record::fields(&sample.record, values),
            kind: sample.kind,
            key: sample.key,
            id: sample.id,
        };
        Self {
            connection,
            base: preview.exact.base,
            definition_version: preview.exact.definition_version,
            full_read: preview.full_read,
            complete_as_of: preview.complete_as_of,
            rows: preview.rows,
            records: preview.records,
            push: preview.push,
            hold_rule: preview.rule.map(|rule| rule.to_string()),
            source_request_count: preview.source_cost.request_count,
            samples: preview.samples.into_iter().map(sample).collect(),
            saved_in,
        }
    }
}

impl Subject for Previewed {
    fn details(&self) -> Details {
        let Self { push, records, .. } = self;
        let held = match &self.hold_rule {
            Some(rule) => format!("{}: {rule}", grouped(push.held)),
            None => grouped(push.held),
        };
        let base = match self.base {
            Some(run) => format!("run {run}"),
            None => "nothing: this would be the first sync".to_owned(),
        };
        let cells = |sample: &Sample| {
            let fields: Vec<String> =
                sample.fields.iter().map(|(name, text)| format!("{name} = {text}")).collect();
            let what = match sample.kind {
                BatchKind::Write => "write",
                BatchKind::Remove => "remove",
            };
            vec![
                Cell::new(what),
                Cell::new(&sample.key),
                Cell::new(&sample.id),
                Cell::or_none((!fields.is_empty()).then(|| fields.join(", "))),
            ]
        };
        Details::default()
            .section("the next run would send")
            .pair("connection", self.connection.as_str())
            .pair("added", grouped(push.added))
            .pair("changed", grouped(push.changed))
            .pair("removed", grouped(push.removals()))
            .pair("sent again", grouped(push.rewrites()))
            .pair("held", held)
            .section("from")
            .pair("against", base)
            .pair("read", if self.full_read { "the whole list" } else { "what changed" })
            .pair("complete as of", instant_and_age(Timestamp::now(), self.complete_as_of))
            .pair("asked", counted(self.source_request_count, "source request"))
            .pair(
                "records",
                format!("{} now, {} then", grouped(records.previous), grouped(records.next)),
            )
            .pair(
                "rows",
                format!(
                    "{} sent, {} filtered, {} invalid",
                    grouped(self.rows.sent),
                    grouped(self.rows.filtered),
                    grouped(self.rows.invalid)
                ),
            )
            .table(
                "samples",
                &["WHAT", "KEY", "ID", "FIELDS"],
                self.samples.iter().map(cells).collect(),
            )
    }

    fn name(&self) -> String {
        self.connection.to_string()
    }
}
