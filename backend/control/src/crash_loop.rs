//! When an instance that keeps going down stops being bad luck.

use berth_domain::Timestamp;
use std::collections::VecDeque;

/// How many times an instance may go down within [`WINDOW_MINUTES`] before that is an error.
const FALLS_MAX: usize = 5;
/// The minutes within which the falls are counted.
const WINDOW_MINUTES: i64 = 10;

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

    /// The sentence to tell when it went down too often; none when it did not.
    pub fn verdict(&self, now: Timestamp) -> Option<String> {
        let window_millis = WINDOW_MINUTES * 60_000;
        let lately = self
            .0
            .iter()
            .filter(|at| at.as_millis().saturating_add(window_millis) > now.as_millis())
            .count();
        (lately >= FALLS_MAX).then(|| {
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
    fn five_falls_in_ten_minutes_are_a_loop_and_time_heals() {
        let mut falls = Falls::default();
        let minute = |n: i64| Timestamp::from_millis(n * 60_000);
        for n in 0..4 {
            falls.note(minute(n));
        }
        assert_eq!(falls.verdict(minute(4)), None);
        falls.note(minute(4));
        assert!(falls.verdict(minute(4)).is_some());
        assert_eq!(falls.verdict(minute(10)), None);
    }
}
