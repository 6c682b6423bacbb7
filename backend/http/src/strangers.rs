//! Requests without a valid token: so many an address, and none of them costs more than that
//! before it is counted.

use crate::limiter::Limiter;
use crate::proxies::limited_as;
use berth_domain::Secret;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tokens that are known again; beyond it, all are forgotten and have to be let in once more.
const REGULARS_MAX: usize = 10_000;

/// The limits of addresses, and the tokens that are beyond them.
pub(crate) struct Strangers {
    limiter: Limiter<IpAddr>,
    /// What is kept of a token lets it be looked for, and no more: it is a hash under a key of
    /// this process, too short to be worth stealing.
    regulars: Mutex<HashSet<u64>>,
    key: RandomState,
}

impl Strangers {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        Self {
            limiter: Limiter::new(per_second, burst),
            regulars: Mutex::default(),
            key: RandomState::new(),
        }
    }

    /// Counts a request for the address it comes from; when it is one too many, the seconds to
    /// wait. What has no address came through the local socket, which has no limit.
    pub(crate) fn count(&self, address: Option<IpAddr>, now_millis: u64) -> Option<u64> {
        let key = limited_as(address?);
        self.limiter.take(&key, now_millis).retry_after_seconds
    }

    /// Whether a token was valid when it came last.
    pub(crate) fn knows(&self, secret: &Secret) -> bool {
        self.regulars().contains(&self.hash(secret))
    }

    /// A token that was not known turned out to be valid: its request, which was counted, is
    /// none of a stranger.
    pub(crate) fn let_in(&self, secret: &Secret, address: Option<IpAddr>, now_millis: u64) {
        let hash = self.hash(secret);
        let mut regulars = self.regulars();
        if regulars.len() >= REGULARS_MAX {
            regulars.clear();
        }
        regulars.insert(hash);
        drop(regulars);
        self.give_back(address, now_millis);
    }

    /// Takes a request back that was counted.
    pub(crate) fn give_back(&self, address: Option<IpAddr>, now_millis: u64) {
        if let Some(address) = address {
            self.limiter.give_back(&limited_as(address), now_millis);
        }
    }

    /// A token that was known opens nothing any more.
    pub(crate) fn forget(&self, secret: &Secret) {
        let hash = self.hash(secret);
        self.regulars().remove(&hash);
    }

    fn hash(&self, secret: &Secret) -> u64 {
        self.key.hash_one(secret.reveal())
    }

    fn regulars(&self) -> MutexGuard<'_, HashSet<u64>> {
        // Nothing that holds it can stop half way through a change.
        self.regulars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_tokens_take_no_memory_without_end() {
        let strangers = Strangers::new(1, 1);
        for number in 0..2 * REGULARS_MAX {
            strangers.let_in(&Secret::new(number.to_string()), None, 0);
        }
        assert!(strangers.regulars().len() <= REGULARS_MAX);
    }

    #[test]
    fn a_valid_token_costs_its_address_nothing() {
        let strangers = Strangers::new(1, 1);
        let address = Some("192.0.2.1".parse().unwrap());
        let secret = Secret::new("berth_1");
        assert_eq!(strangers.count(address, 0), None);
        assert!(!strangers.knows(&secret));
        strangers.let_in(&secret, address, 0);
        assert!(strangers.knows(&secret));
        assert_eq!(strangers.count(address, 0), None);
        assert_eq!(strangers.count(address, 0), Some(1));
        strangers.forget(&secret);
        assert!(!strangers.knows(&secret));
    }
}
