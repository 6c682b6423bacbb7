//! An answer of the store that holds while nothing is written.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Seconds after which an answer is asked for again all the same: a commit whose answer got
/// lost was not told of.
const SECONDS_MAX: u64 = 10;

/// The last answer, and the version of the store that it was true for.
#[derive(Debug)]
pub(crate) struct Known<T>(Mutex<Option<(i64, Instant, T)>>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Known<T> {
    /// The answer, when it still holds at `version`.
    pub(crate) fn at(&self, version: i64) -> Option<T> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .filter(|(of, asked, _)| {
                *of == version && asked.elapsed() < Duration::from_secs(SECONDS_MAX)
            })
            .map(|(_, _, answer)| answer.clone())
    }

    /// Keeps an answer that was asked for when the store was at `version`.
    pub(crate) fn keep(&self, version: i64, answer: T) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((version, Instant::now(), answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_for_its_version_only() {
        let known = Known::default();
        assert_eq!(known.at(1), None);
        known.keep(1, "a");
        assert_eq!(known.at(1), Some("a"));
        assert_eq!(known.at(2), None);
    }
}
