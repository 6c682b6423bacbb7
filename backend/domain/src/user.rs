//! A person.

use crate::{Timestamp, UserId};

/// A person; tokens belong to one, projects have some as members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its name; unique in the installation.
    pub name: String,
    /// Where mail reaches it.
    pub email: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}
