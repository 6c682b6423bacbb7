//! What the journal tells of an object, and by what its events are known.

use super::Entry;

/// An object of which the journal tells.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// The project of that id.
    Project(&'a str),
    /// The database of that id.
    Database(&'a str),
    /// A user's part in a project, each by its id.
    Member {
        /// The project.
        project: &'a str,
        /// The user.
        user: &'a str,
    },
    /// The token of that id.
    Token(&'a str),
}

impl Subject<'_> {
    /// The filter that lets its events through. None for a token, of which only the whole
    /// journal tells.
    pub(super) fn filter(self) -> Option<(&'static str, String)> {
        match self {
            Self::Project(id) | Self::Member { project: id, .. } => {
                Some(("project_id", id.to_owned()))
            }
            Self::Database(id) => Some(("database_id", id.to_owned())),
            Self::Token(_) => None,
        }
    }

    /// The kinds of events that give what can be ordered another value. What befalls an object
    /// by itself, such as sleep or a fall, is of none of them.
    pub(super) fn changes(self) -> &'static [&'static str] {
        match self {
            Self::Project(_) => &["project.changed", "project.restored"],
            Self::Database(_) => &["database.changed", "database.restored"],
            // One that was taken out and added again has the role of the addition.
            Self::Member { .. } => &["member"],
            Self::Token(_) => &["token.changed"],
        }
    }

    /// The kind of the event with which it ends.
    pub(super) fn end(self) -> &'static str {
        match self {
            Self::Project(_) => "project.destroyed",
            Self::Database(_) => "database.destroyed",
            Self::Member { .. } => "member.removed",
            Self::Token(_) => "token.revoked",
        }
    }

    /// What whoever ended it did.
    pub(super) fn end_verb(self) -> &'static str {
        match self {
            Self::Project(_) | Self::Database(_) => "destroyed",
            Self::Member { .. } => "removed",
            Self::Token(_) => "revoked",
        }
    }

    /// Whether every attribute was in every state ever written, so that a difference is a
    /// change that somebody made.
    pub(super) fn is_told_whole(self) -> bool {
        matches!(self, Self::Member { .. } | Self::Token(_))
    }

    /// Whether the event is about this object and not another that the filter lets through. Of
    /// members and tokens nothing but the sentence has the id, at an end that no name is at.
    pub(super) fn is_of(self, event: &Entry<'_>) -> bool {
        let message = event.text("message").unwrap_or_default();
        match self {
            Self::Project(_) | Self::Database(_) => true,
            Self::Member { user, .. } => message.starts_with(&format!("{user} is ")),
            Self::Token(id) => {
                let subject = message.rsplit_once(" was ").map(|(subject, _)| subject);
                subject.is_some_and(|subject| subject.ends_with(&format!(" ({id})")))
            }
        }
    }
}
