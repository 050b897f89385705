//! One Temporal server for all tests of a binary, and what a test reads from it.

use std::sync::Arc;

use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, UntypedWorkflow, WorkflowHistory,
};
use tidemark_devserver::TemporalServer;
use tidemark_workflows::names::SEARCH_ATTRIBUTES;
use tokio::sync::OnceCell;
use url::Url;

/// The server that all tests of a process share; each has a task queue and a store of its own.
/// It ends with the process, and its folder with it.
///
/// # Panics
/// When no server can be found, built or started.
pub(crate) async fn server() -> Arc<TemporalServer> {
    static SERVER: OnceCell<Arc<TemporalServer>> = OnceCell::const_new();
    Arc::clone(SERVER.get_or_init(|| async { Arc::new(start().await) }).await)
}

/// A server of a test's own, with its Web UI.
///
/// # Panics
/// As [`server`].
pub(crate) async fn start() -> TemporalServer {
    let cli = tidemark_devserver::find(&|_| ()).await.expect("a Temporal CLI");
    let attributes = SEARCH_ATTRIBUTES.map(|one| (one.name, one.kind.as_str()));
    TemporalServer::options(cli)
        .search_attributes(&attributes)
        .ui(true)
        .start()
        .await
        .expect("a Temporal server")
}

/// A client of the server.
pub(crate) async fn client(server: &TemporalServer) -> Client {
    let address = Url::parse(&format!("http://{}", server.address())).expect("an address");
    let connection = Connection::connect(ConnectionOptions::new(address).build())
        .await
        .expect("the server answers");
    Client::new(connection, ClientOptions::new(server.namespace()).build()).expect("a client")
}

/// The history of a workflow run, fetched when it is used.
pub(crate) fn history(client: &Client, workflow_id: &str) -> WorkflowHistory {
    client.get_workflow_handle::<UntypedWorkflow>(workflow_id).fetch_history(Default::default())
}
