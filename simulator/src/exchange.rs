//! What every call goes through on its way: who asks, the limits, the faults, the headers, the ledger.

use std::{io, io::Write, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt, stream};
use uuid::Uuid;

use crate::{
    clock::http_date,
    fault::{Fault, FaultAction},
    ledger::{Ending, OpenCall, Operation, Side},
    mailchimp::Problem,
    record_api,
    user::{Slot, User},
    world::World,
};

/// The largest body that is read at all, whatever a record space accepts.
const LARGEST_BODY: usize = 256 << 20;

/// How much of an answer reaches the client.
#[derive(Clone, Copy, PartialEq)]
enum Delivery {
    Whole,
    /// Half of the body, then the connection breaks.
    Half,
    /// Nothing: the connection breaks at once.
    Nothing,
}

pub(crate) async fn through(
    State(world): State<Arc<World>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(side) = side_of(request.uri().path()) else { return next.run(request).await };
    // A task of its own: a client that goes away neither undoes what has begun nor frees its slot.
    let served = tokio::spawn(serve(world, side, request, next)).await;
    served.unwrap_or_else(|_| broken(Bytes::new()))
}

/// None = the admin side, which is neither limited nor written down.
fn side_of(path: &str) -> Option<Side> {
    if path.starts_with("/_sim") {
        None
    } else if path == "/record" || path.starts_with("/record/") {
        Some(Side::Destination)
    } else {
        Some(Side::Source)
    }
}

async fn serve(world: Arc<World>, side: Side, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let key = credential(side, &parts.headers);
    let call = world.bookkeeper.open(side, &parts.method, &parts.uri, key.as_deref());
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        world
            .bookkeeper
            .close(call, Ending { status: None, bytes_in: 0, bytes_out: 0, faulted: false });
        return broken(Bytes::new());
    };
    let bytes_in = size(&body);
    let gzip = side == Side::Source && world.gzip() && accepts_gzip(&parts.headers);
    let (fault, response, delivery) = match admit(&world, side, key.as_deref(), &mut parts) {
        Err(refused) => (None, *refused, Delivery::Whole),
        Ok(_slot) => {
            let fault = world.script.take(side, &parts.method, parts.uri.path());
            let request = Request::from_parts(parts, Body::from(body));
            let (response, delivery) = play(&world, &call, fault.as_ref(), request, next).await;
            (fault, response, delivery)
        }
    };
    let (response, body) = finish(&world, side, response, gzip).await;
    let (status, bytes_out) = match delivery {
        Delivery::Whole => (Some(response.status), size(&body)),
        Delivery::Half => (Some(response.status), size(&body) / 2),
        // A call that was dropped unapplied has no status; one that was applied has that of its answer.
        Delivery::Nothing => {
            let applied = !matches!(fault, Some(Fault { action: FaultAction::Drop, .. }));
            (applied.then_some(response.status), 0)
        }
    };
    let status = status.map(|status| status.as_u16());
    let ending = Ending { status, bytes_in, bytes_out, faulted: fault.is_some() };
    world.bookkeeper.close(call, ending);
    match delivery {
        Delivery::Whole => Response::from_parts(response, Body::from(body)),
        Delivery::Half => {
            let mut half = broken(body.slice(..body.len() / 2));
            *half.status_mut() = response.status;
            *half.headers_mut() = response.headers;
            half.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            half
        }
        Delivery::Nothing => broken(Bytes::new()),
    }
}

/// Who asks and whether they may; what the handlers need to know goes into the request.
fn admit(
    world: &World,
    side: Side,
    key: Option<&str>,
    parts: &mut Parts,
) -> Result<Option<Slot>, Box<Response>> {
    match side {
        Side::Source => admit_user(world, key, parts)
            .map(Some)
            .map_err(|problem| Box::new(problem.into_response())),
        Side::Destination => {
            let Some(space) = key.and_then(|key| world.space(key)) else {
                let message = "the header Authorisation has no known key";
                return Err(Box::new(record_api::problem(StatusCode::UNAUTHORIZED, message)));
            };
            parts.extensions.insert(space);
            Ok(None)
        }
    }
}

fn admit_user(world: &World, key: Option<&str>, parts: &mut Parts) -> Result<Slot, Problem> {
    let user =
        world.user(key.ok_or_else(Problem::key_missing)?).ok_or_else(Problem::key_invalid)?;
    if user.is_disabled() {
        return Err(Problem::user_disabled());
    }
    let slot = user.slot().ok_or_else(|| Problem::too_many_requests(User::LIMIT))?;
    if let Some(problem) = triggered(parts) {
        return Err(problem);
    }
    parts.extensions.insert(user);
    Ok(slot)
}

/// The error that `X-Trigger-Error` names; `/ping` and `/lists` ignore it.
fn triggered(parts: &Parts) -> Option<Problem> {
    if matches!(parts.uri.path(), "/3.0/ping" | "/3.0/lists") {
        return None;
    }
    Problem::triggered(parts.headers.get("x-trigger-error")?.to_str().ok()?)
}

