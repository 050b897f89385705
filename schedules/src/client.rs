//! The calls: create, describe, update, publish, pause, delete.
//!
//! Two facts about the server (1.29) decide their shape. An update, a pause and a trigger are
//! signals to a workflow: the answer says that the signal was stored, not what became of it, and
//! of signals that fall into one of its tasks the last one wins. And an update with a conflict
//! token that has become stale is answered with success, and dropped. So whoever must have his
//! change describes afterwards and repeats until it shows; publishing, which may be lost, does not.

use std::time::Duration;

use temporalio_client::{
    Client, Connection, NamespacedClient as _,
    grpc::WorkflowService,
    tonic::{Code, Status},
};
use temporalio_common::protos::temporal::api::{
    schedule::v1::{SchedulePatch, ScheduleState},
    workflowservice::v1::{
        CreateScheduleRequest, DeleteScheduleRequest, DescribeScheduleRequest,
        PatchScheduleRequest, UpdateScheduleRequest,
    },
};
use tidemark_model::{ids::ConnectionId, step::Known};
use tidemark_workflows::names;
use tokio::time::Instant;
use uuid::Uuid;

use crate::patience::{Call, Poll, patiently, ping, unless_silent};
use crate::{
    Description, Operation, Pause, Projection, ScheduleError, Standing, Undo,
    pause::{add, note},
};

/// The time after which a change that does not show is sent again: an idle server needs
/// milliseconds, a loaded one longer, so the time doubles.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);
/// When a change that does not show is given up. A scheduler under load takes up to a minute.
const LAST_PATIENCE: Duration = Duration::from_secs(120);
/// The most between two looks while a change is awaited.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

const UPDATE: &str = "update the schedule of";

/// What came of [`ScheduleClient::create`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    Created,
    /// There was a schedule of that id; it is unchanged.
    Exists,
}

/// What came of [`ScheduleClient::publish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Sent. It may still be dropped, if the schedule was changed at the same moment.
    Sent,
    /// Somebody changed the schedule at the same moment; that change stands.
    Stale,
    /// There is no schedule any more.
    Gone,
}

/// A change that is repeated until it shows, made from how the schedule is at that moment.
pub(crate) enum Change<'a> {
    Update { projection: &'a Projection, standing: &'a Standing },
    Patch { operation: &'static str, patch: &'a (dyn Fn(&Description) -> SchedulePatch + Sync) },
}

impl Change<'_> {
    fn operation(&self) -> &'static str {
        match self {
            Self::Update { .. } => UPDATE,
            Self::Patch { operation, .. } => operation,
        }
    }
}

/// Schedules of one namespace. Cheap to clone.
#[derive(Clone)]
pub struct ScheduleClient {
    connection: Connection,
    namespace: String,
    /// `None`: a call has the time that a busy server may need.
    silence_limit: Option<Duration>,
}

