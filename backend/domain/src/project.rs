//! A project: what databases belong to, and the network they share.

use crate::{Claim, Name, ProjectId, Slug, Timestamp};
use std::collections::BTreeMap;

/// Days for which a destroyed project can come back with its variables and members; longer where
/// an operator's floor is longer, or where a database of it is still told of.
pub const DESTROYED_PROJECT_DAYS: u32 = 30;
/// Days for which the value of a variable is kept after it was replaced or removed; longer where
/// an operator's floor is longer.
pub const ENDED_VALUE_DAYS: u32 = 7;

/// What the destruction of a project does to what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDestroy {
    /// Refused while anything is in it.
    Refuse,
    /// Everything in it goes too, each through its recovery window.
    Cascade,
}

impl OnDestroy {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Cascade => "cascade",
        }
    }

    /// The meaning of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Refuse, Self::Cascade]
            .into_iter()
            .find(|o| o.as_str() == word)
    }
}

/// How much a project may have; what is none is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Living databases.
    pub databases: Option<u32>,
    /// Storage of its living databases, in GB.
    pub storage_gb: Option<u32>,
}

/// A project as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name; unique among the living of the installation.
    pub name: Name,
    /// Made from the name at create, kept for life.
    pub slug: Slug,
    /// A sentence for people, at most 256 characters.
    pub description: Option<String>,
    /// The region of databases that name none.
    pub default_region: Option<String>,
    /// Whether its destruction is refused.
    pub deletion_protection: bool,
    /// What its destruction does to what is in it.
    pub on_destroy: OnDestroy,
    /// Minutes without a client after which its databases sleep, where they say nothing.
    pub sleep_after_minutes: Option<u32>,
    /// How much it may have; none when nobody said.
    pub quota: Option<Quota>,
    /// Labels of the user's.
    pub tags: BTreeMap<String, String>,
    /// Whether its first database is made when its environment is first used.
    pub auto_provision: bool,
    /// Whether the client that created it has taken it over.
    pub claim: Claim,
    /// Rises with each change of the row.
    pub generation: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the row changed last.
    pub updated_at: Timestamp,
    /// When it was destroyed.
    pub destroyed_at: Option<Timestamp>,
}
