//! Conversations with engines and poolers.

use async_trait::async_trait;
use berth_domain::{InstanceId, Secret, Statement};
use berth_engines::{Description, Socket};
use berth_platform::{ANSWER_SECONDS_MAX, Dialled, Endpoint, Error, Login, Session};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;

/// How long a login may take. A pooler keeps clients waiting while its engine is away.
const LOGIN_TIMEOUT_SECONDS: u64 = 5;
/// How long an answer to a probe may take after it.
const PROBE_TIMEOUT_SECONDS: u64 = ANSWER_SECONDS_MAX - LOGIN_TIMEOUT_SECONDS;

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

/// The way to all instances.
pub(crate) struct Sessions {
    dialer: Arc<dyn Dialer>,
}

impl Sessions {
    pub(crate) fn new(dialer: Arc<dyn Dialer>) -> Self {
        Self { dialer }
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

    /// Whether the process answers. Nothing is kept open for the next time: who asks again and
    /// again has a session of its own.
    pub(crate) async fn answers(
        &self,
        instance: &InstanceId,
        target: &Target<'_>,
        login: &Login,
        probe: &Statement,
    ) -> bool {
        let Ok(session) = self.open(instance, target, login).await else {
            return false;
        };
        let limit = Duration::from_secs(PROBE_TIMEOUT_SECONDS);
        let asked = tokio::time::timeout(limit, session.ask(probe)).await;
        matches!(asked, Ok(Ok(_)))
    }
}
