//! When an instance that keeps going down stops being bad luck.

use berth_domain::Timestamp;
use std::collections::VecDeque;

/// How many times an instance may go down within [`WINDOW_MINUTES`] before that is an error.
const FALLS_MAX: usize = 5;
/// The minutes within which the falls are counted.
const WINDOW_MINUTES: i64 = 10;
/// Seconds for which it must have stayed up to be believed again.
const CALM_SECONDS: i64 = 60;

/// The times at which one instance went down lately; at most [`FALLS_MAX`] are kept.
#[derive(Debug, Default)]
pub struct Falls(VecDeque<Timestamp>);

impl Falls {
    /// Takes note that it went down at `now`.
    pub fn note(&mut self, now: Timestamp) {
        self.0.push_back(now);
        if self.0.len() > FALLS_MAX {
            self.0.pop_front();
        }
    }

    /// The sentence to tell when it went down too often; none when it did not, or has stayed
    /// up since.
    pub fn verdict(&self, now: Timestamp) -> Option<String> {
        let window_millis = WINDOW_MINUTES * 60_000;
        let lately = self
            .0
            .iter()
            .filter(|at| at.as_millis().saturating_add(window_millis) > now.as_millis())
            .count();
        let restless = self
            .0
            .back()
            .is_some_and(|last| last.plus_seconds(CALM_SECONDS) > now);
        (restless && lately >= FALLS_MAX).then(|| {
            format!(
                "it went down {lately} times within {WINDOW_MINUTES} minutes; it is still being restarted, and its log tells more"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_falls_in_ten_minutes_are_a_loop_and_a_calm_minute_heals() {
        let mut falls = Falls::default();
        let minute = |n: i64| Timestamp::from_millis(n * 60_000);
        for n in 0..4 {
            falls.note(minute(n));
        }
        assert_eq!(falls.verdict(minute(3)), None);
        falls.note(minute(4));
        assert!(falls.verdict(minute(4)).is_some());
        assert_eq!(falls.verdict(minute(5)), None);
    }

    #[test]
    fn falls_that_are_far_apart_are_no_loop() {
        let mut falls = Falls::default();
        for n in 0..10 {
            let now = Timestamp::from_millis(n * 3 * 60_000);
            falls.note(now);
            assert_eq!(falls.verdict(now), None);
        }
    }
}
