//! Where the author's code runs: apart from the transport, so that neither waits for the other.

use std::any::Any;
use std::future::{self, Future};
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::task::TaskTracker;

use crate::panics::HANDLER_THREAD;

/// Runs handlers, each in a task of its own on a thread of their own.
///
/// # Guarantees
/// A handler goes on when the call that started it is given up: what it began to create is
/// finished and logged. A panic stays inside it. A handler that blocks its thread delays other
/// handlers, but neither the host's wish to stop nor the end of the process.
#[derive(Clone)]
pub(crate) struct Handlers {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Handle,
    running: TaskTracker,
}

impl Handlers {
    /// To be called inside a runtime, which takes the handlers when no thread can be had.
    pub(crate) fn start() -> Self {
        Self {
            shared: Arc::new(Shared {
                runtime: own_thread().unwrap_or_else(Handle::current),
                running: TaskTracker::new(),
            }),
        }
    }

    /// Runs `handler`, and gives its answer or the panic that ended it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        handler: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Box<dyn Any + Send>> {
        let work = self.shared.running.track_future(handler);
        match self.shared.runtime.spawn(work).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(error
                .try_into_panic()
                .unwrap_or_else(|_| Box::new("the process is ending"))),
        }
    }

    /// Resolves as soon as no handler runs.
    pub(crate) async fn idle(&self) {
        self.shared.running.close();
        self.shared.running.wait().await;
    }
}

fn own_thread() -> Option<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    let handle = runtime.handle().clone();
    // Never joined: when the process ends, its handlers had their time.
    thread::Builder::new()
        .name(HANDLER_THREAD.to_owned())
        .spawn(move || runtime.block_on(future::pending::<()>()))
        .ok()?;
    Some(handle)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_and_the_next_handler_runs() {
        let handlers = Handlers::start();
        let panicked = handlers
            .run(async { panic!("seven is not a number") })
            .await;
        let Err(payload): Result<(), _> = panicked else {
            panic!("a panic was taken for an answer");
        };
        assert_eq!(payload.downcast_ref(), Some(&"seven is not a number"));
        assert_eq!(handlers.run(async { 7 }).await.ok(), Some(7));
    }

    #[tokio::test]
    async fn a_handler_outlives_the_call_that_started_it() {
        let handlers = Handlers::start();
        let (go_on, wait) = oneshot::channel::<()>();
        let (finished, result) = oneshot::channel();
        let call = handlers.run(async move {
            wait.await.unwrap();
            finished.send("created").unwrap();
        });
        // Polled once, so that it has started, and given up.
        tokio::select! {
            biased;
            _ = call => panic!("nothing let it end"),
            () = future::ready(()) => {}
        }
        go_on.send(()).unwrap();
        assert_eq!(result.await.unwrap(), "created");
        handlers.idle().await;
    }

    #[tokio::test]
    async fn a_blocked_handler_does_not_block_the_transport() {
        let handlers = Handlers::start();
        let (unblock, blocked) = std::sync::mpsc::channel::<()>();
        let call = handlers.run(async move { blocked.recv().is_ok() });
        let elsewhere = async { unblock.send(()).unwrap() };
        let (answer, ()) = tokio::join!(call, elsewhere);
        assert_eq!(answer.ok(), Some(true));
    }
}
