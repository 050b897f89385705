//! The way to Temporal: address, namespace and TLS as its own tools read them, one clear error.

use std::time::Duration;

use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions,
    envconfig::LoadClientConfigProfileOptions, errors::ClientConnectError,
};

/// When a server that does not answer is given up. The transport has no limit of its own.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no connection to Temporal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    #[error("the configuration of Temporal cannot be used: {reason}")]
    Config { reason: String },
    #[error("temporal at {address} does not answer: {reason}")]
    Unreachable { address: String, reason: String },
}

impl ConnectError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Config { .. } => "look at the TEMPORAL_* variables and at temporal.toml",
            Self::Unreachable { .. } => {
                "start Temporal, or set TEMPORAL_ADDRESS to where it is: \
                 `temporal operator cluster health` tells whether it answers"
            }
        }
    }
}

/// Connects to what the `TEMPORAL_*` variables and `temporal.toml` say.
///
/// # Errors
/// A configuration that cannot be used, or no answer within five seconds.
pub async fn connect() -> Result<Client, ConnectError> {
    let (connection, client) =
        ClientOptions::load_from_config(LoadClientConfigProfileOptions::default())
            .map_err(|error| ConnectError::Config { reason: error.to_string() })?;
    connect_to(connection, client).await
}

/// Connects to a server that the caller names.
///
/// # Errors
/// As [`connect`].
pub async fn connect_to(
    connection: ConnectionOptions,
    client: ClientOptions,
) -> Result<Client, ConnectError> {
    let address = connection.target.to_string();
    let unreachable = |reason: String| ConnectError::Unreachable { address, reason };
    let connection =
        match tokio::time::timeout(CONNECT_TIMEOUT, Connection::connect(connection)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(unreachable(innermost(&error))),
            Err(_) => return Err(unreachable(format!("no answer within {CONNECT_TIMEOUT:?}"))),
        };
    Client::new(connection, client)
        .map_err(|error| ConnectError::Config { reason: error.to_string() })
}

/// The text at the end of the chain: the others repeat in the transport's words that it failed.
fn innermost(error: &ClientConnectError) -> String {
    let mut innermost: &dyn std::error::Error = error;
    if let ClientConnectError::SystemInfoCallError(status) = error {
        innermost = status;
        if innermost.source().is_none() {
            return status.message().to_owned();
        }
    }
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use temporalio_client::Url;

    use super::*;

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_named() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let target = Url::parse(&format!("http://{free}")).unwrap();
        let options = ConnectionOptions::new(target).build();

        let refused = connect_to(options, ClientOptions::new("default").build()).await;

        let Err(error) = refused else { panic!("nobody listens there") };
        let text = error.to_string();
        assert!(text.starts_with(&format!("temporal at http://{free}/ does not answer")), "{text}");
        assert!(!text.contains("Error"), "in words, not in Rust: {text}");
    }
}
