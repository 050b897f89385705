//! The dead-man's address: whoever listens there notices when complete passes end, for whatever
//! reason, the monitor's own machine included.

use std::time::Duration;

use url::Url;

/// An answer is not waited for any longer: the next pass asks again.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks for an address, and nobody hears which.
pub(crate) struct DeadMan {
    client: reqwest::Client,
    url: Url,
}

impl DeadMan {
    /// Must be called after the process's TLS provider was installed.
    ///
    /// # Errors
    /// The machine has no certificates, for example.
    pub(crate) fn new(url: Url) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("tidemark/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { client, url })
    }

    /// Says that a pass was complete. What goes wrong is logged: nobody else could be told by it.
    pub(crate) async fn ping(&self) {
        let answered = self.client.get(self.url.clone()).send().await;
        match answered.and_then(reqwest::Response::error_for_status) {
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = %error.without_url(), "the dead-man's address does not answer");
            }
        }
    }
}
