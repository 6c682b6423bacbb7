//! An API token as it is known once its secret has been shown.

use crate::{ProjectId, Scopes, Timestamp, TokenId, UserId};

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Its name, for people.
    pub name: String,
    /// Whose it is.
    pub user_id: UserId,
    /// SHA-256 of the secret, hexadecimal.
    pub hash: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The one project it is bound to; none is all of them.
    pub project_id: Option<ProjectId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
