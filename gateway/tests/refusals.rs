//! What is not answered, and how.

use reqwest::{Method, StatusCode};

use crate::world::{OTHER_TOKEN, TOKEN, World};

const ACME: &str = "/v1/freshness/acme?max_age=1h";

#[tokio::test]
async fn who_asks_must_be_known() {
    let world = World::new().await;
    world.connect("acme/news").await;
    let ask = || world.request(Method::GET, ACME);
    let requests = [
        ask(),
        ask().bearer_auth(""),
        ask().bearer_auth("not-a-token-at-all-"),
        ask().bearer_auth(TOKEN.trim_start_matches("the")),
        ask().basic_auth(TOKEN, Some("")),
        ask().header("Authorization", TOKEN),
        ask().header("Authorization", b"Bearer \xff".as_slice()),
        world.request(Method::GET, &format!("{ACME}&token={TOKEN}")),
        // Whatever is wrong with the path: that is for those who are known.
        world.request(Method::GET, "/v1/freshness/%FF"),
        world.request(Method::GET, "/v1/freshness/acme/%FF"),
        world.request(Method::GET, "/v1/freshness/%FF").bearer_auth("not-a-token-at-all-"),
    ];
    for request in requests {
        let answer = world.send(request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text);
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    let schemes = ["Bearer", "bearer", "BEARER"];
    for scheme in schemes {
        let request = ask().header("Authorization", format!("{scheme} {TOKEN}"));
        assert_eq!(world.send(request).await.status, StatusCode::OK, "{scheme}");
    }
    world.end().await;
}

/// The whole answer to somebody who has another account's token.
async fn to_another(world: &World, path: &str) -> (StatusCode, String) {
    let request = world.request(Method::GET, path).bearer_auth(OTHER_TOKEN);
    let answer = world.send(request).await;
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort_unstable();
    (answer.status, headers.join("\n") + &answer.text)
}

#[tokio::test]
async fn another_accounts_token_learns_nothing() {
    let world = World::new().await;
    world.connect("acme/news").await;
    world.run("acme/news").await;
    // An account that exists, one that does not, and what cannot be one: the same answer, whatever
    // else is right or wrong.
    let mut answers = Vec::new();
    for path in [
        "/v1/freshness/acme?max_age=1h",
        "/v1/freshness/nobody?max_age=1h",
        "/v1/freshness/Not-An-Id?max_age=1h",
        "/v1/freshness/acme/news?max_age=1h",
        "/v1/freshness/acme/nothing?max_age=1h",
        "/v1/freshness/acme?max_age=soon",
        "/v1/freshness/acme",
    ] {
        answers.push(to_another(&world, path).await);
    }
    assert_eq!(answers[0].0, StatusCode::FORBIDDEN);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert!(!answers[0].1.contains("acme"), "{}", answers[0].1);
    world.end().await;
}

#[tokio::test]
async fn what_is_not_there() {
    let world = World::new().await;
    world.connect("acme/news").await;
    world.connect("empty/gone").await;
    world.remove("empty/gone").await;
    for path in [
        "/v1/freshness/empty?max_age=1h",
        "/v1/freshness/empty/gone?max_age=1h",
        "/v1/freshness/acme/nothing?max_age=1h",
        "/v1/freshness/acme/Not%20An%20Id?max_age=1h",
        "/v1/freshness/acme/..%2Fnews?max_age=1h",
        "/v1/freshness/acme/news/more?max_age=1h",
        "/v1/freshness/%FF?max_age=1h",
        "/v1/freshness/acme/%FF?max_age=1h",
        "/v1/freshness",
        "/",
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {}", answer.text);
        assert!(answer.json()["error"].is_string(), "{path}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_malformed_question() {
    let world = World::new().await;
    world.connect("acme/news").await;
    for query in [
        "",
        "?max_age=",
        "?max_age=2",
        "?max_age=soon",
        "?max_age=-1h",
        "?max_age=1+month",
        "?max_age=99999999999999h",
        "?max_age=1h&max_age=2h",
        "?max_age=1h&accept_exceptions=perhaps",
        "?max_age=1h&accept_exception=true",
        "?maxage=1h",
        "?max_age=%FF",
    ] {
        for path in ["/v1/freshness/acme", "/v1/freshness/acme/news"] {
            let answer = world.get(&format!("{path}{query}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}: {}", answer.text);
            assert!(answer.json()["hint"].as_str().unwrap().contains("max_age"), "{query}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_too_large_or_not_a_question() {
    let world = World::new().await;
    world.connect("acme/news").await;
    let ask = |method| world.request(method, ACME).bearer_auth(TOKEN);
    let body = world.send(ask(Method::GET).body("a body")).await;
    assert_eq!(body.status, StatusCode::PAYLOAD_TOO_LARGE);
    let post = world.send(ask(Method::POST)).await;
    assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
    let head = world.send(ask(Method::GET).header("X-Large", "x".repeat(20_000))).await;
    assert_eq!(head.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    world.end().await;
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_never_fresh() {
    let world = World::new().await;
    world.connect("acme/news").await;
    world.run("acme/news").await;
    let folder = world.folder.path().join("store/connections/acme/news");
    let entry = folder.join("log/000000000/000000000001.committed");
    let (path, good) = ("/v1/freshness/acme/news?max_age=1h", std::fs::read(&entry).unwrap());
    std::fs::write(&entry, "cut").unwrap();
    let answer = world.get(path).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(!answer.text.contains("log/"), "{}", answer.text);
    // The account has one that cannot be read: nothing is said without it.
    let account = world.get(ACME).await;
    assert_eq!(account.status, StatusCode::SERVICE_UNAVAILABLE, "{}", account.text);

    std::fs::write(&entry, good).unwrap();
    let answer = world.get(path).await;
    assert_eq!(answer.json()["fresh"], true, "{}", answer.text);
    world.end().await;
}

#[tokio::test]
async fn a_store_that_is_gone_is_no_account_without_connections() {
    let world = World::new().await;
    world.connect("acme/news").await;
    let paths = [ACME, "/v1/freshness/acme/news?max_age=1h", "/v1/freshness/empty?max_age=1h"];
    let statuses = async || {
        let mut statuses = Vec::new();
        for path in paths {
            let answer = world.get(path).await;
            assert!(!answer.text.contains("store.json"), "{}", answer.text);
            statuses.push(answer.status.as_u16());
        }
        statuses
    };
    let (store, elsewhere) =
        (world.folder.path().join("store"), world.folder.path().join("elsewhere"));
    std::fs::rename(&store, &elsewhere).unwrap();
    assert_eq!(statuses().await, [503, 503, 503]);
    // An empty folder is what is left of one that is not mounted.
    std::fs::create_dir(&store).unwrap();
    assert_eq!(statuses().await, [503, 503, 503]);
    std::fs::remove_dir(&store).unwrap();
    std::fs::rename(&elsewhere, &store).unwrap();
    assert_eq!(statuses().await, [200, 200, 404]);
    world.end().await;
}
