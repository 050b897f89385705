//! An object store in the test's own memory, spoken to as S3: what a worker keeps can be refused, or
//! held for good at any place of a run, whatever process the worker is.
//!
//! It knows what the engine needs of S3: whole objects, creation only if absent, ranges, listings of
//! a folder, uploads in parts. Nothing is signed that it would look at.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

const BUCKET: &str = "state";
/// The largest object of a test.
const LARGEST: usize = 256 << 20;
/// Nobody asks how old an object is.
const LAST_MODIFIED: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The object is not there yet.
    Before,
    /// The object is there, and nobody was told.
    After,
}

impl Moment {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Before, Self::After];
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    /// No answer, for as long as the asker lives.
    Hold,
    /// 403, which no client of S3 tries again by itself.
    Refuse,
}

/// A fault for the next object whose key holds `part`.
struct Rule {
    moment: Moment,
    part: String,
    action: Action,
}

/// The parts of an object that is not whole yet.
type Upload = BTreeMap<u32, Bytes>;

/// An object and the tag of its content.
type Object = (Bytes, u64);

struct Shelf {
    objects: Mutex<BTreeMap<String, Object>>,
    uploads: Mutex<BTreeMap<String, Upload>>,
    rules: Mutex<Vec<Rule>>,
    held: watch::Sender<usize>,
    refusing: AtomicBool,
    /// Parts of keys that nobody may read any more.
    forbidden: Mutex<Vec<String>>,
    refused: watch::Sender<usize>,
    tags: AtomicU64,
}

/// The object store. It ends with this value.
pub struct Objects {
    shelf: Arc<Shelf>,
    address: std::net::SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Objects {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Objects {
    /// An empty one.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shelf = Arc::new(Shelf {
            objects: Mutex::default(),
            uploads: Mutex::default(),
            rules: Mutex::default(),
            held: watch::Sender::new(0),
            refusing: AtomicBool::new(false),
            forbidden: Mutex::default(),
            refused: watch::Sender::new(0),
            tags: AtomicU64::new(0),
        });
        let app = Router::new()
            .fallback(serve)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shelf));
        let serving = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("it serves until it is aborted");
        });
        Self { shelf, address, serving }
    }

    /// What a process needs to know to keep its state here.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("TIDEMARK_STORE", format!("s3://{BUCKET}/tidemark")),
            ("AWS_ENDPOINT", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "nowhere".to_owned()),
            ("AWS_ACCESS_KEY_ID", "key".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ]
    }

    /// Whoever writes the next object whose key holds `part`, in which `*` stands for anything, waits
    /// for good, and has to be killed.
    pub fn hold(&self, moment: Moment, part: &str) {
        self.rule(moment, part, Action::Hold);
    }

    /// Whoever writes the next object whose key holds `part`, read in the same way, is refused.
    pub fn refuse(&self, moment: Moment, part: &str) {
        self.rule(moment, part, Action::Refuse);
    }

    fn rule(&self, moment: Moment, part: &str, action: Action) {
        lock(&self.shelf.rules).push(Rule { moment, part: part.to_owned(), action });
    }

    /// The faults that did not strike yet, as parts of keys.
    #[must_use]
    pub fn pending(&self) -> Vec<String> {
        lock(&self.shelf.rules).iter().map(|rule| rule.part.clone()).collect()
    }

    /// Waits until a fault of [`hold`](Self::hold) has struck `count` times in all.
    pub async fn wait_held(&self, count: usize) {
        let mut held = self.shelf.held.subscribe();
        held.wait_for(|held| *held >= count).await.expect("the store is there");
    }

    /// Refuses everything from now on, or nothing any more.
    pub fn refuse_all(&self, refusing: bool) {
        self.shelf.refused.send_replace(0);
        self.shelf.refusing.store(refusing, Ordering::SeqCst);
    }

    /// Refuses from now on whoever reads an object whose key holds `part`.
    pub fn forbid(&self, part: &str) {
        lock(&self.shelf.forbidden).push(part.to_owned());
    }

    /// Waits until so many requests were refused since the last [`refuse_all`](Self::refuse_all).
    pub async fn wait_refused(&self, count: usize) {
        let mut refused = self.shelf.refused.subscribe();
        refused.wait_for(|refused| *refused >= count).await.expect("the store is there");
    }
}

