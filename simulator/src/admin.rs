//! The admin side under `/_sim`: each action of a [`World`] as a call with JSON in and out.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    fault::Fault,
    mutation::{Mutation, RandomKind},
    record_api::{BatchLimits, RejectRule},
    seed::Seed,
    world::{World, WorldError},
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/_sim/health", get(async || Json(json!({"ok": true}))))
        .route("/_sim/accounts", post(add_account))
        .route("/_sim/accounts/{key}", delete(revoke_key))
        .route("/_sim/accounts/{key}/disabled", put(disable_account).delete(enable_account))
        .route("/_sim/lists", post(add_list))
        .route("/_sim/lists/{list}", delete(remove_list))
        .route("/_sim/lists/{list}/merge-fields", post(add_merge_field))
        .route("/_sim/lists/{list}/interests", post(add_interests))
        .route("/_sim/lists/{list}/campaigns", post(send_campaign))
        .route("/_sim/lists/{list}/lag", put(set_lag))
        .route("/_sim/lists/{list}/seed", post(seed))
        .route("/_sim/lists/{list}/mutations", post(mutate))
        .route("/_sim/lists/{list}/random-mutations", post(mutate_random))
        .route("/_sim/clock", get(clock).put(set_clock))
        .route("/_sim/latency", put(set_latency))
        .route("/_sim/gzip", put(set_gzip))
        .route("/_sim/destinations", post(add_destination))
        .route("/_sim/destinations/{key}", delete(remove_destination))
        .route("/_sim/destinations/{key}/records", get(records))
        .route("/_sim/destinations/{key}/limits", put(set_batch_limits))
        .route("/_sim/destinations/{key}/rejects", post(reject_when).delete(clear_rejects))
        .route("/_sim/ledger", get(ledger).delete(reset_ledger))
        .route("/_sim/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/_sim/holds/{id}", get(held).delete(release))
}

type Answer = Result<Json<Value>, WorldError>;
type Shared = State<Arc<World>>;

impl IntoResponse for WorldError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownAccount(_) | Self::UnknownList(_) | Self::UnknownDestination(_) => {
                StatusCode::NOT_FOUND
            }
            Self::ListExists(_) | Self::Refused(_) | Self::TooFew { .. } => StatusCode::CONFLICT,
        };
        (status, Json(json!({"error": self.to_string()}))).into_response()
    }
}

