//! Is the server ready? Asked by calls that need everything which a client needs.

use std::time::Duration;

use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, RetryOptions, Url, WorkflowCountOptions,
};

/// One round of questions may take this long; a server that is starting can hang in one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks once. The call counts workflows by a query that mentions every search attribute, because a
/// server answers `get_system_info` well before its namespace and its search attributes can be used.
///
/// The error is the text of what went wrong: it is only shown when the server never gets ready.
pub(crate) async fn ask(
    address: &str,
    namespace: &str,
    search_attributes: &[(String, String)],
) -> Result<(), String> {
    let query = search_attributes
        .iter()
        .map(|(name, _)| format!("{name} IS NULL"))
        .collect::<Vec<_>>()
        .join(" AND ");
    let asking = Box::pin(async move {
        let client = connect(address, namespace).await?;
        client
            .count_workflows(query, WorkflowCountOptions::default())
            .await
            .map_err(|error| error.to_string())
    });
    match tokio::time::timeout(ANSWER_TIMEOUT, asking).await {
        Ok(Ok(_count)) => Ok(()),
        Ok(Err(error)) => Err(error),
        Err(_elapsed) => Err(format!("none within {} s", ANSWER_TIMEOUT.as_secs())),
    }
}

async fn connect(address: &str, namespace: &str) -> Result<Client, String> {
    let target = Url::parse(&format!("http://{address}")).map_err(|error| error.to_string())?;
    let options = ConnectionOptions::new(target)
        .identity("tidemark-devserver".to_owned())
        .connect_timeout(ANSWER_TIMEOUT)
        .retry_options(RetryOptions::no_retries())
        .build();
    let connection = Connection::connect(options).await.map_err(|error| error.to_string())?;
    Client::new(connection, ClientOptions::new(namespace).build())
        .map_err(|error| error.to_string())
}
