//! The engine, for verbs that do a part of its work from here.

use std::sync::Arc;

use tidemark_connectors::HttpConnectors;
use tidemark_engine::run::{Engine, Settings};

use crate::error::Error;
use crate::secrets::Here;
use crate::session::Session;

/// The worker's setting of that name holds here as well.
const SPILL_FOLDER: &str = "TIDEMARK_SPILL_FOLDER";

/// An engine over the session's store, with the secrets that are at hand here.
///
/// # Errors
/// The store cannot be used, or no HTTP client can be set up on this machine.
pub(crate) async fn engine(session: &Session) -> Result<Engine, Error> {
    let store = session.store().await?.clone();
    let connectors = HttpConnectors::new(Here)?;
    let mut settings = Settings::default();
    if let Some(folder) = std::env::var_os(SPILL_FOLDER).filter(|folder| !folder.is_empty()) {
        settings.spill_folder = folder.into();
    }
    Ok(Engine::new(store, Arc::new(connectors), settings))
}
