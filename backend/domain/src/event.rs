//! What happened, and who did it.

use crate::{DatabaseId, OperationId, ProjectId, Timestamp, TokenId};

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
        /// The address it came from.
        address: Option<String>,
    },
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
    /// When it happened.
    pub at: Timestamp,
}
