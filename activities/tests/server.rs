//! One server for all tests of this binary; each test has connections of its own.

use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, Url};
use tidemark_activities::setup::ensure_search_attributes;
use tidemark_devserver::{TemporalServer, find};
use tokio::sync::OnceCell;

/// The server with every search attribute. It ends with this process.
static SERVER: OnceCell<TemporalServer> = OnceCell::const_new();

/// A client of the shared server. It belongs to the test's own runtime.
pub(crate) async fn client() -> Client {
    let server = SERVER
        .get_or_init(|| async {
            let server = start().await;
            ensure_search_attributes(&client_of(&server).await).await.expect("attributes are made");
            server
        })
        .await;
    client_of(server).await
}

/// A server of the test's own.
pub(crate) async fn start() -> TemporalServer {
    let cli = find(&|_| {}).await.expect("a Temporal CLI is there");
    TemporalServer::options(cli).start().await.expect("the server starts")
}

pub(crate) async fn client_of(server: &TemporalServer) -> Client {
    let target = Url::parse(&format!("http://{}", server.address())).unwrap();
    let connection = Connection::connect(ConnectionOptions::new(target).build()).await.unwrap();
    Client::new(connection, ClientOptions::new(server.namespace()).build()).unwrap()
}
