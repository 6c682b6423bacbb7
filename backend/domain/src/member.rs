//! What a person may do in a project.

use crate::{ProjectId, Scope, Scopes, Timestamp, UnknownScope, UserId};

/// What a person is in a project, from the least to the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads and plans.
    Viewer,
    /// Changes what is in it, reads credentials, branches.
    Editor,
    /// Everything in it: its members and data that is given up for good, too.
    Owner,
}

impl Role {
    /// All of them, from the least to the greatest.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Owner];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }

    /// The role of that name.
    pub fn parse(word: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == word)
            .ok_or_else(|| UnknownScope {
                what: "role",
                found: word.chars().take(64).collect(),
                known: Self::ALL.map(Self::as_str).join(", "),
            })
    }

    /// The most that a token of such a member can do in the project.
    pub fn scopes(self) -> Scopes {
        Scopes::of(match self {
            Self::Viewer => vec![Scope::Read, Scope::Plan],
            Self::Editor => vec![
                Scope::Read,
                Scope::Plan,
                Scope::Write,
                Scope::Credentials,
                Scope::Fork,
            ],
            Self::Owner => Scope::ALL.to_vec(),
        })
    }

    /// The least role that may do it.
    pub fn least_for(scope: Scope) -> Self {
        Self::ALL
            .into_iter()
            .find(|role| role.scopes().allow(scope))
            .unwrap_or(Self::Owner)
    }
}

/// A person in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The project.
    pub project_id: ProjectId,
    /// The person.
    pub user_id: UserId,
    /// What it may do there.
    pub role: Role,
    /// Since when it is a member.
    pub created_at: Timestamp,
    /// When its role changed last.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_all_that_a_lesser_one_may() {
        for pair in Role::ALL.windows(2) {
            for scope in Scope::ALL {
                assert!(!pair[0].scopes().allow(scope) || pair[1].scopes().allow(scope));
            }
        }
    }

    #[test]
    fn only_an_owner_gives_up_data_for_good_or_chooses_members() {
        for scope in [Scope::Unprotect, Scope::Admin] {
            assert_eq!(Role::least_for(scope), Role::Owner);
        }
        assert_eq!(Role::least_for(Scope::Credentials), Role::Editor);
        assert_eq!(Role::least_for(Scope::Plan), Role::Viewer);
        assert!(Role::parse("admin").is_err());
        assert_eq!(Role::parse("editor"), Ok(Role::Editor));
    }
}
