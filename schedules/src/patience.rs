//! Calls of Temporal's services that a busy server may refuse for a while.

use std::time::Duration;

use futures::future::BoxFuture;
use temporalio_client::{
    Connection,
    tonic::{Code, IntoRequest as _, Request, Response, Status},
};
use temporalio_common::protos::temporal::api::workflowservice::v1::GetSystemInfoRequest;
use tokio::time::{Instant, sleep, timeout};

/// A request that takes longer is given up; the server's own limit for it is 10 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server that says that it is too busy is asked again: a scheduler under load has no
/// room for further questions for seconds.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);
/// The most between two questions to a busy server.
const BUSY_INTERVAL: Duration = Duration::from_secs(2);

/// A call of a service.
pub type Call<S, M, T> =
    for<'s> fn(&'s mut S, Request<M>) -> BoxFuture<'s, Result<Response<T>, Status>>;

/// Calls, and calls again for a while as long as the server says that it is too busy: nothing was
/// done then. The transport below repeats nothing.
pub async fn patiently<S: ?Sized, M: Clone, T>(
    service: &mut S,
    call: Call<S, M, T>,
    message: M,
) -> Result<T, Status> {
    let deadline = Instant::now() + BUSY_PATIENCE;
    let mut poll = Poll::default();
    loop {
        match call(service, request(message.clone())).await {
            Err(status)
                if status.code() == Code::ResourceExhausted && Instant::now() < deadline =>
            {
                poll.pause(BUSY_INTERVAL).await;
            }
            done => return done.map(Response::into_inner),
        }
    }
}

/// A request with its time limit.
fn request<T>(message: T) -> Request<T> {
    let mut request = message.into_request();
    request.set_timeout(REQUEST_TIMEOUT);
    request
}

/// Does work with a server for as long as the server is there. While the work takes long, `ask` asks
/// a question that costs the server nothing: a busy server needs long for a request, and one that is
/// not there answers nothing at all. `None` if no question was answered for `limit`.
pub async fn unless_silent<T, A: Future>(
    limit: Duration,
    ask: impl Fn() -> A,
    work: impl Future<Output = T>,
) -> Option<T> {
    let half = limit / 2;
    let silence = async {
        loop {
            sleep(half).await;
            if timeout(half, ask()).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        // An answer that comes at the last moment is one.
        biased;
        done = work => Some(done),
        () = silence => None,
    }
}

/// The question of [`unless_silent`]. An error is an answer too: the work meets it as well.
pub async fn ping(connection: Connection) {
    let request = GetSystemInfoRequest::default().into_request();
    drop(connection.workflow_service().get_system_info(request).await);
}

/// Pauses between looks at something that changes soon: 10 ms, then twice as long each time.
pub struct Poll(Duration);

impl Default for Poll {
    fn default() -> Self {
        Self(Duration::from_millis(10))
    }
}

impl Poll {
    pub async fn pause(&mut self, longest: Duration) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Operation, ScheduleError};

    /// Refuses so many calls with a code, and counts them all.
    struct Server {
        refusals: u32,
        code: Code,
        call_count: u32,
    }

    impl Server {
        fn new(refusals: u32, code: Code) -> Self {
            Self { refusals, code, call_count: 0 }
        }

        fn call(&mut self, _: Request<()>) -> BoxFuture<'_, Result<Response<u32>, Status>> {
            self.call_count += 1;
            let answer = if self.call_count > self.refusals {
                Ok(Response::new(self.call_count))
            } else {
                Err(Status::new(self.code, "query buffer is full"))
            };
            Box::pin(std::future::ready(answer))
        }

        async fn ask(&mut self) -> Result<u32, ScheduleError> {
            let operation =
                Operation::on("describe the schedule of", &"acme/news".parse().unwrap());
            patiently(self, Self::call, ()).await.map_err(ScheduleError::of(operation))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_server_is_asked_again() {
        let mut server = Server::new(5, Code::ResourceExhausted);
        assert_eq!(server.ask().await.unwrap(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stays_busy_is_given_up_and_the_error_names_the_connection() {
        let mut server = Server::new(u32::MAX, Code::ResourceExhausted);
        let error = server.ask().await.unwrap_err();
        assert!(matches!(error, ScheduleError::Busy { .. }), "{error:?}");
        assert_eq!(error.to_string(), "temporal is too busy to describe the schedule of acme/news");
        let calls = server.call_count;
        assert!((10..30).contains(&calls), "{calls} calls");
    }

    /// Takes longer than any limit of these tests.
    async fn work() -> u32 {
        sleep(Duration::from_secs(60)).await;
        7
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_answers_nothing_is_given_up_at_the_limit() {
        let (limit, began_at) = (Duration::from_secs(4), Instant::now());
        let done = unless_silent(limit, std::future::pending::<()>, work()).await;
        assert_eq!(done, None);
        assert_eq!(began_at.elapsed().as_secs(), limit.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_answers_questions_may_take_its_time() {
        let limit = Duration::from_secs(4);
        let slow = || sleep(limit / 4);
        assert_eq!(unless_silent(limit, slow, work()).await, Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_falls_silent_later_is_given_up_as_well() {
        let (limit, began_at) = (Duration::from_secs(4), Instant::now());
        let ask = || {
            let there = began_at.elapsed() < Duration::from_secs(20);
            async move {
                if !there {
                    std::future::pending::<()>().await;
                }
            }
        };
        assert_eq!(unless_silent(limit, ask, work()).await, None);
        assert!(began_at.elapsed() < Duration::from_secs(20) + limit);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_else_is_repeated() {
        for code in [Code::Unavailable, Code::InvalidArgument, Code::NotFound] {
            let mut server = Server::new(1, code);
            server.ask().await.unwrap_err();
            assert_eq!(server.call_count, 1, "{code:?}");
        }
    }
}
