//! `/v1`: the routes, and what each answers.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{
        FromRequestParts, Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{header::AUTHORIZATION, request::Parts},
    middleware,
    routing::get,
};
use jiff::Timestamp;
use serde::Deserialize;
use tidemark_engine::{definitions, freshness::Subject};
use tidemark_model::{ids::ConnectionId, schedule::duration};

use crate::{
    answer::{AccountAnswer, Answer, Asked, ConnectionAnswer},
    guard::guard,
    openapi,
    refusal::{ErrorBody, Refusal},
    serve::Gateway,
};

/// The routes, apart from the port that they are served on.
pub(crate) fn app(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/v1/freshness/{account}", get(account))
        .route("/v1/freshness/{account}/{connection}", get(connection))
        .route("/v1/openapi.json", get(async || Json(openapi::document())))
        .fallback(async || Refusal::NoRoute)
        .layer(middleware::from_fn_with_state(Arc::clone(&gateway), guard))
        .with_state(gateway)
}

/// What is asked of the watermark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    max_age: String,
    #[serde(default)]
    accept_exceptions: bool,
}

impl Wanted {
    fn read(query: Result<Query<Self>, QueryRejection>) -> Result<Asked, Refusal> {
        let Query(wanted) =
            query.map_err(|rejection| Refusal::Query { reason: rejection.body_text() })?;
        let max_age = duration::parse(&wanted.max_age)
            .map_err(|error| Refusal::Query { reason: format!("`max_age` {error}") })?;
        Ok(Asked { max_age, accept_exceptions: wanted.accept_exceptions })
    }
}

/// The token of a request, not looked at yet.
struct Bearer(String);

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let header = parts.headers.get(AUTHORIZATION).ok_or(Refusal::Unknown)?;
        let text = header.to_str().map_err(|_| Refusal::Unknown)?;
        match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                Ok(Self(token.trim().to_owned()))
            }
            _ => Err(Refusal::Unknown),
        }
    }
}

/// How fresh an account is
///
/// An account is as fresh as its oldest connection. Removed connections do not count, paused ones
/// do.
#[utoipa::path(
    get,
    path = "/v1/freshness/{account}",
    params(
        ("account" = String, Path, description = "The account's name"),
        ("max_age" = String, Query, description = "How old the watermark may be: 2h, 1h30m, 90s, 7d", example = "2h"),
        ("accept_exceptions" = Option<bool>, Query, description = "Whether records that are exceptions are good enough; false if left out"),
    ),
    responses(
        (status = 200, description = "Whether it is fresh", body = AccountAnswer),
        (status = 400, description = "A malformed age", body = ErrorBody),
        (status = 401, description = "No token, or an unknown one", body = ErrorBody),
        (status = 403, description = "The token is for other accounts", body = ErrorBody),
        (status = 404, description = "The account has no connections", body = ErrorBody),
        (status = 503, description = "The store cannot be read, or there are too many requests at once", body = ErrorBody),
    )
)]
async fn account(
    State(gateway): State<Arc<Gateway>>,
    Bearer(token): Bearer,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Answer>, Refusal> {
    let grant = gateway.tokens.grant(&token).ok_or(Refusal::Unknown)?;
    let Path(account) = path.map_err(|_| Refusal::NoRoute)?;
    let account = grant.account(&account).ok_or(Refusal::NotYours)?;
    let asked = Wanted::read(query)?;
    let none = Refusal::NoConnections { account: account.to_string() };
    answer(&gateway, &Subject::Account(account), asked).await?.ok_or(none).map(Json)
}

/// How fresh a connection is
#[utoipa::path(
    get,
    path = "/v1/freshness/{account}/{connection}",
    params(
        ("account" = String, Path, description = "The account's name"),
        ("connection" = String, Path, description = "The connection's name, the part of its id after the slash"),
        ("max_age" = String, Query, description = "How old the watermark may be: 2h, 1h30m, 90s, 7d", example = "2h"),
        ("accept_exceptions" = Option<bool>, Query, description = "Whether records that are exceptions are good enough; false if left out"),
    ),
    responses(
        (status = 200, description = "Whether it is fresh", body = ConnectionAnswer),
        (status = 400, description = "A malformed age", body = ErrorBody),
        (status = 401, description = "No token, or an unknown one", body = ErrorBody),
        (status = 403, description = "The token is for other accounts", body = ErrorBody),
        (status = 404, description = "The account has no such connection", body = ErrorBody),
        (status = 503, description = "The store cannot be read, or there are too many requests at once", body = ErrorBody),
    )
)]
async fn connection(
    State(gateway): State<Arc<Gateway>>,
    Bearer(token): Bearer,
    path: Result<Path<(String, String)>, PathRejection>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Answer>, Refusal> {
    let grant = gateway.tokens.grant(&token).ok_or(Refusal::Unknown)?;
    let Path((account, name)) = path.map_err(|_| Refusal::NoRoute)?;
    let account = grant.account(&account).ok_or(Refusal::NotYours)?;
    let asked = Wanted::read(query)?;
    // What is no id is no connection.
    let id: ConnectionId =
        format!("{account}/{name}").parse().map_err(|_| Refusal::NoConnection)?;
    answer(&gateway, &Subject::Connection(id), asked).await?.ok_or(Refusal::NoConnection).map(Json)
}

async fn answer(
    gateway: &Gateway,
    subject: &Subject,
    asked: Asked,
) -> Result<Option<Answer>, Refusal> {
    let looks = gateway.looks.of(subject).await?;
    // Its age is that of now, also if the look is a moment old.
    let answer = Answer::of(subject, &looks, asked, Timestamp::now());
    if answer.is_none() && !definitions::is_claimed(gateway.looks.store()).await? {
        return Err(Refusal::StoreGone { url: gateway.looks.store().url().to_owned() });
    }
    Ok(answer)
}

/// What `/v1/openapi.json` says of the routes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(account, connection))]
pub(crate) struct Documented;
