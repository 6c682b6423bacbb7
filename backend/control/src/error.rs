//! What can go wrong in the loop, sorted by what helps.

use berth_domain::{DatabaseId, ProjectId};
use berth_engines::UnknownEngine;
use berth_platform::ErrorKind;

/// A step that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("could not {act}")]
    Store {
        /// What was being done.
        act: &'static str,
        /// Why.
        source: berth_store::Error,
    },
    /// The platform, an engine or a pooler failed.
    #[error("could not {act}")]
    Platform {
        /// What was being done.
        act: &'static str,
        /// Why.
        source: berth_platform::Error,
    },
    /// An engine or a pooler took longer than it may.
    #[error("could not {act} within {seconds} seconds")]
    TookTooLong {
        /// What was being done.
        act: &'static str,
        /// How long it was given.
        seconds: u64,
    },
    /// The platform took longer than it may.
    #[error("could not {act}: the platform did not answer within {seconds} seconds")]
    PlatformSilent {
        /// What was being done.
        act: &'static str,
        /// How long it was given.
        seconds: u64,
    },
    /// The row names an engine or a version that this program does not have.
    #[error("this berthd has no such engine")]
    Engine {
        /// Which, and which it has.
        source: UnknownEngine,
    },
    /// The row names a plan that the catalogue does not have any more.
    #[error(
        "the plan \"{plan}\" is not in the catalogue any more: put it back, or give the database another plan"
    )]
    PlanGone {
        /// The plan.
        plan: String,
    },
    /// The row is to be published and has no port.
    #[error("{database} is to be published and has no port")]
    NoPort {
        /// The database.
        database: DatabaseId,
    },
    /// Published ports are configured to listen on something that is no address.
    #[error(
        "published databases are to listen on \"{found}\", which is not an IP address: correct the configuration"
    )]
    BindAddress {
        /// What is configured.
        found: String,
    },
    /// The row has no password.
    #[error("{database} has no credentials")]
    NoCredentials {
        /// The database.
        database: DatabaseId,
    },
    /// The row's project does not exist.
    #[error("the project {project} does not exist")]
    ProjectGone {
        /// The project.
        project: ProjectId,
    },
    /// A new password for a database that is stopped.
    #[error("the database is stopped: start it, and the new password is set")]
    StoppedWhileRotating,
    /// No certificate could be issued.
    #[error("could not issue a certificate for {database}")]
    Certificate {
        /// The database.
        database: DatabaseId,
        /// Why.
        source: berth_platform::Cause,
    },
    /// The engine or its pooler ended by itself.
    #[error("it does not stay up: {reason}")]
    Down {
        /// Why, in the platform's words.
        reason: String,
    },
    /// The instance is not there, or not running, though it was made so a moment ago.
    #[error("what was started is not there any more")]
    Vanished,
    /// A login that must work is refused.
    #[error("the login with the stored password is refused")]
    LoginRefused {
        /// The words of the engine.
        source: berth_platform::Error,
    },
    /// Neither engine nor pooler answered.
    #[error("it did not answer within {seconds} seconds")]
    Silent {
        /// How long it was given in one go.
        seconds: u64,
    },
    /// The operation is not ours any more: it was superseded, or somebody else took it over.
    #[error("somebody else works on it")]
    NotOurs,
    /// A test stopped the loop here.
    #[error("stopped at {point}")]
    Crashed {
        /// Where.
        point: String,
    },
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nobody answers: wait, however long it takes, and conclude nothing.
    Unreachable,
    /// Trying again may help.
    Transient,
    /// Trying again does not help before something else changes; the word is for programs.
    Permanent(&'static str),
    /// Leave the work alone: it belongs to somebody else, or the program is ending.
    Leave,
}

impl Error {
    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Platform { source, .. } => match (source.kind(), source) {
                (ErrorKind::Unreachable, _) => Class::Unreachable,
                (ErrorKind::Transient, _) => Class::Transient,
                (ErrorKind::Permanent, berth_platform::Error::Refused { code, .. }) => {
                    Class::Permanent(code)
                }
                (ErrorKind::Permanent, _) => Class::Permanent("platform_refused"),
            },
            Self::PlatformSilent { .. } => Class::Unreachable,
            Self::Store { .. }
            | Self::TookTooLong { .. }
            | Self::Certificate { .. }
            | Self::Down { .. }
            | Self::Vanished
            | Self::LoginRefused { .. }
            | Self::Silent { .. } => Class::Transient,
            Self::Engine { .. } => Class::Permanent("engine_unknown"),
            Self::PlanGone { .. } => Class::Permanent("plan_gone"),
            Self::NoPort { .. } => Class::Permanent("no_public_port"),
            Self::BindAddress { .. } => Class::Permanent("invalid_bind_address"),
            Self::NoCredentials { .. } => Class::Permanent("no_credentials"),
            Self::ProjectGone { .. } => Class::Permanent("project_gone"),
            Self::StoppedWhileRotating => Class::Permanent("database_stopped"),
            Self::NotOurs | Self::Crashed { .. } => Class::Leave,
        }
    }

    /// The sentence that a user may read: what was being done and the platform's own words,
    /// which name no secret by that crate's promise; not the chain below them.
    pub fn sentence(&self) -> String {
        match self {
            Self::Platform { source, .. } if source.kind() == ErrorKind::Permanent => {
                source.to_string()
            }
            Self::Platform { source, .. } => {
                format!("{self}: {source}")
            }
            Self::Engine { source } => source.to_string(),
            _ => self.to_string(),
        }
    }
}

/// An error and its causes on one line, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
}

/// Names the act that a failed call of the store belonged to.
pub(crate) fn store(act: &'static str) -> impl FnOnce(berth_store::Error) -> Error {
    move |source| Error::Store { act, source }
}

/// Names the act that a failed call of the platform belonged to.
pub(crate) fn platform(act: &'static str) -> impl FnOnce(berth_platform::Error) -> Error {
    move |source| Error::Platform { act, source }
}