async fn play(
    world: &World,
    call: &OpenCall,
    fault: Option<&Fault>,
    request: Request,
    next: Next,
) -> (Response, Delivery) {
    if call.operation == Operation::Page {
        pause(world.latency()).await;
    }
    let Some(fault) = fault else { return (next.run(request).await, Delivery::Whole) };
    pause(Duration::from_millis(fault.delay_millis)).await;
    let status = |status: u16| StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let response = match &fault.action {
        FaultAction::Status { status: code, title, retry_after } => {
            let mut response = scripted(call.side, status(*code), title.as_deref());
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            response
        }
        FaultAction::Html { status: code } => {
            let page = "<html><head><title>Error</title></head><body><h1>Service error</h1>\
                        <p>Reference&#32;&#35;18.2f</p></body></html>\n";
            (status(*code), Html(page)).into_response()
        }
        FaultAction::Empty { status: code } => status(*code).into_response(),
        FaultAction::Drop => return (StatusCode::OK.into_response(), Delivery::Nothing),
        FaultAction::ApplyThenDrop => return (next.run(request).await, Delivery::Nothing),
        FaultAction::Truncate => return (next.run(request).await, Delivery::Half),
        FaultAction::CutShort => {
            rewrite(next.run(request).await, |body| body.truncate(body.len() / 2)).await
        }
        FaultAction::InvalidUtf8 => rewrite(next.run(request).await, spoil).await,
        FaultAction::Delay => next.run(request).await,
        FaultAction::Hold { id } => {
            world.script.hold(id).await;
            next.run(request).await
        }
        FaultAction::ApplyThenHold { id } => {
            let response = next.run(request).await;
            world.script.hold(id).await;
            response
        }
    };
    (response, Delivery::Whole)
}

fn scripted(side: Side, status: StatusCode, title: Option<&str>) -> Response {
    match side {
        Side::Source => Problem::scripted(status, title).into_response(),
        Side::Destination => {
            let text = title.or(status.canonical_reason()).unwrap_or("error");
            record_api::problem(status, text)
        }
    }
}

/// Writes the body of a problem, compresses, and sets the headers that every answer has.
async fn finish(
    world: &World,
    side: Side,
    response: Response,
    gzip: bool,
) -> (axum::http::response::Parts, Bytes) {
    let (mut parts, body) = response.into_parts();
    let mut body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let headers = &mut parts.headers;
    if side == Side::Source {
        let request_id = Uuid::new_v4().to_string();
        if let Some(problem) = parts.extensions.remove::<Problem>() {
            body = problem.body(&request_id).to_string().into();
            let kind = HeaderValue::from_static("application/problem+json; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, kind);
        } else if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json") {
            let kind = HeaderValue::from_static("application/json; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, kind);
        }
        if let Ok(request_id) = HeaderValue::from_str(&request_id) {
            headers.insert("x-request-id", request_id);
        }
        headers.insert(header::SERVER, HeaderValue::from_static("openresty"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        if gzip && !body.is_empty() {
            body = compressed(&body);
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    if let Ok(date) = HeaderValue::from_str(&http_date(world.now())) {
        headers.insert(header::DATE, date);
    }
    // What the handler said may no longer be so; the server counts again.
    headers.remove(header::CONTENT_LENGTH);
    (parts, body)
}

/// The key: of the list API by Basic (any user) or a token, of the record API as it stands.
fn credential(side: Side, headers: &HeaderMap) -> Option<String> {
    if side == Side::Destination {
        return Some(headers.get("authorisation")?.to_str().ok()?.to_owned());
    }
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let key = if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
        pair.split_once(':')?.1.to_owned()
    } else if ["bearer", "oauth", "apikey"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        rest.trim().to_owned()
    } else {
        return None;
    };
    (!key.is_empty()).then_some(key)
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("gzip"))
}

fn compressed(body: &Bytes) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("a buffer in memory takes every write").into()
}

async fn rewrite(response: Response, change: impl FnOnce(&mut Vec<u8>)) -> Response {
    let (parts, body) = response.into_parts();
    let mut body = to_bytes(body, usize::MAX).await.unwrap_or_default().to_vec();
    change(&mut body);
    Response::from_parts(parts, Body::from(body))
}

/// Makes one text invalid: a name if there is one, else the first text value.
fn spoil(body: &mut Vec<u8>) {
    let patterns: [&[u8]; 3] = [b"\"FNAME\":\"", b"\"full_name\":\"", b"\":\""];
    let place = patterns.iter().find_map(|pattern| {
        let at = body.windows(pattern.len()).position(|window| window == *pattern)?;
        Some(at + pattern.len())
    });
    body.insert(place.unwrap_or(0), 0xff);
}

/// An answer whose connection breaks after `sent`. The head and what there is of a body leave before
/// the break, because the stream lets the server go on once in between; with nothing to send it
/// breaks before the head does.
fn broken(sent: Bytes) -> Response {
    let whole = sent.is_empty();
    let first = stream::iter((!whole).then_some(Ok(sent)));
    let last = stream::once(async move {
        if !whole {
            tokio::task::yield_now().await;
        }
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    Body::from_stream(first.chain(last)).into_response()
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

fn size(body: &Bytes) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}
