//! What happened, and who did it.

use crate::{DatabaseId, OperationId, ProjectId, Timestamp, TokenId, UserId};

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// berthd itself.
    System,
    /// The command line over the local socket, that is the host's administrator.
    Local,
    /// The bearer of a token.
    Token {
        /// Which token.
        id: TokenId,
        /// Its name.
        name: String,
        /// Whose it was then; none in events older than people.
        user: Option<ActorUser>,
        /// The address it came from.
        address: Option<String>,
    },
}

/// A person as the journal names it, also once it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorUser {
    /// Its id.
    pub id: UserId,
    /// The name it had.
    pub name: String,
}

/// One field that a change gave another value. Values are JSON texts; none is `null`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The field's path on the wire, with dots.
    pub field: String,
    /// What it was.
    pub from: Option<String>,
    /// What it became.
    pub to: Option<String>,
    /// Whether it is a secret, of which only the fact of the change is told.
    pub sensitive: bool,
}

impl FieldChange {
    /// A secret got another value, which nobody tells.
    pub fn secret(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            from: None,
            to: None,
            sensitive: true,
        }
    }
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Rises by one with each event of the installation; zero before it is stored.
    pub sequence: i64,
    /// What happened, as `noun.verb`: `database.created`, `credentials.read`.
    pub kind: String,
    /// Who did it.
    pub actor: Actor,
    /// The project concerned.
    pub project_id: Option<ProjectId>,
    /// The database concerned.
    pub database_id: Option<DatabaseId>,
    /// The operation concerned.
    pub operation_id: Option<OperationId>,
    /// A sentence for people; never a secret.
    pub message: String,
    /// What it changed, field by field.
    pub changes: Vec<FieldChange>,
    /// When it happened.
    pub at: Timestamp,
}
