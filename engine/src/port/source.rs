//! The port of sources: how a listing is read and proven complete.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::{
    check::SourceCheck,
    entry::Coverage,
    failure::Failure,
    receipt::{Cost, Proof},
    row::{Digest, Row, RowState},
};

/// A system whose records are mirrored.
#[async_trait]
pub trait Source: Send + Sync {
    /// Asks whether the credential works and whether what the definition names exists, and maps
    /// the first page. Changes nothing; may be called at any time.
    ///
    /// # Errors
    /// `Unauthenticated`, `Forbidden`, `Gone` (naming what the credential can see) or a transient
    /// failure. A mapping that does not fit is no error but part of the answer.
    async fn check(&self) -> Result<SourceCheck, Failure>;

    /// Reads what `request` asks for, stages every page through `pages`, and proves that the
    /// mirror then stands as the source does.
    ///
    /// May be called again after any failure or crash with the same request: it goes on behind
    /// the pages that [`PageWriter::staged`] lists and asks for no durable page again. One attempt
    /// of each request: whoever calls retries. Between two requests it asks `host.check_stop()`.
    ///
    /// # Errors
    /// A failure of the source, `Waiting` when the next request is due more than five seconds
    /// from now, `Unproven` when no response proved the reading, or the stop's failure.
    async fn read(
        &self,
        request: &ReadRequest,
        mirror: &dyn Mirror,
        pages: &dyn PageWriter,
        host: &dyn super::Host,
    ) -> Result<Reading, Failure>;

    /// Looks one row up as it is now: by its key, or by another name under which people know it
    /// (an e-mail address). `None` for one that the source does not know. Changes nothing.
    ///
    /// # Errors
    /// As [`check`](Self::check): a listing that does not exist is an error, no missing row.
    async fn find(&self, name: &str) -> Result<Option<FoundRow>, Failure>;
}

/// A row that was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRow {
    /// Mapped as a page that shows it would be.
    pub row: Row,
    /// Whether the listing shows it.
    pub listed: bool,
    /// The source's own word for its state ("subscribed", "archived"); may be empty.
    pub status: String,
}

/// What a run asks of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRequest {
    /// `Full` reads the whole listing; with `Changes` the source may still decide to read in full
    /// and says so in [`Reading::coverage`].
    pub coverage: Coverage,
    /// The last commit's watermark; `None` before the first commit.
    pub since: Option<Timestamp>,
    /// Keys whose newest state the run must know: those of unfinished runs. Asked for one by one
    /// unless the pages show them.
    pub must_see: Vec<String>,
}

/// A page of a source, mapped. It is durable once [`PageWriter::stage`] has returned.
#[derive(Clone, Debug)]
pub struct Page {
    pub head: PageHead,
    /// The rows it shows.
    pub rows: Vec<Row>,
    /// The rows that it proves to be gone, with the time at which they went.
    pub gone: Vec<KeyTime>,
    /// The response's body as it came, kept for a while for people to look at.
    pub body: Bytes,
}

/// What is known of a page besides its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageHead {
    /// The window of change time (or the kind of question) that the page belongs to. The source
    /// chooses it; pages of one window follow one another.
    pub window: String,
    /// Its place in its window: 0, 1, 2…. Window and number name the page: staging the same page
    /// again replaces nothing and is no error if it is the same request's.
    pub number: u32,
    /// The source's clock when the request began: its `Date` less the request's duration and a second.
    pub requested_at: Timestamp,
    /// When the request began by our clock. Of several readings of a key the greater change time
    /// wins, then the later request; so it is with a reading and a gone mark.
    pub sent_at: Timestamp,
    /// From where the next page of the window goes on, in the source's own words; whatever it
    /// needs to go on after a crash.
    pub resume: serde_json::Value,
    /// What the request cost.
    pub cost: Cost,
}

/// Where pages go.
#[async_trait]
pub trait PageWriter: Send + Sync {
    /// The pages that are durable already, from this attempt and earlier ones, in the order in
    /// which their requests were sent.
    async fn staged(&self) -> Result<Vec<PageHead>, Failure>;

    /// Makes a page durable and lays it over the mirror. May run for several windows at once.
    async fn stage(&self, page: Page) -> Result<(), Failure>;
}

/// A key and a change time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyTime {
    pub key: String,
    /// Seconds since 1970-01-01 UTC.
    pub modified: i64,
}

/// What the mirror holds of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorRow {
    pub state: RowState,
    pub digest: Digest,
    pub modified: i64,
}

/// The listing as this side knows it: the snapshot with the staged pages laid over it and the
/// gone keys taken off. In a full read the snapshot does not count: only staged pages do.
#[async_trait]
pub trait Mirror: Send + Sync {
    /// How many distinct keys it shows.
    async fn row_count(&self) -> Result<u64, Failure>;

    /// How many of them have a change time of at most `until` (seconds).
    async fn count_until(&self, until: i64) -> Result<u64, Failure>;

    /// The keys whose change time is greater than `after` and at most `until`.
    async fn keys_between(&self, after: i64, until: i64) -> Result<Vec<KeyTime>, Failure>;

    /// The rows of up to 1,000 keys, in the order asked; `None` for a key that it does not show.
    async fn look_up(&self, keys: &[String]) -> Result<Vec<Option<MirrorRow>>, Failure>;

    /// The rows of up to 1,000 keys in the last committed snapshot, whatever was staged since.
    async fn look_up_committed(&self, keys: &[String]) -> Result<Vec<Option<MirrorRow>>, Failure>;

    /// From now on the reading covers everything: the snapshot no longer counts. Pages staged so
    /// far keep counting. Remembered over attempts: once this was called, even if its answer was
    /// lost, a later attempt may be asked with [`Coverage::Full`].
    async fn begin_full(&self) -> Result<(), Failure>;
}

/// What a source read, and why it is complete. The pages are known to the writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    pub coverage: Coverage,
    /// The watermark that a commit of this reading may claim (`settle` already taken off).
    pub complete_as_of: Timestamp,
    pub proof: Proof,
    /// Requests that staged no page (counts, look-ups); pages carry their own cost.
    pub cost: Cost,
    /// Rows that came without their own key, so that they stand under another name, under which
    /// the last commit does not know them as they are. Each may be a row that seems to be gone.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stand_in_count: u64,
    /// In a full reading: mapped paths that no row had.
    pub unmatched_paths: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
