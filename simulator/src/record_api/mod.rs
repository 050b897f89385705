//! The record API: `POST /record` with a JSON array of records, `DELETE /record/{id}`, the key in the
//! header `Authorisation`. The last write of an id wins; writing the same again changes nothing.

mod space;

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, post},
};
use serde_json::{Value, json};

use crate::world::World;

pub use space::{BatchLimits, Refused, RejectRule};
pub(crate) use space::{Outcome, Space};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new().route("/record", post(write)).route("/record/{id}", delete(remove))
}

pub(crate) fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": message}))).into_response()
}

async fn write(Extension(space): Extension<Arc<Space>>, body: Bytes) -> Response {
    answer(space.write(&body))
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
