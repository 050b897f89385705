//! What a verb works with: the store and Temporal, opened when they are first needed.

use std::time::Duration;

use jiff::Timestamp;
use temporalio_client::envconfig::LoadClientConfigProfileOptions;
use temporalio_client::tonic::Status;
use temporalio_client::{
    Client, ClientOptions, ConnectionOptions, NamespacedClient as _, RetryOptions,
};
use tidemark_engine::definitions::{self, StoreIdentity};
use tidemark_engine::freshness::{Look, Subject};
use tidemark_engine::log::Log;
use tidemark_engine::store::Store;
use tidemark_model::ids::ConnectionId;
use tidemark_schedules::connect::{ConnectError, connect_to};
use tidemark_schedules::patience::{ping, unless_silent};
use tidemark_schedules::{
    Description, Links, RunRef, ScheduleClient, ScheduleError, ScheduleFilter, is_lost,
};
use tidemark_workflows::names;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use uuid::Uuid;

use crate::cli::Place;
use crate::error::Error;
use crate::run::Ending;
use crate::ui::Ui;

/// Whoever waits at a terminal is told within five seconds that Temporal does not answer.
const SILENCE_LIMIT: Duration = Duration::from_secs(4);

/// A request that fails is repeated for so long: a server that restarts is not noticed.
pub(crate) const REPEAT_LIMIT: Duration = Duration::from_secs(4);

/// An object store repeats its own requests for minutes; a person is told sooner.
const STORE_LIMIT: Duration = Duration::from_secs(10);

/// The places that one call of the program works with.
pub(crate) struct Session {
    place: Place,
    ui: Ui,
    store: OnceCell<Store>,
    temporal: OnceCell<Temporal>,
}

/// A namespace of a Temporal server.
pub(crate) struct Temporal {
    pub(crate) client: Client,
    pub(crate) schedules: ScheduleClient,
    pub(crate) address: String,
    pub(crate) namespace: String,
}

impl Session {
    pub(crate) fn new(place: Place, ui: Ui) -> Self {
        Self { place, ui, store: OnceCell::new(), temporal: OnceCell::new() }
    }

    /// The same places, but for the store.
    pub(crate) fn at(&self, store: &str) -> Self {
        Self::new(Place { store: Some(store.to_owned()), ..self.place.clone() }, self.ui)
    }

    /// The process's streams.
    pub(crate) fn ui(&self) -> Ui {
        self.ui
    }

    /// The task queue that workers poll.
    pub(crate) fn task_queue(&self) -> &str {
        self.place.task_queue.as_deref().unwrap_or(names::DEFAULT_TASK_QUEUE)
    }

    /// The store, once it is known to belong to the namespace that the settings name.
    ///
    /// # Errors
    /// None is named, it is somebody else's, or it does not answer.
    pub(crate) async fn store(&self) -> Result<&Store, Error> {
        self.store
            .get_or_try_init(|| async {
                let store = Store::open(self.store_address()?)?;
                let (_, client) = settings()?;
                within_limit(&store, definitions::verify(&store, &client.namespace)).await??;
                Ok(store)
            })
            .await
    }

