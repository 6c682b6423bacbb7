//! Who asks, and what that one may do.

use crate::Error;
use berth_domain::{Actor, ProjectId, Scope, Scopes, TokenId};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// As the journal will name it.
    pub actor: Actor,
    /// What it may do.
    pub scopes: Scopes,
    /// The one project it may see; none is all of them.
    pub project: Option<ProjectId>,
}

impl Caller {
    /// The host's administrator, over the local socket: every right.
    pub fn local() -> Self {
        Self {
            actor: Actor::Local,
            scopes: Scopes::of(Scope::ALL),
            project: None,
        }
    }

    /// Refuses a caller without `scope`.
    pub fn need(&self, scope: Scope) -> Result<(), Error> {
        if self.scopes.allow(scope) {
            Ok(())
        } else {
            Err(Error::scope_missing(scope))
        }
    }

    /// Whether objects of `project` exist for this caller.
    pub fn sees(&self, project: &ProjectId) -> bool {
        self.project.as_ref().is_none_or(|own| own == project)
    }

    /// The token that asks; none over the local socket.
    pub fn token(&self) -> Option<&TokenId> {
        match &self.actor {
            Actor::Token { id, .. } => Some(id),
            Actor::System | Actor::Local => None,
        }
    }
}
