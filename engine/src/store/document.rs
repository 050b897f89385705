//! JSON objects that say their format, and carry a checksum.
//!
//! A document is two lines: the object, and the BLAKE3 of that line in hexadecimal. What was cut,
//! or changed by anything but this code, is told from what was written.

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
    let mut content =
        serde_json::to_vec(document).expect("what the store keeps can be written as JSON");
    let checksum = blake3::hash(&content).to_hex();
    content.push(b'\n');
    content.extend_from_slice(checksum.as_bytes());
    content.push(b'\n');
    content.into()
}

pub(crate) fn decode<T: DeserializeOwned>(path: &str, content: &[u8]) -> Result<T, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason };
    let mut lines = content.split(|byte| *byte == b'\n');
    let object = lines.next().unwrap_or_default();
    // A newer version may end its documents in another way.
    if let Ok(FormatOnly { format }) = serde_json::from_slice(object)
        && format > FORMAT
    {
        return Err(StoreError::NewerFormat { path: path.to_owned(), format, known: FORMAT });
    }
    let Some(checksum) = lines.next() else {
        return Err(damaged("it is cut: its checksum is not there".to_owned()));
    };
    if blake3::hash(object).to_hex().as_bytes() != checksum || !lines.eq([b""]) {
        return Err(damaged("its checksum is not the one of its content".to_owned()));
    }
    // Only the place of the fault is told: an error's text may repeat what stands there.
    serde_json::from_slice(object)
        .map_err(|error| damaged(format!("column {} is not as written", error.column())))
}
