//! Limits, and the end.

use std::collections::BTreeMap;

use object_store::{
    memory::InMemory,
    path::Path,
    throttle::{ThrottleConfig, ThrottledStore},
};
use tidemark_model::secret::SecretLookup;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::oneshot,
};

use super::*;
use crate::config::GatewayFlags;

const TOKEN: &str = "a-token-that-is-long-enough";

struct Secrets;

impl SecretLookup for Secrets {
    fn env(&self, _: &str) -> Option<String> {
        Some(TOKEN.to_owned())
    }

    fn file(&self, _: &std::path::Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// A gateway over a store whose every listing takes a while.
async fn gateway(
    listing_takes: Duration,
    settings: &[(&str, &str)],
) -> (GatewayConfig, Arc<Gateway>, TcpListener) {
    let throttle =
        ThrottleConfig { wait_list_with_delimiter_per_call: listing_takes, ..Default::default() };
    let objects = Arc::new(ThrottledStore::new(InMemory::new(), throttle));
    let store = Store::over(objects, Path::default(), "memory:///");
    store.root().create("store.json", "{}".into()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    std::fs::write(&path, "[[token]]\nsecret = 'env:ONE'\naccounts = ['acme']").unwrap();
    let mut flags = GatewayFlags::default().with("store", "file:///nowhere");
    flags.config = Some(path);
    for (name, value) in settings {
        flags = flags.with(name, *value);
    }
    let variables = BTreeMap::<&str, String>::new();
    let config = GatewayConfig::load(&flags, &|name| variables.get(name).cloned()).unwrap();
    let tokens = Tokens::resolve(&config.tokens, &Secrets).unwrap();
    let gateway = Arc::new(Gateway::new(&config, store, tokens));
    (config, gateway, TcpListener::bind("127.0.0.1:0").await.unwrap())
}

/// One request on a connection of its own; the whole answer, or nothing if there is none.
async fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /v1/freshness/acme?max_age=1h HTTP/1.1\r\nHost: gateway\r\n\
         Authorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_end() {
    let (config, gateway, listener) = gateway(Duration::from_millis(200), &[]).await;
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let at_work = Arc::clone(&gateway);
    let story = async {
        let asking = tokio::spawn(ask(address));
        while at_work.requests.available_permits() == config.max_requests {
            tokio::task::yield_now().await;
        }
        stop.send(()).unwrap();
        asking.await.unwrap()
    };
    let serving = serve(listener, gateway, &config, async { stopped.await.unwrap() });
    let ((), answer) = tokio::join!(serving, story);
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let (config, gateway, listener) = gateway(Duration::ZERO, &[]).await;
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let story = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /nowhere HTTP/1.1\r\nHost: gateway\r\n\r\n").await.unwrap();
        // It is open and idle once it was answered.
        assert_ne!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        stop.send(()).unwrap();
        stream
    };
    let serving = serve(listener, gateway, &config, async { stopped.await.unwrap() });
    tokio::join!(serving, story);
}

#[tokio::test]
async fn one_request_too_many_is_told_so() {
    let hour = Duration::from_hours(1);
    let settings = [("max_requests", "1"), ("request_timeout", "1h")];
    let (config, gateway, listener) = gateway(hour, &settings).await;
    let address = listener.local_addr().unwrap();
    let asking = async {
        // One of them waits for the store for an hour.
        let answer = tokio::select! {
            answer = ask(address) => answer,
            answer = ask(address) => answer,
        };
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("too many requests at once"), "{answer}");
    };
    tokio::select! {
        () = serve(listener, gateway, &config, std::future::pending()) => unreachable!("not asked"),
        () = asking => {}
    }
}

#[tokio::test]
async fn a_store_that_is_silent_is_no_answer() {
    let (config, gateway, listener) =
        gateway(Duration::from_hours(1), &[("request_timeout", "50ms")]).await;
    let address = listener.local_addr().unwrap();
    let asking = async {
        let answer = ask(address).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("the store did not answer in time"), "{answer}");
    };
    tokio::select! {
        () = serve(listener, gateway, &config, std::future::pending()) => unreachable!("not asked"),
        () = asking => {}
    }
}
