//! A receiver of notices: a webhook that keeps what it gets, and a dead-man's address.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// What it got, and how often it was asked whether it is there.
struct Got {
    notices: Mutex<Vec<Value>>,
    grown: watch::Sender<usize>,
    pings: watch::Sender<usize>,
}

type Kept = Arc<Got>;

/// It takes everything that is posted to it, until this value goes.
pub struct Receiver {
    address: SocketAddr,
    kept: Kept,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let kept: Kept = Arc::new(Got {
            notices: Mutex::default(),
            grown: watch::channel(0).0,
            pings: watch::channel(0).0,
        });
        let app = Router::new()
            .route("/hook", post(keep))
            .route("/alive", get(ping))
            .with_state(Arc::clone(&kept));
        let task = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("it serves");
        });
        Self { address, kept, task }
    }

    /// Its `[[sink]]` table, as the file of a [monitor](crate::Stage::monitor) has it.
    #[must_use]
    pub fn sink(&self) -> String {
        format!(
            "[[sink]]\nname = \"team\"\nkind = \"webhook\"\nurl = \"http://{}/hook\"\n\
             secret = \"env:HOOK_SECRET\"\n",
            self.address
        )
    }

    /// Its dead-man's address.
    #[must_use]
    pub fn alive(&self) -> String {
        format!("http://{}/alive", self.address)
    }

    /// Waits until its dead-man's address was asked for once more.
    pub async fn wait_ping(&self) {
        let mut pings = self.kept.pings.subscribe();
        pings.changed().await.expect("the receiver is there");
    }

    /// What it has got, in order.
    #[must_use]
    pub fn notices(&self) -> Vec<Value> {
        self.kept.notices.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first notice about a connection of a kind and a phase; waits for it.
    pub async fn wait(&self, connection: &str, kind: &str, phase: &str) -> Value {
        let mut grown = self.kept.grown.subscribe();
        loop {
            let found = self.notices().into_iter().find(|notice| {
                notice["connection"] == connection
                    && notice["kind"] == kind
                    && notice["phase"] == phase
            });
            if let Some(found) = found {
                return found;
            }
            grown.changed().await.expect("the receiver is there");
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(State(kept): State<Kept>, Json(notice): Json<Value>) {
    kept.notices.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
    kept.grown.send_modify(|count| *count += 1);
}

async fn ping(State(kept): State<Kept>) {
    kept.pings.send_modify(|count| *count += 1);
}
