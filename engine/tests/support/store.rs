//! A store in memory that fails one operation of a test's choice, before or after it took effect.
//! It keeps the test's time, and gives way at each operation, so that two that are at work at once
//! alternate.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart, memory::InMemory,
    path::Path,
};
use tidemark_engine::port::Clock;
use tokio::task::yield_now;

use super::clock::TestClock;

/// Where the fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultAt {
    /// The operation does not happen.
    Before,
    /// It happens and its answer is lost.
    After,
}

#[derive(Debug, Default)]
struct Plan {
    operation_count: u64,
    fault: Option<(u64, FaultAt)>,
}

/// Counts its operations and fails the one that it is told to.
#[derive(Clone, Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<InMemory>,
    plan: Arc<Mutex<Plan>>,
    written: Written,
}

/// When each object was written.
#[derive(Clone, Debug)]
struct Written {
    clock: Arc<TestClock>,
    times: Arc<Mutex<BTreeMap<Path, String>>>,
}

impl Written {
    fn now(&self, location: &Path) {
        let now = self.clock.now().to_string();
        self.times.lock().unwrap().insert(location.clone(), now);
    }

    fn stamp(&self, object: &mut ObjectMeta) {
        if let Some(time) = self.times.lock().unwrap().get(&object.location) {
            object.last_modified = time.parse().unwrap();
        }
    }
}

impl FaultyStore {
    pub(crate) fn new(clock: Arc<TestClock>) -> Self {
        let written = Written { clock, times: Arc::default() };
        Self { inner: Arc::default(), plan: Arc::default(), written }
    }

    /// Fails the operation of this number, counted from now on from 0.
    pub(crate) fn fail(&self, operation: u64, at: FaultAt) {
        let fault = Some((operation, at));
        *self.plan.lock().unwrap() = Plan { operation_count: 0, fault };
    }

    /// Whether the fault is still to come.
    pub(crate) fn has_fault(&self) -> bool {
        self.plan.lock().unwrap().fault.is_some()
    }

    pub(crate) fn forget_fault(&self) {
        self.plan.lock().unwrap().fault = None;
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        let mut listed = self.inner.list(None);
        let mut names = Vec::new();
        while let Some(object) = listed.next().await {
            names.push(object.unwrap().location.to_string());
        }
        names.sort();
        names
    }

    fn strike(&self) -> Option<FaultAt> {
        let mut plan = self.plan.lock().unwrap();
        let operation = plan.operation_count;
        plan.operation_count += 1;
        let (_, at) = plan.fault.take_if(|(wanted, _)| *wanted == operation)?;
        Some(at)
    }

    async fn with<T>(&self, operation: impl Future<Output = Result<T>> + Send) -> Result<T> {
        yield_now().await;
        match self.strike() {
            None => operation.await,
            Some(FaultAt::Before) => Err(fault()),
            Some(FaultAt::After) => {
                // Whatever came of it, nobody hears of it.
                drop(operation.await);
                Err(fault())
            }
        }
    }
}

fn fault() -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: "a fault of the test".into() }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.with(async {
            let put = self.inner.put_opts(location, payload, options).await?;
            self.written.now(location);
            Ok(put)
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.with(self.inner.put_multipart_opts(location, options)).await?;
        let location = location.clone();
        Ok(Box::new(FaultyUpload { upload, location, store: self.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.with(self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.with(self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.strike() {
            None => self.inner.delete_stream(locations),
            Some(FaultAt::Before) => futures::stream::iter([Err(fault())]).boxed(),
            Some(FaultAt::After) => {
                let deleted = self.inner.delete_stream(locations);
                deleted.chain(futures::stream::iter([Err(fault())])).boxed()
            }
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.strike() {
            None => {
                let written = self.written.clone();
                let listed = self.inner.list(prefix).then(move |object| {
                    let written = written.clone();
                    async move {
                        yield_now().await;
                        let mut object = object?;
                        written.stamp(&mut object);
                        Ok(object)
                    }
                });
                listed.boxed()
            }
            Some(_) => futures::stream::iter([Err(fault())]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.with(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.with(self.inner.copy_opts(from, to, options)).await
    }
}

#[derive(Debug)]
struct FaultyUpload {
    upload: Box<dyn MultipartUpload>,
    location: Path,
    store: FaultyStore,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let part = self.upload.put_part(payload);
        let store = self.store.clone();
        Box::pin(async move { store.with(part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let store = self.store.clone();
        store
            .with(async {
                let put = self.upload.complete().await?;
                store.written.now(&self.location);
                Ok(put)
            })
            .await
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}
