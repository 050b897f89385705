//! The process: listen, serve, and end in good order.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tidemark_engine::store::Store;
use tidemark_process::ops;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    config::GatewayConfig, health::GatewayHealth, looks::Looks, measure, routes, tokens::Tokens,
};

/// A client that takes longer to say what it wants, or says nothing for so long, is let go.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes of a request's head: its path, its query and its headers.
const HEAD_BYTES: usize = 16 * 1024;

/// Connections for each request that may be at work: idle ones cost little.
const CONNECTIONS_PER_REQUEST: usize = 4;

/// What the routes work with.
pub struct Gateway {
    pub(crate) looks: Looks,
    pub(crate) tokens: Tokens,
    pub(crate) requests: Semaphore,
    pub(crate) request_timeout: Duration,
}

/// Where a gateway listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doors {
    pub api: SocketAddr,
    pub ops: Option<SocketAddr>,
}

impl Gateway {
    #[must_use]
    pub fn new(config: &GatewayConfig, store: Store, tokens: Tokens) -> Self {
        Self {
            looks: Looks::new(store),
            tokens,
            requests: Semaphore::new(config.max_requests),
            request_timeout: config.request_timeout,
        }
    }
}

/// Serves until `shutdown`; `open` is told where, once it does.
///
/// # Errors
/// An address that cannot be listened on.
pub async fn run(
    config: &GatewayConfig,
    store: Store,
    tokens: Tokens,
    open: impl FnOnce(Doors),
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let listen = config.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("{listen} cannot be listened on; say --listen with another"))?;
    let api = listener.local_addr()?;
    let gateway = Arc::new(Gateway::new(config, store, tokens));
    let (stopping, done) = (CancellationToken::new(), CancellationToken::new());
    let _done = done.clone().drop_guard();
    let mut ops = None;
    if let Some(address) = config.ops_address {
        let health = GatewayHealth { gateway: Arc::clone(&gateway), stopping: stopping.clone() };
        let metrics = tidemark_process::recorder(measure::describe)?;
        ops = Some(ops::serve(address, Arc::new(health), metrics, done).await?);
    }
    tracing::info!(address = %api, store = gateway.looks.store().url(), "gateway serves");
    open(Doors { api, ops });
    let shutdown = async {
        shutdown.await;
        stopping.cancel();
    };
    serve(listener, gateway, config, shutdown).await;
    tracing::info!("gateway ends");
    Ok(())
}

/// Serves until `shutdown`, and lets requests under way end.
async fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    config: &GatewayConfig,
    shutdown: impl Future<Output = ()>,
) {
    let connections = Arc::new(Semaphore::new(config.max_requests * CONNECTIONS_PER_REQUEST));
    let app = routes::app(gateway);
    let graceful = GracefulShutdown::new();
    tokio::select! {
        () = accept(&listener, &app, &graceful, &connections) => {}
        () = shutdown => {}
    }
    drop(listener);
    let grace = config.grace_period;
    if timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(?grace, "requests were still at work, and are given up");
    }
}

/// Takes connections for as long as it is polled.
async fn accept(
    listener: &TcpListener,
    app: &Router,
    graceful: &GracefulShutdown,
    connections: &Arc<Semaphore>,
) {
    loop {
        let permit = Arc::clone(connections).acquire_owned().await;
        let Ok(permit) = permit else { return };
        match listener.accept().await {
            Ok((stream, _)) => attend(stream, app.clone(), graceful, permit),
            // Out of file handles, or a client that left: neither ends the gateway.
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn attend(
    stream: TcpStream,
    app: Router,
    graceful: &GracefulShutdown,
    permit: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let app = app.clone();
        async move { Ok::<Response<Body>, Infallible>(answer(app, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(permit);
    });
}

async fn answer(app: Router, request: Request<Incoming>) -> Response<Body> {
    match app.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests;