async fn serve(State(shelf): State<Arc<Shelf>>, request: Request) -> Response {
    if shelf.refusing.load(Ordering::SeqCst) {
        shelf.refused.send_modify(|count| *count += 1);
        return StatusCode::FORBIDDEN.into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
    let Some(path) = path.strip_prefix('/').and_then(|path| path.strip_prefix(BUCKET)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let key = path.trim_start_matches('/');
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let upload = query.get("uploadId");
    match (&parts.method, upload) {
        (&Method::GET, None) if query.contains_key("list-type") => {
            shelf.list(query.get("prefix").map_or("", String::as_str))
        }
        (&Method::GET | &Method::HEAD, None) => shelf.read(key, &parts.headers),
        (&Method::PUT, None) => {
            let create = parts.headers.get(header::IF_NONE_MATCH).is_some();
            shelf.write(key, create, || Some(body)).await
        }
        (&Method::POST, None) if query.contains_key("uploads") => shelf.begin(),
        (&Method::PUT, Some(upload)) => {
            shelf.part(upload, query.get("partNumber").map_or("", String::as_str), body)
        }
        (&Method::POST, Some(upload)) => shelf.write(key, false, || shelf.finish(upload)).await,
        (&Method::DELETE, Some(upload)) => {
            lock(&shelf.uploads).remove(upload);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::NOT_IMPLEMENTED.into_response(),
    }
}

impl Shelf {
    /// Makes an object appear, with the faults that are meant for it.
    async fn write(
        &self,
        key: &str,
        create: bool,
        content: impl FnOnce() -> Option<Bytes>,
    ) -> Response {
        if let Some(action) = self.fault(Moment::Before, key) {
            return self.strike(action).await;
        }
        let answer = self.put(key, create, content);
        match self.fault(Moment::After, key) {
            Some(action) => self.strike(action).await,
            None => answer,
        }
    }

    fn put(&self, key: &str, create: bool, content: impl FnOnce() -> Option<Bytes>) -> Response {
        let mut objects = lock(&self.objects);
        if create && objects.contains_key(key) {
            return StatusCode::PRECONDITION_FAILED.into_response();
        }
        let Some(content) = content() else { return StatusCode::NOT_FOUND.into_response() };
        let tag = self.tags.fetch_add(1, Ordering::SeqCst);
        objects.insert(key.to_owned(), (content, tag));
        let body = format!(
            "<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>"
        );
        ([(header::ETAG, tag.to_string())], body).into_response()
    }

    fn fault(&self, moment: Moment, key: &str) -> Option<Action> {
        let mut rules = lock(&self.rules);
        let fits = |rule: &Rule| rule.moment == moment && holds(key, &rule.part);
        let place = rules.iter().position(fits)?;
        Some(rules.remove(place).action)
    }

    async fn strike(&self, action: Action) -> Response {
        match action {
            Action::Refuse => StatusCode::FORBIDDEN.into_response(),
            Action::Hold => {
                self.held.send_modify(|count| *count += 1);
                // Goes with the connection of whoever asked.
                std::future::pending().await
            }
        }
    }

    fn read(&self, key: &str, headers: &HeaderMap) -> Response {
        if lock(&self.forbidden).iter().any(|part| key.contains(part.as_str())) {
            return StatusCode::FORBIDDEN.into_response();
        }
        let Some((content, tag)) = lock(&self.objects).get(key).cloned() else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let size = content.len();
        let known =
            [(header::ETAG, tag.to_string()), (header::LAST_MODIFIED, LAST_MODIFIED.to_owned())];
        let Some((start, end)) = headers.get(header::RANGE).and_then(|range| {
            let (start, end) = range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
            match (start.parse::<usize>(), end.parse::<usize>()) {
                (Ok(start), last) => Some((start, last.map_or(size, |last| size.min(last + 1)))),
                (Err(_), Ok(count)) => Some((size.saturating_sub(count), size)),
                (Err(_), Err(_)) => None,
            }
        }) else {
            return (known, content).into_response();
        };
        if start >= end {
            return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
        }
        let range = format!("bytes {start}-{}/{size}", end - 1);
        let range = [(header::CONTENT_RANGE, range)];
        (StatusCode::PARTIAL_CONTENT, known, range, content.slice(start..end)).into_response()
    }

    /// The objects and folders directly inside a folder.
    fn list(&self, prefix: &str) -> Response {
        let (mut contents, mut folders) = (String::new(), Vec::new());
        for (key, (content, tag)) in lock(&self.objects).range(prefix.to_owned()..) {
            let Some(name) = key.strip_prefix(prefix) else { break };
            match name.split_once('/') {
                Some((folder, _)) => folders.push(format!("{prefix}{folder}/")),
                None => contents.push_str(&format!(
                    "<Contents><Key>{key}</Key><Size>{}</Size><ETag>{tag}</ETag>\
                     <LastModified>2026-01-01T00:00:00Z</LastModified></Contents>",
                    content.len()
                )),
            }
        }
        folders.dedup();
        let folders: String = folders
            .iter()
            .map(|folder| format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"))
            .collect();
        format!("<ListBucketResult>{contents}{folders}</ListBucketResult>").into_response()
    }

    fn begin(&self) -> Response {
        let id = self.tags.fetch_add(1, Ordering::SeqCst).to_string();
        let answer = format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId>\
             </InitiateMultipartUploadResult>"
        );
        lock(&self.uploads).insert(id, Upload::new());
        answer.into_response()
    }

    fn part(&self, upload: &str, number: &str, content: Bytes) -> Response {
        let mut uploads = lock(&self.uploads);
        let (Some(upload), Ok(number)) = (uploads.get_mut(upload), number.parse()) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        upload.insert(number, content);
        [(header::ETAG, number.to_string())].into_response()
    }

    fn finish(&self, upload: &str) -> Option<Bytes> {
        let upload = lock(&self.uploads).remove(upload)?;
        Some(upload.into_values().flatten().collect())
    }
}

/// Whether a key holds a part; `*` in the part stands for anything.
fn holds(key: &str, part: &str) -> bool {
    let mut rest = key;
    part.split('*').all(|piece| match rest.split_once(piece) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
