//! The list API under `/3.0`: lists, members, and everything that changes a member.

mod lists;
mod member;
mod members;
mod parameters;
mod problem;

use std::sync::Arc;

use axum::{
    Json, Router,
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::json;

use crate::world::World;

pub(crate) use problem::Problem;

const JSON: &str = "application/json; charset=utf-8";

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/3.0/ping", get(ping))
        .route("/3.0/lists", get(lists::all))
        .route("/3.0/lists/{list}", get(lists::one))
        .route("/3.0/lists/{list}/members", get(members::page).post(member::create))
        .route(
            "/3.0/lists/{list}/members/{member}",
            get(member::show).put(member::upsert).patch(member::update).delete(member::archive),
        )
        .route(
            "/3.0/lists/{list}/members/{member}/tags",
            get(member::tags).post(member::change_tags),
        )
        .route(
            "/3.0/lists/{list}/members/{member}/actions/delete-permanent",
            post(member::delete_permanent),
        )
}

async fn ping() -> impl IntoResponse {
    Json(json!({"health_status": "Everything's Chimpy!"}))
}
