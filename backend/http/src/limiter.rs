//! How many requests a token or an address may make: a bucket of them that refills steadily.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Buckets that are kept; beyond it, those that are full again go.
const BUCKETS_MAX: usize = 10_000;

/// What is left for one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Requests that may be made at once.
    pub(crate) limit: u32,
    /// Requests that may be made now.
    pub(crate) remaining: u32,
    /// Seconds until all may be made again.
    pub(crate) reset_seconds: u64,
    /// Seconds until the next one may be made; none when this one may.
    pub(crate) retry_after_seconds: Option<u64>,
}

struct Bucket {
    left: f64,
    at_millis: u64,
}

/// The buckets of all tokens, or of all addresses.
pub(crate) struct Limiter<K> {
    per_second: f64,
    burst: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: f64::from(per_second.max(1)),
            burst: f64::from(burst.max(1)),
            buckets: Mutex::default(),
        }
    }

    /// Takes one request of a bucket, if one is left, at a moment counted from any fixed one.
    pub(crate) fn take(&self, key: &K, now_millis: u64) -> Allowance {
        // Nothing that holds it can stop half way through a change.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(key) {
            buckets.retain(|_, bucket| self.filled(bucket, now_millis) < self.burst);
            if buckets.len() >= BUCKETS_MAX {
                // So many at once are made up, and memory is worth more than their limits.
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key.clone()).or_insert(Bucket {
            left: self.burst,
            at_millis: now_millis,
        });
        bucket.left = self.filled(bucket, now_millis);
        bucket.at_millis = bucket.at_millis.max(now_millis);
        let allowed = bucket.left >= 1.0;
        if allowed {
            bucket.left -= 1.0;
        }
        let seconds = |missing: f64| (missing / self.per_second).ceil().max(0.0) as u64;
        Allowance {
            limit: self.burst as u32,
            remaining: bucket.left as u32,
            reset_seconds: seconds(self.burst - bucket.left),
            retry_after_seconds: (!allowed).then(|| seconds(1.0 - bucket.left).max(1)),
        }
    }

    /// Gives back a request that was taken and is not to count.
    pub(crate) fn give_back(&self, key: &K, now_millis: u64) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(key) {
            bucket.left = (self.filled(bucket, now_millis) + 1.0).min(self.burst);
            bucket.at_millis = bucket.at_millis.max(now_millis);
        }
    }

    fn filled(&self, bucket: &Bucket, now_millis: u64) -> f64 {
        let millis = now_millis.saturating_sub(bucket.at_millis);
        (bucket.left + millis as f64 / 1000.0 * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_domain::TokenId;

    #[test]
    fn a_bucket_empties_and_refills() {
        let limiter = Limiter::new(2, 3);
        let token = TokenId::parse("tok_1").unwrap();
        for left in [2, 1, 0] {
            assert_eq!(limiter.take(&token, 1000).remaining, left);
        }
        let refused = limiter.take(&token, 1000);
        assert_eq!(
            (refused.remaining, refused.retry_after_seconds),
            (0, Some(1))
        );
        assert_eq!(limiter.take(&token, 1500).retry_after_seconds, None);
        assert_eq!(limiter.take(&token, 60_000).remaining, 2);
        let other = TokenId::parse("tok_2").unwrap();
        assert_eq!(limiter.take(&other, 1000).remaining, 2);
    }

    #[test]
    fn made_up_keys_take_no_memory_without_end() {
        let limiter = Limiter::new(1, 2);
        for key in 0..3 * BUCKETS_MAX {
            limiter.take(&key, 1000);
        }
        assert!(limiter.buckets.lock().unwrap().len() <= BUCKETS_MAX);
    }
}
