//! A faithful stand-in for both ends of a sync: the Mailchimp list API under `/3.0` and the record API
//! under `/record`, in memory, with faults on demand and a ledger of every call.
//!
//! It shares no code with the connectors: what is simulated here was read from published material and
//! recorded traffic, so that a mistake of a connector is not repeated on the other side of the wire.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tidemark_simulator::{Mutation, RandomKind, Seed, Simulator};
//!
//! let simulator = Simulator::start("127.0.0.1:0".parse()?).await?;
//! let world = simulator.world();
//! world.add_account("demo-us1");
//! world.add_list("demo-us1", "a1b2c3", "Newsletter")?;
//! world.seed("a1b2c3", &Seed::of(10_000))?;
//! world.add_destination("record-key");
//! world.mutate("a1b2c3", &Mutation::add("ada@example.com", "Ada", "Lovelace"))?;
//! world.mutate_random("a1b2c3", RandomKind::Archive, 3, 7)?;
//! println!("{}/3.0/lists/a1b2c3/members", simulator.url());
//! # simulator.shutdown().await; Ok(()) }
//! ```
//!
//! # The admin side
//!
//! Every action of [`World`] is also a call with JSON under `/_sim`. A refused one answers 404 or 409
//! with `{"error": …}`.
//!
//! | call | body or query | does |
//! |---|---|---|
//! | `GET /_sim/health` | | 200 when it serves |
//! | `POST /_sim/accounts` | `{"api_key", "same_user_as"?}` | an account, or a further key of a user |
//! | `DELETE /_sim/accounts/{key}` | | revokes the key: 401 |
//! | `PUT`, `DELETE /_sim/accounts/{key}/disabled` | | 403 `User Disabled`; the end of it |
//! | `POST /_sim/lists` | `{"api_key", "id", "name"}` | a list |
//! | `DELETE /_sim/lists/{list}` | | the list is gone: 404 |
//! | `POST /_sim/lists/{list}/merge-fields` | `{"tag"}` | a merge field |
//! | `POST /_sim/lists/{list}/interests` | `{"category", "ids"}` | interests |
//! | `POST /_sim/lists/{list}/campaigns` | | a campaign is sent |
//! | `PUT /_sim/lists/{list}/lag` | `{"seconds"}` | changes are listed late |
//! | `POST /_sim/lists/{list}/seed` | [`Seed`] | fills the list |
//! | `POST /_sim/lists/{list}/mutations` | [`Mutation`] | one change; answers the member's ids |
//! | `POST /_sim/lists/{list}/random-mutations` | `{"kind", "count", "seed"?}` | changes to drawn members |
//! | `GET`, `PUT /_sim/clock` | `{"at": seconds or null}` or `{"advance": seconds}` | the clock |
//! | `PUT /_sim/latency` | `{"millis"}` | slows each page of members |
//! | `PUT /_sim/gzip` | `{"on"}` | compresses answers of the list API |
//! | `POST /_sim/destinations` | `{"key"}` | a record space |
//! | `DELETE /_sim/destinations/{key}` | | the space is gone: 401 |
//! | `GET /_sim/destinations/{key}/records` | `?tombstone=FIELD&count_only=true` | what it holds |
//! | `PUT /_sim/destinations/{key}/limits` | [`BatchLimits`] | the largest batch: 413 |
//! | `POST`, `DELETE /_sim/destinations/{key}/rejects` | [`RejectRule`] | refuses records; stops it |
//! | `GET`, `DELETE /_sim/ledger` | `?since=MARK` | [`Ledger`]; forgets it |
//! | `GET`, `POST`, `DELETE /_sim/faults` | [`Fault`] | the script of faults |
//! | `GET /_sim/holds/{id}` | `?wait=COUNT` | how many calls are held, once there are so many |
//! | `DELETE /_sim/holds/{id}` | | releases them |
//!
//! # What is known to differ from the live system
//!
//! It speaks plain HTTP, never cuts a request off after 120 seconds, and has neither batches, webhooks
//! nor exports. Where sources disagree, it takes the less comfortable reading: `PATCH` on an archived
//! member is refused, `count=0` returns no rows, an address that an archived member has can be taken
//! by another, and the archived member is gone then.

mod admin;
mod bell;
mod chance;
mod clock;
mod exchange;
mod fault;
mod ledger;
mod list;
mod listing;
mod mailchimp;
mod member;
mod mutation;
mod order;
mod record_api;
mod render;
mod roll;
mod seed;
mod selection;
mod server;
mod user;
mod view;
mod world;

pub use fault::{Fault, FaultAction};
pub use ledger::{Call, Ledger, Operation, Side, Totals};
pub use member::Status;
pub use mutation::{Mutation, RandomKind};
pub use record_api::{BatchLimits, Refused, RejectRule};
pub use roll::Refusal;
pub use seed::{Seed, StatusMix};
pub use server::{AccountOptions, ListOptions, Options, Simulator, app, serve};
pub use view::{MemberIds, MemberView};
pub use world::{World, WorldError};
