//! From definitions to connected sources and destinations.

use std::{
    collections::HashMap,
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tidemark_engine::port::{Connectors, Destination, Slots, Source, SystemClock};
use tidemark_model::{
    definition::{Definition, DestinationDefinition, SourceDefinition},
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    secret::{SecretLookup, SecretRef},
};

use crate::{
    http::{Caller, Network, SlotRule, Transport},
    mailchimp::{self, Account, MailchimpSource, Mapping, SERVER_GIVES_UP_AFTER, Subject},
    record_api::{self, RecordApiDestination},
};

/// Secrets of this process: variables as they were when it started, files as they are.
#[derive(Default)]
pub struct ProcessSecrets {
    variables: HashMap<String, SecretString>,
}

impl ProcessSecrets {
    /// Takes the environment as it is now.
    #[must_use]
    pub fn capture() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?.into()))
        });
        Self { variables: variables.collect() }
    }
}

impl SecretLookup for ProcessSecrets {
    fn env(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| value.expose_secret().to_owned())
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}

/// A list that a key can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibleList {
    pub id: String,
    pub name: String,
}

/// A credential's side and digest: no secret is kept as a key.
type Credential = (Side, [u8; 32]);

/// Makes sources and destinations that are reached by HTTP. One for each process: what they share
/// is the pool of connections, and how many requests each credential has under way.
pub struct HttpConnectors {
    transport: Arc<dyn Transport>,
    secrets: Box<dyn SecretLookup + Send + Sync>,
    slots: Mutex<HashMap<Credential, Arc<Slots>>>,
}

impl fmt::Debug for HttpConnectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnectors").finish_non_exhaustive()
    }
}

impl HttpConnectors {
    /// Must be called after the process's TLS provider was installed.
    ///
    /// # Errors
    /// The HTTP client cannot be set up: the machine has no certificates, for example.
    pub fn new(secrets: impl SecretLookup + Send + Sync + 'static) -> Result<Self, Failure> {
        Ok(Self::over(Arc::new(Network::new()?), secrets))
    }

    /// Over another transport than the network.
    #[must_use]
    pub fn over(
        transport: Arc<dyn Transport>,
        secrets: impl SecretLookup + Send + Sync + 'static,
    ) -> Self {
        Self { transport, secrets: Box::new(secrets), slots: Mutex::default() }
    }

    fn caller(
        &self,
        side: Side,
        system: &'static str,
        timeout: Duration,
        slots: SlotRule,
    ) -> Caller {
        Caller { transport: Arc::clone(&self.transport), side, system, timeout, slots }
    }

    fn secret(
        &self,
        reference: &SecretRef,
        side: Side,
        connection: &ConnectionId,
    ) -> Result<SecretString, Failure> {
        reference.resolve(self.secrets.as_ref()).map_err(|error| {
            Failure::new(FailureKind::Unauthenticated, side, error.to_string())
                .caused_by_sources(&error)
                .hint(format!("then: tidemark start {connection}"))
        })
    }

    /// The lists that a Mailchimp key can see. `connection` is whom failures are told about;
    /// `base_url` the API's address if it is not that of the key's data centre.
    ///
    /// # Errors
    /// As [`Source::check`].
    pub async fn mailchimp_lists(
        &self,
        connection: &ConnectionId,
        api_key: &SecretRef,
        base_url: Option<&Url>,
    ) -> Result<Vec<VisibleList>, Failure> {
        let limits = (1, SERVER_GIVES_UP_AFTER);
        let account = self.mailchimp_account(connection, api_key, base_url, limits)?;
        let visible = account.lists(&SystemClock::default()).await?;
        let lists = visible.lists.into_iter();
        Ok(lists.map(|list| VisibleList { id: list.id, name: list.name }).collect())
    }

    /// An account, with the number of requests at once and the time after which one is given up.
    fn mailchimp_account(
        &self,
        connection: &ConnectionId,
        api_key: &SecretRef,
        base_url: Option<&Url>,
        (limit, timeout): (u32, Duration),
    ) -> Result<Account, Failure> {
        let key = self.secret(api_key, Side::Source, connection)?;
        let slots = self.slots(Side::Source, &key);
        let slots = SlotRule { slots, limit, at_work: SERVER_GIVES_UP_AFTER };
        let caller = self.caller(Side::Source, "Mailchimp", timeout, slots);
        let subject = Subject { connection: connection.clone(), key: api_key.clone() };
        Account::new(caller, key, subject, base_url)
    }

    /// The requests under way with a credential.
    fn slots(&self, side: Side, key: &SecretString) -> Arc<Slots> {
        let digest = *blake3::hash(key.expose_secret().as_bytes()).as_bytes();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((side, digest)).or_default())
    }
}

impl Connectors for HttpConnectors {
    fn source(&self, definition: &Definition) -> Result<Arc<dyn Source>, Failure> {
        match definition.source() {
            SourceDefinition::Mailchimp(list) => {
                let limits = (list.simultaneous_requests().max(1), list.request_timeout());
                let account = self.mailchimp_account(
                    definition.id(),
                    list.api_key(),
                    list.base_url(),
                    limits,
                )?;
                let client = mailchimp::Client::new(account, list.list_id());
                let mapping = Mapping::new(definition, list);
                Ok(Arc::new(MailchimpSource::new(client, mapping, list)))
            }
        }
    }

    fn destination(&self, definition: &Definition) -> Result<Arc<dyn Destination>, Failure> {
        match definition.destination() {
            DestinationDefinition::RecordApi(api) => {
                let key = self.secret(api.api_key(), Side::Destination, definition.id())?;
                let timeout = api.request_timeout();
                let slots = SlotRule {
                    slots: self.slots(Side::Destination, &key),
                    limit: api.simultaneous_batches().max(1),
                    at_work: timeout + api.settle(),
                };
                let caller = self.caller(Side::Destination, "the record API", timeout, slots);
                let client = record_api::Client::new(caller, &key, definition, api)?;
                Ok(Arc::new(RecordApiDestination::new(client, definition, api)))
            }
        }
    }
}
