//! One worker at an instance at a time, within this process.

use crate::Error;
use berth_domain::InstanceId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// A lock for each instance that somebody works on.
///
/// The lease of an operation keeps other processes away; this keeps apart what one process
/// does to an instance: operations that superseded each other, repairs and looking after it.
#[derive(Debug, Default)]
pub(crate) struct Locks(Mutex<HashMap<InstanceId, Weak<Door>>>);

/// The way to one instance.
#[derive(Debug, Default)]
struct Door {
    turn: Arc<Turn<()>>,
    waiting: AtomicUsize,
}

/// The right to work on an instance, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Held {
    // The turn ends before the door goes.
    _turn: OwnedMutexGuard<()>,
    _door: Arc<Door>,
}

/// One who stands at a door, also when he gives up.
struct Waiting<'a>(&'a Door);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Locks {
    /// Waits for its turn. Whoever holds it learns that somebody waits.
    pub(crate) async fn wait(&self, instance: &InstanceId) -> Held {
        let door = self.door(instance);
        door.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&door);
        let turn = Arc::clone(&door.turn).lock_owned().await;
        drop(waiting);
        Held {
            _turn: turn,
            _door: door,
        }
    }

    /// Takes the turn when nobody has it.
    pub(crate) fn try_now(&self, instance: &InstanceId) -> Option<Held> {
        let door = self.door(instance);
        let turn = Arc::clone(&door.turn).try_lock_owned().ok()?;
        Some(Held {
            _turn: turn,
            _door: door,
        })
    }

    /// An error when somebody waits for the turn: only operations wait, and an operation is
    /// newer than whatever is being done.
    pub(crate) fn yield_to_others(&self, instance: &InstanceId) -> Result<(), Error> {
        if self.door(instance).waiting.load(Ordering::Relaxed) > 0 {
            Err(Error::NotOurs)
        } else {
            Ok(())
        }
    }

    fn door(&self, instance: &InstanceId) -> Arc<Door> {
        // A panic while the map was held leaves a map that is whole: nothing is half done in it.
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = doors.get(instance).and_then(Weak::upgrade) {
            return door;
        }
        // What nobody holds is forgotten here, so the map stays as small as the work.
        doors.retain(|_, door| door.strong_count() > 0);
        let door = Arc::new(Door::default());
        doors.insert(instance.clone(), Arc::downgrade(&door));
        door
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_nobody_is_remembered_afterwards() {
        let locks = Locks::default();
        let (a, b) = (
            InstanceId::from_entropy([1; 16]),
            InstanceId::from_entropy([2; 16]),
        );
        let held = locks.wait(&a).await;
        assert!(locks.try_now(&a).is_none());
        assert!(locks.yield_to_others(&a).is_ok());
        let waiter = locks.wait(&a);
        tokio::pin!(waiter);
        assert!(futures_util::poll!(&mut waiter).is_pending());
        assert!(locks.yield_to_others(&a).is_err());
        let other = locks.try_now(&b);
        assert!(other.is_some());
        drop((held, other));
        drop(waiter.await);
        assert!(locks.try_now(&a).is_some());
        assert!(locks.0.lock().unwrap().len() <= 1);
    }
}
