//! Conversations that are kept open, so that looking after an instance costs one question.

use berth_domain::InstanceId;
use berth_platform::{Endpoint, Session};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The open sessions of the host's administrator.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<(InstanceId, Endpoint), Arc<dyn Session>>>);

impl Sessions {
    /// The session that is open, if one is.
    pub(crate) fn get(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
    ) -> Option<Arc<dyn Session>> {
        self.map().get(&(instance.clone(), endpoint)).cloned()
    }

    /// Keeps a session that was just opened.
    pub(crate) fn keep(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
        session: Box<dyn Session>,
    ) -> Arc<dyn Session> {
        let session: Arc<dyn Session> = Arc::from(session);
        self.map()
            .insert((instance.clone(), endpoint), Arc::clone(&session));
        session
    }

    /// Ends one that does not answer any more.
    pub(crate) fn forget(&self, instance: &InstanceId, endpoint: Endpoint) {
        self.map().remove(&(instance.clone(), endpoint));
    }

    /// Ends those of an instance that goes down or away.
    pub(crate) fn forget_all(&self, instance: &InstanceId) {
        self.map().retain(|(of, _), _| of != instance);
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<(InstanceId, Endpoint), Arc<dyn Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