    /// The id that the store got when it was set up.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub(crate) async fn store_id(&self) -> Result<Uuid, Error> {
        let store = self.store().await?;
        let (_, client) = settings()?;
        Ok(definitions::verify(store, &client.namespace).await?.store_id)
    }

    /// Looks at an account or a connection in the store, as the freshness gate does. `known` is what
    /// the last look showed.
    ///
    /// # Errors
    /// As [`store`](Self::store), or the store's.
    pub(crate) async fn look(&self, subject: &Subject, known: &[Look]) -> Result<Vec<Look>, Error> {
        let store = self.store().await?;
        Ok(within_limit(store, subject.look(store, known)).await??)
    }

    /// The error for an account or a connection that the store does not know. Temporal is not asked.
    pub(crate) async fn unknown_subject(&self, subject: &Subject) -> Error {
        match self.unknown_in_store(subject).await {
            Ok(error) | Err(error) => error,
        }
    }

    async fn unknown_in_store(&self, subject: &Subject) -> Result<Error, Error> {
        let store = self.store().await?;
        let known = definitions::connections(store).await?;
        Ok(match subject {
            Subject::Account(account) => {
                let accounts = known.iter().map(ConnectionId::account);
                let others = accounts.filter(|other| other != account);
                Error::NoAccount { account: account.clone(), nearest: nearest(account, others) }
            }
            Subject::Connection(id) => match definitions::newest(&store.connection(id)).await? {
                Some(removed) => self.removed(id, removed.applied_at).await,
                None => {
                    Error::NoConnection { id: id.clone(), nearest: nearest(id, known.into_iter()) }
                }
            },
        })
    }

    /// The error for a connection that was removed, whose log may have been erased.
    pub(crate) async fn removed(&self, id: &ConnectionId, at: Timestamp) -> Error {
        let nothing_left = match self.store().await {
            Ok(store) => {
                let log = Log::open(&store.connection(id)).await;
                log.is_ok_and(|log| log.newest_commit().is_none())
            }
            Err(_) => false,
        };
        Error::Removed { id: id.clone(), at, nothing_left }
    }

    /// The namespace that the settings name.
    ///
    /// # Errors
    /// Settings that cannot be used, or no answer within five seconds.
    pub(crate) async fn temporal(&self) -> Result<&Temporal, Error> {
        self.temporal.get_or_try_init(connect).await
    }

    /// Makes the store that of the namespace, unless it is already.
    ///
    /// # Errors
    /// It is another's, or the store or Temporal does not answer.
    pub(crate) async fn claim_store(&self) -> Result<Store, Error> {
        let temporal = self.temporal().await?;
        let store = Store::make(self.store_address()?)?;
        let identity = StoreIdentity {
            namespace: temporal.namespace.clone(),
            cluster: temporal.schedules.cluster_id().await?,
        };
        within_limit(&store, definitions::claim(&store, &identity)).await??;
        Ok(store)
    }

    fn store_address(&self) -> Result<&str, Error> {
        let address = self.place.store.as_deref().filter(|address| !address.is_empty());
        address.ok_or(Error::NoStore)
    }

    /// Says on stderr where something is about to be changed.
    ///
    /// # Errors
    /// The store or Temporal cannot be used.
    pub(crate) async fn announce(&self) -> Result<(), Error> {
        let temporal = self.temporal().await?;
        let store = self.store().await?;
        self.ui.note(&format!(
            "store {}, namespace {} at {}",
            store.url(),
            temporal.namespace,
            temporal.address
        ));
        Ok(())
    }

    /// Makes links into the Web UI.
    ///
    /// # Errors
    /// Temporal's settings cannot be used.
    pub(crate) fn links(&self) -> Result<Links, Error> {
        let (_, client) = settings()?;
        Ok(Links::new(self.place.web_ui(), &client.namespace))
    }

    /// The schedule of a connection.
    ///
    /// # Errors
    /// There is no such connection, or no answer.
    pub(crate) async fn schedule(&self, id: &ConnectionId) -> Result<Description, Error> {
        let described = self.temporal().await?.schedules.describe(id).await;
        self.known(id, described).await
    }

    /// Turns "no such schedule" into "no such connection", with the nearest one that exists.
    ///
    /// # Errors
    /// That of `result`.
    pub(crate) async fn known<T>(
        &self,
        id: &ConnectionId,
        result: Result<T, ScheduleError>,
    ) -> Result<T, Error> {
        match result {
            Ok(value) => Ok(value),
            Err(ScheduleError::NotFound { .. }) => Err(self.unknown(id).await),
            Err(error) => Err(error.into()),
        }
    }

    /// The error for a connection that does not exist. A defined one without a schedule is
    /// another matter.
    pub(crate) async fn unknown(&self, id: &ConnectionId) -> Error {
        if let Ok(store) = self.store().await
            && let Ok(Some(stored)) = definitions::newest(&store.connection(id)).await
            && stored.definition.is_some()
        {
            return ScheduleError::NotFound { connection: id.clone() }.into();
        }
        let listed = match self.temporal().await {
            Ok(temporal) => temporal.schedules.list(&ScheduleFilter::default()).await,
            Err(_) => Ok(Vec::new()),
        };
        let ids = listed.into_iter().flatten().map(|listed| listed.connection);
        Error::NoConnection { id: id.clone(), nearest: nearest(id, ids) }
    }

    /// Says on stderr why a run ended that is not green, and who must act.
    pub(crate) fn tell_ending(&self, id: &ConnectionId, run: &RunRef, ending: &Ending) {
        if let Some(error) = ending.error(id, run) {
            self.ui.error(&error);
        }
        if let Ending::Committed { receipt } = ending
            && receipt.exception_count > 0
        {
            self.ui.note(&format!("`tidemark exceptions {id} list` shows what is not in step"));
        }
    }
}

