//! A folder of the store: every path below is relative to it.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use jiff::Timestamp;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutPayloadMut,
    path::Path,
};
use tidemark_model::{
    defect::{self, Defect},
    entry::FileRef,
};

use super::StoreError;

/// What came of creating an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    Created,
    /// An object of that name was there before; it is unchanged.
    Exists,
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Below the folder that was asked.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// When it was written, by the store's clock.
    pub(crate) modified: Timestamp,
}

/// A folder of the store. Cheap to clone.
#[derive(Clone)]
pub struct Folder {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Folder {
    pub(super) fn new(objects: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        Self { objects, prefix }
    }

    /// A folder inside this one.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        Self { objects: Arc::clone(&self.objects), prefix: self.prefix.clone().join(name) }
    }

    /// The object store and the full path of an object, for readers of ranges.
    #[must_use]
    pub fn locate(&self, path: &str) -> (Arc<dyn ObjectStore>, Path) {
        (Arc::clone(&self.objects), self.full(path))
    }

    fn full(&self, path: &str) -> Path {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.fold(self.prefix.clone(), |full, part| full.join(part))
    }

    /// Creates an object unless there is one. Atomic and durable.
    ///
    /// # Errors
    /// The store's; the object may exist nevertheless (the caller reads it to know).
    pub async fn create(&self, path: &str, content: Bytes) -> Result<Creation, StoreError> {
        let mode =
            if defect::on(Defect::OverwriteEntries) { PutMode::Overwrite } else { PutMode::Create };
        let options = PutOptions::from(mode);
        match self.objects.put_opts(&self.full(path), PutPayload::from(content), options).await {
            Ok(_) => Ok(Creation::Created),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Creation::Exists),
            Err(source) => Err(access("create", path, source)),
        }
    }

    /// Writes an object, over an older one if there is one, and says how to refer to it.
    ///
    /// # Errors
    /// The store's.
    pub async fn write(
        &self,
        path: &str,
        content: Bytes,
        row_count: u64,
    ) -> Result<FileRef, StoreError> {
        let file = refer(path, &content, row_count);
        self.objects
            .put(&self.full(path), PutPayload::from(content))
            .await
            .map_err(|source| access("write", path, source))?;
        Ok(file)
    }

    /// Begins an object that is written piece by piece; it appears when it is finished.
    ///
    /// # Errors
    /// The store's.
    pub async fn upload(&self, path: &str) -> Result<Upload, StoreError> {
        let parts = self
            .objects
            .put_multipart(&self.full(path))
            .await
            .map_err(|source| access("write", path, source))?;
        Ok(Upload {
            parts,
            path: path.to_owned(),
            pending: no_pieces(),
            hasher: blake3::Hasher::new(),
            bytes: 0,
        })
    }

    /// An object's content, `None` if there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn get(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        match self.objects.get(&self.full(path)).await {
            Ok(found) => {
                found.bytes().await.map(Some).map_err(|source| access("read", path, source))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(access("read", path, source)),
        }
    }

    /// A part of an object that an entry names. The caller has a checksum of its own for it.
    ///
    /// # Errors
    /// `Missing`, or the store's.
    pub async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        match self.objects.get_range(&self.full(path), range).await {
            Ok(content) => Ok(content),
            Err(object_store::Error::NotFound { .. }) => {
                Err(StoreError::Missing { path: path.to_owned() })
            }
            Err(source) => Err(access("read", path, source)),
        }
    }

    /// The content of an object that an entry names, with size and checksum compared.
    ///
    /// # Errors
    /// `Missing`, `Damaged`, or the store's.
    pub async fn read(&self, file: &FileRef) -> Result<Bytes, StoreError> {
        let content = self
            .get(&file.path)
            .await?
            .ok_or_else(|| StoreError::Missing { path: file.path.clone() })?;
        let found = refer(&file.path, &content, file.row_count);
        if found.bytes != file.bytes {
            return Err(StoreError::Damaged {
                path: file.path.clone(),
                reason: format!("it has {} bytes, {} were written", found.bytes, file.bytes),
            });
        }
        if found.checksum != file.checksum {
            return Err(StoreError::Damaged {
                path: file.path.clone(),
                reason: "its checksum is not the one that was written down".to_owned(),
            });
        }
        Ok(content)
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// The store's: no answer is neither yes nor no.
    pub async fn exists(&self, path: &str) -> Result<bool, StoreError> {
        match self.objects.head(&self.full(path)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(access("look for", path, source)),
        }
    }

    /// The names of the objects and folders directly inside a folder, sorted, folders with a
    /// slash at their end.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, path: &str) -> Result<Vec<String>, StoreError> {
        let prefix = self.full(path);
        let found = self
            .objects
            .list_with_delimiter(Some(&prefix))
            .await
            .map_err(|source| access("list", path, source))?;
        let name = |path: &Path| path.filename().map(ToOwned::to_owned);
        let mut names: Vec<String> = found
            .common_prefixes
            .iter()
            .filter_map(|folder| name(folder).map(|name| name + "/"))
            .chain(found.objects.iter().filter_map(|object| name(&object.location)))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Every object below a folder, as the store lists them: never all of them in memory.
    pub(crate) fn objects(&self, path: &str) -> BoxStream<'static, Result<Listed, StoreError>> {
        let listed = self.objects.list(Some(&self.full(path)));
        let (prefix, path) = (self.prefix.clone(), path.to_owned());
        listed
            .map(move |object| {
                let object = object.map_err(|source| access("list", &path, source))?;
                let modified = object.last_modified;
                let parts = object.location.prefix_match(&prefix).into_iter().flatten();
                let parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
                Ok(Listed {
                    path: parts.join("/"),
                    bytes: object.size,
                    // One whose time cannot be told is new.
                    modified: Timestamp::new(modified.timestamp(), 0).unwrap_or(Timestamp::MAX),
                })
            })
            .boxed()
    }

    /// Deletes objects. One that is gone already is no error.
    ///
    /// # Errors
    /// The store's; some may be gone by then.
    pub async fn delete(&self, paths: &[String]) -> Result<(), StoreError> {
        let locations: Vec<_> = paths.iter().map(|path| Ok(self.full(path))).collect();
        let mut deleted = self.objects.delete_stream(stream::iter(locations).boxed());
        while let Some(outcome) = deleted.next().await {
            match outcome {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => {
                    let path = paths.first().map(String::as_str).unwrap_or_default();
                    return Err(access("delete", path, source));
                }
            }
        }
        Ok(())
    }

    /// Deletes every object below a folder; how many there were.
    ///
    /// # Errors
    /// The store's; some may be gone by then.
    pub async fn delete_all(&self, path: &str) -> Result<u64, StoreError> {
        let prefix = self.full(path);
        let locations = self.objects.list(Some(&prefix)).map_ok(|object| object.location).boxed();
        self.objects
            .delete_stream(locations)
            .try_fold(0, |count, _| async move { Ok(count + 1) })
            .await
            .map_err(|source| access("delete", path, source))
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// S3 wants parts of at least 5 MiB.
const PART_BYTES: usize = 6 * 1024 * 1024;

/// A part is collected in blocks of this size: one piece of memory would be copied whenever it
/// grows, and is too large to be used again soon.
const BLOCK_BYTES: usize = 64 * 1024;

/// An object that is being written piece by piece.
pub struct Upload {
    parts: Box<dyn MultipartUpload>,
    path: String,
    pending: PutPayloadMut,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Upload {
    /// Adds a piece.
    ///
    /// # Errors
    /// The store's.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(piece);
        self.bytes += piece.len() as u64;
        self.pending.extend_from_slice(piece);
        if self.pending.content_length() >= PART_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let part = std::mem::replace(&mut self.pending, no_pieces()).freeze();
        self.parts.put_part(part).await.map_err(|source| access("write", &self.path, source))
    }

    /// Makes the object appear, and says how to refer to it.
    ///
    /// # Errors
    /// The store's.
    pub async fn finish(mut self, row_count: u64) -> Result<FileRef, StoreError> {
        if !self.pending.is_empty() || self.bytes == 0 {
            self.flush().await?;
        }
        self.parts.complete().await.map_err(|source| access("write", &self.path, source))?;
        Ok(FileRef {
            checksum: self.hasher.finalize().to_hex().to_string(),
            bytes: self.bytes,
            row_count,
            path: self.path,
        })
    }
}

fn no_pieces() -> PutPayloadMut {
    PutPayloadMut::new().with_block_size(BLOCK_BYTES)
}

fn refer(path: &str, content: &[u8], row_count: u64) -> FileRef {
    FileRef {
        path: path.to_owned(),
        bytes: content.len() as u64,
        checksum: blake3::hash(content).to_hex().to_string(),
        row_count,
    }
}

fn access(operation: &'static str, path: &str, source: object_store::Error) -> StoreError {
    StoreError::Access { operation, path: path.to_owned(), source }
}
