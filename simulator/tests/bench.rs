//! A simulator with one account, one list and one record space, and a client for it.

use std::{net::SocketAddr, sync::Arc};

use reqwest::{Client, Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;
use tidemark_simulator::{Seed, Simulator, World};

/// The account's key.
pub(crate) const KEY: &str = "some-key-us1";
/// The list's id.
pub(crate) const LIST: &str = "a1b2c3";
/// The record space's key.
pub(crate) const SPACE: &str = "record-key";
/// Where the clock is held: 2022-02-23T16:25:57+00:00.
pub(crate) const NOW: i64 = 1_645_633_557;

pub(crate) struct Bench {
    pub(crate) simulator: Simulator,
    client: Client,
}

/// An answer that was read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) fn client() -> Client {
    // Only the first call of the process installs it; all others find it there.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::new()
}

impl Bench {
    /// An empty list; the clock is held at [`NOW`].
    pub(crate) async fn new() -> Self {
        let simulator = Simulator::start(loopback()).await.unwrap();
        let world = simulator.world();
        world.set_clock(Some(NOW));
        world.add_account(KEY);
        world.add_list(KEY, LIST, "Newsletter").unwrap();
        world.add_destination(SPACE);
        Self { simulator, client: client() }
    }

    pub(crate) async fn seeded(seed: &Seed) -> Self {
        let bench = Self::new().await;
        bench.world().seed(LIST, seed).unwrap();
        bench
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        self.simulator.world()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.simulator.url())
    }

    /// A request to the list API, path below `/3.0`.
    pub(crate) fn source(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(&format!("/3.0{path}"))).basic_auth("any", Some(KEY))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        read(self.source(Method::GET, path)).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        read(self.source(method, path).json(body)).await
    }

    /// The listing of members.
    pub(crate) async fn members(&self, query: &str) -> Answer {
        self.get(&format!("/lists/{LIST}/members?{query}")).await
    }

    /// One field of each member of a listing.
    pub(crate) async fn column(&self, query: &str, field: &str) -> Vec<Value> {
        let answer = self.members(query).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let members = answer.body["members"].as_array().unwrap();
        members.iter().map(|member| member[field].clone()).collect()
    }

    pub(crate) async fn total(&self, query: &str) -> u64 {
        self.members(query).await.body["total_items"].as_u64().unwrap()
    }

    /// A request to the record API.
    pub(crate) fn destination(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).header("Authorisation", SPACE)
    }

    pub(crate) async fn post(&self, records: &Value) -> Answer {
        read(self.destination(Method::POST, "/record").json(records)).await
    }

    pub(crate) async fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.client.request(method, self.url(&format!("/_sim{path}")));
        read(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }
}

pub(crate) async fn read(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, headers, body }
}
