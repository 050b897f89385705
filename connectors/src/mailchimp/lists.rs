//! The lists that a key can see, for whoever writes the first definition.

use serde::Serialize;
use tidemark_engine::port::Clock;
use tidemark_model::failure::Failure;

use super::client::Client;

/// A list (audience) that a key can see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VisibleList {
    /// What a definition names.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// Asks for the lists, at most a thousand.
pub(crate) async fn visible(
    client: &Client,
    clock: &dyn Clock,
) -> Result<Vec<VisibleList>, Failure> {
    let lists = client.lists(clock).await?;
    Ok(lists.lists.into_iter().map(|list| VisibleList { id: list.id, name: list.name }).collect())
}
