//! Why a request is refused, in words a user may read.

use berth_domain::Scope;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $class:ident;)*) => {
        /// A word for programs: what kind of refusal it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What a client can do about it.
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }
        }
    };
}

/// What a client can do about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Ask for something else: it does not exist for this caller.
    NotFound,
    /// Change the state first, or ask for something else.
    Conflict,
    /// Change the request.
    Invalid,
    /// Say who asks.
    Unauthenticated,
    /// Ask with more rights.
    Forbidden,
    /// Ask again later.
    Unavailable,
}

codes! {
    /// No such database for this caller.
    DatabaseNotFound = "database_not_found", NotFound;
    /// No such project for this caller.
    ProjectNotFound = "project_not_found", NotFound;
    /// No such operation for this caller.
    OperationNotFound = "operation_not_found", NotFound;
    /// The project has no variable of that name.
    VariableNotFound = "variable_not_found", NotFound;
    /// No such token.
    TokenNotFound = "token_not_found", NotFound;
    /// No such person, for this caller.
    UserNotFound = "user_not_found", NotFound;
    /// That person is no member of the project.
    MemberNotFound = "member_not_found", NotFound;
    /// A name fits several objects.
    NameAmbiguous = "name_ambiguous", Conflict;
    /// A living object has the name.
    NameTaken = "name_taken", Conflict;
    /// The project has a database of its own already.
    DatabaseExists = "database_exists", Conflict;
    /// A living object has the slug.
    SlugTaken = "slug_taken", Conflict;
    /// Another database has the public port.
    PortTaken = "port_taken", Conflict;
    /// Every public port is in use.
    PortsExhausted = "ports_exhausted", Conflict;
    /// Every address of a network is in use.
    NetworkFull = "network_full", Conflict;
    /// The host cannot carry it.
    CapacityExceeded = "capacity_exceeded", Conflict;
    /// The project has as much as its quota allows.
    QuotaExceeded = "quota_exceeded", Conflict;
    /// Deletion protection stands in the way.
    Protected = "protected", Conflict;
    /// The project has databases or variables in it.
    ProjectNotEmpty = "project_not_empty", Conflict;
    /// It is destroyed; restore it first.
    Destroyed = "database_destroyed", Conflict;
    /// It is not destroyed, so it cannot be restored or purged.
    NotDestroyed = "database_not_destroyed", Conflict;
    /// The project is not destroyed, so it cannot be brought back.
    ProjectNotDestroyed = "project_not_destroyed", Conflict;
    /// Its data is gone for good.
    Purged = "database_purged", Conflict;
    /// It is being created by another token.
    ClaimRefused = "claim_refused", Conflict;
    /// It changed meanwhile; read it again.
    ChangedMeanwhile = "changed_meanwhile", Conflict;
    /// It is not the generation that the change was made for.
    PreconditionFailed = "precondition_failed", Conflict;
    /// It is stopped, and what was asked for needs it to run.
    NotRunning = "database_not_running", Conflict;
    /// A project keeps an owner.
    LastOwner = "last_owner", Conflict;
    /// The token was revoked, which is for good.
    TokenRevoked = "token_revoked", Conflict;
    /// Nobody kept the secret of the token.
    SecretNotKept = "secret_not_kept", Conflict;
    /// The same key was used for another request.
    IdempotencyKeyReused = "idempotency_key_reused", Invalid;
    /// berth manages the variable of that name.
    ManagedVariable = "managed_variable", Conflict;
    /// The project's environment has no room for more.
    EnvironmentFull = "environment_full", Conflict;
    /// A value cannot be written in the format asked for.
    UnwritableVariable = "unwritable_variable", Invalid;
    /// A field is not what it must be.
    InvalidField = "invalid_field", Invalid;
    /// The request as a whole cannot be read.
    InvalidRequest = "invalid_request", Invalid;
    /// The page token names nothing that is still there.
    PageGone = "page_gone", Invalid;
    /// Others write at this moment; nothing was done.
    Busy = "busy", Unavailable;
    /// There is no room for what was to be written; nothing was done.
    StorageFull = "storage_full", Unavailable;
    /// No token, or one that is not valid.
    Unauthenticated = "unauthenticated", Unauthenticated;
    /// The token lacks a right.
    ScopeMissing = "scope_missing", Forbidden;
    /// The user of the token may not do that in this project.
    RoleMissing = "role_missing", Forbidden;
    /// Only the installation's administrator may do that.
    AdministratorOnly = "administrator_only", Forbidden;
    /// The token is bound to another project.
    ProjectForbidden = "project_forbidden", Forbidden;
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The kind of wrong.
    pub code: Code,
    /// The field's path, with dots.
    pub field: String,
    /// What was expected and what to do.
    pub message: String,
}

