//! `gateway`: answer other systems over HTTP until it is asked to stop.

use tidemark_gateway::{GatewayConfig, GatewayFlags, Tokens};

use crate::error::Error;
use crate::exit::Exit;
use crate::secrets::Here;
use crate::session::Session;

/// Serve the freshness gate over HTTP until SIGTERM or Ctrl-C
///
/// GET /v1/freshness/ACCOUNT?max_age=2h says whether an account is fresh, /v1/openapi.json what else
/// there is. Who may ask about which account is in the file that --config names, as `token` tables with
/// `secret = "env:NAME"` or "file:/path", and `accounts`. It reads the store and needs no Temporal.
/// Flags win over variables, variables over the file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: GatewayFlags,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let config = GatewayConfig::from_process(&self.flags).map_err(Error::GatewayConfig)?;
        tidemark_process::init_logs(&config.log, config.log_format)?;
        let shutdown = tidemark_process::stop_signal().map_err(Error::Runtime)?;
        let tokens = Tokens::resolve(&config.tokens, &Here).map_err(Error::GatewayConfig)?;
        let session = session.at(&config.store);
        let store = session.store().await?.clone();
        let open = |doors: tidemark_gateway::Doors| {
            session.ui().note(&format!("gateway at http://{}", doors.api))
        };
        tidemark_gateway::run(&config, store, tokens, open, shutdown).await?;
        Ok(Exit::Ok)
    }
}
