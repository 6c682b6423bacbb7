//! Waiting for what an order leads to, also over a time in which the backend is away.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use berth_api::Operation;
use berth_plugin::resource::Context;
use reqwest::Method;

use super::transport::Request;
use super::{Client, Error, Shared};

/// How long one question after an operation waits at the server.
const OPERATION_WAIT_SECONDS: u64 = 30;
/// The pause before asking again after an operation that is not done, so that a server that
/// does not wait is not asked in a circle.
const OPERATION_PAUSE_MILLIS: u64 = 100;
/// The pause before a backend that is away is asked again about what it has accepted.
const AWAY_PAUSE_SECONDS: u64 = 1;
/// How often a change that was superseded is followed to the one that came after it.
const SUPERSEDED_MAX: u32 = 10;

impl Client {
    /// Waits until what was asked of the database is done, following operations that were
    /// superseded. Ends early when the user asks to stop or the call's time is over, and not
    /// because the backend is away for a while.
    ///
    /// `act` says what is waited for: `creating database orders`.
    pub async fn wait(
        &self,
        act: &str,
        id: &str,
        operation: Option<String>,
        context: &Context,
    ) -> Result<(), Shared> {
        let away = Away::default();
        let followed = within(context, act, self.follow(act, id, operation, &away)).await;
        followed.map_err(|error| away.explains(error))
    }

    /// Asks until there is an answer, however long the backend is away: for what has to be
    /// asked once an order is accepted. Ends early as [`Client::wait`] does.
    pub async fn outlast<T, F>(
        &self,
        act: &str,
        context: &Context,
        ask: impl Fn() -> F,
    ) -> Result<T, Shared>
    where
        F: Future<Output = Result<T, Shared>>,
    {
        let away = Away::default();
        let answered = within(context, act, away.outlast(ask)).await;
        answered.map_err(|error| away.explains(error))
    }

    async fn follow(
        &self,
        act: &str,
        id: &str,
        mut operation: Option<String>,
        away: &Away,
    ) -> Result<(), Shared> {
        for _ in 0..SUPERSEDED_MAX {
            let Some(current) = operation.take() else {
                return Ok(());
            };
            let ended = self.await_operation(act, &current, away).await?;
            match ended.state.as_str() {
                "succeeded" => return Ok(()),
                "superseded" => {
                    let next = match away.outlast(|| self.database(id, None)).await {
                        Ok(database) => database.operation_id,
                        Err(error) if error.is_absence() => None,
                        Err(error) => return Err(error),
                    };
                    operation = next.filter(|next| *next != current);
                }
                _ => return Err(Arc::new(failed(act, ended))),
            }
        }
        Ok(())
    }

    /// Asks until the operation has ended; the caller bounds the time.
    async fn await_operation(
        &self,
        act: &str,
        operation: &str,
        away: &Away,
    ) -> Result<Operation, Shared> {
        let path = ["v1", "operations", operation];
        let ask = || {
            let request = Request::new(act, Method::GET, &path);
            self.send(request.wait(Duration::from_secs(OPERATION_WAIT_SECONDS)))
        };
        loop {
            let operation: Operation = away.outlast(ask).await?;
            if operation.state != "pending" {
                return Ok(operation);
            }
            tracing::info!(
                operation = operation.id,
                step = operation.step,
                attempt = operation.attempt,
                "still working"
            );
            tokio::time::sleep(Duration::from_millis(OPERATION_PAUSE_MILLIS)).await;
        }
    }
}

/// Why the backend was last found to be away, while it is waited for.
#[derive(Debug, Default)]
struct Away(Mutex<Option<Shared>>);

impl Away {
    fn last(&self) -> MutexGuard<'_, Option<Shared>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks until there is an answer; the caller bounds the time. What a backend has accepted
    /// goes on after a restart, so that nobody may take its absence for a failure.
    async fn outlast<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Shared>
    where
        F: Future<Output = Result<T, Shared>>,
    {
        loop {
            match ask().await {
                Err(error) if error.is_passing() => {
                    tracing::warn!(%error, "asking again until the time is over");
                    *self.last() = Some(error);
                    tokio::time::sleep(Duration::from_secs(AWAY_PAUSE_SECONDS)).await;
                }
                answered => {
                    *self.last() = None;
                    return answered;
                }
            }
        }
    }

    /// The error with which the waiting ended, with what kept it from an answer.
    fn explains(&self, ended: Shared) -> Shared {
        match self.last().take() {
            Some(source) => Arc::new(Error::Away { ended, source }),
            None => ended,
        }
    }
}

/// Does `work`, unless the user asks to stop or the call's time is over before it is done.
/// Only for work that may be left at any point.
pub async fn within<T, E: From<Error>>(
    context: &Context,
    act: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::select! {
        // What the work itself says of its end says more.
        biased;
        done = work => done,
        () = context.stop.cancelled() => Err(Error::Stopped { act: act.to_owned() }.into()),
        () = tokio::time::sleep_until(context.deadline) => Err(Error::TooLong {
            act: act.to_owned(),
            seconds: context.limit.as_secs(),
        }
        .into()),
    }
}

fn failed(act: &str, operation: Operation) -> Error {
    let message = operation
        .failure
        .map_or_else(|| format!("{act} failed"), |failure| failure.message);
    Error::Operation {
        act: act.to_owned(),
        operation: operation.id,
        message,
    }
}
