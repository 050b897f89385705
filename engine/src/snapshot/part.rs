//! Reading a part of a file that an entry names.

use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use tidemark_model::entry::FileRef;

use crate::store::{Folder, StoreError};

/// Reads a part of a file and compares the file's size. The caller has a checksum of the part.
pub(crate) async fn read_part(
    folder: &Folder,
    file: &FileRef,
    range: GetRange,
) -> Result<Bytes, StoreError> {
    let failed = |source| match source {
        object_store::Error::NotFound { .. } => StoreError::Missing { path: file.path.clone() },
        source => StoreError::Access { operation: "read", path: file.path.clone(), source },
    };
    let (objects, path) = folder.locate(&file.path);
    let options = GetOptions { range: Some(range), ..GetOptions::default() };
    let (size, content) = match objects.get_opts(&path, options).await {
        Ok(found) => (found.meta.size, Some(found)),
        // A range beyond the end of a cut file is refused in words that differ from store to store.
        Err(error) => match objects.head(&path).await {
            Ok(meta) if meta.size != file.bytes => (meta.size, None),
            _ => return Err(failed(error)),
        },
    };
    match content {
        Some(content) if size == file.bytes => content.bytes().await.map_err(failed),
        _ => Err(StoreError::Damaged {
            path: file.path.clone(),
            reason: format!("it has {size} bytes, {} were written", file.bytes),
        }),
    }
}
