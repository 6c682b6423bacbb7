//! Requests that keep their connection for long, by token and in all: a stream of events, a wait
//! for an operation, a body that is still to come. Each keeps a place that others could have, so
//! no token has many and all of them together leave places free.

use crate::error::Refusal;
use axum::http::{StatusCode, header};
use berth_domain::TokenId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// When it is worth trying again.
const RETRY_SECONDS: u64 = 2;

/// The holds of one kind.
pub(crate) struct Holds {
    /// What they are, for people.
    what: &'static str,
    of_one_max: usize,
    all_max: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    all: usize,
    each: HashMap<TokenId, usize>,
}

/// One of them, until it is dropped.
pub(crate) struct Hold {
    holds: Arc<Holds>,
    whose: TokenId,
}

impl Holds {
    /// At most so many in all, and of them so many of one token, but never most of them.
    pub(crate) fn new(what: &'static str, of_one_max: usize, all_max: usize) -> Self {
        let all_max = all_max.max(1);
        Self {
            what,
            of_one_max: of_one_max.min(all_max / 2).max(1),
            all_max,
            held: Mutex::default(),
        }
    }

    /// One more, of a token; whoever asks without one is the host's administrator, whom nothing
    /// of this concerns.
    pub(crate) fn take(self: &Arc<Self>, whose: Option<&TokenId>) -> Result<Option<Hold>, Refusal> {
        let Some(whose) = whose else { return Ok(None) };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.each.get(whose).copied().unwrap_or_default();
        if own >= self.of_one_max {
            return Err(self.refused(format!("This token has {own} {}", self.what)));
        }
        if held.all >= self.all_max {
            return Err(self.refused(format!("There are {} {}", held.all, self.what)));
        }
        held.all += 1;
        held.each.insert(whose.clone(), own + 1);
        Ok(Some(Hold {
            holds: Arc::clone(self),
            whose: whose.clone(),
        }))
    }

    fn refused(&self, begin: String) -> Refusal {
        let message = format!("{begin} at this moment, and no more may be: try again");
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_at_once", message)
            .with(header::RETRY_AFTER, RETRY_SECONDS)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Nothing that holds it can stop half way through a change.
        let mut held = self
            .holds
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        held.all -= 1;
        if let Some(own) = held.each.get_mut(&self.whose) {
            *own -= 1;
            if *own == 0 {
                held.each.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: usize) -> TokenId {
        TokenId::parse(&format!("tok_{number}")).unwrap()
    }

    #[test]
    fn no_token_has_many_and_all_have_a_bound() {
        let holds = Arc::new(Holds::new("streams", 2, 5));
        let take = |number| holds.take(Some(&token(number)));
        let first = [take(1).unwrap(), take(1).unwrap()];
        let refused = take(1).err().unwrap();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        let others: Vec<_> = [2, 2, 3].map(|n| take(n).unwrap()).into();
        assert!(
            take(4)
                .err()
                .unwrap()
                .message
                .contains("There are 5 streams")
        );
        drop(first);
        assert!(take(4).is_ok() && take(1).is_ok());
        drop(others);
        let held = holds.held.lock().unwrap();
        assert_eq!((held.all, held.each.len()), (0, 0));
    }

    #[test]
    fn one_token_never_has_them_all() {
        let holds = Arc::new(Holds::new("streams", 16, 4));
        let own: Vec<_> = (0..16)
            .map_while(|_| holds.take(Some(&token(1))).ok())
            .collect();
        assert_eq!(own.len(), 2);
        assert!(holds.take(Some(&token(2))).is_ok());
        assert!(holds.take(None).is_ok_and(|hold| hold.is_none()));
    }
}