fn done() -> Json<Value> {
    Json(json!({"ok": true}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    api_key: String,
    /// A further key of the user who has this one.
    same_user_as: Option<String>,
}

async fn add_account(State(world): Shared, Json(account): Json<Account>) -> Answer {
    match account.same_user_as {
        None => world.add_account(&account.api_key),
        Some(known) => world.add_key(&account.api_key, &known)?,
    }
    Ok(done())
}

async fn revoke_key(State(world): Shared, Path(key): Path<String>) -> Json<Value> {
    world.revoke_key(&key);
    done()
}

async fn disable_account(State(world): Shared, Path(key): Path<String>) -> Answer {
    world.disable_account(&key).map(|()| done())
}

async fn enable_account(State(world): Shared, Path(key): Path<String>) -> Answer {
    world.enable_account(&key).map(|()| done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewList {
    api_key: String,
    id: String,
    name: String,
}

async fn add_list(State(world): Shared, Json(list): Json<NewList>) -> Answer {
    world.add_list(&list.api_key, &list.id, &list.name).map(|()| done())
}

async fn remove_list(State(world): Shared, Path(list): Path<String>) -> Answer {
    world.remove_list(&list).map(|()| done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MergeField {
    tag: String,
}

async fn add_merge_field(
    State(world): Shared,
    Path(list): Path<String>,
    Json(field): Json<MergeField>,
) -> Answer {
    world.add_merge_field(&list, &field.tag).map(|()| done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Interests {
    category: String,
    ids: Vec<String>,
}

async fn add_interests(
    State(world): Shared,
    Path(list): Path<String>,
    Json(interests): Json<Interests>,
) -> Answer {
    let ids: Vec<&str> = interests.ids.iter().map(String::as_str).collect();
    world.add_interests(&list, &interests.category, &ids).map(|()| done())
}

async fn send_campaign(State(world): Shared, Path(list): Path<String>) -> Answer {
    world.send_campaign(&list).map(|()| done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lag {
    seconds: u32,
}

async fn set_lag(State(world): Shared, Path(list): Path<String>, Json(lag): Json<Lag>) -> Answer {
    world.set_lag(&list, lag.seconds).map(|()| done())
}

/// Off the runtime's threads: a million members take a few seconds.
async fn seed(State(world): Shared, Path(list): Path<String>, Json(seed): Json<Seed>) -> Answer {
    let filled = tokio::task::spawn_blocking(move || {
        world.seed(&list, &seed)?;
        world.member_count(&list)
    });
    let member_count =
        filled.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    Ok(Json(json!({"member_count": member_count})))
}

async fn mutate(
    State(world): Shared,
    Path(list): Path<String>,
    Json(mutation): Json<Mutation>,
) -> Answer {
    Ok(Json(json!(world.mutate(&list, &mutation)?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RandomMutations {
    kind: RandomKind,
    count: usize,
    #[serde(default)]
    seed: u64,
}

async fn mutate_random(
    State(world): Shared,
    Path(list): Path<String>,
    Json(random): Json<RandomMutations>,
) -> Answer {
    let changed = world.mutate_random(&list, random.kind, random.count, random.seed)?;
    Ok(Json(json!({"changed": changed})))
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ClockSetting {
    /// Held at this Unix second; null = follows the system's clock.
    At(Option<i64>),
    /// Moved by so many seconds.
    Advance(i64),
}

async fn clock(State(world): Shared) -> Json<Value> {
    Json(json!({"now": world.now()}))
}

async fn set_clock(State(world): Shared, Json(setting): Json<ClockSetting>) -> Json<Value> {
    match setting {
        ClockSetting::At(at) => world.set_clock(at),
        ClockSetting::Advance(seconds) => world.advance(seconds),
    }
    clock(State(world)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Latency {
    millis: u64,
}

async fn set_latency(State(world): Shared, Json(latency): Json<Latency>) -> Json<Value> {
    world.set_latency(Duration::from_millis(latency.millis));
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gzip {
    on: bool,
}

async fn set_gzip(State(world): Shared, Json(gzip): Json<Gzip>) -> Json<Value> {
    world.set_gzip(gzip.on);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Destination {
    key: String,
}

async fn add_destination(State(world): Shared, Json(added): Json<Destination>) -> Json<Value> {
    world.add_destination(&added.key);
    done()
}

async fn remove_destination(State(world): Shared, Path(key): Path<String>) -> Json<Value> {
    world.remove_destination(&key);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordsQuery {
    /// Leaves out the records whose field of this name is true.
    tombstone: Option<String>,
    /// Only how many there are.
    #[serde(default)]
    count_only: bool,
}

async fn records(
    State(world): Shared,
    Path(key): Path<String>,
    Query(query): Query<RecordsQuery>,
) -> Answer {
    if query.count_only && query.tombstone.is_none() {
        return Ok(Json(json!({"count": world.record_count(&key)?})));
    }
    let records = match query.tombstone {
        None => world.records(&key)?,
        Some(field) => world.live_records(&key, &field)?,
    };
    let count = records.len();
    Ok(Json(if query.count_only {
        json!({"count": count})
    } else {
        json!({"count": count, "records": records})
    }))
}

async fn set_batch_limits(
    State(world): Shared,
    Path(key): Path<String>,
    Json(limits): Json<BatchLimits>,
) -> Answer {
    world.set_batch_limits(&key, limits).map(|()| done())
}

async fn reject_when(
    State(world): Shared,
    Path(key): Path<String>,
    Json(rule): Json<RejectRule>,
) -> Answer {
    world.reject_when(&key, rule).map(|()| done())
}

async fn clear_rejects(State(world): Shared, Path(key): Path<String>) -> Answer {
    world.clear_rejects(&key).map(|()| done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerQuery {
    #[serde(default)]
    since: usize,
}

async fn ledger(State(world): Shared, Query(query): Query<LedgerQuery>) -> Json<Value> {
    Json(json!(world.ledger_since(query.since)))
}

async fn reset_ledger(State(world): Shared) -> Json<Value> {
    world.reset_ledger();
    done()
}

async fn faults(State(world): Shared) -> Json<Value> {
    Json(json!(world.faults()))
}

async fn add_fault(State(world): Shared, Json(fault): Json<Fault>) -> Json<Value> {
    world.add_fault(fault);
    done()
}

async fn clear_faults(State(world): Shared) -> Json<Value> {
    world.clear_faults();
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldQuery {
    /// Answers only once so many calls are held.
    #[serde(default)]
    wait: usize,
}

async fn held(
    State(world): Shared,
    Path(id): Path<String>,
    Query(query): Query<HoldQuery>,
) -> Json<Value> {
    world.wait_held(&id, query.wait).await;
    Json(json!({"held": world.held(&id)}))
}

async fn release(State(world): Shared, Path(id): Path<String>) -> Json<Value> {
    world.release(&id);
    done()
}
