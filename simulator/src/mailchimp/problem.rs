//! The error bodies of the list API.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::roll::Refusal;

const TYPE: &str = "https://mailchimp.com/developer/marketing/docs/errors/";

/// An error, before it gets the id of its request.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    title: String,
    detail: String,
    errors: Vec<(String, String)>,
    /// Some of the live errors come without `type`.
    untyped: bool,
    allow: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, title: &str, detail: &str) -> Self {
        Self {
            status,
            title: title.to_owned(),
            detail: detail.to_owned(),
            errors: Vec::new(),
            untyped: false,
            allow: None,
        }
    }

    pub(crate) fn bad_request(detail: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Bad Request", detail)
    }

    pub(crate) fn invalid(detail: &str, errors: Vec<(String, String)>) -> Self {
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, "Invalid Resource", detail) }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Resource Not Found",
            "The requested resource could not be found.",
        )
    }

    pub(crate) fn not_allowed(allow: Option<&'static str>) -> Self {
        let detail = "The requested method and resource are not compatible. See the Allow header \
                      for this resource's available methods.";
        Self { allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", detail) }
    }

    pub(crate) fn key_missing() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "API Key Missing",
            "Your request did not include an API key.",
        )
    }

    pub(crate) fn key_invalid() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "API Key Invalid",
            "Your API key may be invalid, or you've attempted to access the wrong datacenter.",
        )
    }

    pub(crate) fn user_disabled() -> Self {
        Self::new(StatusCode::FORBIDDEN, "User Disabled", "This account has been deactivated.")
    }

    pub(crate) fn too_many_requests(limit: usize) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Too Many Requests",
            &format!("You have exceeded the limit of {limit} simultaneous connections."),
        )
    }

    /// An error that the header `X-Trigger-Error` asks for.
    pub(crate) fn triggered(name: &str) -> Option<Self> {
        Some(match name {
            "APIKeyMissing" => Self::key_missing(),
            "APIKeyInvalid" => Self::key_invalid(),
            "UserDisabled" => Self::user_disabled(),
            "ResourceNotFound" => Self::not_found(),
            "InternalServerError" => Self::scripted(StatusCode::INTERNAL_SERVER_ERROR, None),
            _ => return None,
        })
    }

    /// An error that a fault asks for.
    pub(crate) fn scripted(status: StatusCode, title: Option<&str>) -> Self {
        let title = title.or(status.canonical_reason()).unwrap_or("Error");
        Self::new(status, title, "This error was asked for.")
    }

    /// The body, with the id of the request.
    pub(crate) fn body(&self, instance: &str) -> Value {
        let mut body = json!({"type": TYPE, "title": self.title, "status": self.status.as_u16(),
            "detail": self.detail, "instance": instance});
        if let Some(map) = body.as_object_mut() {
            if self.untyped {
                map.shift_remove("type");
            }
            if !self.errors.is_empty() {
                let errors = self.errors.iter();
                let errors = errors.map(|(f, m)| json!({"field": f, "message": m})).collect();
                map.insert("errors".to_owned(), errors);
            }
        }
        body
    }
}

impl IntoResponse for Problem {
    /// Without a body: that is written where the id of the request is known.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => Self::not_found(),
            Refusal::Exists => Self {
                untyped: true,
                ..Self::new(
                    StatusCode::BAD_REQUEST,
                    "Member Exists",
                    "The address is already a list member. Use PUT to insert or update list members.",
                )
            },
            Refusal::Forgotten => Self::new(
                StatusCode::BAD_REQUEST,
                "Forgotten Email Not Subscribed",
                "The address was permanently deleted and cannot be re-imported. The contact must \
                 re-subscribe to get back on the list.",
            ),
            Refusal::NotArchivable => Self::not_allowed(Some("GET, PUT")),
            Refusal::NotArchived | Refusal::Archived | Refusal::Full => {
                Self::new(StatusCode::BAD_REQUEST, "Invalid Action", &refusal.to_string())
            }
        }
    }
}
