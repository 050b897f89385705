//! The record API: `POST /record` with a JSON array of records, `DELETE /record/{id}`, and
//! `GET /record?prefix=…&after=…&limit=…`, which lists records by their ids; the key in the header
//! `Authorisation`. The last write of an id wins; writing the same again changes nothing.

mod space;

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, Query},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::World;

pub use space::{BatchLimits, Refused, RejectRule};
pub(crate) use space::{Outcome, Space};

/// Records of one answer at most.
const MOST_READ: usize = 1_000;

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new().route("/record", get(read).post(write)).route("/record/{id}", delete(remove))
}

pub(crate) fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": message}))).into_response()
}

async fn write(Extension(space): Extension<Arc<Space>>, body: Bytes) -> Response {
    answer(space.write(&body))
}

/// What a reader asks for.
#[derive(Deserialize)]
struct Wanted {
    /// What the ids begin with.
    #[serde(default)]
    prefix: String,
    /// Only greater ids.
    #[serde(default)]
    after: String,
    limit: Option<usize>,
}

async fn read(Extension(space): Extension<Arc<Space>>, Query(wanted): Query<Wanted>) -> Response {
    let limit = wanted.limit.unwrap_or(MOST_READ).min(MOST_READ);
    let records = space.behind(&wanted.prefix, &wanted.after, limit);
    let body = format!("[{}]", records.join(","));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn remove(Extension(space): Extension<Arc<Space>>, Path(id): Path<String>) -> Response {
    answer(space.remove(&id))
}

fn answer(outcome: Outcome) -> Response {
    match outcome {
        Outcome::Accepted { count } => Json(json!({"accepted": count})).into_response(),
        Outcome::PartlyRefused { status, accepted, refused } => {
            let errors: Vec<Value> = refused
                .into_iter()
                .map(|(id, message)| json!({"id": id, "message": message}))
                .collect();
            (status, Json(json!({"accepted": accepted, "errors": errors}))).into_response()
        }
        Outcome::Refused(message) => problem(StatusCode::BAD_REQUEST, &message),
        Outcome::TooLarge(message) => problem(StatusCode::PAYLOAD_TOO_LARGE, &message),
        Outcome::Unknown => problem(StatusCode::NOT_FOUND, "no record has this id"),
    }
}
