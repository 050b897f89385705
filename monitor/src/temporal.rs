//! The way to Temporal, which may be down when the monitor starts.

use temporalio_client::{ClientOptions, ConnectionOptions};
use tidemark_engine::{
    definitions::{self, ClaimError},
    store::Store,
};
use tidemark_schedules::{
    ScheduleClient, ScheduleError,
    connect::{ConnectError, connect_to},
};
use tokio::sync::OnceCell;

/// Why there is no way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WayError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Everything would look as if it were missing.
    #[error(
        "the store belongs to the Temporal cluster {claimed}, and this is {found}: set \
         TEMPORAL_ADDRESS or TIDEMARK_STORE to the right one"
    )]
    Foreign { claimed: String, found: String },
}

/// A namespace of a server, connected to when it is first needed and answers.
pub(crate) struct Way {
    connection: ConnectionOptions,
    client: ClientOptions,
    store: Store,
    schedules: OnceCell<ScheduleClient>,
}

impl Way {
    pub(crate) fn new(connection: ConnectionOptions, client: ClientOptions, store: Store) -> Self {
        Self { connection, client, store, schedules: OnceCell::new() }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The schedules, once the server is known to be the one that the store belongs to.
    ///
    /// # Errors
    /// It does not answer, or is another.
    pub(crate) async fn schedules(&self) -> Result<&ScheduleClient, WayError> {
        self.schedules.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<ScheduleClient, WayError> {
        let client = connect_to(self.connection.clone(), self.client.clone()).await?;
        let schedules = ScheduleClient::new(&client);
        let claim = definitions::verify(&self.store, &self.client.namespace).await?;
        let found = schedules.cluster_id().await?;
        if found != claim.identity.cluster {
            return Err(WayError::Foreign { claimed: claim.identity.cluster, found });
        }
        Ok(schedules)
    }
}
