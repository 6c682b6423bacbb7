//! Conversations with engines and poolers, and those that are kept to ask how they are.

use async_trait::async_trait;
use berth_domain::{InstanceId, Secret, Statement};
use berth_engines::{Description, Socket};
use berth_platform::{Dialled, Endpoint, Error, Login, Session};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::Mutex;

/// How long a login may take. A pooler keeps clients waiting while its engine is away.
const LOGIN_TIMEOUT_SECONDS: u64 = 5;
/// How long an answer to a probe may take.
const PROBE_TIMEOUT_SECONDS: u64 = 3;

/// A process to talk to.
pub struct Target<'a> {
    /// The engine whose protocol is spoken.
    pub engine: &'a dyn Description,
    /// Which process it is.
    pub endpoint: Endpoint,
    /// Its socket on the host.
    pub socket: PathBuf,
}

/// Opens sessions. The real one goes over sockets; a fake's are memory.
#[async_trait]
pub trait Dialer: Send + Sync {
    /// Logs in. The administrator comes with an empty password.
    async fn dial(&self, target: &Target<'_>, login: &Login) -> Result<Box<dyn Session>, Dialled>;
}

/// Opens sessions over the sockets in the host's directories.
#[derive(Debug, Clone, Copy, Default)]
pub struct SocketDialer;

#[async_trait]
impl Dialer for SocketDialer {
    async fn dial(&self, target: &Target<'_>, login: &Login) -> Result<Box<dyn Session>, Dialled> {
        let stream = UnixStream::connect(&target.socket)
            .await
            .map_err(|e| Dialled::Silent(e.into()))?;
        berth_platform::open(target.engine.protocol().as_str(), stream, login).await
    }
}

/// What to dial for an administrator's session.
pub(crate) fn administrator(socket: &Socket) -> Login {
    Login {
        database_name: socket.database.to_owned(),
        username: socket.administrator.to_owned(),
        password: Secret::new(""),
    }
}

/// The sessions of all instances.
pub(crate) struct Sessions {
    dialer: Arc<dyn Dialer>,
    kept: Mutex<HashMap<(InstanceId, Endpoint), Arc<dyn Session>>>,
}

impl Sessions {
    pub(crate) fn new(dialer: Arc<dyn Dialer>) -> Self {
        Self {
            dialer,
            kept: Mutex::new(HashMap::new()),
        }
    }

    /// Logs in within a bounded time.
    pub(crate) async fn open(
        &self,
        instance: &InstanceId,
        target: &Target<'_>,
        login: &Login,
    ) -> Result<Box<dyn Session>, Error> {
        let endpoint = target.endpoint;
        let limit = Duration::from_secs(LOGIN_TIMEOUT_SECONDS);
        let silent = |source| Error::NotAnswering {
            instance: instance.clone(),
            endpoint,
            source,
        };
        let opened = tokio::time::timeout(limit, self.dialer.dial(target, login))
            .await
            .map_err(|late| silent(late.into()))?;
        opened.map_err(|why| match why {
            Dialled::Silent(source) => silent(source),
            Dialled::Refused(source) => Error::LoginRefused {
                endpoint,
                username: login.username.clone(),
                source,
            },
            Dialled::UnknownProtocol => Error::UnknownProtocol {
                protocol: target.engine.protocol().as_str().to_owned(),
            },
        })
    }

    /// Whether the process answers, over a kept session when there is one that still works.
    pub(crate) async fn answers(
        &self,
        instance: &InstanceId,
        target: &Target<'_>,
        login: &Login,
        probe: &Statement,
    ) -> bool {
        let key = (instance.clone(), target.endpoint);
        let kept = self.kept.lock().await.get(&key).cloned();
        if let Some(session) = kept {
            if answers(session.as_ref(), probe).await {
                return true;
            }
            self.kept.lock().await.remove(&key);
        }
        let Ok(session) = self.open(instance, target, login).await else {
            return false;
        };
        let session: Arc<dyn Session> = Arc::from(session);
        let well = answers(session.as_ref(), probe).await;
        if well {
            self.kept.lock().await.insert(key, session);
        }
        well
    }

    /// Ends the kept sessions of an instance.
    pub(crate) async fn forget(&self, instance: &InstanceId) {
        let mut kept = self.kept.lock().await;
        for endpoint in [Endpoint::Engine, Endpoint::Pooler] {
            kept.remove(&(instance.clone(), endpoint));
        }
    }
}

async fn answers(session: &dyn Session, probe: &Statement) -> bool {
    let limit = Duration::from_secs(PROBE_TIMEOUT_SECONDS);
    matches!(
        tokio::time::timeout(limit, session.ask(probe)).await,
        Ok(Ok(_))
    )
}
