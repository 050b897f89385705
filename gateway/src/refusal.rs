//! The answers that are no answer: a status, and why.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tidemark_engine::store::StoreError;
use utoipa::ToSchema;

/// Why there is no answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody {
    /// What and why.
    error: String,
    /// What to do next.
    hint: String,
}

/// A request that is not answered.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No token, or an unknown one.
    Unknown,
    /// The token is for other accounts. Says nothing about the account, not even whether it exists.
    NotYours,
    NoConnections {
        account: String,
    },
    NoConnection,
    NoRoute,
    /// What the query says cannot be used.
    Query {
        reason: String,
    },
    TooLarge,
    Busy,
    TooSlow,
    Store(StoreError),
    /// Nothing says that there is a store at all, so nothing is known of what it does not hold.
    StoreGone {
        url: String,
    },
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::NotYours => StatusCode::FORBIDDEN,
            Self::NoConnections { .. } | Self::NoConnection | Self::NoRoute => {
                StatusCode::NOT_FOUND
            }
            Self::Query { .. } => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy | Self::TooSlow | Self::Store(_) | Self::StoreGone { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    fn body(&self) -> ErrorBody {
        let (error, hint) = match self {
            Self::Unknown => (
                "no token, or none that is known".to_owned(),
                "send `Authorization: Bearer …` with a token that the gateway's operators gave out",
            ),
            Self::NotYours => (
                "this token is not for that account".to_owned(),
                "ask for an account that the token is for; the gateway's operators know which",
            ),
            Self::NoConnections { account } => (
                format!("the account {account} has no connections, so it is neither fresh nor not"),
                "ask the operators whether its connections were removed, or have another account",
            ),
            Self::NoConnection => (
                "the account has no such connection".to_owned(),
                "ask about the account: the answer lists its connections",
            ),
            Self::NoRoute => (
                "there is nothing at this path".to_owned(),
                "/v1/openapi.json describes what there is",
            ),
            Self::Query { reason } => {
                (reason.clone(), "say how old the data may be: ?max_age=2h, or 1h30m, 90s, 7d")
            }
            Self::TooLarge => {
                ("the request has a body, and none is read here".to_owned(), "send none")
            }
            Self::Busy => {
                ("too many requests at once".to_owned(), "try again in a second; nothing is proven")
            }
            Self::TooSlow => (
                "the store did not answer in time".to_owned(),
                "try again; until it answers, nothing is proven",
            ),
            // What and where is for the operators' log.
            Self::Store(_) | Self::StoreGone { .. } => (
                "the store cannot be read".to_owned(),
                "try again; until it can be read, nothing is proven. The gateway's log says more",
            ),
        };
        ErrorBody { error, hint: hint.to_owned() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match &self {
            Self::Store(error) => {
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    "the store cannot be read"
                );
            }
            Self::StoreGone { url } => tracing::error!(
                store = url,
                "there is no store.json: the store is not set up, or is gone, such as a folder that \
                 is not mounted any more"
            ),
            _ => {}
        }
        let mut response = (self.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unknown => {
                headers.insert(header::WWW_AUTHENTICATE, "Bearer".parse().expect("it is ASCII"));
            }
            Self::Busy | Self::TooSlow | Self::Store(_) | Self::StoreGone { .. } => {
                headers.insert(header::RETRY_AFTER, "1".parse().expect("it is ASCII"));
            }
            _ => {}
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
