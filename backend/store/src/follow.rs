//! Which databases have changed since somebody looked last, and which operations have ended.

use crate::Store;
use berth_domain::{DatabaseId, OperationId};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::watch;

/// Changed databases that are remembered by name; beyond that, any may have changed.
const NAMED_MAX: usize = 20_000;

/// Databases that have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// These, and no other.
    These(BTreeSet<DatabaseId>),
    /// Any may have.
    Any,
}

impl Changed {
    /// Adds those that a transaction touched; none that are named means any.
    fn add(&mut self, touched: Option<&[DatabaseId]>) {
        match (self, touched) {
            (Self::Any, _) => {}
            (own @ Self::These(_), None) => *own = Self::Any,
            (own @ Self::These(_), Some(touched)) => {
                if let Self::These(known) = own {
                    known.extend(touched.iter().cloned());
                    if known.len() > NAMED_MAX {
                        *own = Self::Any;
                    }
                }
            }
        }
    }
}

/// Remembers which databases have changed, until somebody asks.
#[derive(Debug)]
pub struct Follower(Arc<Mutex<Changed>>);

impl Follower {
    /// Those that have changed, or what was seen of them, since it was asked last; at first any.
    /// What is read of the others is as it was.
    ///
    /// # Guarantees
    /// A commit is known here before anybody is told of its version.
    pub fn take(&self) -> Changed {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut known, Changed::These(BTreeSet::new()))
    }

    /// Whether anything has changed since it was asked last; at first it has.
    pub fn has_changed(&self) -> bool {
        self.take() != Changed::These(BTreeSet::new())
    }

    /// Any may have changed after all: what was read of those that had is not to be relied on.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Changed::Any;
    }
}

/// One that follows.
#[derive(Debug)]
struct Following {
    /// The database that it is about; none is all.
    database: Option<DatabaseId>,
    changed: Weak<Mutex<Changed>>,
}

/// All that follow.
#[derive(Debug, Default)]
pub(crate) struct Followers(Mutex<Vec<Following>>);

impl Followers {
    fn follow(&self, database: Option<DatabaseId>) -> Follower {
        let changed = Arc::new(Mutex::new(Changed::Any));
        let mut followers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        followers.retain(|follower| follower.changed.strong_count() > 0);
        followers.push(Following {
            database,
            changed: Arc::downgrade(&changed),
        });
        Follower(changed)
    }

    /// Tells of a commit; none that are named means any.
    pub(crate) fn tell(&self, touched: Option<&[DatabaseId]>) {
        let followers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for follower in followers.iter() {
            let concerns = match (&follower.database, touched) {
                (Some(own), Some(touched)) => touched.contains(own),
                (None, Some(touched)) => !touched.is_empty(),
                (_, None) => true,
            };
            let changed = follower.changed.upgrade().filter(|_| concerns);
            if let Some(changed) = changed {
                let mut changed = changed.lock().unwrap_or_else(PoisonError::into_inner);
                changed.add(touched);
            }
        }
    }
}

/// The end of an operation, for one who waits for it.
#[derive(Debug)]
pub struct Ending(watch::Receiver<()>);

impl Ending {
    /// Returns once the operation has ended, or may have.
    ///
    /// # Guarantees
    /// Whoever reads it afterwards finds the end that this tells of.
    pub async fn come(mut self) {
        while self.0.changed().await.is_ok() {}
    }

    /// Whether it has ended, or may have, since it was asked for.
    pub fn has_come(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

/// All that wait for the end of an operation. Who waits is told by its sender's going.
#[derive(Debug, Default)]
pub(crate) struct Endings(Mutex<HashMap<OperationId, watch::Sender<()>>>);

impl Endings {
    fn follow(&self, id: &OperationId) -> Ending {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, sender| sender.receiver_count() > 0);
        let sender = waiting.entry(id.clone());
        Ending(sender.or_insert_with(|| watch::Sender::new(())).subscribe())
    }

    /// Tells of a commit; none that are named means any.
    pub(crate) fn tell(&self, ended: Option<&[OperationId]>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match ended {
            Some(ended) => ended.iter().for_each(|id| drop(waiting.remove(id))),
            None => waiting.clear(),
        }
    }
}

impl Store {
    /// Will tell of the end of an operation, if it comes from now on.
    pub fn follow_operation(&self, id: &OperationId) -> Ending {
        self.inner().endings.follow(id)
    }

    /// Will remember which databases change from now on.
    pub fn follow_databases(&self) -> Follower {
        self.inner().followers.follow(None)
    }

    /// Will remember whether one database changes from now on.
    pub fn follow_database(&self, id: &DatabaseId) -> Follower {
        self.inner().followers.follow(Some(id.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_follower_hears_of_each_change_once() {
        let followers = Followers::default();
        let (one, other) = (followers.follow(None), followers.follow(None));
        assert_eq!(one.take(), Changed::Any);
        let id = DatabaseId::from_entropy([1; 8]);
        followers.tell(Some(std::slice::from_ref(&id)));
        assert_eq!(one.take(), Changed::These(BTreeSet::from([id])));
        assert_eq!(one.take(), Changed::These(BTreeSet::new()));
        assert_eq!(other.take(), Changed::Any);
        followers.tell(None);
        assert_eq!(one.take(), Changed::Any);
        one.forget();
        assert_eq!(one.take(), Changed::Any);
    }

    #[test]
    fn who_follows_one_hears_of_no_other() {
        let followers = Followers::default();
        let [own, other] = [1, 2].map(|n| DatabaseId::from_entropy([n; 8]));
        let one = followers.follow(Some(own.clone()));
        assert!(one.has_changed(), "nobody knows what came before");
        followers.tell(Some(&[other]));
        assert!(!one.has_changed());
        followers.tell(Some(&[own]));
        assert!(one.has_changed() && !one.has_changed());
        followers.tell(None);
        assert!(one.has_changed());
    }

    #[test]
    fn too_many_to_name_are_any() {
        let followers = Followers::default();
        let one = followers.follow(None);
        one.take();
        for number in 0..=NAMED_MAX as u64 {
            followers.tell(Some(&[DatabaseId::from_entropy(number.to_be_bytes())]));
        }
        assert_eq!(one.take(), Changed::Any);
    }
}
