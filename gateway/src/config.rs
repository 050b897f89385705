//! The configuration of the gateway: flags over environment over file over defaults. Its tokens are
//! in the file only.

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;
use tidemark_model::ids::AccountId;
use tidemark_process::{ConfigError, Flags, Layers, LogFormat, Role, Setting, log_filter};

use crate::setting::{self, SETTINGS};

/// The role as its settings have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayRole;

impl Role for GatewayRole {
    const CONFIG_VARIABLE: &'static str = "TIDEMARK_GATEWAY_CONFIG";
    const SETTINGS: &'static [Setting] = SETTINGS;
    const SECTIONS: &'static [&'static str] = &["token"];
}

/// The flags of the gateway.
pub type GatewayFlags = Flags<GatewayRole>;

/// A `[[token]]` of the file: whoever has the secret may ask about these accounts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSection {
    /// `env:NAME` or `file:/path`. Whatever it is, so that no error repeats a literal one.
    pub(crate) secret: toml::Value,
    pub(crate) accounts: Vec<AccountId>,
}

/// The gateway's configuration, checked as a whole but for the tokens' secrets. The settings'
/// meanings are in [`SETTINGS`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GatewayConfig {
    pub store: String,
    pub listen: SocketAddr,
    pub ops_address: Option<SocketAddr>,
    pub max_requests: usize,
    pub request_timeout: Duration,
    pub grace_period: Duration,
    pub log: String,
    pub log_format: LogFormat,
    pub tokens: Vec<TokenSection>,
}

impl GatewayConfig {
    /// Merges the layers. `variable` looks up the environment.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is not in the table, a value that cannot be used, or
    /// a setting that is missing.
    pub fn load(
        flags: &GatewayFlags,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        Self::of(&Layers::load(flags, variable)?)
    }

    /// [`load`](Self::load) with the environment of this process.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_process(flags: &GatewayFlags) -> Result<Self, ConfigError> {
        Self::load(flags, &tidemark_process::variable)
    }

    fn of(layers: &Layers<'_, GatewayRole>) -> Result<Self, ConfigError> {
        Ok(Self {
            store: layers.required(setting::STORE)?,
            listen: layers
                .address(setting::LISTEN)?
                .ok_or(ConfigError::Missing { setting: setting::LISTEN })?,
            ops_address: layers.address(setting::OPS_ADDRESS)?,
            max_requests: layers.count(setting::MAX_REQUESTS)?,
            request_timeout: layers.duration(setting::REQUEST_TIMEOUT)?,
            grace_period: layers.duration(setting::GRACE_PERIOD)?,
            log: layers.needed(setting::LOG, log_filter)?,
            log_format: layers.needed(setting::LOG_FORMAT, |text| text.parse::<LogFormat>())?,
            tokens: layers.section("token")?.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
