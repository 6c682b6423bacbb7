//! Conversations that are kept open, so that looking after an instance costs one question.

use crate::charts::Charts;
use berth_domain::InstanceId;
use berth_platform::{Endpoint, Session};
use std::sync::Arc;

/// The open sessions of the host's administrator with one instance.
#[derive(Default)]
pub(crate) struct Sessions {
    engine: Option<Arc<dyn Session>>,
    pooler: Option<Arc<dyn Session>>,
}

impl Sessions {
    fn at(&mut self, endpoint: Endpoint) -> &mut Option<Arc<dyn Session>> {
        match endpoint {
            Endpoint::Engine => &mut self.engine,
            Endpoint::Pooler => &mut self.pooler,
        }
    }
}

impl Charts {
    /// The session that is open, if one is.
    pub(crate) fn session(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
    ) -> Option<Arc<dyn Session>> {
        self.with_known(instance, |chart| chart.sessions.at(endpoint).clone())?
    }

    /// Keeps a session that was just opened.
    pub(crate) fn keep_session(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
        session: Box<dyn Session>,
    ) -> Arc<dyn Session> {
        let session: Arc<dyn Session> = Arc::from(session);
        let kept = Arc::clone(&session);
        let before = self.with(instance, |chart| chart.sessions.at(endpoint).replace(kept));
        drop(before);
        session
    }

    /// Ends one that does not answer any more.
    pub(crate) fn forget_session(&self, instance: &InstanceId, endpoint: Endpoint) {
        let gone = self.with_known(instance, |chart| chart.sessions.at(endpoint).take());
        drop(gone);
    }

    /// Ends those of an instance that goes down or away.
    pub(crate) fn forget_sessions(&self, instance: &InstanceId) {
        let gone = self.with_known(instance, |chart| std::mem::take(&mut chart.sessions));
        drop(gone);
    }
}
