//! Serving a world over HTTP.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{StatusCode, Uri},
    middleware,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    admin, exchange,
    mailchimp::{self, Problem},
    record_api,
    seed::Seed,
    world::{World, WorldError},
};

/// How long a shutdown waits for calls that are under way.
const GRACE: Duration = Duration::from_secs(2);

/// Both APIs and the admin side, over a world.
pub fn app(world: Arc<World>) -> Router {
    mailchimp::routes()
        .merge(record_api::routes())
        .merge(admin::routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        // Records and raw fields may be large; a record space has limits of its own.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::clone(&world), exchange::through))
        .with_state(world)
}

async fn unknown_path(uri: Uri) -> Response {
    if uri.path().starts_with("/3.0") {
        return Problem::not_found().into_response();
    }
    record_api::problem(StatusCode::NOT_FOUND, "no such path: see /3.0, /record, and /_sim")
}

async fn unknown_method(uri: Uri) -> Response {
    if uri.path().starts_with("/3.0") {
        return Problem::not_allowed(None).into_response();
    }
    record_api::problem(StatusCode::METHOD_NOT_ALLOWED, "the path does not have this method")
}

/// A world that is being served. Dropping it stops the server without waiting.
pub struct Simulator {
    address: SocketAddr,
    world: Arc<World>,
    stop: CancellationToken,
    server: JoinHandle<io::Result<()>>,
}

impl Simulator {
    /// Serves an empty world; port 0 takes a free one.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        Self::serving(address, Arc::new(World::new())).await
    }

    /// Serves a world that exists already, for example the one that was shut down.
    pub async fn serving(address: SocketAddr, world: Arc<World>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let router = app(Arc::clone(&world));
        let serving = axum::serve(listener, router).with_graceful_shutdown(stopped);
        let server = tokio::spawn(serving.into_future());
        Ok(Self { address, world, stop, server })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What is served.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Takes no more calls, lets go what is held, and waits a moment for what is under way.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        self.world.script.release_all();
        if tokio::time::timeout(GRACE, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What a world holds when it begins to be served.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Accounts of the list API.
    pub accounts: Vec<AccountOptions>,
    /// Keys of the record API.
    pub destinations: Vec<String>,
}

/// An account and its lists.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountOptions {
    /// Its key, like `demo-us1`.
    pub api_key: String,
    /// Its lists.
    #[serde(default)]
    pub lists: Vec<ListOptions>,
}

/// A list and what it is filled with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListOptions {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its members.
    pub seed: Option<Seed>,
}

impl Options {
    /// Puts all of it into a world.
    pub fn fill(&self, world: &World) -> Result<(), WorldError> {
        for account in &self.accounts {
            world.add_account(&account.api_key);
            for list in &account.lists {
                world.add_list(&account.api_key, &list.id, &list.name)?;
                if let Some(seed) = &list.seed {
                    world.seed(&list.id, seed)?;
                }
            }
        }
        self.destinations.iter().for_each(|key| world.add_destination(key));
        Ok(())
    }
}

/// Serves a world that begins with `options` until `shutdown` is done: a process of its own.
pub async fn serve(
    address: SocketAddr,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let world = Arc::new(World::new());
    options.fill(&world).map_err(io::Error::other)?;
    let simulator = Simulator::serving(address, world).await?;
    tracing::info!(url = simulator.url(), "simulator listens");
    shutdown.await;
    simulator.shutdown().await;
    Ok(())
}
