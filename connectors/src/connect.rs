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
use tidemark_engine::port::{Connectors, Destination, Source, SystemClock};
use tidemark_model::{
    definition::{Definition, DestinationDefinition, SourceDefinition},
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    secret::{SecretLookup, SecretRef},
};

use crate::{
    http::{Caller, SlotRule, Slots},
    mailchimp::{self, MailchimpSource, Mapping, SERVER_GIVES_UP_AFTER, Subject, VisibleList},
    record_api::{self, RecordApiDestination},
};

/// When an address that does not answer at all is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Makes sources and destinations that are reached by HTTP. One for each process: what they share
/// is the pool of connections, and how many requests each credential has under way.
pub struct HttpConnectors {
    http: reqwest::Client,
    secrets: Box<dyn SecretLookup + Send + Sync>,
    /// By the credential's digest, so that no secret is kept as a key.
    slots: Mutex<HashMap<[u8; 32], Arc<Slots>>>,
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
        let http = reqwest::Client::builder()
            .user_agent(concat!("tidemark/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirect would take the credential to another address.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| {
                let message = "the HTTP client cannot be set up";
                Failure::new(FailureKind::Invalid, Side::Platform, message).caused_by(&error)
            })?;
        Ok(Self { http, secrets: Box::new(secrets), slots: Mutex::default() })
    }

    /// The lists that a Mailchimp key can see. `connection` is only named in messages; without
    /// `base_url` the key's own data centre is asked.
    ///
    /// # Errors
    /// The key cannot be resolved or is refused, or no answer.
    pub async fn mailchimp_lists(
        &self,
        connection: &ConnectionId,
        api_key: &SecretRef,
        base_url: Option<&Url>,
    ) -> Result<Vec<VisibleList>, Failure> {
        let key = self.secret(api_key, Side::Source, connection)?;
        let caller = Caller {
            side: Side::Source,
            system: "Mailchimp",
            timeout: SERVER_GIVES_UP_AFTER,
            slots: None,
        };
        let subject = Subject { connection: connection.clone(), key: api_key.clone() };
        let http = self.http.clone();
        let client = mailchimp::Client::without_list(http, caller, key, subject, base_url)?;
        mailchimp::visible(&client, &SystemClock::default()).await
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

    /// The requests under way with a credential.
    fn slots(&self, key: &SecretString) -> Arc<Slots> {
        let digest = *blake3::hash(key.expose_secret().as_bytes()).as_bytes();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(digest).or_default())
    }
}

impl Connectors for HttpConnectors {
    fn source(&self, definition: &Definition) -> Result<Arc<dyn Source>, Failure> {
        match definition.source() {
            SourceDefinition::Mailchimp(list) => {
                let key = self.secret(list.api_key(), Side::Source, definition.id())?;
                let caller = Caller {
                    side: Side::Source,
                    system: "Mailchimp",
                    timeout: list.request_timeout(),
                    slots: Some(SlotRule {
                        slots: self.slots(&key),
                        limit: list.simultaneous_requests().max(1),
                        at_work: SERVER_GIVES_UP_AFTER,
                    }),
                };
                let client =
                    mailchimp::Client::new(self.http.clone(), caller, key, definition, list)?;
                let mapping = Mapping::new(definition, list);
                Ok(Arc::new(MailchimpSource::new(client, mapping, list)))
            }
        }
    }

    fn destination(&self, definition: &Definition) -> Result<Arc<dyn Destination>, Failure> {
        match definition.destination() {
            DestinationDefinition::RecordApi(api) => {
                let key = self.secret(api.api_key(), Side::Destination, definition.id())?;
                let caller = Caller {
                    side: Side::Destination,
                    system: "the record API",
                    timeout: api.request_timeout(),
                    slots: None,
                };
                let client =
                    record_api::Client::new(self.http.clone(), caller, &key, definition, api)?;
                Ok(Arc::new(RecordApiDestination::new(client, definition, api)))
            }
        }
    }
}
