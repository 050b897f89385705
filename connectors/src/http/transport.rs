//! How requests get to the other side.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use reqwest::{Request, Response, StatusCode, header::HeaderMap};
use tidemark_model::failure::{Failure, FailureKind, Side};

/// When an address that does not answer at all is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest body that is taken in.
pub(super) const BODY_LIMIT: usize = 64 * 1024 * 1024;
/// Room is made beforehand for what an answer says of its length, up to here: it may be wrong.
const EXPECTED_LIMIT: u64 = 1024 * 1024;

/// Carries requests to the other side: over the network, or to a system in the same process.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Carries a request out once, and takes in the whole answer, whatever its status. The request
    /// says itself after which time it is given up.
    ///
    /// # Errors
    /// There is no whole answer; the request may have been applied.
    async fn exchange(&self, request: Request) -> Result<Received, Broken>;
}

/// An answer, whole, its body decompressed.
#[derive(Clone, Debug)]
pub struct Received {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub struct Broken {
    pub kind: BrokenKind,
    /// What happened, outermost first, without the request's address.
    pub causes: Vec<String>,
}

/// What is known of a request that has no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenKind {
    /// It did not get there.
    NoConnection,
    /// It was given up, and may be at work still.
    TimedOut,
    BrokenOff,
    /// The answer is longer than what is taken in.
    TooLong,
}

/// The network.
pub(crate) struct Network(reqwest::Client);

impl Network {
    /// Must be called after the process's TLS provider was installed.
    pub(crate) fn new() -> Result<Self, Failure> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("tidemark/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirect would take the credential to another address.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| {
                let message = "the HTTP client cannot be set up";
                Failure::new(FailureKind::Invalid, Side::Platform, message).caused_by(&error)
            })?;
        Ok(Self(client))
    }
}

#[async_trait]
impl Transport for Network {
    async fn exchange(&self, request: Request) -> Result<Received, Broken> {
        let response = self.0.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Received { status, headers, body: take_in(response).await? })
    }
}

async fn take_in(response: Response) -> Result<Bytes, Broken> {
    let expected = response.content_length().unwrap_or_default().min(EXPECTED_LIMIT);
    let mut body = BytesMut::with_capacity(usize::try_from(expected).unwrap_or_default());
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Broken { kind: BrokenKind::TooLong, causes: Vec::new() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

impl From<reqwest::Error> for Broken {
    fn from(error: reqwest::Error) -> Self {
        // The address may hold what is nobody's business.
        let error = error.without_url();
        let kind = if error.is_connect() {
            BrokenKind::NoConnection
        } else if error.is_timeout() {
            BrokenKind::TimedOut
        } else {
            BrokenKind::BrokenOff
        };
        let mut causes = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        Self { kind, causes }
    }
}
