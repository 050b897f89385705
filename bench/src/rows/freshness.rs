//! Answers of the freshness gate about an account with many connections.
//!
//! The gateway and a handler that returns the very bytes that the gateway answered first are asked
//! alternately, by the same clients over connections that stay open. Clients and servers share this
//! process and its cores, so that the figures say what an answer costs and not what a machine can
//! do. Then one connection commits under load, and the last answer is sought that does not show it.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, stream};
use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;
use tidemark_engine::{run::Engine, store::Store};
use tidemark_gateway::{GatewayConfig, GatewayFlags, Tokens};
use tidemark_model::{ids::ConnectionId, secret::SecretLookup};
use tidemark_simulator::{Seed, Simulator};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

use super::Row;
use crate::{
    definition::{Delete, Plan, SOURCE_KEY, Space},
    figure::{Figure, Unit, count},
    in_process,
    options::Options,
    spread::Spread,
};

const CONNECTIONS: usize = 100;
const LIST: &str = "freshness";
/// Clients at once.
const CLIENTS: usize = 32;
/// First syncs at once.
const SYNCS: usize = 4;
/// No answer may rest on anything older.
const OLDEST: f64 = 1.0;
const TOKEN: &str = "the-token-of-the-bench";

/// The token of the gateway.
struct Secret;

impl SecretLookup for Secret {
    fn env(&self, _: &str) -> Option<String> {
        Some(TOKEN.to_owned())
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let folder = TempDir::with_prefix("tidemark-bench-")?;
    let store = Store::make(&format!("file://{}/store", folder.path().display()))?;
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into()).await?;
    let world = simulator.world();
    world.add_account(SOURCE_KEY);
    Space::ALL.iter().for_each(|space| world.add_destination(space.key()));
    world.add_list(SOURCE_KEY, LIST, "Bench")?;
    world.seed(LIST, &Seed::of(10))?;
    let engine = in_process::engine(&store, folder.path())?;
    let ids = sync_all(&engine, &simulator.url()).await?;

    // Whatever serves ends with this set.
    let mut serving = JoinSet::new();
    let gateway = serve(&mut serving, folder.path(), store.clone()).await?;
    let http = Client::builder().build().context("no HTTP client")?;
    let asked = Url::of(gateway);
    let body = ask(&http, &asked).await?;
    let constant = Url::of(serve_constant(&mut serving, body.clone()).await?);

    let (lap, laps) = options.pick((Duration::from_secs(4), 5), (Duration::from_millis(500), 2));
    let mut rates = [Vec::new(), Vec::new()];
    // The first of each warms everything up and does not count.
    for number in 0..=laps {
        for (url, rates) in [&asked, &constant].into_iter().zip(&mut rates) {
            let rate = rate(&http, url, lap).await?;
            if number > 0 {
                rates.push(rate);
            }
        }
    }
    let first = ids.first().context("there are connections")?;
    let stale = last_stale(&engine, &http, &asked, first).await?;
    let [gate, constant] = rates.map(Spread::of);
    let note = |spread: &Spread| {
        let range = spread.range(|rate| Unit::Count.show(rate));
        format!("median of {laps}, {range}; {CLIENTS} clients, {} bytes each", body.len())
    };
    let printed = |what: &str, spread: &Spread| {
        Figure::printed(Row::Freshness, what, spread.median(), Unit::Count).note(note(spread))
    };
    Ok(vec![
        printed(&format!("requests a second, account of {CONNECTIONS} connections"), &gate),
        printed("requests a second, a handler that returns a constant", &constant),
        Figure::printed(
            Row::Freshness,
            "account ÷ constant",
            gate.median() / constant.median(),
            Unit::Ratio,
        ),
        Figure::at_most(
            Row::Freshness,
            "a commit to the last request whose answer does not show it",
            OLDEST,
            stale,
            Unit::Seconds,
        ),
    ])
}

