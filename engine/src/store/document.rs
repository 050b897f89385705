//! JSON objects that say their format.

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidemark_model::entry::FORMAT;

use super::{Creation, Folder, StoreError};

/// How often a creation without a clear answer is tried before its error is passed on.
const CREATION_TRIES: u32 = 3;

/// An object's content and the format in which it is written, for what carries none itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Formatted<T> {
    pub(crate) format: u32,
    pub content: T,
}

impl<T> Formatted<T> {
    /// In the format of this version.
    pub fn new(content: T) -> Self {
        Self { format: FORMAT, content }
    }
}

/// All that is read of an object before its format is known.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl Folder {
    /// A JSON object, `None` if there is none.
    ///
    /// # Errors
    /// `NewerFormat`, `Damaged` when it is not what this version writes, or the store's.
    pub async fn document<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, StoreError> {
        self.get(path).await?.map(|content| decode(path, &content)).transpose()
    }

    /// Creates a JSON object unless there is one, and gives back the one that stands there then:
    /// the caller compares whose it is. After an unclear answer the object is read; if it is
    /// absent the creation is tried again.
    ///
    /// # Errors
    /// As [`document`](Self::document); the object may stand there nevertheless.
    pub async fn establish<T: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        document: &T,
    ) -> Result<T, StoreError> {
        let content = encode(document);
        let mut tries = 0;
        loop {
            let creation = self.create(path, content.clone()).await;
            if matches!(creation, Ok(Creation::Created)) {
                return decode(path, &content);
            }
            if let Some(standing) = self.document(path).await? {
                return Ok(standing);
            }
            tries += 1;
            if tries == CREATION_TRIES {
                creation?;
                return Err(StoreError::Missing { path: path.to_owned() });
            }
        }
    }
}

pub(crate) fn encode<T: Serialize>(document: &T) -> Bytes {
    serde_json::to_vec(document).expect("what the store keeps can be written as JSON").into()
}

pub(crate) fn decode<T: DeserializeOwned>(path: &str, content: &[u8]) -> Result<T, StoreError> {
    // Only the place of the fault is told: an error's text may repeat what stands there.
    let damaged = |error: serde_json::Error| StoreError::Damaged {
        path: path.to_owned(),
        reason: format!("line {}, column {} is not as written", error.line(), error.column()),
    };
    let FormatOnly { format } = serde_json::from_slice(content).map_err(damaged)?;
    if format > FORMAT {
        return Err(StoreError::NewerFormat { path: path.to_owned(), format, known: FORMAT });
    }
    serde_json::from_slice(content).map_err(damaged)
}
