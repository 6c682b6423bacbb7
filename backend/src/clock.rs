//! The one place where the present comes from.

use berth_domain::{Clock, Timestamp};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How far the host's clock may be behind before that is said.
const BEHIND_SECONDS_MAX: i64 = 60;

/// The host's clock, as long as it goes forward.
///
/// # Guarantees
/// It never goes back, whatever happens to the host's: everything that waits for a moment would
/// wait for as long as that. Set forward, it follows at once.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        static OWN: Mutex<Own> = Mutex::new(Own::new());
        static BEGUN: OnceLock<Instant> = OnceLock::new();
        // Nothing that holds it can stop half way through a change.
        let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, behind) = own.now(wall(), BEGUN.get_or_init(Instant::now).elapsed());
        if let Some(seconds) = behind {
            tracing::warn!(
                seconds,
                "the host's clock was set back: berthd goes on by its own time until the host's \
                 has caught up or berthd is started anew"
            );
        }
        now
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the Clock that everything else takes"
)]
fn wall() -> Timestamp {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(millis(since_epoch))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A time that never goes back.
struct Own {
    /// When the host's clock was believed for the last time: what it said, and how long this
    /// program had been running.
    believed: Option<(Timestamp, Duration)>,
    is_said: bool,
}

impl Own {
    const fn new() -> Self {
        Self {
            believed: None,
            is_said: false,
        }
    }

    /// The present, from what the host's clock says and from how long this program has been
    /// running; and, once each time that it falls behind, by how many seconds the host's is.
    fn now(&mut self, wall: Timestamp, running: Duration) -> (Timestamp, Option<i64>) {
        let (then, ran) = *self.believed.get_or_insert((wall, running));
        let own = then.plus_millis(millis(running.saturating_sub(ran)));
        if wall > own {
            self.believed = Some((wall, running));
        }
        if wall >= own {
            self.is_said = false;
            return (wall, None);
        }
        let seconds = (own.as_millis() - wall.as_millis()) / 1000;
        let is_news = seconds > BEHIND_SECONDS_MAX && !self.is_said;
        self.is_said |= is_news;
        (own, is_news.then_some(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of the host's clock, seconds of running, and what is told.
    fn told(own: &mut Own, wall: i64, running: u64) -> (i64, Option<i64>) {
        let wall = Timestamp::from_millis(wall * 1000);
        let (now, behind) = own.now(wall, Duration::from_secs(running));
        (now.as_millis() / 1000, behind)
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing_and_is_said_once() {
        let mut own = Own::new();
        assert_eq!(told(&mut own, 10_000, 1), (10_000, None));
        assert_eq!(told(&mut own, 10_005, 6), (10_005, None));
        // Two hours back, and ten seconds later.
        assert_eq!(told(&mut own, 2_815, 16), (10_015, Some(7_200)));
        assert_eq!(told(&mut own, 2_825, 26), (10_025, None));
        // Set right: it is believed again, and would be said again.
        assert_eq!(told(&mut own, 10_035, 36), (10_035, None));
        assert_eq!(told(&mut own, 9_935, 37), (10_036, Some(101)));
    }

    #[test]
    fn it_follows_the_hosts_forward_and_says_nothing_of_a_little() {
        let mut own = Own::new();
        assert_eq!(told(&mut own, 10_000, 1), (10_000, None));
        // A host that slept, or was set forward.
        assert_eq!(told(&mut own, 20_000, 2), (20_000, None));
        assert_eq!(told(&mut own, 19_941, 3), (20_001, None));
    }

    #[test]
    fn parts_of_a_millisecond_are_not_lost_however_often_it_is_asked() {
        let mut own = Own::new();
        let asked = |own: &mut Own, micros| {
            let wall = Timestamp::from_millis(0);
            own.now(wall, Duration::from_micros(micros)).0.as_millis()
        };
        for micros in 0..10_000 {
            asked(&mut own, micros);
        }
        assert_eq!(asked(&mut own, 10_000), 10);
    }
}
