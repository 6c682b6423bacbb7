//! Conversations that are kept open, so that looking after an instance costs one question.

use berth_domain::InstanceId;
use berth_platform::{Endpoint, Session};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The open sessions of the host's administrator with one instance.
#[derive(Default)]
struct Pair {
    engine: Option<Arc<dyn Session>>,
    pooler: Option<Arc<dyn Session>>,
}

impl Pair {
    fn at(&mut self, endpoint: Endpoint) -> &mut Option<Arc<dyn Session>> {
        match endpoint {
            Endpoint::Engine => &mut self.engine,
            Endpoint::Pooler => &mut self.pooler,
        }
    }
}

/// The open sessions of the host's administrator.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<InstanceId, Pair>>);

impl Sessions {
    /// The session that is open, if one is.
    pub(crate) fn get(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
    ) -> Option<Arc<dyn Session>> {
        self.map().get_mut(instance)?.at(endpoint).clone()
    }

    /// Keeps a session that was just opened.
    pub(crate) fn keep(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
        session: Box<dyn Session>,
    ) -> Arc<dyn Session> {
        let session: Arc<dyn Session> = Arc::from(session);
        let mut map = self.map();
        let pair = map.entry(instance.clone()).or_default();
        *pair.at(endpoint) = Some(Arc::clone(&session));
        session
    }

    /// Ends one that does not answer any more.
    pub(crate) fn forget(&self, instance: &InstanceId, endpoint: Endpoint) {
        if let Some(pair) = self.map().get_mut(instance) {
            *pair.at(endpoint) = None;
        }
    }

    /// Ends those of an instance that goes down or away.
    pub(crate) fn forget_all(&self, instance: &InstanceId) {
        self.map().remove(instance);
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<InstanceId, Pair>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
