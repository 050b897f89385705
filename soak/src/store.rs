//! The object store as one attempt sees it: in memory, and every operation may fail, be answered
//! unclearly, take long, or be the last thing that the worker did.
//!
//! What stands is what the store says: listings and reads are never stale.

use std::{fmt, ops::Range, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart, memory::InMemory, path::Path,
};
use tidemark_engine::inline;

use crate::{
    attempt::{Attempt, Place},
    books,
    journal::plain,
};

/// An operation of a slow store takes so many milliseconds at most: longer than a look at the log
/// counts.
const SLOWEST: u64 = 7_000;

#[derive(Clone)]
pub(crate) struct AttemptStore {
    attempt: Arc<Attempt>,
    objects: Arc<InMemory>,
}

#[derive(Clone, Copy, PartialEq)]
enum Failing {
    No,
    Before,
    After,
}

impl AttemptStore {
    pub(crate) fn new(attempt: &Arc<Attempt>) -> Self {
        let objects = Arc::clone(&attempt.scene.objects);
        Self { attempt: Arc::clone(attempt), objects }
    }

    /// Before an operation.
    async fn begin(&self) -> Result<Failing> {
        let scene = &self.attempt.scene;
        self.attempt.pass(Place::Elsewhere).await.map_err(|_| dead())?;
        let trouble = &scene.shape.trouble;
        if !inline::is_blocked() && self.attempt.strikes(trouble.slow_store) {
            scene.count("trouble: store is slow");
            scene.pass(scene.chance(|chance| chance.below(SLOWEST))).await;
        }
        if !self.attempt.strikes(trouble.store) {
            return Ok(Failing::No);
        }
        if scene.chance(|chance| chance.permille(500)) {
            scene.count("trouble: store fails before");
            Ok(Failing::Before)
        } else {
            scene.count("trouble: store fails after");
            Ok(Failing::After)
        }
    }

    async fn with<T: Send>(
        &self,
        what: &'static str,
        at: &Path,
        operation: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let failing = self.begin().await?;
        let outcome = match failing {
            Failing::Before => Err(unclear()),
            Failing::No | Failing::After => operation.await,
        };
        let said = match (&outcome, failing) {
            (_, Failing::Before) => "no answer, nothing done",
            (_, Failing::After) => "no answer",
            (Ok(_), _) => "done",
            (Err(object_store::Error::AlreadyExists { .. }), _) => "exists",
            (Err(object_store::Error::NotFound { .. }), _) => "not there",
            (Err(_), _) => "refused",
        };
        let name = self.attempt.name();
        self.attempt.scene.note(&format!("{name} store {what} {}: {said}", plain(at.as_ref())));
        self.attempt.pass(Place::Elsewhere).await.map_err(|_| dead())?;
        if failing == Failing::After { Err(unclear()) } else { outcome }
    }
}

fn unclear() -> object_store::Error {
    object_store::Error::Generic { store: "soak", source: "no clear answer".into() }
}

fn dead() -> object_store::Error {
    object_store::Error::Generic { store: "soak", source: "the worker is dead".into() }
}

impl fmt::Debug for AttemptStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttemptStore")
    }
}

impl fmt::Display for AttemptStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("soak")
    }
}

#[async_trait]
impl ObjectStore for AttemptStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let what = if matches!(options.mode, PutMode::Create) { "create" } else { "put" };
        let content: Bytes = payload.clone().into();
        let put = async {
            let put = self.objects.put_opts(location, payload, options).await?;
            self.attempt.scene.has_written(location);
            books::stored(&self.attempt, location.as_ref(), &content);
            Ok(put)
        };
        self.with(what, location, put).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begun = self.objects.put_multipart_opts(location, options);
        let upload = self.with("begin", location, begun).await?;
        Ok(Box::new(AttemptUpload { upload, location: location.clone(), store: self.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let what = if options.head { "look for" } else { "get" };
        self.with(what, location, self.objects.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.with("get", location, self.objects.get_ranges(location, ranges)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let delete = move |location: Result<Path>| {
            let this = this.clone();
            async move {
                let location = location?;
                this.with("delete", &location, this.objects.delete(&location)).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned());
        let scene = Arc::clone(&self.attempt.scene);
        let listed = async move {
            let at = prefix.clone().unwrap_or_default();
            let all = this.objects.list(prefix.as_ref()).try_collect::<Vec<_>>();
            let mut all = this.with("list", &at, all).await?;
            all.sort_by_key(|object| this.attempt.scene.written_before(&object.location));
            Ok::<_, object_store::Error>(all)
        };
        let aged = move |object: ObjectMeta| {
            let written_at = SystemTime::from(scene.written_at(&object.location));
            ObjectMeta { last_modified: written_at.into(), ..object }
        };
        let listed = stream::once(listed).map_ok(|all| stream::iter(all).map(Ok)).try_flatten();
        listed.map_ok(aged).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let at = prefix.cloned().unwrap_or_default();
        let listed = async {
            let mut listed = self.objects.list_with_delimiter(prefix).await?;
            let scene = &self.attempt.scene;
            listed.objects.sort_by_key(|object| scene.written_before(&object.location));
            if at.as_ref().ends_with("/late") {
                self.attempt.has_looked_for_marks();
            }
            Ok(listed)
        };
        self.with("list", &at, listed).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.with("copy", from, self.objects.copy_opts(from, to, options)).await
    }
}

#[derive(Debug)]
struct AttemptUpload {
    upload: Box<dyn MultipartUpload>,
    location: Path,
    store: AttemptStore,
}

#[async_trait]
impl MultipartUpload for AttemptUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        self.upload.put_part(payload)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let store = self.store.clone();
        let location = self.location.clone();
        let finished = async {
            let put = self.upload.complete().await?;
            store.attempt.scene.has_written(&location);
            Ok(put)
        };
        store.with("finish", &location, finished).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}
