//! Places at which a test stops the loop, before and after each act that others can see.

use crate::{Error, Step};

/// On which side of a step's act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Nothing of the step has happened.
    Before,
    /// The act has happened and nobody has written so yet.
    After,
}

/// Every place, as `control.{step}.{side}`. The list of places is the list of tests.
pub const ALL_CRASH_POINTS: [&str; 30] = [
    "control.store_credentials.before",
    "control.store_credentials.after",
    "control.set_verifier.before",
    "control.set_verifier.after",
    "control.stop_instance.before",
    "control.stop_instance.after",
    "control.obtain_images.before",
    "control.obtain_images.after",
    "control.ensure_instance.before",
    "control.ensure_instance.after",
    "control.await_engine.before",
    "control.await_engine.after",
    "control.bootstrap.before",
    "control.bootstrap.after",
    "control.prove_login.before",
    "control.prove_login.after",
    "control.pause_pooler.before",
    "control.pause_pooler.after",
    "control.hold_clients.before",
    "control.hold_clients.after",
    "control.resume_pooler.before",
    "control.resume_pooler.after",
    "control.await_stopped.before",
    "control.await_stopped.after",
    "control.remove_instance.before",
    "control.remove_instance.after",
    "control.purge_data.before",
    "control.purge_data.after",
    "control.settle.before",
    "control.settle.after",
];

/// The name of a place.
pub(crate) fn name(step: Step, side: Side) -> &'static str {
    let at = Step::ALL.iter().position(|s| *s == step).unwrap_or(0);
    ALL_CRASH_POINTS[at * 2 + usize::from(side == Side::After)]
}

/// What a test does at a place; it is asked at each passing.
#[cfg(test)]
pub(crate) type Trap = std::sync::Arc<dyn Fn(&'static str) -> Result<(), Error> + Send + Sync>;

/// Where the loop may be stopped. Without the feature `failpoints`, and outside tests, it
/// never is.
#[derive(Clone, Default)]
pub(crate) struct Failpoints {
    #[cfg(test)]
    pub(crate) trap: Option<Trap>,
}

impl Failpoints {
    /// Passes a place.
    pub(crate) fn pass(&self, step: Step, side: Side) -> Result<(), Error> {
        let point = name(step, side);
        #[cfg(feature = "failpoints")]
        process::pass(point);
        #[cfg(test)]
        if let Some(trap) = &self.trap {
            return trap(point);
        }
        tracing::trace!(point, "passed");
        Ok(())
    }
}

/// Ends this process as a power cut would, where the environment asks for it.
#[cfg(feature = "failpoints")]
mod process {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// `BERTH_CRASH_AT=point` or `BERTH_CRASH_AT=point:n`: at the first or the n-th passing.
    const CRASH_AT: &str = "BERTH_CRASH_AT";

    pub(super) fn pass(point: &str) {
        static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
        static PASSED: AtomicU64 = AtomicU64::new(0);
        let wanted = WANTED.get_or_init(|| {
            let text = std::env::var(CRASH_AT).ok()?;
            Some(match text.rsplit_once(':') {
                Some((point, times)) => (point.to_owned(), times.parse().unwrap_or(1)),
                None => (text, 1),
            })
        });
        if let Some((name, times)) = wanted
            && name == point
            && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *times
        {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_its_two_places() {
        for step in Step::ALL {
            let before = format!("control.{}.before", step.as_str());
            assert_eq!(name(step, Side::Before), before);
            let after = format!("control.{}.after", step.as_str());
            assert_eq!(name(step, Side::After), after);
        }
    }
}