impl FieldError {
    /// A field that is not what it must be.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::of(Code::InvalidField, field, message)
    }

    /// A field that stands against something else.
    pub fn of(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            field: field.into(),
            message: message.into(),
        }
    }
}

/// Why a request is refused, or could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be granted; the texts are for its sender.
    #[error("{message}")]
    Refused {
        /// What kind of refusal.
        code: Code,
        /// A sentence for people.
        message: String,
        /// Field by field.
        details: Vec<FieldError>,
    },
    /// The store could not do its part; the cause is for the operator.
    #[error("could not {act}")]
    Store {
        /// What was being done.
        act: &'static str,
        /// Why it failed.
        source: berth_store::Error,
    },
    /// Something that this program wrote itself does not fit together.
    #[error("could not {act}: {reason}")]
    Inconsistent {
        /// What was being done.
        act: &'static str,
        /// What does not fit.
        reason: String,
    },
}

impl Error {
    /// A refusal without fields.
    pub fn refused(code: Code, message: impl Into<String>) -> Self {
        Self::Refused {
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// A refusal for its fields; the first one gives code and sentence.
    pub fn fields(details: Vec<FieldError>) -> Self {
        let (code, message) = details.first().map_or_else(
            || (Code::InvalidRequest, "The request is not valid".to_owned()),
            |first| (first.code, format!("{}: {}", first.field, first.message)),
        );
        Self::Refused {
            code,
            message,
            details,
        }
    }

    /// A caller without that right.
    pub fn scope_missing(scope: Scope) -> Self {
        Self::refused(
            Code::ScopeMissing,
            format!("This token lacks the scope \"{}\"", scope.as_str()),
        )
    }

    /// The code, when it is a refusal.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Store { .. } | Self::Inconsistent { .. } => None,
        }
    }
}

/// Names the act that a failure of the store belongs to.
pub(crate) trait Doing<T> {
    /// Says what was being done, after "could not".
    fn doing(self, act: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, berth_store::Error> {
    fn doing(self, act: &'static str) -> Result<T, Error> {
        self.map_err(|source| match source {
            berth_store::Error::PageGone => Error::refused(
                Code::PageGone,
                "This page token has expired: start again with the first page",
            ),
            berth_store::Error::Conflict { id } => Error::refused(
                Code::ChangedMeanwhile,
                format!("{id} was changed meanwhile: read it again"),
            ),
            berth_store::Error::Busy { .. } => {
                Error::refused(Code::Busy, "The store is busy: try again")
            }
            berth_store::Error::Held { .. } => Error::refused(
                Code::Busy,
                "Another program holds the file of berthd's own store: try again",
            ),
            // A session that fell silent keeps the writer's lock until the server ends it.
            berth_store::Error::AnotherWriter => Error::refused(
                Code::Busy,
                "Another session writes to berthd's own store: try again, and stop the other berthd if there is one",
            ),
            berth_store::Error::Full { .. } => Error::refused(
                Code::StorageFull,
                "The disk under berthd's own store is full, so nothing was changed: free some room on it",
            ),
            source => Error::Store { act, source },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_others_hold_at_this_moment_is_asked_again() {
        for held in [
            berth_store::Error::Busy { seconds: 10 },
            berth_store::Error::AnotherWriter,
        ] {
            let said = Err::<(), _>(held).doing("write");
            assert!(
                matches!(
                    &said,
                    Err(Error::Refused {
                        code: Code::Busy,
                        ..
                    })
                ),
                "{said:?}"
            );
        }
    }
}
