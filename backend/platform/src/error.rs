//! What can go wrong, sorted by what helps.

use crate::Endpoint;
use berth_domain::InstanceId;
use std::fmt;

/// The cause of an error, whatever its type.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What a caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nobody answers: wait, however long it takes, and conclude nothing.
    Unreachable,
    /// Trying again may help.
    Transient,
    /// Trying again will not help before something else changes.
    Permanent,
}

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The runtime does not answer.
    #[error("could not {act}: the container engine does not answer")]
    Unreachable {
        /// What was being done.
        act: String,
        /// Why.
        source: Cause,
    },
    /// Something failed that may work the next time.
    #[error("could not {act}")]
    Failed {
        /// What was being done.
        act: String,
        /// Why.
        source: Cause,
    },
    /// Something stands in the way that only people can remove; the sentence says what.
    #[error("{reason}")]
    Refused {
        /// A word for programs, such as `image_missing`.
        code: &'static str,
        /// What is wrong and what to do, for people.
        reason: String,
    },
    /// This platform has never ensured the instance.
    #[error("instance {instance} does not exist here")]
    NoSuchInstance {
        /// The instance.
        instance: InstanceId,
    },
    /// The endpoint does not answer (yet).
    #[error("the {endpoint} of instance {instance} does not answer")]
    NotAnswering {
        /// The instance.
        instance: InstanceId,
        /// Which of its processes.
        endpoint: Endpoint,
        /// Why.
        source: Cause,
    },
    /// The login exists and the password is wrong, or the login does not exist.
    #[error("the {endpoint} refuses the login \"{username}\"")]
    LoginRefused {
        /// Who refused.
        endpoint: Endpoint,
        /// The login.
        username: String,
        /// The words of the engine.
        source: Cause,
    },
    /// The engine answered a statement with an error.
    #[error("the engine did not {act}")]
    Statement {
        /// What the statement does.
        act: String,
        /// The words of the engine.
        source: Cause,
    },
    /// This program has no client for the engine's protocol.
    #[error("there is no client for the protocol \"{protocol}\"")]
    UnknownProtocol {
        /// The protocol.
        protocol: String,
    },
}

impl Error {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } => ErrorKind::Unreachable,
            Self::Failed { .. }
            | Self::NotAnswering { .. }
            | Self::NoSuchInstance { .. }
            | Self::LoginRefused { .. }
            | Self::Statement { .. } => ErrorKind::Transient,
            Self::Refused { .. } | Self::UnknownProtocol { .. } => ErrorKind::Permanent,
        }
    }

    /// A failure of `act` that may work the next time.
    pub fn failed(act: impl fmt::Display, source: impl Into<Cause>) -> Self {
        Self::Failed {
            act: act.to_string(),
            source: source.into(),
        }
    }
}
