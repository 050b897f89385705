//! What every request has to pass: its size, the number of those at work, and its time.

use std::sync::Arc;

use axum::{
    body::HttpBody as _,
    extract::{MatchedPath, Request, State},
    http::header::{CACHE_CONTROL, HeaderValue},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::time::{Instant, timeout};

use crate::{measure, refusal::Refusal, serve::Gateway};

/// Lets a request through, or says why not; and measures it.
pub(crate) async fn guard(
    State(gateway): State<Arc<Gateway>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let began_at = Instant::now();
    let mut response = match pass(&gateway, request, next).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    };
    // The next moment it may be another.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Paths that are none would be labels without number.
    let route = path.as_ref().map_or("none", MatchedPath::as_str);
    measure::answered(route, response.status().as_u16(), began_at.elapsed());
    response
}

async fn pass(gateway: &Gateway, request: Request, next: Next) -> Result<Response, Refusal> {
    if request.body().size_hint().exact() != Some(0) {
        return Err(Refusal::TooLarge);
    }
    // Whoever has to wait would rather know.
    let _permit = gateway.requests.try_acquire().map_err(|_| Refusal::Busy)?;
    timeout(gateway.request_timeout, next.run(request)).await.map_err(|_| Refusal::TooSlow)
}