impl Temporal {
    /// Does work with Temporal for as long as Temporal answers anything at all.
    ///
    /// # Errors
    /// It is silent.
    pub(crate) async fn unless_silent<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let ask = || ping(self.client.connection().clone());
        unless_silent(SILENCE_LIMIT, ask, Box::pin(work)).await.ok_or_else(|| silent(&self.address))
    }

    /// What a call that failed means for the caller.
    pub(crate) fn failed_to(&self, operation: &'static str, status: Status) -> Error {
        let source = Box::new(status);
        match source.code() {
            code if is_lost(code) => Error::TemporalLost { address: self.address.clone(), source },
            _ => Error::Temporal { operation, source },
        }
    }
}

async fn connect() -> Result<Temporal, Error> {
    let (mut connection, client) = settings()?;
    let address = connection.target.to_string().trim_end_matches('/').to_owned();
    connection.identity = identity();
    connection.retry_options = RetryOptions::builder().max_elapsed_time(Some(REPEAT_LIMIT)).build();
    let client = timeout(SILENCE_LIMIT, connect_to(connection, client))
        .await
        .map_err(|_| silent(&address))??;
    Ok(Temporal {
        schedules: ScheduleClient::new(&client).unless_silent_for(SILENCE_LIMIT),
        namespace: client.namespace(),
        client,
        address,
    })
}

fn silent(address: &str) -> Error {
    Error::TemporalSilent { address: address.to_owned(), seconds: SILENCE_LIMIT.as_secs() }
}

/// The settings of Temporal's own tools. Their error cannot cross threads, so its text is kept.
pub(crate) fn settings() -> Result<(ConnectionOptions, ClientOptions), Error> {
    ClientOptions::load_from_config(LoadClientConfigProfileOptions::default())
        .map_err(|error| ConnectError::Config { reason: error.to_string() }.into())
}

/// How Temporal shows who asked: the person and the machine.
pub(crate) fn identity() -> String {
    let of = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = of("USER").unwrap_or_else(|| "tidemark".to_owned());
    match of("HOSTNAME") {
        Some(host) => format!("{user}@{host}"),
        None => user,
    }
}

async fn within_limit<T>(store: &Store, work: impl Future<Output = T>) -> Result<T, Error> {
    timeout(STORE_LIMIT, work).await.map_err(|_| Error::StoreSilent {
        url: store.url().to_owned(),
        seconds: STORE_LIMIT.as_secs(),
    })
}

/// The id that is most like the one that was typed, if one is like it at all.
fn nearest<I: AsRef<str>>(id: &I, candidates: impl Iterator<Item = I>) -> Option<I> {
    const LIKE: f64 = 0.85;
    candidates
        .map(|candidate| (strsim::jaro_winkler(id.as_ref(), candidate.as_ref()), candidate))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}
