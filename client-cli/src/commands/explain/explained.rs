//! All that `explain` says of a row.

use jiff::Timestamp;
use serde::Serialize;
use tidemark_engine::port::{BatchKind, FoundRow};
use tidemark_engine::snapshot::SnapshotRow;
use tidemark_model::entry::RunNumber;
use tidemark_model::ids::ConnectionId;
use tidemark_model::row::RowState;

use super::address::Place;
use super::conclusion::Conclusion;
use super::history::LastSent;
use crate::decisions::Told;
use crate::exceptions::Shown;
use crate::ui::details::Details;
use crate::ui::output::Subject;
use crate::ui::record;
use crate::ui::time::{instant, instant_and_age};

/// All that is known of a row.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    pub(super) connection: ConnectionId,
    pub(super) key: String,
    pub(super) record_id: Option<String>,
    /// Where its address was found, if the source gave no row for that.
    pub(super) found_in: Option<Place>,
    pub(super) conclusion: Conclusion,
    pub(super) conclusion_text: String,
    /// The source now; absent if it does not know the row, or could not be asked.
    pub(super) source: Option<SourceNow>,
    pub(super) source_error: Option<String>,
    pub(super) snapshot: Option<SnapshotThen>,
    /// The run of the snapshot.
    pub(super) run: Option<RunNumber>,
    pub(super) complete_as_of: Option<Timestamp>,
    pub(super) exceptions: Vec<Shown>,
    pub(super) last_sent: Option<LastSent>,
    pub(super) looked_through: String,
    pub(super) open_decisions: Vec<Told>,
    pub(super) next_run_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
pub(super) struct SourceNow {
    status: String,
    listed: bool,
    state: RowState,
    changed_at: Option<Timestamp>,
    record: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
pub(super) struct SnapshotThen {
    state: RowState,
    has_record: bool,
    changed_at: Option<Timestamp>,
    record: Vec<(String, String)>,
}

impl SourceNow {
    pub(super) fn of(found: &FoundRow, values: bool) -> Self {
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
    pub(super) fn of(row: &SnapshotRow, values: bool) -> Self {
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
            .pair_if(
                "found",
                self.found_in.map(|place| place.sentence(self.source_error.is_none())),
            )
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
        format!("{what} by run {}{end}, at {}", last.run, instant(last.at))
    }
}
