//! The object store: a local folder, S3 or compatible, or memory.
//!
//! Create-if-absent is the only primitive that correctness needs. What an entry names is read back
//! with its size and checksum; a missing or damaged object is an error, never empty.

mod document;
mod error;
mod folder;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory, path::Path};
use tidemark_model::ids::ConnectionId;
use url::Url;

pub use document::Formatted;
pub use error::StoreError;
pub(crate) use folder::Listed;
pub use folder::{Creation, Folder, Upload};

/// An opened store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    root: Path,
    url: String,
}

impl Store {
    /// Opens `file:///folder` or `s3://bucket/prefix`. The credentials of S3 come from the `AWS_*`
    /// variables that are not empty.
    ///
    /// # Errors
    /// An address that is no URL or of an unknown scheme, or a folder that is not there: whose disk
    /// is not mounted would be taken for a store that holds nothing.
    pub fn open(address: &str) -> Result<Self, StoreError> {
        Self::at(address, |folder| match folder.is_dir() {
            true => Ok(()),
            false => Err(StoreError::NoFolder { folder: folder.display().to_string() }),
        })
    }

    /// Opens a store that may be new: a folder that is not there is made.
    ///
    /// # Errors
    /// As [`open`](Self::open), or the folder cannot be made.
    pub fn make(address: &str) -> Result<Self, StoreError> {
        Self::at(address, |folder| {
            std::fs::create_dir_all(folder).map_err(|source| StoreError::Folder {
                folder: folder.display().to_string(),
                source,
            })
        })
    }

    fn at(
        address: &str,
        prepare: impl FnOnce(&std::path::Path) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let url = Url::parse(address)
            .map_err(|source| StoreError::Address { reason: source.to_string() })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(StoreError::Address {
                reason: "credentials do not belong into the address".to_owned(),
            });
        }
        let opened = |source| StoreError::Open { url: address.to_owned(), source };
        match url.scheme() {
            "file" => {
                let folder = url.to_file_path().map_err(|()| StoreError::Address {
                    reason: "a local store is file:///absolute/folder".to_owned(),
                })?;
                prepare(&folder)?;
                // Folders go with their last object, or a year of runs leaves thousands of them.
                let objects = LocalFileSystem::new_with_prefix(&folder)
                    .map_err(opened)?
                    .with_fsync(true)
                    .with_automatic_cleanup(true);
                Ok(Self::over(Arc::new(objects), Path::default(), address))
            }
            "s3" => {
                let (objects, root) =
                    object_store::parse_url_opts(&url, s3_options(std::env::vars()))
                        .map_err(opened)?;
                Ok(Self::over(Arc::from(objects), root, address))
            }
            other => Err(StoreError::Address {
                reason: format!("a store is file:///folder or s3://bucket/prefix, not {other}://"),
            }),
        }
    }

    /// A store that lives as long as the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::over(Arc::new(InMemory::new()), Path::default(), "memory:///")
    }

    /// A store over any object store, for wrappers.
    #[must_use]
    pub fn over(objects: Arc<dyn ObjectStore>, root: Path, url: &str) -> Self {
        Self { objects, root, url: url.to_owned() }
    }

    /// The address that it was opened with.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of what belongs to no connection.
    #[must_use]
    pub fn root(&self) -> Folder {
        Folder::new(Arc::clone(&self.objects), self.root.clone())
    }

    /// The folder of a connection.
    #[must_use]
    pub fn connection(&self, id: &ConnectionId) -> Folder {
        self.root().below("connections").below(id.account().as_str()).below(id.name())
    }
}

/// What variables say about S3. An empty one says nothing: so Compose hands over what nobody set,
/// and an endpoint or a key that is empty is not what anybody means.
fn s3_options(
    variables: impl Iterator<Item = (String, String)>,
) -> impl Iterator<Item = (String, String)> {
    variables
        .filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty())
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("url", &self.url).finish_non_exhaustive()
    }
}
