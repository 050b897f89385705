//! A store in memory that refuses some of its objects, as S3 does where rights are missing: it lists
//! them all the same.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory,
    path::Path,
};
use tidemark_engine::store::Store;

/// Refuses every object whose path begins so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusing {
    inner: Arc<InMemory>,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Refusing {
    /// The store, which refuses nothing yet.
    pub(crate) fn store(&self) -> Store {
        Store::over(Arc::new(self.clone()), Path::default(), "memory:///")
    }

    /// Refuses what begins so from now on.
    pub(crate) fn refuse(&self, begin: &str) {
        self.refused.lock().unwrap().push(begin.to_owned());
    }

    fn ask(&self, location: &Path) -> Result<()> {
        let asked: &str = location.as_ref();
        if self.refused.lock().unwrap().iter().any(|begin| asked.starts_with(begin.as_str())) {
            let (path, source) = (location.to_string(), "403 Forbidden".into());
            return Err(Error::PermissionDenied { path, source });
        }
        Ok(())
    }
}

impl fmt::Display for Refusing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refusing {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Refusing {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.ask(location)?;
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.ask(location)?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.ask(location)?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.ask(from)?;
        self.inner.copy_opts(from, to, options).await
    }
}