/// Connections of one account, each with one commit.
async fn sync_all(engine: &Engine, url: &str) -> anyhow::Result<Vec<ConnectionId>> {
    let syncs = (0..CONNECTIONS).map(|number| async move {
        let name = format!("c{number:03}");
        let plan = Plan { name: &name, list: LIST, space: Space::First, delete: Delete::Tombstone };
        let definition = plan.definition(url)?;
        Box::pin(in_process::first_sync_into(engine, &definition)).await?;
        anyhow::Ok(definition.id().clone())
    });
    let synced: Vec<_> = stream::iter(syncs).buffered(SYNCS).collect().await;
    synced.into_iter().collect()
}

/// Serves the gateway with the defaults of production.
async fn serve(
    serving: &mut JoinSet<anyhow::Result<()>>,
    folder: &Path,
    store: Store,
) -> anyhow::Result<SocketAddr> {
    let path = folder.join("gateway.toml");
    std::fs::write(&path, "[[token]]\nsecret = 'env:TOKEN'\naccounts = ['bench']\n")?;
    let mut flags =
        GatewayFlags::default().with("store", store.url()).with("listen", "127.0.0.1:0");
    flags.config = Some(path);
    let config = GatewayConfig::load(&flags, &|_| None)?;
    let tokens = Tokens::resolve(&config.tokens, &Secret)?;
    let (open, opened) = oneshot::channel();
    serving.spawn(async move {
        // Nobody waits for it any more if this row was given up.
        let open = |doors: tidemark_gateway::Doors| open.send(doors.api).unwrap_or(());
        tidemark_gateway::run(&config, store, tokens, open, std::future::pending()).await
    });
    opened.await.context("the gateway does not serve")
}

async fn serve_constant(
    serving: &mut JoinSet<anyhow::Result<()>>,
    body: String,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = axum::Router::new().fallback(move || std::future::ready(body.clone()));
    serving.spawn(async move { Ok(axum::serve(listener, app).await?) });
    Ok(address)
}

/// What the clients ask for.
struct Url(String);

impl Url {
    fn of(address: SocketAddr) -> Self {
        Self(format!("http://{address}/v1/freshness/bench?max_age=365d"))
    }
}

async fn ask(http: &Client, url: &Url) -> anyhow::Result<String> {
    let response = http.get(&url.0).bearer_auth(TOKEN).send().await?.error_for_status()?;
    Ok(response.text().await?)
}

/// Answers in a second.
async fn rate(http: &Client, url: &Url, lap: Duration) -> anyhow::Result<f64> {
    let answered = AtomicU64::new(0);
    let began = Instant::now();
    let clients = (0..CLIENTS).map(|_| async {
        while began.elapsed() < lap {
            ask(http, url).await?;
            answered.fetch_add(1, Ordering::Relaxed);
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(clients).await?;
    Ok(count(answered.into_inner()) / began.elapsed().as_secs_f64())
}

/// Seconds from a commit to the begin of the last request whose answer does not show it yet.
async fn last_stale(
    engine: &Engine,
    http: &Client,
    url: &Url,
    id: &ConnectionId,
) -> anyhow::Result<f64> {
    let watermark = async || -> anyhow::Result<Option<String>> {
        let answer: Value = serde_json::from_str(&ask(http, url).await?)?;
        let connections = answer.get("connections").and_then(Value::as_array);
        let named =
            |one: &&Value| one.get("connection").and_then(Value::as_str) == Some(id.as_str());
        let found = connections.into_iter().flatten().find(named);
        let watermark = found.and_then(|one| one.get("complete_as_of"));
        Ok(watermark.and_then(Value::as_str).map(str::to_owned))
    };
    let receipt = in_process::unchanged(engine, id).await?;
    let committed = Instant::now();
    let expected = receipt.complete_as_of.to_string();
    let mut stale = 0.0;
    loop {
        let asked = committed.elapsed().as_secs_f64();
        if watermark().await?.as_ref() == Some(&expected) {
            return Ok(stale);
        }
        stale = asked;
        ensure!(stale < 60.0, "the commit was not seen for a minute");
    }
}
