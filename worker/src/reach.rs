//! Whether Temporal is within reach: asked at intervals, told to whoever asks for the worker's health.

use std::time::Duration;

use temporalio_client::{
    Client, NamespacedClient as _, RetryOptions,
    grpc::WorkflowService as _,
    request_extensions::RetryConfigForCall,
    tonic::{IntoRequest as _, Status},
};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use tokio::{sync::watch, time::Instant};

/// When Temporal answered last.
#[derive(Clone)]
pub(crate) struct Reach {
    answered: watch::Receiver<Instant>,
    patience: Duration,
}

impl Reach {
    /// For how long there was no answer, if that is too long.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        let silence = self.answered.borrow().elapsed();
        (silence >= self.patience).then_some(silence)
    }
}

/// Watches whether a server answers. The future asks every `interval`, for as long as it is
/// polled; a silence of `patience` is too long. It begins with an answer: a worker that starts has
/// just talked to its server.
pub(crate) fn observe<A>(
    interval: Duration,
    patience: Duration,
    mut ask: impl FnMut() -> A,
) -> (Reach, impl Future<Output = ()>)
where
    A: Future<Output = Result<(), Status>>,
{
    let (told, answered) = watch::channel(Instant::now());
    let asking = async move {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let asked_at = Instant::now();
            match ask().await {
                Ok(()) => {
                    told.send_replace(asked_at);
                }
                Err(status) => tracing::debug!(error = %status, "temporal did not answer"),
            }
        }
    };
    (Reach { answered, patience }, asking)
}

/// One question about the worker's own namespace, without a second try.
pub(crate) async fn ask(client: Client, timeout: Duration) -> Result<(), Status> {
    let mut request =
        DescribeNamespaceRequest { namespace: client.namespace(), ..Default::default() }
            .into_request();
    request.set_timeout(timeout);
    request.extensions_mut().insert(RetryConfigForCall(RetryOptions::no_retries()));
    let mut service = client;
    // The transport may wait for a connection without looking at the request's own limit.
    match tokio::time::timeout(timeout, service.describe_namespace(request)).await {
        Ok(answer) => answer.map(drop),
        Err(_) => Err(Status::deadline_exceeded("no answer in time")),
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, pin::pin};

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(4);
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn silence_is_told_after_a_while_and_ends_with_the_next_answer() {
        let answers = Cell::new(true);
        let ask = || {
            std::future::ready(match answers.get() {
                true => Ok(()),
                false => Err(Status::unavailable("nobody is there")),
            })
        };
        let (reach, asking) = observe(INTERVAL, PATIENCE, ask);
        let story = async {
            tokio::time::sleep(PATIENCE * 3).await;
            assert_eq!(reach.silent_for(), None, "it answers");
            answers.set(false);
            tokio::time::sleep(PATIENCE - INTERVAL * 2).await;
            assert_eq!(reach.silent_for(), None, "that may happen");
            tokio::time::sleep(INTERVAL * 4).await;
            assert!(reach.silent_for().is_some_and(|silence| silence >= PATIENCE));
            answers.set(true);
            tokio::time::sleep(INTERVAL * 2).await;
            assert_eq!(reach.silent_for(), None, "it answers again");
        };
        tokio::select! {
            () = pin!(asking) => unreachable!("it asks for ever"),
            () = story => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_hangs_is_silence() {
        let (reach, asking) = observe(INTERVAL, PATIENCE, std::future::pending);
        tokio::select! {
            () = asking => unreachable!("it asks for ever"),
            () = tokio::time::sleep(PATIENCE) => assert!(reach.silent_for().is_some()),
        }
    }
}
