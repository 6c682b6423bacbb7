//! Runs an author's code so that nothing it does can lose an object.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::ProviderServer;
use crate::diagnostics::{Diagnostic, Diagnostics, Outcome};
use crate::resource::{ClientCapabilities, Context};

/// How long after its deadline a handler may still run before it is abandoned.
const ABANDON_AFTER_SECONDS: u64 = 60;

impl ProviderServer {
    pub(super) fn context(&self, limit: Duration, capabilities: ClientCapabilities) -> Context {
        let now = Instant::now();
        // A limit beyond what the clock can hold is no limit within a lifetime.
        const FAR_SECONDS: u64 = 366 * 24 * 3_600;
        let far = Duration::from_secs(FAR_SECONDS);
        Context {
            stop: self.stop_token(),
            limit,
            deadline: now + limit.min(far),
            capabilities,
        }
    }
}

/// Runs `handler` to its end. A panic becomes an error, and so does a handler that is still
/// running well after its deadline; what it has left in its response stays.
pub(super) async fn run<T>(
    what: &str,
    context: &Context,
    handler: impl Future<Output = Outcome<T>>,
) -> Outcome<T> {
    let abandon_at = context.deadline + Duration::from_secs(ABANDON_AFTER_SECONDS);
    run_until(abandon_at, what, context.limit, context.scope(handler)).await
}

async fn run_until<T>(
    abandon_at: Instant,
    what: &str,
    limit: Duration,
    handler: impl Future<Output = Outcome<T>>,
) -> Outcome<T> {
    let caught = AssertUnwindSafe(handler).catch_unwind();
    match tokio::time::timeout_at(abandon_at, caught).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(panicked(what, &*panic).into()),
        Err(_) => Err(Diagnostic::error(
            "Operation took too long",
            format!(
                "To {what} was to take at most {} seconds. It did not end, and was abandoned.",
                limit.as_secs()
            ),
        )
        .into()),
    }
}

/// As [`run`], for handlers without a deadline.
pub(super) async fn run_unlimited<T>(what: &str, handler: impl Future<Output = T>) -> Outcome<T> {
    let caught = AssertUnwindSafe(handler).catch_unwind().await;
    caught.map_err(|panic| panicked(what, &*panic).into())
}

/// As [`run`], for what does not wait.
pub(super) fn run_now<T>(what: &str, handler: impl FnOnce() -> T) -> Outcome<T> {
    std::panic::catch_unwind(AssertUnwindSafe(handler))
        .map_err(|panic| panicked(what, &*panic).into())
}

/// The message of a panic is not shown: it may hold any value the provider was working on.
/// The panic hook has it, with what may not be seen masked.
fn panicked(what: &str, _panic: &(dyn Any + Send)) -> Diagnostic {
    Diagnostic::error(
        "Provider failed unexpectedly",
        format!(
            "The provider tried to {what} and panicked. This is a bug in the provider; its log \
             has the details. What is known of the object was kept."
        ),
    )
}

/// Adds what a handler returned to what it collected.
pub(super) fn collect(outcome: Outcome, diagnostics: &mut Diagnostics) {
    if let Err(errors) = outcome {
        let told = errors.has_errors();
        diagnostics.append(errors);
        if !told && !diagnostics.has_errors() {
            diagnostics.push(Diagnostic::error(
                "Operation failed",
                "The provider reported a failure without saying what failed.",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handler_that_never_ends_is_abandoned() {
        let never = std::future::pending::<Outcome>();
        let limit = Duration::from_secs(5);
        let errors = run_until(Instant::now(), "wait", limit, never)
            .await
            .unwrap_err();
        assert!(errors.to_string().contains("at most 5 seconds"), "{errors}");
    }

    #[tokio::test]
    async fn a_failure_without_a_word_is_a_failure() {
        let mut diagnostics = Diagnostics::new();
        collect(Err(Diagnostics::new()), &mut diagnostics);
        assert!(diagnostics.has_errors());
    }
}
