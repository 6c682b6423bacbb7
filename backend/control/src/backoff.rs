//! How long to wait before trying again; pure, so that a test can read the whole curve.

/// The wait after the first failure, in milliseconds.
const FIRST_WAIT_MILLIS: i64 = 200;

/// The longest wait between two attempts, in milliseconds, before the jitter.
pub const LONGEST_WAIT_MILLIS: i64 = 30_000;

/// The longest wait while the runtime is silent, in milliseconds, before the jitter. It is
/// shorter than the other: somebody is likely restarting the engine and wants to go on.
pub const LONGEST_SILENCE_WAIT_MILLIS: i64 = 5_000;

/// Milliseconds to wait after the attempt number `attempt` (the first is 1) failed.
///
/// Doubles with each attempt up to `longest_millis`; `jitter`, any random number, spreads it
/// over the last quarter, so that a hundred operations do not come back at one moment.
pub fn wait_millis(attempt: u32, longest_millis: i64, jitter: u32) -> i64 {
    let doublings = attempt.saturating_sub(1).min(20);
    let whole = FIRST_WAIT_MILLIS
        .saturating_mul(1 << doublings)
        .min(longest_millis);
    let spread = (whole / 4).max(1);
    whole - i64::from(jitter) % spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        let curve: Vec<i64> = (1..=10)
            .map(|attempt| wait_millis(attempt, LONGEST_WAIT_MILLIS, 0))
            .collect();
        assert_eq!(
            curve,
            [
                200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000
            ]
        );
        assert_eq!(wait_millis(u32::MAX, LONGEST_WAIT_MILLIS, 0), 30_000);
        assert_eq!(wait_millis(0, LONGEST_WAIT_MILLIS, 0), 200);
    }

    #[test]
    fn jitter_takes_away_less_than_a_quarter() {
        for jitter in [0, 1, 49, 50, 12_345, u32::MAX] {
            let wait = wait_millis(1, LONGEST_WAIT_MILLIS, jitter);
            assert!((151..=200).contains(&wait), "{wait}");
        }
    }
}
