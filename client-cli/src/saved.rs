//! The file that a preview is saved in, and by which a run does exactly that.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_engine::definitions;
use tidemark_engine::log::Log;
use tidemark_model::exception::ExactChanges;
use tidemark_model::ids::ConnectionId;
use uuid::Uuid;

use crate::error::Error;
use crate::session::Session;

/// The format that this version writes.
const FORMAT: u32 = 1;

/// A preview that a run can be held to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedPreview {
    format: u32,
    connection: ConnectionId,
    /// The store in which the connection is.
    store_id: Uuid,
    pub(crate) made_at: Timestamp,
    pub(crate) exact: ExactChanges,
}

impl SavedPreview {
    /// # Errors
    /// The store's.
    pub(crate) async fn new(
        session: &Session,
        connection: &ConnectionId,
        exact: ExactChanges,
    ) -> Result<Self, Error> {
        Ok(Self {
            format: FORMAT,
            connection: connection.clone(),
            store_id: session.store_id().await?,
            made_at: Timestamp::now(),
            exact,
        })
    }

    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).expect("a preview is JSON") + "\n";
        fs::write(path, text)
            .map_err(|source| Error::FileNotWritten { path: path.to_owned(), source })
    }

    /// Reads one, and looks whether it is this connection's and still the next run's.
    ///
    /// # Errors
    /// No such file, none that `preview` wrote, another connection's or store's, or one that the
    /// connection has moved on from.
    pub(crate) async fn current(
        session: &Session,
        connection: &ConnectionId,
        path: &Path,
    ) -> Result<Self, Error> {
        let saved = Self::read(path)?;
        let again =
            || format!("look again: tidemark preview {connection} --save {}", path.display());
        let refused =
            |why: String| Err(Error::usage(format!("{}: {why}", path.display()), again()));
        if saved.connection != *connection {
            return refused(format!(
                "it is a preview of {}, not of {connection}",
                saved.connection
            ));
        }
        if saved.store_id != session.store_id().await? {
            return refused("it was made over another store".to_owned());
        }
        let folder = session.store().await?.connection(connection);
        let Some(stored) = definitions::newest(&folder).await? else {
            return Err(session.unknown(connection).await);
        };
        if saved.exact.definition_version != stored.version {
            return refused("the definition was edited since".to_owned());
        }
        let newest = Log::open(&folder).await?.newest_commit().map(|commit| commit.number);
        if saved.exact.base != newest {
            let run = newest.map_or_else(
                || "the log was purged".to_owned(),
                |run| format!("run {run} was committed"),
            );
            return refused(format!("the connection has moved on: {run} since"));
        }
        Ok(saved)
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path)
            .map_err(|source| Error::File { path: path.to_owned(), source })?;
        let foreign = |why: &str| {
            Error::usage(
                format!("{} is no saved preview: {why}", path.display()),
                "`tidemark preview ID --save FILE` writes one",
            )
        };
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|_| foreign("it is not JSON, or it is cut off"))?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format > u64::from(FORMAT) => {
                return Err(foreign("a newer version of Tidemark wrote it"));
            }
            _ => {}
        }
        serde_json::from_value(value).map_err(|_| foreign("it is another document"))
    }
}
