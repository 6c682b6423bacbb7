//! One at a time, for each of many things that come and go.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Mutex as Turn;

/// The turns of those things that somebody is at just now.
#[derive(Debug)]
pub(crate) struct Turns<K>(Mutex<HashMap<K, Weak<Turn<()>>>>);

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Turns<K> {
    /// What whoever is at the thing has to hold.
    pub(crate) fn of<Q>(&self, thing: &Q) -> Arc<Turn<()>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        // A panic while the map was held leaves a map that is whole: nothing is half done in it.
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(thing).and_then(Weak::upgrade) {
            return turn;
        }
        // What nobody holds is forgotten here, so that the map stays as small as the work.
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(thing.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let turns = Turns::<String>::default();
        let held = turns.of("held");
        let _alone = held.try_lock().unwrap();
        assert!(turns.of("held").try_lock().is_err());
        for n in 0..100 {
            assert!(turns.of(format!("{n}").as_str()).try_lock().is_ok());
        }
        assert!(turns.0.lock().unwrap().len() <= 2);
    }
}
