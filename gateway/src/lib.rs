//! The HTTP door for other systems: whether an account or a connection is fresh enough.
//!
//! It reads the commit log and nothing else; it changes nothing, and needs no Temporal.

mod answer;
mod config;
mod guard;
mod health;
mod looks;
mod measure;
mod openapi;
mod refusal;
mod routes;
mod serve;
mod setting;
mod tokens;

pub use answer::{AccountAnswer, Answer, Asked, ConnectionAnswer, Exceptions, StateName};
pub use config::{GatewayConfig, GatewayFlags, GatewayRole, TokenSection};
pub use openapi::document as openapi_document;
pub use serve::{Doors, Gateway, run};
pub use setting::SETTINGS;
pub use tokens::Tokens;
