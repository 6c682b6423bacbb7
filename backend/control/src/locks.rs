//! One worker at an instance at a time, within this process.

use berth_domain::InstanceId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// A lock for each instance that somebody works on.
///
/// The lease of an operation keeps other processes away; this keeps apart what one process
/// does to an instance: operations that superseded each other, repairs and looking after it.
#[derive(Debug, Default)]
pub(crate) struct Locks(Mutex<HashMap<InstanceId, Weak<Turn<()>>>>);

impl Locks {
    /// Waits for its turn. The holder's steps are bounded, so the wait is.
    pub(crate) async fn wait(&self, instance: &InstanceId) -> OwnedMutexGuard<()> {
        self.of(instance).lock_owned().await
    }

    /// Takes the turn when nobody has it.
    pub(crate) fn try_now(&self, instance: &InstanceId) -> Option<OwnedMutexGuard<()>> {
        self.of(instance).try_lock_owned().ok()
    }

    fn of(&self, instance: &InstanceId) -> Arc<Turn<()>> {
        // A panic while the map was held leaves a map that is whole: nothing is half done in it.
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(instance).and_then(Weak::upgrade) {
            return turn;
        }
        // What nobody holds is forgotten here, so the map stays as small as the work.
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn::new(()));
        turns.insert(instance.clone(), Arc::downgrade(&turn));
        turn
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
        let other = locks.try_now(&b);
        assert!(other.is_some());
        drop((held, other));
        assert!(locks.try_now(&a).is_some());
        assert!(locks.0.lock().unwrap().len() <= 1);
    }
}