impl ScheduleClient {
    /// Over an established connection, for the client's namespace.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self {
            connection: client.connection().clone(),
            namespace: client.namespace(),
            silence_limit: None,
        }
    }

    /// Gives a call up once the server has answered nothing for so long, whatever it is asked: for
    /// those whom a person waits for.
    #[must_use]
    pub fn unless_silent_for(self, limit: Duration) -> Self {
        Self { silence_limit: Some(limit), ..self }
    }

    /// Creates the schedule of a connection that has none: it runs from its next tick on.
    ///
    /// # Errors
    /// Temporal cannot be reached, or refuses it (a search attribute that `setup` did not make).
    pub async fn create(
        &self,
        projection: &Projection,
        standing: &Standing,
    ) -> Result<Created, ScheduleError> {
        let message = CreateScheduleRequest {
            namespace: self.namespace.clone(),
            schedule_id: names::schedule_id(projection.connection()),
            schedule: Some(projection.schedule(ScheduleState::default(), standing)),
            identity: self.identity(),
            request_id: request_id(),
            memo: Some(Projection::memo()),
            search_attributes: Some(projection.search_attributes(standing)),
            ..CreateScheduleRequest::default()
        };
        let created = self.call(WorkflowService::create_schedule, message).await;
        match created {
            Ok(_) => Ok(Created::Created),
            Err(status) if status.code() == Code::AlreadyExists => Ok(Created::Exists),
            Err(status) => {
                let operation = Operation::on("create the schedule of", projection.connection());
                Err(ScheduleError::of(operation)(status))
            }
        }
    }

    /// How the schedule of a connection is.
    ///
    /// # Errors
    /// [`ScheduleError::NotFound`] if there is none; no answer.
    pub async fn describe(&self, connection: &ConnectionId) -> Result<Description, ScheduleError> {
        let message = DescribeScheduleRequest {
            namespace: self.namespace.clone(),
            schedule_id: names::schedule_id(connection),
        };
        let operation = Operation::on("describe the schedule of", connection);
        self.call(WorkflowService::describe_schedule, message)
            .await
            .map(Description::of)
            .map_err(ScheduleError::of(operation))
    }

    /// What the schedule of a connection knows of the commit log; nothing without a schedule.
    ///
    /// # Errors
    /// No answer.
    pub async fn known(&self, connection: &ConnectionId) -> Result<Known, ScheduleError> {
        match self.describe(connection).await {
            Ok(described) => Ok(described.known),
            Err(ScheduleError::NotFound { .. }) => Ok(Known::default()),
            Err(error) => Err(error),
        }
    }

    /// Makes the schedule what the projection says, until it shows. Pauses stay as they are,
    /// also those that come while this is under way.
    ///
    /// # Errors
    /// No such schedule, no answer, or the server did not do it in time.
    pub async fn update(
        &self,
        projection: &Projection,
        standing: &Standing,
    ) -> Result<(), ScheduleError> {
        // The attributes cannot be looked at, so one update is sent in any case.
        let seen = self.describe(projection.connection()).await?;
        if self.send(projection, standing, &seen).await? == Published::Gone {
            return Err(ScheduleError::NotFound { connection: projection.connection().clone() });
        }
        self.until(projection.connection(), Change::Update { projection, standing }, |now| {
            now.matches(projection)
        })
        .await
        .map(drop)
    }

    /// Sends attributes (and the schedule with them) once, on the strength of a description that
    /// the caller looked at before it computed them. If the schedule has been changed since, the
    /// change stands and this is dropped, with or without notice.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn publish(
        &self,
        projection: &Projection,
        standing: &Standing,
        seen: &Description,
    ) -> Result<Published, ScheduleError> {
        self.send(projection, standing, seen).await
    }

    async fn send(
        &self,
        projection: &Projection,
        standing: &Standing,
        seen: &Description,
    ) -> Result<Published, ScheduleError> {
        let message = UpdateScheduleRequest {
            namespace: self.namespace.clone(),
            schedule_id: names::schedule_id(projection.connection()),
            schedule: Some(projection.schedule(seen.state(), standing)),
            conflict_token: seen.token(),
            identity: self.identity(),
            request_id: request_id(),
            search_attributes: Some(projection.search_attributes(standing)),
            ..UpdateScheduleRequest::default()
        };
        let sent = self.call(WorkflowService::update_schedule, message).await;
        match sent {
            Ok(_) => Ok(Published::Sent),
            Err(status) if status.code() == Code::FailedPrecondition => Ok(Published::Stale),
            Err(status) if status.code() == Code::NotFound => Ok(Published::Gone),
            Err(status) => {
                Err(ScheduleError::of(Operation::on(UPDATE, projection.connection()))(status))
            }
        }
    }

    /// Adds a pause to those in force, until it shows. A run that is under way goes on.
    ///
    /// # Errors
    /// A pause that cannot be written down, no such schedule, no answer, or the server did not do
    /// it in time.
    pub async fn pause(
        &self,
        connection: &ConnectionId,
        pause: &Pause,
    ) -> Result<Description, ScheduleError> {
        pause.check()?;
        let wanted = |now: &Description| add(now.pauses(), pause.clone());
        let patch = |now: &Description| SchedulePatch {
            pause: note(&wanted(now)),
            ..SchedulePatch::default()
        };
        self.until(connection, Change::Patch { operation: "pause", patch: &patch }, |now| {
            now.pauses() == wanted(now)
        })
        .await
    }

    /// Undoes pauses, until it shows. The schedule runs again if none is left, and `note_after`
    /// says from then on who resumed it, why and when: lag counts from there.
    ///
    /// # Errors
    /// No such schedule, no answer, or the server did not do it in time.
    pub async fn resume(
        &self,
        connection: &ConnectionId,
        undo: &Undo,
        note_after: &Pause,
    ) -> Result<Description, ScheduleError> {
        note_after.check()?;
        let patch = |now: &Description| {
            let left = undo.apply(now.pauses());
            if left.is_empty() {
                let unpause = note(std::slice::from_ref(note_after));
                SchedulePatch { unpause, ..SchedulePatch::default() }
            } else {
                SchedulePatch { pause: note(&left), ..SchedulePatch::default() }
            }
        };
        self.until(connection, Change::Patch { operation: "resume", patch: &patch }, |now| {
            undo.apply(now.pauses()) == now.pauses()
        })
        .await
    }

    /// Deletes the schedule; runs that are under way go on. One that is gone already is success.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn delete(&self, connection: &ConnectionId) -> Result<(), ScheduleError> {
        let message = DeleteScheduleRequest {
            namespace: self.namespace.clone(),
            schedule_id: names::schedule_id(connection),
            identity: self.identity(),
        };
        let deleted = self.call(WorkflowService::delete_schedule, message).await;
        match deleted {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => Ok(()),
            Err(status) => {
                let operation = Operation::on("delete the schedule of", connection);
                Err(ScheduleError::of(operation)(status))
            }
        }
    }

    /// Sends a change and looks until it shows; sends it again, made from what was seen last, if
    /// it does not. Nothing is sent if it shows at once.
    pub(crate) async fn until(
        &self,
        connection: &ConnectionId,
        change: Change<'_>,
        shows: impl Fn(&Description) -> bool,
    ) -> Result<Description, ScheduleError> {
        let deadline = Instant::now() + LAST_PATIENCE;
        let mut patience = FIRST_PATIENCE;
        let mut now = self.describe(connection).await?;
        while !shows(&now) {
            if Instant::now() >= deadline {
                return Err(ScheduleError::NotDone {
                    operation: Operation::on(change.operation(), connection),
                    waited: LAST_PATIENCE,
                });
            }
            self.request_change(connection, &change, &now).await?;
            let sent = Instant::now();
            let mut poll = Poll::default();
            loop {
                now = self.describe(connection).await?;
                if shows(&now) || sent.elapsed() >= patience {
                    break;
                }
                poll.pause(LOOK_INTERVAL).await;
            }
            patience *= 2;
        }
        Ok(now)
    }

    async fn request_change(
        &self,
        connection: &ConnectionId,
        change: &Change<'_>,
        now: &Description,
    ) -> Result<(), ScheduleError> {
        match change {
            // If somebody was faster, the next attempt is made with the new token.
            Change::Update { projection, standing } => {
                self.send(projection, standing, now).await.map(drop)
            }
            Change::Patch { operation, patch } => {
                let message = PatchScheduleRequest {
                    namespace: self.namespace.clone(),
                    schedule_id: names::schedule_id(connection),
                    patch: Some(patch(now)),
                    identity: self.identity(),
                    request_id: request_id(),
                };
                self.call(WorkflowService::patch_schedule, message)
                    .await
                    .map(drop)
                    .map_err(ScheduleError::of(Operation::on(operation, connection)))
            }
        }
    }

    /// Makes a call, [`patiently`] and [unless the server is silent](unless_silent).
    pub(crate) async fn call<M: Clone, T>(
        &self,
        call: Call<dyn WorkflowService, M, T>,
        message: M,
    ) -> Result<T, Status> {
        let mut service = self.connection.workflow_service();
        // A request may be large, and those who call have futures of their own.
        let work = Box::pin(patiently(&mut *service, call, message));
        let Some(limit) = self.silence_limit else { return work.await };
        unless_silent(limit, || ping(self.connection.clone()), work)
            .await
            .unwrap_or_else(|| Err(Status::unavailable(format!("no answer within {limit:?}"))))
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    fn identity(&self) -> String {
        self.connection.identity().to_owned()
    }
}

/// By this the server knows a request that the transport repeated.
fn request_id() -> String {
    Uuid::new_v4().to_string()
}
